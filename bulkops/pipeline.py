"""The whole way on one page: job file → plan → requests → outcomes → report."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, groupby
from typing import TYPE_CHECKING

import anyio
from anyio import to_thread

from bulkops import bounding, wall_clock
from bulkops.checkpoint import StepState, open_reader
from bulkops.checkpoint.ballast import ballast_size, check_room
from bulkops.checkpoint.belonging import belonging, check_belongs, told
from bulkops.checkpoint.locking import LockWish, run_lock
from bulkops.checkpoint.recovering import recover
from bulkops.checkpoint.rescue import OPENING, usual_folder
from bulkops.checkpoint.store import open_checkpoint
from bulkops.closing import Closing
from bulkops.engines.baselining import Baselines
from bulkops.engines.drive import Drive
from bulkops.engines.finding import Directory
from bulkops.engines.folders import folders_of
from bulkops.engines.local import Engine
from bulkops.engines.pinning import Pinboard
from bulkops.errors import BulkopsError, CheckpointError, KeyRefused, Stop, UsageError, leaves
from bulkops.foreseeing import foresee
from bulkops.jobfile import LISTED, Given, JobFile, open_job
from bulkops.listed import Notes, readings
from bulkops.model import State
from bulkops.observing import Observer
from bulkops.outputs import projections
from bulkops.outputs.files import OutputFiles
from bulkops.pace.tiers import allowance_of
from bulkops.pace.turns import Pace
from bulkops.planning import KNOWN, Selection, deletes_words, edited_words, known_word, make_plan
from bulkops.planning.census import GONE_KNOWN
from bulkops.reconcile import stamp_of
from bulkops.reporting.events import EventLog
from bulkops.reporting.redacting import Redacting, install_excepthook
from bulkops.reporting.report import Job, Report, exit_code, summary
from bulkops.reporting.share import Share
from bulkops.sending import Named, ServerClock, open_sender
from bulkops.signals import asked_by_signal, obey_signals
from bulkops.stalling import StallDetector

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bulkops.api.profile import Profile
    from bulkops.checkpoint import Checkpoint, Reader, StepRow
    from bulkops.checkpoint.store import SqliteCheckpoint
    from bulkops.engines.asking import Ask
    from bulkops.planning import Plan
    from bulkops.reporting.progress import Progress
    from bulkops.sending import Retrying
    from bulkops.settings import RunFolder, Settings
    from bulkops.signals import Question


def refuse_deletes(plan: Plan) -> None:
    """Refuse what has not been agreed to."""
    raise UsageError(
        f"the job deletes {deletes_words(plan)}, and `may_delete` does not allow it; nothing was sent"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What the user asked for. `settings` makes the settings once the plan is known; it may raise UsageError."""

    job: Path
    folder: RunFolder
    api: Profile
    settings: Callable[[Plan], Settings]
    environ: dict[str, str]
    progress: Progress
    named: Job
    selection: Selection = field(default_factory=Selection)
    base: Path | None = None
    given: Given = field(default_factory=Given)
    """What is given the job beside its file."""
    log_file: Path | None = None
    another_key: bool = False
    """The run folder's key may have been another one: the user says that the account is the same."""
    lock: LockWish = field(default_factory=LockWish)
    rescue: Path = field(default_factory=usual_folder)
    """The folder for what is in flight when the checkpoint cannot be written any more."""
    metrics: Path | None = None
    ask: Ask | None = None
    """Asks the user about what the API cannot tell."""
    relist: bool = False
    """Read the listings again whose rows the job names."""
    max_delete: int | None = None
    """A job with more left to delete is refused."""
    may_delete: Callable[[Plan], None] = refuse_deletes
    """Raises UsageError unless what a plan has left to delete is to be deleted."""
    state: Path | None = None
    """The folder in which the pace is remembered and shared with other runs; None to keep it to this run."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended."""

    report: Report
    code: int
    stop: Stop | None


def run(order: Order) -> Ending:
    """Do what the job file says, from where the last run stopped.

    Raises JobError and UsageError before anything is sent, Locked when another run is at it. What ends a run
    early is no exception here but a part of its ending.
    """
    with JobFile.open(order.job):
        # One that is not there leaves no run folder behind.
        pass
    with ExitStack() as held:
        held.enter_context(run_lock(order.folder.path, order.base or order.job, order.lock))
        # Only now: another run may have been waited for, and the file edited meanwhile.
        if (unread := _read_listings(order)) is not None:
            return unread
        written_out, listed = order.folder.path, order.folder.path / LISTED
        job = held.enter_context(
            open_job(order.job, written_out if order.base is None else None, listed=listed)
        )
        base = None
        if order.base is not None:
            base = held.enter_context(open_job(order.base, written_out, listed=listed))
        files = OutputFiles(order.folder.path)
        files.sweep()
        if taken_up := recover(order.folder.checkpoint, order.rescue):
            order.progress.note(f"took up {taken_up} rows that the last run had to save in {order.rescue}")
        question = held.enter_context(asked_by_signal())
        reader = open_reader(order.folder.checkpoint)
        with reader or ExitStack():
            plan, settings, open_steps = _prepared(order, job, base, reader)
        redact = Redacting([account.key for account in settings.accounts.values()])
        install_excepthook(redact)
        events = held.enter_context(_event_log(order, redact, settings))
        report = Report(totals=plan.operations, started=time.time(), own=Share.of(settings.account))
        for (kind, state), count in plan.states.items():
            report.add(kind, state, count)
        observer = Observer(
            report=report, progress=order.progress, events=events, job=order.named, metrics=order.metrics
        )
        foreseen = foresee(
            plan, settings.account, order.api,
            in_flight=settings.in_flight, time_scale=settings.time_scale, others=settings.others,
        )  # fmt: skip
        observer.begin(plan, settings, foreseen)
        if plan.edited and order.selection.changed is None:
            order.progress.note(edited_words(plan.edited))
        for told in (*map(str, plan.undocumented), *(words for _, words in plan.trap_words())):
            order.progress.note(told)
        stop = _work(order, plan, settings, files, observer, question, open_steps)
        report.ended = time.time()
        code = _wrap_up(order, report, stop, settings, whole=order.base is None and not plan.gone)
        observer.finish(code)
    return Ending(report, code, stop)


def _read_listings(order: Order) -> Ending | None:
    """Read the listings whose rows the job names; return how that ended where it was not done."""
    again = order.relist
    for reading in readings(
        order.base or order.job, order.folder.path, order.api, order.environ, order.given, again=again
    ):
        order.progress.note(f"reading the rows of {reading.listing}")
        small = replace(
            order, job=reading.job, folder=reading.folder, named=Job(str(reading.job)), selection=Selection(),
            progress=Notes(order.progress), base=None, given=Given(), log_file=None, metrics=None, relist=False,
        )  # fmt: skip
        if (ending := run(small)).code:
            return ending
        reading.take(order.api)
    return None


def _prepared(
    order: Order, job: JobFile, base: JobFile | None, reader: Reader | None
) -> tuple[Plan, Settings, dict[bytes, list[StepRow]]]:
    """Read, check and compare: everything that is done before anything is sent."""
    plan = make_plan(
        job, api=order.api, environ=order.environ, reader=reader, selection=order.selection, base=base,
        given=order.given,
    )  # fmt: skip
    settings = order.settings(plan)
    plan.check_accounts(settings.accounts)
    plan.check_deletes(order.max_delete)
    if plan.deletes:
        order.may_delete(plan)
    if reader is None:
        return plan, settings, {}
    check_belongs(
        reader, settings, order.folder.path, another_key=order.another_key, aliases=plan.header.accounts
    )
    steps = groupby(reader.open_steps(), key=lambda step: step.key)
    return plan, settings, {key: list(rows) for key, rows in steps}


def _event_log(order: Order, redact: Redacting, settings: Settings) -> EventLog:
    try:
        return EventLog(
            order.folder.path / "events.jsonl",
            redact=redact,
            secret_fields=settings.api.secret_fields,
            log_file=order.log_file,
        )
    except OSError as error:
        if order.log_file is not None and error.filename == str(order.log_file):
            raise UsageError(f"the log file {order.log_file} cannot be written: {error.strerror}") from None
        raise CheckpointError(f"{error.filename} cannot be written: {error.strerror}") from None


def _work(
    order: Order,
    plan: Plan,
    settings: Settings,
    files: OutputFiles,
    observer: Observer,
    question: Question,
    open_steps: dict[bytes, list[StepRow]],
) -> Stop | None:
    """Send what is left; return what ended the run early."""
    if not plan.left and order.selection.changed is None:
        return None
    order.progress.begin(plan.total, plan.total - plan.left.total())
    try:
        check_room(order.folder.path, plan.left.total())
        return anyio.run(_send, order, plan, settings, files, observer, question, open_steps)
    except BaseExceptionGroup as group:
        return _reason(group)
    except CheckpointError as error:
        return error
    finally:
        order.progress.finish()


async def _send(
    order: Order,
    plan: Plan,
    settings: Settings,
    files: OutputFiles,
    observer: Observer,
    question: Question,
    open_steps: dict[bytes, list[StepRow]],
) -> Stop | None:
    accounts, own = settings.accounts, settings.account.name
    stalls = StallDetector(settings.api, accounts, observer)
    clock, named = ServerClock(), Named()
    async with (
        open_checkpoint(
            order.folder.checkpoint, rescue=order.rescue, ballast=ballast_size(settings.in_flight)
        ) as checkpoint,
        Pace(
            {name: allowance_of(account) for name, account in accounts.items()},
            headers=settings.api.rate_headers,
            in_flight=settings.in_flight,
            told=observer.told,
            kept=bounding.places(order.state, accounts.values(), observer.told),
        ) as pace,
    ):
        for name in accounts:
            pace.expect(name, plan.load(name, own).total)
        kept = belonging(settings, checkpoint.meta("checkpoint_id") or "", plan.header.accounts)
        for word, text in kept.items():
            await checkpoint.set_meta(word, text)
        steady = wall_clock.is_steady(checkpoint.meta("clock"))
        await checkpoint.set_meta("clock", wall_clock.reading())
        word = await to_thread.run_sync(known_word, plan, checkpoint.meta(OPENING))
        await checkpoint.set_meta(KNOWN, word)
        if order.selection.changed is not None:
            await checkpoint.set_meta(GONE_KNOWN, plan.gone)
        await checkpoint.set_meta("job", str((order.base or order.job).absolute()))
        closing = Closing(checkpoint, files, observer, settings.halt, own)
        engine = Engine(
            plan, settings, checkpoint, closing, open_steps,
            told=observer.told, clock=clock, steady=steady, ask=order.ask,
        )  # fmt: skip
        engine.on_stop(pace.close)
        async with open_sender(
            settings, accounts, checkpoint, pace,
            clock=clock, sleep=engine.sleep, told=observer.told, meter=observer.meter, named=named,
        ) as sender:  # fmt: skip
            stamp = partial(stamp_of, checkpoint.meta("checkpoint_id") or "")
            drive = Drive(
                settings.api, sender, files,
                Pinboard(checkpoint, sender, plan.job.rows_of, settings.upload_root), stamp, named,
                reads_before=plan.selection.before,
                directory=Directory(
                    settings.api, sender, checkpoint, settings.account.name,
                    stamps="suffix" in settings.stamps, earlier=settings.earlier, undoing=settings.undoing,
                ),
                stamps=settings.stamps,
                folders=folders_of(settings, sender, checkpoint, engine.sleep, observer.told),
                baselines=Baselines(settings.api, sender, checkpoint, settings.account.name),
            )  # fmt: skip
            async with anyio.create_task_group() as beside:
                beside.start_soon(obey_signals, engine, order.progress, settings.drain)
                beside.start_soon(engine.drain)
                if settings.max_duration is not None:
                    beside.start_soon(bounding.end_after, settings.max_duration, engine)
                beside.start_soon(_heed_disk, checkpoint, engine)
                beside.start_soon(observer.watch, engine, pace, sender, question)
                beside.start_soon(stalls.watch, engine, pace, sender, checkpoint)
                try:
                    await engine.run(drive, pace)
                finally:
                    observer.end(engine, pace, sender)
                beside.cancel_scope.cancel()
            await _forgive(engine.stopped_by, sender, checkpoint, observer.report)
    return engine.stopped_by


async def _heed_disk(checkpoint: SqliteCheckpoint, engine: Engine) -> None:
    engine.stop(await checkpoint.failed())


async def _forgive(stop: Stop | None, sender: Retrying, checkpoint: Checkpoint, report: Report) -> None:
    """Take back the failures that were the key's fault, not the lines'."""
    if not isinstance(stop, KeyRefused):
        return
    for key in sender.forbidden:
        row = await checkpoint.row_of(key)
        if row is not None and row.state is State.FAILED:
            steps = await checkpoint.steps_of(key)
            await checkpoint.reopen(key, [step for step in steps if step.state is StepState.DONE])
            report.note(row.kind, State.NOT_STARTED, State.FAILED)


def _wrap_up(order: Order, report: Report, stop: Stop | None, settings: Settings, *, whole: bool) -> int:
    """Write the files that are made from the checkpoint, check the counts, and return the exit code."""
    report.stopped = None if stop is None else str(stop)
    whose = None
    try:
        reader = open_reader(order.folder.checkpoint)
        if reader is not None:
            with reader:
                _project(reader, order, report, stop, settings.account.name)
                whose = told(settings, reader.meta("checkpoint_id") or "")
                if whole and not isinstance(stop, CheckpointError):
                    report.agree(reader.counts())
        report.verify()
        code = exit_code(report, stop)
        said = {**summary(report, order.named, code), "belongs_to": whose}
        projections.write_summary(said, order.folder.path / "summary.json")
    except (CheckpointError, OSError) as error:
        # The disk that refused the checkpoint refuses these as well; the ending is told all the same.
        failure = stop if isinstance(stop, CheckpointError) else CheckpointError(str(error))
        report.stopped = str(failure)
        return exit_code(report, failure)
    return code


def _project(reader: Reader, order: Order, report: Report, stop: Stop | None, own: str) -> None:
    folder = order.folder.path
    report.possible_duplicates = projections.write_results(
        reader.records(),
        folder / "results.jsonl",
        folder / "created.jsonl",
        chain(reader.steps_of_run(), reader.open_steps()),
        own=own,
    )
    if order.base is None or stop is None:
        # One that was stopped half-way still holds the user's corrections: they are taken up by the next run of it.
        projections.write_failed(reader.rows(projections.TO_REPEAT), folder / "failed.jsonl")
    projections.write_in_doubt(reader.rows([State.IN_DOUBT]), folder / "in_doubt.jsonl", order.named.resolve)
    report.count_checks(reader.checks())


def _reason(group: BaseExceptionGroup[BaseException]) -> Stop:
    """Return what ended a run out of everything that was raised at once; what is no error of ours is raised."""
    raised = list(leaves(group))
    for kind in (CheckpointError, Stop):
        for leaf in raised:
            if isinstance(leaf, kind):
                return leaf
    ours = next((leaf for leaf in raised if isinstance(leaf, BulkopsError)), None)
    raise ours if ours is not None else group
