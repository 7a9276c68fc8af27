"""The one way in which something below tells those who listen above: a word and its facts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from bulkops.model import Json


class Told(Protocol):
    """A listener: `told("paused", seconds=12, reason="429")`."""

    def __call__(self, event: str, /, **facts: Json) -> None:
        """Hear of an event; it must not raise and must not wait."""


def silent(_event: str, /, **_facts: Json) -> None:
    """Listen to nothing."""
