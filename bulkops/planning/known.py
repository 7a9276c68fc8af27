"""What a run remembers of its job file, so that the next one need not read it line by line: a word of the checkpoint.

It holds for a file that begins with the very bytes that were read then, under a header that says the same, whether
in the file or given beside it. While it holds, the line numbers in the checkpoint are those of the file: every opening
of the checkpoint for writing says it anew, and what an opening wrote that did not say it makes it void.
"""

from __future__ import annotations

from dataclasses import asdict
from itertools import islice
from typing import TYPE_CHECKING, Protocol, Self

import orjson

from bulkops.checkpoint.rescue import OPENING
from bulkops.jobfile import TAG_MARK, fingerprint
from bulkops.model import value
from bulkops.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bulkops.checkpoint import Reader
    from bulkops.jobfile import Fingerprint
    from bulkops.model import Json
    from bulkops.planning.plan import Plan
    from bulkops.planning.tallies import Tallies

KNOWN = "known_file"
"""The word of the checkpoint."""
MOST_NAMES = 10_000
"""Lines with several operations, ids waited for and accounts together: of files with more, nothing is remembered."""


class Waits(Protocol):
    """What the lines of a job wait for."""

    @property
    def asked(self) -> Iterable[tuple[str, int | None]]:
        """Return ids and tags, with a number where one operation is meant."""

    def goes_on(self, line_id: str) -> bool:
        """Tell whether what waits for a line goes on although that has failed."""


@value
class Known:
    """What was found out by reading a file whose lines were all good.

    `shapes` are the counts by shape, `many` the number of operations of those lines (by number) that have several,
    the others are those of the plan.
    """

    api: str
    shapes: list[list[Json]]
    many: dict[int, int]
    copies: dict[str, int]
    accounts: dict[str, int]
    waited_for: list[list[Json]]
    going_on: list[str]
    depth: int = 1

    @classmethod
    def of(cls, plan: Plan, api: str, tallies: Tallies, many: dict[int, int], waits: Waits) -> Self | None:
        """Return what is known of a file whose plan was made; None when that is too much to be remembered.

        Who has a tag is known by its line alone: where tags are waited for, every line is read.
        """
        waited_for = list(islice(waits.asked, MOST_NAMES + 1))
        if len(many) + len(plan.copies) + len(plan.accounts) + len(waited_for) > MOST_NAMES:
            return None
        if any(source.startswith(TAG_MARK) for source, _ in waited_for):
            return None
        waited_for.sort(key=lambda asked: (asked[0], asked[1] or 0))
        return cls(
            api,
            list(tallies.shapes()),
            many,
            dict(plan.copies),
            dict(plan.accounts),
            [list(asked) for asked in waited_for],
            sorted({source for source, _ in waited_for if waits.goes_on(source)}),
            plan.depth,
        )


@value
class Remembered:
    """What is known of a file, and which file that is, under which header."""

    known: Known
    header: str
    size: int
    line_ends: int
    digest: str
    complete: bool

    def is_of(self, found: Fingerprint) -> bool:
        """Tell whether these are the bytes that were read."""
        return (self.size, self.line_ends, self.digest) == (found.size, found.line_ends, found.digest)


def known_word(plan: Plan, opening: str | None) -> str:
    """Return the word for the checkpoint, which is opened for this time; empty when nothing may be remembered."""
    if plan.known is None:
        return ""
    whole = plan.fingerprint or fingerprint(plan.job)
    if not plan.job.unchanged or whole.size != plan.job.size:
        return ""
    word = {
        "version": VERSION,
        "opening": opening,
        "known": asdict(plan.known),
        "header": plan.header.digest,
        "size": whole.size,
        "line_ends": whole.line_ends,
        "digest": whole.digest,
        "complete": whole.complete,
    }
    return orjson.dumps(word, option=orjson.OPT_NON_STR_KEYS).decode()


def remembered(reader: Reader) -> Remembered | None:
    """Return what is remembered; None when there is nothing that this version may use."""
    text = reader.meta(KNOWN)
    if not text:
        return None
    word = orjson.loads(text)
    if word["version"] != VERSION or word["opening"] != reader.meta(OPENING):
        return None
    known = word["known"]
    known["many"] = {int(number): count for number, count in known["many"].items()}
    return Remembered(
        Known(**known),
        word.get("header", ""),
        word["size"],
        word["line_ends"],
        word["digest"],
        word["complete"],
    )
