"""Which lines of an undo wait for which: records of operations come in, tags and needs go out."""

from __future__ import annotations

import sqlite3
from typing import Any

from bulkops.writing.undoing import Left
from bulkops.writing.uses import Uses


def by(name: str, *words: str, **more: Any) -> list[dict[str, Any]]:
    """Return the record of an operation that made something and was given the results of others."""
    return [{"id": name, "created": [{"kind": "agent", "id": name}], "refers_to": list(words), **more}]


def uses() -> Uses:
    """Return a memory in which something is used."""
    made = Uses(sqlite3.connect(""))
    made.any = True
    return made


def test_two_that_use_each_other_do_not_wait_for_each_other() -> None:
    """The line that comes later waits, whoever else uses the earlier one."""
    memory = uses()
    assert memory.placed({}, by("other", "b")) == {"tags": ["uses:b"]}
    assert memory.placed({}, by("b", "a")) == {"needs": ["@uses:b"], "tags": ["uses:a"]}
    assert memory.placed({}, by("a", "b")) == {"needs": ["@uses:a"]}


def test_a_copy_is_used_by_its_number_its_line_and_its_tags() -> None:
    """Whoever referred to one copy, to all of a line, or to a tag is waited for; nobody waits for itself."""
    memory = uses()
    memory.placed({}, by("x", "c[2]", "@t"))
    memory.placed({}, by("y", "c"))
    first, second = (by(f"c[{n}]", "c", copy=n, tags=["t"]) for n in (1, 2))
    assert memory.placed({}, second) == {"needs": ["@uses:@t", "@uses:c", "@uses:c(2)"]}
    assert memory.placed({}, first) == {"needs": ["@uses:@t", "@uses:c"]}


def test_what_is_used_by_what_stays_stays_and_so_on() -> None:
    """A long name is no reason to forget it."""
    memory, name = uses(), "n" * 200
    memory.stays(by("x", name))
    used = by(name, "deeper")
    assert isinstance(memory.placed({}, used), Left)
    memory.stays(used)
    assert isinstance(memory.placed({}, by("deeper")), Left)
    assert memory.placed({}, by("unused")) == {}
