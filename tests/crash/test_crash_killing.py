"""Killed without a warning at any moment, while a tenth of all requests go wrong: nothing twice, nothing lost."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from tests.canary import CANARY
from tests.crash.crash_broken import BLIND_RETRY, NO_INTENTS, program
from tests.crash.crash_jobs import listed, mixed, tools_of_listed
from tests.crash.crash_oracle import Violations, judge
from tests.crash.crash_processes import Client, serving
from tests.crash.crash_sizes import note, size
from tests.e2e.e2e_commands import check_ending, results, run_folder
from tests.forked import COMMAND

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tests.crash.crash_jobs import Job
    from tests.e2e.e2e_commands import Started

    Strike = Callable[[Client, Path, Started, random.Random], None]

FAULTS = [
    "reset_early",
    "reset_before",
    "reset_after",
    "error_before",
    "error_after",
    "cut",
    "not_json",
    "no_id",
    {"fault": "slow", "seconds": 0.2},
    {"fault": "429", "retry_after": 0},
]
SIDE_BY_SIDE = 2
MOST_KILLS = 12
"""Kills of one job; then it may end, and the next one begins."""


@dataclass(slots=True)
class Killed:
    """What came of it."""

    phases: Counter[str] = field(default_factory=Counter)
    operations: Counter[str] = field(default_factory=Counter)
    violations: Violations = field(default_factory=Violations)

    @property
    def kills(self) -> int:
        """How many there were."""
        return self.phases.total()


def kill_often(
    folder: Path,
    kills: int,
    seed: int,
    *,
    command: tuple[str, ...] = COMMAND,
    strikes: Sequence[Strike] | None = None,
    api: str = "reference",
    job: Callable[[int], Job] = mixed,
    before: Callable[[int], Job] | None = None,
) -> Killed:
    """Run jobs, kill each often, let it end, and compare; until there were so many kills.

    Another job may be run to its end `before` each, in the same world: nothing that it makes is the later one's.
    """
    chance = random.Random(seed)
    strikes = strikes or STRIKES
    killed = Killed()
    folder.mkdir()
    with serving(folder, [{"rate": 0.15, "seed": seed, "faults": FAULTS}], api=api) as server:
        number = 0
        while killed.kills < kills:
            number += 1
            place = folder / str(number)
            place.mkdir()
            words = ("-j", "4", "--api", api)
            client = Client(place, server, f"{CANARY}-{seed}-{number}", command, words)
            if before is not None:
                client.run(before(5).write(place / "before.jsonl"))
            _kill_one_job(client, job(5), min(MOST_KILLS, kills - killed.kills), chance, strikes, killed)
    return killed


def _kill_one_job(
    client: Client, job: Job, kills: int, chance: random.Random, strikes: Sequence[Strike], killed: Killed
) -> None:
    path = job.write(client.folder / "job.jsonl")
    before = client.effects()
    for _ in range(kills):
        sent, ends = client.server.sent, _ends(path)
        with client.start(path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            chance.choice(strikes)(client, path, process, chance)
            process.send_signal(signal.SIGKILL)
            if process.wait() != -signal.SIGKILL:
                break
        if _ends(path) != ends:
            killed.phases["at the end"] += 1
            break
        killed.phases["before it sent" if client.server.sent == sent else "while it sent"] += 1
    ended = client.run(path)
    counts = check_ending(path, ended)["operations"]
    assert ended.code in {0, 3, 6}, ended.err
    killed.operations.update(counts)
    killed.violations += judge(job.wanted, results(path), client.effects()[len(before) :])


def _at_any_time(_: Client, path: Path, process: Started, chance: random.Random) -> None:
    with suppress(subprocess.TimeoutExpired):
        process.wait(
            1.5 * chance.random() ** 2
        )  # more often early, when least is under way and most is decided


def _while_it_sends(client: Client, path: Path, process: Started, chance: random.Random) -> None:
    before = client.server.sent
    _wait(process, lambda: client.server.sent > before)
    time.sleep(chance.uniform(0, 0.4))


def _when_it_tells(_: Client, path: Path, process: Started, chance: random.Random) -> None:
    """Wait until the files at the end are being written."""
    before = _ends(path)
    _wait(process, lambda: _ends(path) != before)
    time.sleep(chance.uniform(0, 0.02))


def _wait(process: Started, holds: Callable[[], object]) -> None:
    while process.poll() is None and not holds():
        time.sleep(0.005)


STRIKES = (_at_any_time, _at_any_time, _while_it_sends, _while_it_sends, _when_it_tells, _when_it_tells)


def _ends(path: Path) -> set[tuple[str, int]]:
    """Return what there is of the file that is written first at the end of a run."""
    found = set()
    for file in run_folder(path).glob("*results.jsonl"):
        with suppress(FileNotFoundError):  # renamed a moment ago
            found.add((file.name, file.stat().st_mtime_ns))
    return found


def test_nothing_twice_nothing_lost(tmp_path: Path) -> None:
    """Killed at random moments of its life, with faults at 15 %: every create happened once or is held in doubt."""
    kills = size(40, 1_000)
    with ThreadPoolExecutor(SIDE_BY_SIDE) as threads:
        parts = list(
            threads.map(
                lambda seed: kill_often(tmp_path / str(seed), kills // SIDE_BY_SIDE, seed),
                range(SIDE_BY_SIDE),
            )
        )
    phases = sum((part.phases for part in parts), Counter[str]())
    operations = sum((part.operations for part in parts), Counter[str]())
    found = Violations()
    for part in parts:
        found += part.violations
    note(
        "killed at random moments",
        kills=phases.total(),
        **dict(sorted(phases.items())),
        operations=operations["total"],
        in_doubt=operations["in_doubt"],
        duplicates=len(found.duplicates),
        lost=len(found.lost),
        wrong_ids=len(found.wrong),
    )
    assert not found, found
    assert phases.total() >= kills
    assert set(phases) == {"before it sent", "while it sent", "at the end"}
    assert operations["done"] > operations["total"] / 2


def test_what_the_live_api_lists_is_neither_lost_nor_doubled(tmp_path: Path) -> None:
    """Uploads, texts and tools of the live API, killed while they are sent: each is there once, and most are known.

    Equal tools that were there before are none of them.
    """
    killed = kill_often(
        tmp_path / "live", size(8, 100), 3,
        strikes=[_while_it_sends], api="live", job=listed, before=tools_of_listed,
    )  # fmt: skip
    assert not killed.violations, killed.violations
    assert killed.operations["done"] > 0.9 * killed.operations["total"]


@pytest.mark.parametrize("change", [NO_INTENTS, BLIND_RETRY], ids=["no intents", "blind retry"])
def test_a_program_that_is_wrong_is_found_out(tmp_path: Path, change: str) -> None:
    """Kills find duplicates where intents are not written down, or where lost answers are asked for again."""
    killed = kill_often(tmp_path / "broken", 6, 7, command=program(change), strikes=[_while_it_sends])
    assert killed.violations.duplicates
