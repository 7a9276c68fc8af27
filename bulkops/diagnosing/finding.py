"""One thing that was found out, with what to do about it."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from bulkops.errors import KeyRefused, Unreachable, UsageError
from bulkops.model import value

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bulkops.model import Json

WORST_FIRST = (KeyRefused.exit_code, Unreachable.exit_code, UsageError.exit_code)


class Level(StrEnum):
    """How good it is."""

    OK = "ok"
    NOTE = "note"
    """To be known; a run would go on."""
    BAD = "bad"
    """A run would stop, or should not be started."""


@value
class Finding:
    """What was seen of something, and the remedy where there is one; `code` is how a run would end because of it.

    `account` is whose it is, where there are several, and `lines` are what is to be written down.
    """

    what: str
    level: Level
    seen: str
    remedy: str | None = None
    code: int = 0
    account: str | None = None
    lines: tuple[str, ...] = ()

    def as_json(self) -> Json:
        """Return it for programs."""
        told = {"what": self.what, "level": self.level.value, "seen": self.seen}
        if self.account is not None:
            told["account"] = self.account
        return told if self.remedy is None else {**told, "remedy": self.remedy}


def ok(what: str, seen: str) -> Finding:
    """Return a finding that needs nothing to be done."""
    return Finding(what, Level.OK, seen)


def note(what: str, seen: str, remedy: str | None = None) -> Finding:
    """Return a finding that is to be known."""
    return Finding(what, Level.NOTE, seen, remedy)


def bad(what: str, seen: str, remedy: str, code: int) -> Finding:
    """Return a finding that ends a run, or is to."""
    return Finding(what, Level.BAD, seen, remedy, code)


def worst(findings: Iterable[Finding]) -> int:
    """Return the exit code of all of them together."""
    return min((each.code for each in findings if each.code), key=WORST_FIRST.index, default=0)
