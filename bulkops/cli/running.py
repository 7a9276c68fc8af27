"""What `run` and `retry` have in common: an order to the pipeline, and how its end is told."""

from __future__ import annotations

import gc
import os
import shlex
import shutil
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeVar, cast

import anyio
import orjson

from bulkops.api.profile import is_entity_id
from bulkops.checkpoint import open_reader
from bulkops.checkpoint.folder import make_private_folder
from bulkops.checkpoint.locking import LockWish, run_lock
from bulkops.checkpoint.rescue import usual_folder
from bulkops.cli import orders
from bulkops.cli.options import AGAIN
from bulkops.cli.parsing import say, to_nowhere
from bulkops.errors import UsageError
from bulkops.jobfile import JobFile
from bulkops.lifecycle import Choice, Chosen
from bulkops.model import State
from bulkops.pace.places import state_folder
from bulkops.pipeline import Order
from bulkops.pipeline import run as run_order
from bulkops.planning import deletes_words
from bulkops.reporting.compared import plan_line
from bulkops.reporting.progress import choose
from bulkops.reporting.report import Job, summary
from bulkops.reporting.summing_up import doubts_line, last_line, pace_lines
from bulkops.reporting.text import safe_text
from bulkops.settings import Policy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bulkops.cli.parsing import Options
    from bulkops.pipeline import Ending
    from bulkops.planning import Plan, Selection
    from bulkops.settings import Policies, RunFolder, Settings

T = TypeVar("T")
MOST_YOUNG = 20_000
"""So many new objects in containers there are before the collector looks: some 300 operations have as many."""
EMULATED_KEY = "key-of-the-emulator"
_OF_REHEARSAL = frozenset({"run_dir", "rescue", "base_url", "time_scale"})
"""What is of the rehearsal only, so that the real run does not repeat it."""
REHEARSED = "rehearsal"
"""The file that marks the run folder of a rehearsal, which the next one may remove."""


def run_job(options: Options, selection: Selection) -> int:
    """Run a job and return the exit code."""
    policies = orders.parse_policies(options.in_doubt)
    asks = Policy.ASK in {policies.default, *policies.of_kind.values()}
    if asks and not (sys.stdin is not None and sys.stdin.isatty()):
        raise UsageError("--in-doubt ask needs a terminal; without one, take reconcile")
    with _emulator(options) if options.emulate else _no_emulator() as environ:
        place = orders.place_of(options)
        _warn_of_duplicates(place, policies)
        ending = do_job(options, selection, place, environ)
        return _tell(options, ending, _named(options, place.folder, place.base), place.folder)


def do_job(
    options: Options,
    selection: Selection,
    place: orders.JobPlace,
    environ: dict[str, str],
    check: Callable[[Settings], None] = lambda _: None,
) -> Ending:
    """Run a job as the options of `run` say, and return how that ended.

    `check` sees with which account that is going to be, and may raise UsageError before anything is sent.
    """
    policies = orders.parse_policies(options.in_doubt)
    asks = Policy.ASK in {policies.default, *policies.of_kind.values()}

    def settings(plan: Plan) -> Settings:
        made = orders.make_settings(options, plan, environ=environ)
        check(made)
        return made

    with _collecting_less_often():
        return run_order(
            Order(
                job=place.job,
                folder=place.folder,
                api=orders.profile(options),
                settings=settings,
                environ=environ,
                progress=choose(_heard(), quiet=options.quiet),
                named=_named(options, place.folder, place.base),
                selection=replace(selection, in_doubt=orders.taken_up(orders.profile(options), policies)),
                ask=ask if asks else None,
                max_delete=options.max_delete,
                may_delete=_delete if options.yes or options.emulate else _ask_to_delete,
                base=place.base,
                given=orders.given(options, environ),
                log_file=Path(options.log_file) if options.log_file else None,
                another_key=options.another_key,
                lock=lock_wish(options),
                rescue=Path(options.rescue) if options.rescue else usual_folder(),
                metrics=_metrics(options),
                relist=getattr(options, "relist", False),
                state=None if options.emulate or options.time_scale != 1 else state_folder(environ),
            )
        )


def _delete(plan: Plan) -> None:
    """Let everything be deleted: that was agreed to, or is a rehearsal."""


def _ask_to_delete(plan: Plan) -> None:
    """Ask on the terminal whether to go on; UsageError when the answer is no, or there is nobody to ask."""
    deletes = deletes_words(plan)
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError(
            f"the job deletes {deletes}; nothing was sent. Add --yes to have it done without being asked"
        )
    print(f"This deletes {deletes}. Go on? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise UsageError("nothing was sent")


@contextmanager
def _collecting_less_often() -> Iterator[None]:
    """Let the collector look for cycles only when there is more than the operations under way have made.

    It finds next to nothing: with its usual threshold it goes through all of them again and again, which took 4 % of a
    run's CPU.
    """
    before = gc.get_threshold()
    gc.set_threshold(MOST_YOUNG)
    try:
        yield
    finally:
        # Who calls the command within a process of his own goes on in it.
        gc.set_threshold(*before)


def lock_wish(options: Options) -> LockWish:
    """Return how the options say to take the lock."""

    def note(text: str) -> None:
        if not options.quiet:
            say(safe_text(text, 2000))

    return LockWish(
        patience=options.lock_wait,
        command=shlex.join(["bulkops", *sys.argv[1:]]),
        unsafe=options.unsafe_fs,
        note=note,
    )


def _warn_of_duplicates(place: orders.JobPlace, policies: Policies) -> None:
    """Say how many operations may be there twice after a run that sends again what is in doubt."""
    reader = open_reader(place.folder.checkpoint)
    if reader is None:
        return
    with reader:
        held = sum(
            states.get(State.IN_DOUBT, 0)
            for kind, states in reader.counts_by_kind().items()
            if policies.of(kind) is Policy.RETRY
        )
    if held:
        say(
            f"Sending again what is in doubt ({held:,}): where a first attempt did take effect, it is now there "
            "twice. The results of these operations say possible_duplicate."
        )


async def ask(name: str, reason: str, candidates: Sequence[str], refusal: str | None) -> Chosen | None:
    """Ask on the terminal what to do about one operation in doubt; None holds it."""
    if refusal is not None:
        say(refusal)
    else:
        say(f"{name} is in doubt: {reason}")
        for candidate in candidates:
            say(f"  it could be {candidate}")
    print("[a ID] adopt · [r]etry · [s]kip · anything else holds it: ", end="", file=sys.stderr, flush=True)
    # No thread: one that waits for a terminal can be neither cancelled nor left behind.
    await anyio.wait_readable(sys.stdin)
    word, _, entity = sys.stdin.readline().strip().partition(" ")
    match word:
        case "a" if is_entity_id(entity.strip()):
            return Chosen(Choice.ADOPT, entity.strip())
        case "a":
            return await ask(name, reason, candidates, f"{entity.strip()!r:.80} is no id; write: a ID")
        case "r":
            return Chosen(Choice.RETRY)
        case "s":
            return Chosen(Choice.SKIP)
    return None


class _Heard:
    """A stream that does not mind when nobody reads it any more: what is said about the work is not the work."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write what can be written."""
        return self._tried(lambda: self._stream.write(text), len(text))

    def flush(self) -> None:
        """Flush what can be flushed."""
        self._tried(self._stream.flush, None)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _tried(self, act: Callable[[], T], otherwise: T) -> T:
        try:
            return act()
        except OSError:
            to_nowhere(self._stream)
            return otherwise


def _heard() -> TextIO | None:
    return None if sys.stderr is None else cast("TextIO", _Heard(sys.stderr))


def _metrics(options: Options) -> Path | None:
    """Return where metrics go; UsageError where no file can be."""
    if not options.metrics:
        return None
    path = Path(options.metrics)
    if not os.access(path.absolute().parent, os.W_OK | os.X_OK) or path.is_dir():
        raise UsageError(f"the metrics file {path} cannot be written: name a file in a folder that can be")
    return path


def _named(options: Options, folder: RunFolder, base: Path | None) -> Job:
    """Return the job as the commands that continue it have to name it."""
    flags: list[str] = []
    for option in AGAIN:
        value = getattr(options, option.name)
        if value in ("", option.default) or (options.emulate and option.name in _OF_REHEARSAL):
            continue
        match option.name, value:
            case "in_doubt", policy:
                # What may then be there twice is decided anew each time.
                flags += [f"--in-doubt={policy}"] if "retry" not in policy else []
            case _, list():
                flags += [word for each in value for word in (option.flags[-1], each)]
            case _, True:
                flags.append(option.flags[-1])
            case _:
                said = f"{value:.12g}" if isinstance(value, float) else str(value)
                flags += [option.flags[-1], said]
    return Job(
        str(base or options.job),
        tuple(flags),
        folder.path,
        rehearsal=options.emulate,
        part=str(options.job) if base is not None else None,
    )


def _tell(options: Options, ending: Ending, named: Job, folder: RunFolder) -> int:
    if options.json:
        sys.stdout.buffer.write(orjson.dumps(summary(ending.report, named, ending.code)) + b"\n")
    if not options.quiet or ending.code:
        for limit in () if options.quiet else pace_lines(ending.report):
            say(limit)
        if (off := plan_line(ending.report)) is not None and not options.quiet:
            say(off)
        say(f"results: {folder.path / 'results.jsonl'}")
        say(doubts_line(ending.report))
        say(last_line(ending.report, named, ending.code))
    return ending.code


@contextmanager
def _no_emulator() -> Iterator[dict[str, str]]:
    yield orders.environment()


@contextmanager
def _emulator(options: Options) -> Iterator[dict[str, str]]:
    """Start the built-in server and point the run at it; its world is new each time, so the run folder is too."""
    from bulkops.cli.emulate import of_rehearsal, serving_for

    if options.base_url:
        raise UsageError("--emulate starts a server of its own; leave --base-url out")
    if getattr(options, "residency", None):
        raise UsageError("--emulate starts a server of its own; leave --residency out")
    with serving_for(of_rehearsal(options)) as server:
        _begin_anew(options)
        options.base_url = server.base_url
        if not options.quiet:
            say(_banner(options))
        yield {**orders.environment(), "ELEVENLABS_API_KEY": EMULATED_KEY}


def _banner(options: Options) -> str:
    scaled = (
        f"; its clock, and with it the limit, runs {options.time_scale:g} times as fast"
        if options.time_scale != 1
        else ""
    )
    return f"rehearsal against a built-in server on this machine{scaled}; nothing leaves it"


def _begin_anew(options: Options) -> None:
    """Put an empty run folder in place of an earlier rehearsal's: it tells of a world that is gone."""
    place = orders.place_of(options)
    folder = place.folder.path
    with JobFile.open(place.job), run_lock(folder, place.job, lock_wish(options)):
        # The lock has made the folder, if nothing else has.
        if any(path.name != "lock" for path in folder.iterdir()):
            if not (folder / REHEARSED).exists():
                raise UsageError(
                    f"{folder} is not the folder of a rehearsal; give --emulate another --run-dir"
                )
            shutil.rmtree(folder)
            make_private_folder(folder)
        (folder / REHEARSED).touch(mode=0o600)
