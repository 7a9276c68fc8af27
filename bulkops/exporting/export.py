"""The whole way of an export on one page: what is seen → what is asked for → files and rows → what is missing."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import orjson

from bulkops.checkpoint.belonging import told_by
from bulkops.checkpoint.folder import make_private_folder
from bulkops.checkpoint.locking import run_lock
from bulkops.errors import UsageError
from bulkops.exporting.asking import Asking
from bulkops.exporting.catalogue import CATALOGUE, STATE, Catalogue, State
from bulkops.exporting.gathering import Gathering, check, is_listing
from bulkops.exporting.partitions import Written, recover, write_staged
from bulkops.exporting.window import window
from bulkops.model import value
from bulkops.outputs.atomic import atomic_write
from bulkops.outputs.dataset import rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from bulkops.checkpoint.locking import LockWish
    from bulkops.exporting.catalogue import Day
    from bulkops.exporting.listing import Listed
    from bulkops.exporting.partitions import Keeping
    from bulkops.exporting.window import Window
    from bulkops.model import Json
    from bulkops.settings import RunFolder

SUMMARY: Final = "summary.json"
LISTS: Final = {"pending": (State.PENDING,), "missing": (State.OPEN, State.MISSING)}
"""What is not exported, by the names of the files that list it."""
MOST_ASKED: Final = 10_000
"""So many conversations are asked for by one job: what a resume reads again, and what is in the data set only later."""
_MISSING: Final = 3
_GOES_ON: Final = frozenset({0, _MISSING})


class Ran(NamedTuple):
    """How a job that asks the API has ended: its exit code, and how many requests it sent."""

    code: int
    requests: int


class Asker(Protocol):
    """What asks the API."""

    def __call__(self, job: Path, folder: RunFolder, whose: Json, /) -> Ran:
        """Run a job."""

    def listed(
        self, since: float, until: float, take: Callable[[Sequence[Json]], None], whose: Json, /
    ) -> Listed:
        """Let `take` have the rows of conversations that began then, some at a time; return how many requests it took.

        And what ended it where the listing cannot be had whole; what was taken until then is there.
        """


@value
class Order:
    """What the user asked for; `wait` is how long conversations get that are not over, `lookback` is in seconds."""

    out: Path
    keeping: Keeping
    sources: tuple[Path, ...] = ()
    since: str | None = None
    until: str | None = None
    lookback: float = 0.0
    wait: str = "10m"
    give_up: bool = False


@value
class Ended:
    """What an export came to; `watermark` is its name and where it stands, in epoch seconds."""

    code: int
    written: Written
    requests: int
    days: tuple[Day, ...]
    watermark: tuple[str, float | None] | None = None
    given_up: int = 0
    lost: int = 0
    """So many events and operations of the sources do not tell which conversation they are about."""

    @property
    def stopped(self) -> bool:
        """Whether something ended it before it had asked for everything."""
        return self.code not in _GOES_ON

    def total(self, what: str) -> int:
        """Return the sum of a column over all days."""
        return sum(int(getattr(day, what)) for day in self.days)


def export(
    order: Order,
    ask: Asker,
    note: Callable[[str], None],
    lock: LockWish | None = None,
) -> Ended:
    """Export what is wanted and not exported yet, from where the last export stopped.

    `ask` is told whose the exports are, as far as that is known.
    Raises UsageError and JobError before anything is sent, Locked when another export is at it.
    """
    state = order.out / STATE
    make_private_folder(state)
    with run_lock(state, order.out, lock), Catalogue(state / CATALOGUE) as catalogue:
        now = time.time()
        wanted = window(order.since, order.until, order.lookback, catalogue.watermark, now=now)
        _keep_format(catalogue, order)
        api = order.keeping.api
        for source in order.sources:
            check(source, api)
        recover(catalogue, order.out)
        number = int(catalogue.meta("exports") or 0) + 1
        catalogue.set_meta("exports", str(number))
        asking = Asking(state / "asking")
        sources = Gathering(catalogue, api, export=number, again=wanted.again, note=note)
        rounds = _Rounds(order, catalogue, asking, wanted, ask)
        asking.clear()
        if asking.begun:
            note("going on with the export that was ended early")
            rounds.once()
        if rounds.code in _GOES_ON:
            for source in order.sources:
                if not is_listing(source):
                    sources.take(source)
            if any(map(is_listing, order.sources)):
                rounds.list(sources, now, note)
            rounds.write()
            rounds.all(number, note)
        stopped = rounds.code not in _GOES_ON
        given_up = catalogue.give_up(wanted) if order.give_up and not stopped else 0
        mark = _move(catalogue, wanted, now, stopped=stopped)
        days = tuple(catalogue.by_day(wanted))
        left = sources.lost or any(day.missing for day in days)
        code = rounds.code if stopped else _MISSING if left else 0
        ended = Ended(code, rounds.written, rounds.requests, days, mark, given_up, sources.lost)
        _tell(order.out, catalogue, wanted, ended)
    return ended


class _Rounds:
    """Asks the API, part by part, and writes what it answered."""

    def __init__(
        self,
        order: Order,
        catalogue: Catalogue,
        asking: Asking,
        wanted: Window,
        ask: Asker,
    ) -> None:
        self._order = order
        self._catalogue = catalogue
        self._asking = asking
        self._wanted = wanted
        self._ask = ask
        self.code = 0
        self.requests = 0
        self.written = Written()

    def all(self, export: int, note: Callable[[str], None]) -> None:
        """Ask for everything that is wanted, until something stops it."""
        total = self._catalogue.left_to_take(self._wanted, export)
        asked = 0
        while self.code in _GOES_ON:
            with self._catalogue.together():
                taken = self._catalogue.take(self._wanted, export, MOST_ASKED)
                if not taken:
                    return
                self._asking.write(self._catalogue.taken(), self._order.keeping, self._order.wait)
            first, asked = asked + 1, asked + taken
            if total > MOST_ASKED:
                note(f"asking for {first:,} to {asked:,} of {total:,} conversations")
            self.once()

    @property
    def _whose(self) -> Json:
        """Whose the exports are, as far as that is known."""
        told = self._catalogue.meta(_WHOSE)
        return None if told is None else orjson.loads(told)

    def list(self, sources: Gathering, now: float, note: Callable[[str], None]) -> None:
        """Note what the API lists; what begins after `now` would shift its pages, and is for the next export."""
        until = min(self._wanted.until, now)
        take = partial(sources.see_listed, wanted=self._wanted)
        listed = self._ask.listed(self._wanted.listed, until, take, self._whose)
        self.requests += listed.requests
        if listed.stop is not None:
            note(f"the listing of conversations was not read to its end: {listed.stop}")
            self.code = listed.stop.exit_code

    def once(self) -> None:
        """Run the job that stands, and write what it brought."""
        self._catalogue.rest()
        self.code, requests = self._ask(self._asking.job, self._asking.run, self._whose)
        self.requests += requests
        if self.code > _INTERRUPTED:
            # It is to end soon: the next export goes on with the job as it stands.
            return
        if self._asking.take(self._catalogue, self._wanted, self._order.keeping.api):
            self._catalogue.set_meta(_WHOSE, orjson.dumps(told_by(self._asking.run.path)).decode())
        self.write()
        self._asking.forget()

    def write(self) -> None:
        """Write what is on disk into the data set."""
        self.written += write_staged(self._catalogue, self._order.out, self._wanted, self._order.keeping)


_WHOSE: Final = "belongs_to"
"""The word of the catalogue for the account that the API was asked with."""
_INTERRUPTED: Final = 73
"""Exit codes above are of a disk that refuses, of another run, and of signals."""


def _keep_format(catalogue: Catalogue, order: Order) -> None:
    """Let a data set have one format: readers of a folder expect that."""
    kept = catalogue.meta("format")
    if kept is None:
        catalogue.set_meta("format", order.keeping.format)
    elif kept != order.keeping.format:
        raise UsageError(f"{order.out} holds {kept}; give --format {kept}, or another folder with --out")


def _move(
    catalogue: Catalogue, wanted: Window, to: float, *, stopped: bool
) -> tuple[str, float | None] | None:
    """Move the watermark, last of all: what it has passed is exported."""
    if wanted.watermark is None:
        return None
    if stopped:
        return wanted.watermark, catalogue.watermark(wanted.watermark)
    return wanted.watermark, catalogue.move(wanted.watermark, to)


def _tell(out: Path, catalogue: Catalogue, wanted: Window, ended: Ended) -> None:
    """Write the lists of what is not exported, and the summary."""
    for name, states in LISTS.items():
        with atomic_write(out / f"{name}.jsonl") as file:
            file.writelines(_lines(catalogue, wanted, *states))
    mark = None
    if ended.watermark is not None:
        name, stands = ended.watermark
        mark = {"name": name, "at": None if stands is None else rfc3339(stands)}
    told: dict[str, Json] = {
        "exit_code": ended.code,
        "ended_at": time.time(),
        "exported": ended.written.conversations,
        "new_versions": ended.written.versions,
        "parts": ended.written.parts,
        "requests": ended.requests,
        "pending": ended.total("pending"),
        "missing": ended.total("missing"),
        "damaged": ended.lost,
        "watermark": mark,
        "days": [day._asdict() for day in ended.days],
    }
    with atomic_write(out / SUMMARY) as file:
        file.write(orjson.dumps(told, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def _lines(catalogue: Catalogue, wanted: Window, *states: State) -> Iterator[bytes]:
    for left in catalogue.left(wanted, *states):
        told = {
            "conversation_id": left.id,
            "created_at": None if left.created is None else rfc3339(left.created),
            "reason": left.reason or "not asked for yet",
        }
        yield orjson.dumps(told, option=orjson.OPT_APPEND_NEWLINE)
