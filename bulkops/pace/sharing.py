"""One process's part in a pace that all processes with the same key share, and that outlives each of them.

The file holds the state of the pace and who takes part. Load, decide, save under its lock is the same as one pace
for all. As long as a process is alone it saves now and then only, and before each of its requests leaves it notes, in a
file of its own, how many it has granted: so others know even of one that was killed. What each member has granted, and
what the state has heard of that, tell what has to be added. All times are on the monotonic clock, which all processes
of a boot have in common.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from bulkops.pace.credit import NEVER
from bulkops.pace.kept import Alive, KeptFile, is_dead, noted
from bulkops.pace.members import Member
from bulkops.pace.state import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulkops.model import Json

ALONE = 0.02
"""Seconds for which one that was alone does not look whether others have come."""

LOOK = 0.05
"""Seconds after which one who waits looks again: an answer to another process may have made room."""

CHECK = 1.0
"""Seconds between two looks whether the others still live."""

KEPT = 10.0
"""Periods of silence after which nothing is remembered; all that matters by then is older than a period by far."""

APART = 5.0
"""Seconds by which two clocks may run apart, where the system does not name its boots."""

_BOOT = Path("/proc/sys/kernel/random/boot_id")


def this_boot() -> str:
    """Return what names this boot of the machine; nothing where the system does not name it."""
    try:
        return _BOOT.read_text("ascii").strip()
    except OSError:
        return ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the pace of one account is kept, and what tells the boots of the machine apart."""

    path: Path
    boot: str = field(default_factory=this_boot)
    wall: Callable[[], float] = time.time

    def lives(self, name: str) -> Path:
        """Return the file that shows that a process lives."""
        return self.path.with_name(f"{self.path.name}.{name}")

    def same_clock(self, clocks: dict[str, Json], now: float) -> bool:
        """Tell whether times that were written so are on our clock."""
        if clocks["boot"] != self.boot or clocks["at"] > now + APART:
            return False
        return bool(self.boot) or abs(self.wall() - clocks["wall"] - (now - clocks["at"])) < APART


class Sharing:
    """Takes part from the first `begin` to `leave`: `begin`, decide on the state that it returns, `end`.

    As long as it is `undisturbed`, it may decide on its own state without that, and `note` what it granted.

    `mine` is kept up by who decides. Raises OSError when the files cannot be used.
    """

    def __init__(self, place: Place, mine: Member) -> None:
        self.mine = mine
        self.others: dict[str, Member] = {}
        self._place = place
        self._name = secrets.token_hex(4)
        self.locked = self._joined = False
        self.late = False
        """Whether something was decided that is not saved yet."""
        self.looks = -inf
        """Until when one that is alone need not look at the file."""
        self._checked = -inf
        self.noted = 0
        """As many of our requests are known to others, or would be if we were killed."""
        self._core = b""
        self._alive = Alive(place.lives(self._name))
        try:
            self._file = KeptFile(place.path)
        except OSError:
            self._alive.close()
            raise

    def undisturbed(self, now: float) -> bool:
        """Tell whether one that was alone still is; not to be asked again before `looks`."""
        if self.others or not self._joined:
            return False
        self.looks = now + ALONE
        return not self._file.changed()

    def begin(self, state: State, now: float) -> State:
        """Take the lock, if it can be had; return what to decide on: our state, or what others made of it."""
        if not self._file.lock():
            return state
        self.locked = True
        body = self._file.read()
        if body is not None:
            state = self._taken_up(body, state, now)
        self._joined = True
        if self.others or body is not None:
            if now >= self._checked + CHECK:
                self._muster(state, now)
            self._settle(state, now)
        return state

    def end(self, state: State, now: float, rate: float) -> State:
        """Save what was decided, and return what others made of it; it stays `late` where the lock cannot be had."""
        self.late = True
        if not self.locked:
            state = self.begin(state, now)
        if self.locked:
            self._save(state, {self._name: self.mine, **self.others}, now)
        elif self.mine.granted > self.noted:
            self.note(state, rate)
        return state

    def note(self, state: State, rate: float) -> None:
        """Note how many we have granted: in place of a save for now.

        At a high rate (requests per second) those of the next moment are noted as well. If we are killed before
        they leave, the pace rests for them in vain: that is shorter than the start of a process.
        """
        ahead = int(rate * ALONE) if rate < inf else 0
        self.noted = self.mine.granted + ahead
        self._alive.note(self.noted, state.due + ahead / rate)

    def leave(self, state: State, now: float) -> None:
        """Take part no more; requests that are still under way count as answered."""
        try:
            if not self.locked:
                state = self.begin(state, now)
            if self.locked:
                self.mine.answered, self.mine.probing = self.mine.granted, 0
                self._settle(state, now)
                self._save(state, self.others, now)
        finally:
            self._file.close()
            self._alive.close()

    def drop(self) -> None:
        """Close the files, whatever stands in them: like a process that was killed."""
        self._file.close()
        self._alive.drop()

    def cap(self) -> int | None:
        """Return the lowest of the limits that the others were told to keep to."""
        if not self.others:
            return None
        return min((it.limit for it in self.others.values() if it.limit is not None), default=None)

    def _muster(self, state: State, now: float) -> None:
        """Add what the others have noted and not saved, and strike those off who are no more."""
        self._checked = now
        for name, member in list(self.others.items()):
            path = self._place.lives(name)
            count, due = noted(path) or (0, NEVER)
            if count > member.granted:
                state.ledger.granted += count - member.granted
                state.due = max(state.due, due)
                member.granted, member.seen = count, now
            if is_dead(path):
                del self.others[name]

    def _taken_up(self, body: bytes, state: State, now: float) -> State:
        """Return what a newly read file makes of our state."""
        try:
            first, _, core = body.partition(b"\n")
            clocks, saved = orjson.loads(first), orjson.loads(core)
            members = {name: Member(**known) for name, known in saved["members"].items()}
            theirs = State.load(saved["state"])
            same = self._place.same_clock(clocks, now) and theirs.ledger.period == state.ledger.period
            silent = now - clocks["at"]
        except (ValueError, TypeError, KeyError, AttributeError):
            # Nothing that we could have written: it begins with us.
            return state
        if not same:
            if not self._joined:
                _remember_roughly(state, theirs, self._place.wall() - clocks["wall"], now)
            return state
        mine = members.pop(self._name, None)
        self.others, self._core = members, core
        if not self._joined:
            self._muster(theirs, now)
            return state if silent > KEPT * theirs.ledger.period else theirs
        if mine is None:
            # Somebody found it unreadable and began anew: we know more.
            _remember_roughly(state, theirs, 0.0, now)
            return state
        theirs.ledger.granted += self.mine.granted - mine.granted
        theirs.ledger.answer(now, self.mine.answered - mine.answered)
        theirs.due = max(theirs.due, state.due)
        if state.pauses.until > theirs.pauses.until:
            theirs.pauses = state.pauses
        return theirs

    def _settle(self, state: State, now: float) -> None:
        """Let as many be under way as those know of who are at work: what the dead sent counts as answered now."""
        ledger = state.ledger
        members = (self.mine, *(member for member in self.others.values() if member.at_work(now)))
        lost = ledger.in_flight - sum(member.flying for member in members)
        if lost > 0:
            ledger.answer(now, lost)
        else:
            ledger.granted -= lost
        state.probing = sum(member.probing for member in members)

    def _save(self, state: State, members: dict[str, Member], now: float) -> None:
        try:
            core = orjson.dumps({"members": dict(sorted(members.items())), "state": state.dump()})
            if core != self._core:
                clocks = {"boot": self._place.boot, "at": now, "wall": self._place.wall()}
                self._file.write(orjson.dumps(clocks) + b"\n" + core)
                self._core = core
            self.late, self.noted = False, self.mine.granted
            self.looks = -inf if self.others else now + ALONE
        finally:
            self.locked = False
            self._file.unlock()


def _remember_roughly(state: State, theirs: State, since: float, now: float) -> None:
    """Take over what was held in a state that is not ours, as of another boot: all of it counts as answered now.

    `since` is what the wall clock says; where it went back nobody knows, and caution costs a period at most.
    """
    ledger, told = theirs.ledger, theirs.told
    if since < ledger.period:
        held = ledger.recent + ledger.in_flight
        state.ledger.granted += held
        state.ledger.answer(now, held)
        state.told = told
