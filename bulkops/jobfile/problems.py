"""What can be said about a line that is wrong, before the file it stands in is known."""

from __future__ import annotations

from difflib import SequenceMatcher, get_close_matches
from typing import TYPE_CHECKING

from bulkops.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

PROBLEMS_SHOWN = 100
_LONGEST_WORD = 80
_ALIKE = 0.8
"""Of many names, one that is less like a word was hardly meant by it."""
_MOST_NAMES = 40


class LineError(Exception):
    """One thing is wrong: `field` names where (a dotted path, or None for the whole line).

    `message` goes on where the field's name ended, and says what to do about it.
    """

    def __init__(self, field: str | None, message: str) -> None:
        super().__init__(message if field is None else f"`{shown(field)}` {message}")
        self.field = None if field is None else shown(field)
        self.message = message


class LineProblems(Exception):
    """Everything that is wrong with one line, as (field, message)."""

    def __init__(self, found: Iterable[LineError]) -> None:
        self.found = [(error.field, error.message) for error in found]
        super().__init__(self.found)

    def in_file(self, file: str, line: int) -> list[Problem]:
        """Return the problems with their place."""
        return [Problem(file, line, field, message) for field, message in self.found]


def shown(text: str, limit: int = _LONGEST_WORD) -> str:
    """Return a text as it may stand in a message: on one line, without control characters, not too long."""
    clean = text[:limit] if text.isprintable() else "".join(map(_printable, text[:limit]))
    return clean if len(text) <= limit else clean + "…"


def _printable(character: str) -> str:
    return character if character.isprintable() else "\N{REPLACEMENT CHARACTER}"


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the end of a sentence that helps somebody who wrote a word that is not known."""
    names = sorted(known)
    close = get_close_matches(word[:_LONGEST_WORD], names, n=1)
    if close:
        return f"did you mean `{shown(close[0])}`?"
    more = ", …" if len(names) > _MOST_NAMES else ""
    return f"known are {', '.join(shown(name) for name in names[:_MOST_NAMES])}{more}"


def closest(words: Iterable[str], known: Iterable[str]) -> dict[str, str]:
    """Return for each of a few words that of many names which is much like it, where one is; goes through them once."""
    matchers = [(word, SequenceMatcher(None, "", word[:_LONGEST_WORD])) for word in words]
    best: dict[str, tuple[float, str]] = {}
    for name in known:
        for word, matcher in matchers:
            least, _ = best.get(word, (_ALIKE, ""))
            matcher.set_seq1(name[:_LONGEST_WORD])
            # The first two are cheap, and never less than the third.
            if matcher.real_quick_ratio() > least and matcher.quick_ratio() > least:
                ratio = matcher.ratio()
                if ratio > least:
                    best[word] = (ratio, name)
    return {word: name for word, (_, name) in best.items()}


def problems_text(problems: Sequence[Problem]) -> str:
    """Return the first hundred problems, one a line, and how many more there are."""
    lines = [str(problem) for problem in problems[:PROBLEMS_SHOWN]]
    if len(problems) > PROBLEMS_SHOWN:
        lines.append(f"… and {len(problems) - PROBLEMS_SHOWN:,} more")
    return "\n".join(lines)
