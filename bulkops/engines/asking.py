"""What the user decides about operations in doubt, asked one at a time while the run goes on."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol

import anyio

from bulkops.lifecycle import Choice, Chosen
from bulkops.model import value
from bulkops.settings import Policy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bulkops.checkpoint import Checkpoint
    from bulkops.engines.drive import Doubtful, Running
    from bulkops.settings import Policies


class Ask(Protocol):
    """Asks the user about an operation; None holds it."""

    async def __call__(
        self, name: str, reason: str, candidates: Sequence[str], refusal: str | None, /
    ) -> Chosen | None:
        """Ask by its name, why it is held, the ids that could be what it made; and why the last answer cannot be."""


@value
class Question:
    """An operation that waits for the user, and why it is held if they do not say more."""

    running: Running
    doubtful: Doubtful
    reason: str


class Adopting(Protocol):
    """Who remembers what the user says that a request has made."""

    async def __call__(self, running: Running, doubtful: Doubtful, entity: str, /) -> str | None:
        """Remember it, or say why it cannot be."""


class Answered(Protocol):
    """Who carries out what the user has decided."""

    async def __call__(self, question: Question, chosen: Chosen | None, /) -> None:
        """Carry it out; None holds the operation."""


class Asking:
    """Keeps the operations that the user is asked about, and puts the questions one at a time."""

    def __init__(self, ask: Ask | None, policies: Policies, adopt: Adopting, answered: Answered) -> None:
        self._ask = ask
        self._policies = policies
        self._adopt = adopt
        self._answered = answered
        self._open: deque[Question] = deque()
        self._changed = anyio.Event()

    @property
    def waiting(self) -> int:
        """How many operations wait for an answer."""
        return len(self._open)

    def take(self, running: Running, doubtful: Doubtful, reason: str) -> bool:
        """Keep an operation that would be held, until the user has decided; False where they are not to be asked."""
        if self._ask is None or self._policies.of(running.planned.line.op) is not Policy.ASK:
            return False
        self._open.append(Question(running, doubtful, reason))
        self._changed.set()
        return True

    def left(self) -> list[Question]:
        """Return what was not answered, and keep it no longer."""
        left = list(self._open)
        self._open.clear()
        return left

    async def put(self) -> None:
        """Put the questions, for ever; cancelled, that which is open is taken back."""
        while True:
            if self._open:
                await self._put(self._open[0])
            else:
                self._changed = anyio.Event()
                await self._changed.wait()

    async def _put(self, question: Question) -> None:
        assert self._ask is not None
        running = question.running
        name = running.planned.name or f"line {running.start.line}"
        evidence = running.resolved.evidence if running.resolved is not None else {}
        refusal = None
        while True:
            chosen = await self._ask(name, question.reason, evidence.get("candidates", []), refusal)
            # An answer that was given is carried out, also when the run is stopped meanwhile.
            with anyio.CancelScope(shield=True):
                refusal = await self._refusal(question, chosen)
                if refusal is None:
                    self._open.popleft()
                    await self._answered(question, chosen)
                    return

    async def _refusal(self, question: Question, chosen: Chosen | None) -> str | None:
        match chosen:
            case Chosen(Choice.ADOPT, str(entity)):
                return await self._adopt(question.running, question.doubtful, entity)
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
