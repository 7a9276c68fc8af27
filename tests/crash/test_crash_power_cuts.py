"""The power is cut at any moment of a run: what was acknowledged is there, and no file is half under its name."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from bulkops.checkpoint import line_key, open_reader, operation_key
from bulkops.cli import main
from bulkops.emulator import EmulatorSettings, serving_in_thread
from bulkops.errors import CheckpointError
from tests.canary import CANARY
from tests.crash.crash_broken import ACKNOWLEDGED, NORMAL, SHORT_LOG, program
from tests.crash.crash_disk import Disk, What, changes
from tests.crash.crash_jobs import Job
from tests.crash.crash_oracle import CREATES, judge
from tests.crash.crash_processes import Client, Made, Server
from tests.crash.crash_sizes import need, note, size
from tests.e2e.e2e_commands import FAST, end_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bulkops.emulator import Emulator
    from tests.crash.crash_disk import Change

KEY = f"{CANARY}-power-cut"
GROWING = (What.OPENED, What.WRITTEN)
SHELVES = ("agents", "conversations", "documents", "tools")
"""Where a world of the emulator keeps things by id."""


@pytest.fixture(scope="module")
def recorder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile what is preloaded to record a run."""
    need("gcc")
    library = tmp_path_factory.mktemp("recorder") / "recorder.so"
    source = os.path.join(os.path.dirname(__file__), "crash_recorder.c")  # noqa: PTH118, PTH120 - for the compiler
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl", "-lpthread"], check=True)
    return library


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """Start a server whose things can be taken back to what they were at a moment.

    One for each test: agents of an earlier one with the same names would be those of somebody else who makes the same.
    """
    settings = EmulatorSettings(tier=None, index_time=0.0, conversations=40, latency=0.002)
    with serving_in_thread(settings) as emulator:
        yield emulator


@pytest.fixture(autouse=True)
def like_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the command run in this process as it does in one of its own."""
    monkeypatch.setenv("ELEVENLABS_API_KEY", KEY)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)


@dataclass(slots=True)
class Recorded:
    """A run: the job, what was there before, every change to its files, and what happened at the server."""

    job: Job
    folder: Path
    before: Path
    changes: list[Change]
    effects: list[Made]
    shelves: dict[str, dict[str, Any]]


def power_cut_job() -> Job:
    """Return a job whose every line has an id, so that what it is to the checkpoint is known from outside."""
    job = Job()
    for n in range(14):
        job.agent(f"Agent {n}", id=f"a{n}")
    for n in range(4):
        job.talk(n + 1)
        job.document(f"Document {n}")
        job.export(n + 1)
        job.tool(f"tool_{n}")
    for number, line in enumerate(job.lines, 1):
        line.setdefault("id", f"line{number}")
    return job


def record(
    emulator: Emulator, recorder: Path, folder: Path, source: str, kill_after: float | None = None
) -> Recorded:
    """Run a job while its changes are recorded; with `kill_after`, one that was killed after so many seconds."""
    folder.mkdir()
    state, before = folder / "state", folder / "before"
    state.mkdir()
    job = power_cut_job()
    client = Client(state, Server(emulator.base_url), KEY, program(ACKNOWLEDGED + source), ("-j", "4", "-q"))
    path = job.write(state / "job.jsonl")
    env = {**client.env, "ACKNOWLEDGED": str(state / "acknowledged")}
    if kill_after is not None:
        with client.start(path, env=env) as process, contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(kill_after)
    shutil.copytree(state, before, ignore=shutil.ignore_patterns("home"))
    env |= {"LD_PRELOAD": str(recorder), "RECORD_PREFIX": str(state), "RECORD_LOG": str(folder / "log")}
    with client.start(path, env=env) as process:
        ended = end_of(process)
    assert ended.code in {0, 6}, ended.err
    world = emulator.world(KEY)
    effects = [Made(one.kind, one.id, one.name, one.at) for one in world.effects]
    shelves = {name: dict(getattr(world, name)) for name in SHELVES}
    return Recorded(job, folder, before, changes(folder / "log"), effects, shelves)


def _rewind(emulator: Emulator, shelves: dict[str, dict[str, Any]], gone: set[str]) -> None:
    """Take the things of these ids away, and forget what happened."""
    world = emulator.world(KEY)
    for name, things in shelves.items():
        setattr(world, name, {key: thing for key, thing in things.items() if key not in gone})
    world._listing = None
    world.effects.clear()


@dataclass(slots=True)
class Cut:
    """One state that a power cut may leave: the files, and when it was cut (seconds since the epoch)."""

    files: dict[str, bytes]
    at: float
    told: list[tuple[str, bytes, int]]
    """What the checkpoint had acknowledged until then."""


def cuts(recorded: Recorded, count: int, chance: random.Random) -> Iterator[Cut]:
    """Yield so many states, half of them spread over the whole run, half about what puts things on disk."""
    disk = Disk(recorded.folder / "state", recorded.before)
    last = len(recorded.changes) - 1
    turns = [number for number, change in enumerate(recorded.changes) if change.what not in GROWING]
    moments = Counter(
        min(last, max(0, chance.choice(turns) + chance.randint(-1, 1))) if half else chance.randint(0, last)
        for half in (number % 2 for number in range(count))
    )
    at = 0.0
    for number, change in enumerate(recorded.changes):
        # A call is recorded when it ends: one that took long began before others that are recorded already.
        at = max(at, change.began)
        for _ in range(moments[number]):
            files = disk.state(chance)
            acknowledged = disk.root.names().get("acknowledged")
            text = acknowledged.content().decode() if acknowledged is not None else ""  # type: ignore[union-attr] # it is a file
            told = [line.split() for line in text.splitlines()]
            yield Cut(files, at, [(what, bytes.fromhex(key), int(n)) for what, key, n in told])
        disk.apply(change)


def lay_out(cut: Cut, folder: Path) -> Path:
    """Write a state to a folder; return the run folder in it."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, content in cut.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder / "job.run"


def check(recorded: Recorded, cut: Cut, run: Path) -> list[str]:
    """Return what is lost or half in a state; reads it as the command does."""
    wrong = []
    rows: dict[bytes, dict[str, Any]] = {}
    steps: set[tuple[bytes, int]] = set()
    try:
        reader = open_reader(run / "checkpoint.db")
    except CheckpointError as error:
        return [f"{error} {sorted((path.name, path.stat().st_size) for path in run.iterdir())}"]
    if reader is not None:
        with reader:
            rows = {row.key: orjson.loads(row.record) for row in reader.rows()}
            steps = {(step.key, step.number) for step in reader.open_steps()}
    for what, key, number in cut.told:
        if key not in rows and (what == "end" or (key, number) not in steps):
            wrong.append(f"{what} of {key.hex()} was acknowledged and is gone")
    begun = {key for key, _ in steps} | rows.keys()
    wrong += [
        f"{effect.kind} {effect.name} happened, and nothing tells of it"
        for effect in recorded.effects
        if effect.at < cut.at and effect.kind in CREATES and _key_of(effect, recorded) not in begun
    ]
    told = {file["path"]: file["sha256"] for row in rows.values() for file in row["files"]}
    for name, digest in told.items():
        if not (run / name).exists() or _sha256(run / name) != digest:
            wrong.append(f"{name} is said to be there and is not, or not whole")
    wrong += _halves(recorded, run)
    return wrong


def _key_of(effect: Made, recorded: Recorded) -> bytes | None:
    """Return what an effect's operation is to the checkpoint."""
    job = recorded.job
    agents = {one.id: one.name for one in recorded.effects}
    for want, line in zip(job.wanted, job.lines, strict=True):
        name = agents.get(effect.name) if want.of is not None else effect.name
        wanted = job.wanted[want.of - 1].name if want.of is not None else want.name
        if want.kind == effect.kind and wanted == name:
            return operation_key(line_key(line["id"], b"", 0), 0)
    return None


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _halves(recorded: Recorded, run: Path) -> list[str]:
    """Return the files whose content is not all that was ever to stand under their names."""
    wrong = []
    for path in run.rglob("*"):
        if path.suffix not in {".json", ".jsonl"} or path.name.startswith(".") or path.name == "events.jsonl":
            continue
        content = path.read_bytes()
        try:
            # The summary is one value over many lines.
            values = [
                orjson.loads(line) for line in ([content] if path.suffix == ".json" else content.splitlines())
            ]
        except orjson.JSONDecodeError:
            values = []
            wrong.append(f"{path.name} is torn")
        if path.name == "results.jsonl" and len(values) != len(recorded.job.lines):
            wrong.append(f"{path.name} has {len(values)} rows")
        if content and not content.endswith(b"\n"):
            wrong.append(f"{path.name} is cut")
    return wrong


def resume(emulator: Emulator, recorded: Recorded, cut: Cut, folder: Path) -> list[str]:
    """Let the command go on from a state, at a server as it was then; return what is done twice, lost or wrong."""
    before = [effect for effect in recorded.effects if effect.at < cut.at]
    later = {effect.id for effect in recorded.effects} - {effect.id for effect in before}
    _rewind(emulator, recorded.shelves, later)
    for name in ("job.jsonl", *(line["file"] for line in recorded.job.lines if "file" in line)):
        shutil.copy(recorded.before / name, folder / name)
    words = [
        "run",
        str(folder / "job.jsonl"),
        "--base-url",
        emulator.base_url,
        *FAST,
        "--time-scale",
        "50",
        # Nothing takes effect late here, and there are many states to resume from.
        "--settle",
        "1s",
        "-q",
    ]
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        code = main(words)
    if code not in {0, 6}:
        return [f"exit {code}: {said.getvalue()}"]
    rows = [orjson.loads(line) for line in (folder / "job.run/results.jsonl").read_bytes().splitlines()]
    after = [Made(one.kind, one.id, one.name, one.at) for one in emulator.world(KEY).effects]
    found = judge(recorded.job.wanted, rows, before + after)
    return found.duplicates + found.lost + found.wrong


@dataclass(slots=True)
class Score:
    """What came of many states."""

    states: int = 0
    resumed: int = 0
    lost: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def cut_often(emulator: Emulator, recorded: Recorded, states: int, every: int, folder: Path) -> Score:
    """Check so many states of a recorded run, and resume from some of them."""
    score = Score()
    for number, cut in enumerate(cuts(recorded, states, random.Random(states))):
        run = lay_out(cut, folder)
        score.states += 1
        score.lost += check(recorded, cut, run)
        if every and number % every == 0:
            score.resumed += 1
            score.wrong += resume(emulator, recorded, cut, folder)
    return score


RUNS = {"one run": ("", None), "a short log": (SHORT_LOG, None), "after a kill": (SHORT_LOG, 0.62)}


@pytest.mark.parametrize("kind", RUNS)
def test_nothing_acknowledged_is_lost(emulator: Emulator, recorder: Path, tmp_path: Path, kind: str) -> None:
    """Unsynced writes dropped, torn or reordered, names lost: each acknowledged intent and outcome is there."""
    recorded = record(emulator, recorder, tmp_path / "recorded", *RUNS[kind])
    score = cut_often(emulator, recorded, size(334, 16_667), 12, tmp_path / "state")
    note(
        f"power cuts, {kind}",
        changes=len(recorded.changes),
        states=score.states,
        lost_or_half=len(score.lost),
        resumed=score.resumed,
        wrong_after=len(score.wrong),
    )
    assert not score.lost, score.lost[:20]
    assert not score.wrong, score.wrong[:20]


def test_a_checkpoint_that_does_not_wait_for_the_disk_is_found_out(
    emulator: Emulator, recorder: Path, tmp_path: Path
) -> None:
    """With synchronous=NORMAL the same states lose what was acknowledged, and a later run does it twice."""
    recorded = record(emulator, recorder, tmp_path / "recorded", NORMAL)
    score = cut_often(emulator, recorded, 60, 6, tmp_path / "state")
    assert score.lost
    assert score.wrong
