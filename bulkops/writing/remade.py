"""What an undo makes again gets other ids: its lines refer to each other in the place of the old ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulkops.api.profile import is_entity_id
from bulkops.mapping import mapped, texts_at

if TYPE_CHECKING:
    import sqlite3

    from bulkops.model import Json

_REACHED = (
    "WITH RECURSIVE reached(id) AS"
    " (SELECT ?1 UNION SELECT refers.other FROM refers, reached WHERE refers.id = reached.id AND refers.account = ?2)"
    " SELECT 1 FROM reached WHERE id = ?3"
)


class Remade:
    """Remembers, in a scratch database, which lines make agents again, and which of these refer to which.

    `field` is the field of their results with the new ids. Of those that refer to each other in a circle one has to
    keep an old id.
    """

    def __init__(self, scratch: sqlite3.Connection, field: str) -> None:
        self._scratch = scratch
        self._field = field
        self._any = False
        self._kept: list[str] = []
        scratch.execute(
            "CREATE TABLE remade (id TEXT, account TEXT, line TEXT, PRIMARY KEY (id, account)) WITHOUT ROWID"
        )
        scratch.execute(
            "CREATE TABLE refers (id TEXT, account TEXT, other TEXT, PRIMARY KEY (id, account, other)) WITHOUT ROWID"
        )

    def add(self, agent: str, account: str, line: str) -> None:
        """Hear that the line with this id makes an agent of an account again."""
        self._any = True
        self._scratch.execute("INSERT OR IGNORE INTO remade VALUES (?, ?, ?)", (agent, account, line))

    def kept(self) -> list[str]:
        """Return the old ids that had to stay since this was asked last."""
        kept, self._kept = self._kept, []
        return kept

    def pointed(self, value: Json, agent: str, account: str) -> Json:
        """Return what an agent of an account was, as its line may say it, with references in the place of old ids."""
        if not self._any:
            return value
        lines: dict[str, str] = {}
        again = self._line(agent, account) is not None
        for other in sorted({text for _, text in texts_at(value) if is_entity_id(text)}):
            line = self._line(other, account)
            if line is None:
                continue
            if again and self._scratch.execute(_REACHED, (other, account, agent)).fetchone():
                self._kept.append(other)
                continue
            lines[other] = f"${{ref:{line}#{self._field}}}"
            if again:
                self._scratch.execute(
                    "INSERT OR IGNORE INTO refers VALUES (?, ?, ?)", (agent, account, other)
                )
        return mapped(value, lines)

    def _line(self, agent: str, account: str) -> str | None:
        row = self._scratch.execute(
            "SELECT line FROM remade WHERE id = ? AND account = ?", (agent, account)
        ).fetchone()
        return None if row is None else row[0]
