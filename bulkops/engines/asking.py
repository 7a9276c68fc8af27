"""What the user decides about operations in doubt, asked one at a time while the run goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import anyio
from anyio import to_thread

from bulkops.lifecycle import Choice, Chosen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bulkops.checkpoint import Checkpoint


class Ask(Protocol):
    """Asks the user about an operation; None holds it."""

    async def __call__(
        self, name: str, reason: str, candidates: Sequence[str], refusal: str | None, /
    ) -> Chosen | None:
        """Ask by its name, why it is held, the ids that could be what it made; and why the last answer cannot be."""


class Asking:
    """Puts questions, until the run is being stopped: from then on everything is held."""

    def __init__(self, ask: Ask, checkpoint: Checkpoint) -> None:
        self._ask = ask
        self._checkpoint = checkpoint
        self._turn = anyio.Lock()
        self._open = anyio.CancelScope()

    def stop(self) -> None:
        """Take back the question that is open; no other one is put."""
        self._open.cancel()

    async def chosen(self, name: str, reason: str, candidates: Sequence[str]) -> Chosen | None:
        """Return what the user decides about an operation; an id that another one has made is refused."""
        async with self._turn:
            if self._open.cancel_called:
                return None
            with anyio.CancelScope() as self._open:
                refusal = None
                while True:
                    told = await self._ask(name, reason, candidates, refusal)
                    match told:
                        case Chosen(Choice.ADOPT, str(entity)):
                            await self._checkpoint.flush()
                            refusal = await to_thread.run_sync(owner_words, self._checkpoint, entity)
                            if refusal is None:
                                return told
                        case _:
                            return told
        return None


def owner_words(checkpoint: Checkpoint, entity: str) -> str | None:
    """Say which operation has made what an id stands for; None where none has."""
    with checkpoint.reader() as reader:
        owner = reader.owners([entity]).get(entity)
        row = reader.row_of(owner) if owner is not None else None
    if owner is None:
        return None
    what = "another operation" if row is None else f"{row.id or row.kind} (line {row.line})"
    return f"{entity} was made by {what}; two operations cannot have made the same"
