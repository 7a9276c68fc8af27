"""What the tests of the engines share: a server in memory and in virtual time, and a run without disk or socket.

The server is the emulator's own world and endpoints, so its answers come from the contract and not from here.
"""

from __future__ import annotations

import copy
import hashlib
from collections import Counter
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import partial
from math import inf
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any
from unittest import mock

import anyio
import orjson
from starlette.datastructures import QueryParams

from bulkops.api import LIVE, REFERENCE, Tier
from bulkops.checkpoint.memory import MemoryCheckpoint
from bulkops.closing import Closing
from bulkops.emulator.answers import Answer, Refusal
from bulkops.emulator.endpoints import Call
from bulkops.emulator.live.refusing import refused
from bulkops.emulator.live.routes import ROUTES as LIVE_ROUTES
from bulkops.emulator.routes import ROUTES, find_endpoint
from bulkops.emulator.upload import Upload
from bulkops.emulator.world import World
from bulkops.engines import doubts, feeding, repeats
from bulkops.engines.baselining import Baselines
from bulkops.engines.drive import Drive
from bulkops.engines.finding import Directory
from bulkops.engines.folders import folders_of
from bulkops.engines.local import Engine
from bulkops.engines.pinning import Pinboard
from bulkops.errors import OperationFailed
from bulkops.jobfile import JobFile
from bulkops.lifecycle import Answered
from bulkops.model import Effect, State
from bulkops.observing import Observer
from bulkops.outputs.saved import Saved
from bulkops.planning import make_plan
from bulkops.reconcile import stamp_of
from bulkops.reporting.progress import Progress
from bulkops.reporting.report import Job as Named
from bulkops.reporting.report import Report
from bulkops.sending import Heard, Retrying, ServerClock
from bulkops.sending.metered import Metered
from bulkops.sending.named import Named as KnownIds
from bulkops.sending.recorded import Recorded
from bulkops.settings import Account, Secret, Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping

    from bulkops.api import Profile
    from bulkops.engines.asking import Ask
    from bulkops.engines.watching import Budget
    from bulkops.errors import Stop
    from bulkops.model import Request, Save
    from bulkops.pace.turns import Pace
    from bulkops.planning import Plan, Selection
    from bulkops.sending import Attempt

EPOCH = 1.7e9
AGENT = {"name": "Support", "conversation_config": {"agent": {"language": "en"}}}


@dataclass
class Server:
    """Answers as the emulator does; each attempt takes `latency`, with its effect in the middle.

    `refuse` may name an answer that is given in place of the endpoint's, before any effect; `after` one that is
    given although the effect happened. `delay` tells how many seconds longer than others an answer is on its way.
    """

    latency: float = 0.2
    index_time: float | None = 10.0
    conversations: int = 0
    refuse: Callable[[Request, int], Answer | None] = lambda _request, _number: None
    after: Callable[[Request, int], Answer | None] = lambda _request, _number: None
    delay: Callable[[Request], float] = lambda _request: 0.0
    heard: Counter[str] = field(default_factory=Counter)
    polls: int = 0
    flying: int = 0
    most_flying: int = 0
    times: list[tuple[float, str, str]] = field(default_factory=list)
    named: KnownIds = field(default_factory=KnownIds)
    before_effect: Callable[[Request], None] = lambda _request: None
    api: Profile = REFERENCE
    world: World = field(init=False)

    def __post_init__(self) -> None:
        self.world = World(label="w", rng=Random(0), epoch=EPOCH, index_time=self.index_time)
        self.world.seed(self.conversations, 0.0)

    async def send(self, attempt: Attempt) -> Heard:
        """Be the wire and the server behind it."""
        request = attempt.request
        self.heard[request.endpoint] += 1
        self.polls += request.request_class.value == "poll"
        number = self.heard[request.endpoint]
        self.times.append((anyio.current_time(), request.endpoint, request.path))
        self.flying += 1
        self.most_flying = max(self.most_flying, self.flying)
        try:
            await anyio.sleep(self.latency / 2)
            attempt.gate.passed = True
            self.before_effect(request)
            answer = self.refuse(request, number) or self._answer(request)
            answer = self.after(request, number) or answer
            await anyio.sleep(self.latency / 2 + self.delay(request))
        finally:
            self.flying -= 1
        if attempt.sink is not None and answer.status == 200:
            await attempt.sink.begin(".mp3")
            await attempt.sink.write(answer.body)
            answer = Answer(200, {"content_type": "audio/mpeg", "bytes": len(answer.body)}, answer.headers)
        return _heard(attempt, answer, self.named, self.api)

    def _answer(self, request: Request) -> Answer:
        try:
            routes = LIVE_ROUTES if self.api is LIVE else ROUTES
            endpoint, entity = find_endpoint(request.method, request.path.removeprefix("/"), routes)
            payload: bytes | Upload = orjson.dumps(request.body)
            if request.form is not None:
                try:
                    content = Path(request.form.path).read_bytes()
                except FileNotFoundError as error:
                    raise OperationFailed("no_file", f"{request.form.path} cannot be read") from error
                digest = hashlib.sha256(content).hexdigest()
                payload = Upload(dict(request.form.fields), len(content), digest, request.form.file_name)
            now = anyio.current_time()
            return endpoint.act(
                Call(self.world, entity, payload, QueryParams(dict(request.query)), now, 0, lambda _id: False)
            )
        except Refusal as refusal:
            return refused("", refusal) if self.api is LIVE else refusal.answer

    def effects(self, kind: str) -> list[str]:
        """Return the names of what was made of a kind, in order."""
        return [effect.name for effect in self.world.effects if effect.kind == kind]


def _heard(attempt: Attempt, answer: Answer, known: KnownIds, api: Profile) -> Heard:
    json = orjson.loads(orjson.dumps(None if answer.body == b"" else answer.body))
    headers = {name.lower(): value for name, value in answer.headers.items()}
    headers["date"] = formatdate(EPOCH + anyio.current_time(), usegmt=True)
    if not 200 <= answer.status < 300:
        code, message, *_ = api.refusal(json)
        return Heard(
            Answered(answer.status), attempt.life, headers=headers, reason=message or "HTTP", code=code
        )
    json = api.endpoints()[attempt.request.endpoint].heard(json)
    entity = json.get(attempt.request.entity) if attempt.request.entity else None
    named = attempt.request.entity is None or entity is not None
    repeated = attempt.request.effect is Effect.CREATE and entity is not None and not known.add(entity)
    end = Answered(answer.status, named=named, repeated=repeated)
    return Heard(end, attempt.life, json=json, headers=headers, entity=entity)


class _NoThread:
    """Reads here and now: a clock that jumps does not see threads."""

    @staticmethod
    async def run_sync(work: Callable[..., Any], *arguments: Any) -> Any:
        """Do the work."""
        return work(*arguments)


@dataclass
class Unlimited:
    """A budget without a limit; it remembers what share was given to looks."""

    per_second: float = inf
    waiting_work: int = 0
    shares: list[float] = field(default_factory=list)

    def standing(self, _account: str) -> Unlimited:
        """Return itself."""
        return self

    def poll_share(self, _account: str, share: float) -> None:
        """Remember a share that differs from the one before."""
        if self.shares[-1:] != [share]:
            self.shares.append(share)


class KeptFiles:
    """Files in memory, for what `OutputFiles` does on disk."""

    def __init__(self) -> None:
        self.open: dict[bytes, dict[str, bytes]] = {}
        self.finished: dict[str, bytes] = {}

    async def append(self, key: bytes, save: Save) -> None:
        """Add to a file."""
        files = self.open.setdefault(key, {})
        name = f"{save.folder}/{save.name}{save.suffix}"
        files[name] = files.get(name, b"") + save.data

    def holds(self, key: bytes) -> bool:
        """Tell whether there is a file of an operation."""
        return key in self.open

    async def finish(self, key: bytes) -> list[Saved]:
        """Put the files under their names."""
        files = self.open.pop(key, {})
        self.finished |= files
        return [Saved(name, len(data), "") for name, data in files.items()]

    async def discard(self, key: bytes) -> None:
        """Drop what was appended."""
        self.open.pop(key, None)


class Notes:
    """An event log in memory."""

    def __init__(self) -> None:
        self.noted: list[tuple[str, dict[str, Any]]] = []

    def note(self, event: str, /, **facts: Any) -> None:
        """Remember an event."""
        self.noted.append((event, facts))


@dataclass
class Run:
    """What one run came to, while it goes on and afterwards."""

    plan: Plan
    engine: Engine
    report: Report
    files: KeptFiles
    events: Notes
    sender: Retrying
    budget: Budget
    observer: Observer
    settings: Settings


class Job:
    """One job with its checkpoint in memory; `run` may be called again and again."""

    def __init__(
        self, folder: Path, lines: Iterable[Mapping[str, Any]], api: Profile = REFERENCE, **given: Any
    ) -> None:
        self.api = api
        self.path = folder / "job.jsonl"
        self.base: Path | None = None
        self.checkpoint = MemoryCheckpoint()
        self.given = given
        self.write(lines)

    def write(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Write the job file (anew)."""
        self.path.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))

    @asynccontextmanager
    async def running(
        self,
        server: Server,
        selection: Selection | None = None,
        pace: Pace | None = None,
        budget: Budget | None = None,
        ask: Ask | None = None,
        **settings: Any,
    ) -> AsyncIterator[Run]:
        """Prepare a run; `run.engine.run` is to be called in the block, as `run` does."""
        account = Account("default", "http://127.0.0.1", Secret("k"), Tier("none", 10**6))
        known = Settings(**{"api": self.api, "account": account, **self.given, **settings})
        with ExitStack() as stack:
            for module in (feeding, repeats, doubts):
                stack.enter_context(mock.patch.object(module, "to_thread", _NoThread))
            job = stack.enter_context(JobFile.open(self.path))
            plan = make_plan(
                job, api=self.api, environ={}, reader=self.checkpoint.reader(), selection=selection
            )
            report = Report(totals=plan.operations, started=0.0)
            for (kind, state), count in plan.states.items():
                report.add(kind, state, count)
            files, events = KeptFiles(), Notes()
            doubles: tuple[Any, Any] = (files, events)
            observer = Observer(report=report, progress=Progress(), events=doubles[1], job=Named("job.jsonl"))
            closing = Closing(self.checkpoint, doubles[0], observer, known.halt)
            steps: dict[bytes, list[Any]] = {}
            for step in self.checkpoint.reader().open_steps():
                steps.setdefault(step.key, []).append(step)
            clock = ServerClock()
            engine = Engine(
                plan, known, self.checkpoint, closing, steps, told=observer.told, clock=clock, ask=ask
            )
            recorded = Recorded(server, self.checkpoint, chance=lambda: 0.0, clock=clock)
            inner = recorded if pace is None else Metered(recorded, pace)
            if pace is not None:
                engine.on_stop(pace.close)
            sender = Retrying(inner, give_up_after=300.0, sleep=engine.sleep)
            yield Run(
                plan, engine, report, files, events, sender, budget or pace or Unlimited(), observer, known
            )
            report.verify()

    async def run(self, server: Server, selection: Selection | None = None, **more: Any) -> Run:
        """Run to the end; `stop_after` seconds the run is stopped for `reason`, after `abort_after` aborted."""
        stop_after, reason = more.pop("stop_after", None), more.pop("reason", None)
        abort_after = more.pop("abort_after", None)
        async with self.running(server, selection, **more) as run:
            pins = Pinboard(self.checkpoint, run.sender)
            drive = Drive(
                self.api,
                run.sender,
                run.files,
                pins,
                partial(stamp_of, self.checkpoint.meta("checkpoint_id") or ""),
                reads_before=run.plan.selection.before,
                directory=Directory(self.api, run.sender, self.checkpoint, "default"),
                stamps=run.settings.stamps,
                folders=folders_of(run.settings, run.sender, self.checkpoint, run.engine.sleep),
                baselines=Baselines(self.api, run.sender, self.checkpoint, "default"),
            )
            async with anyio.create_task_group() as beside:
                beside.start_soon(run.engine.drain)
                if stop_after is not None:
                    beside.start_soon(_later, stop_after, run.engine.stop, reason)
                if abort_after is not None:
                    beside.start_soon(_later, abort_after, run.engine.abort)
                await run.engine.run(drive, run.budget)
                beside.cancel_scope.cancel()
        return run

    async def run_until_killed(self, server: Server, seconds: float) -> None:
        """Run for so many seconds; what is remembered after them is all that is left."""
        async with anyio.create_task_group() as beside:
            beside.start_soon(self.run, server)
            await anyio.sleep(seconds)
            left = copy.deepcopy(self.checkpoint)
            beside.cancel_scope.cancel()
        self.checkpoint = left

    def rows(self) -> list[dict[str, Any]]:
        """Return the results by line."""
        return [orjson.loads(row.record) for row in self.checkpoint.reader().rows()]

    def states(self) -> list[str]:
        """Return the states by line."""
        return [row["status"] for row in self.rows()]


async def _later(seconds: float, act: Callable[..., None], *arguments: Stop | None) -> None:
    await anyio.sleep(seconds)
    act(*arguments)


def counts(run: Run) -> dict[str, int]:
    """Return the counts of a report that are not nought."""
    return {state.value: run.report.count(state) for state in State if run.report.count(state)}
