"""`plan --online`: reads what a job would change, and changes nothing: GETs only, through the pace, at most so many."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import anyio

from bulkops import bounding
from bulkops.checkpoint.memory import MemoryCheckpoint
from bulkops.errors import InDoubt, OperationFailed, Stop, leaves
from bulkops.lifecycle import Life
from bulkops.model import Effect, value
from bulkops.pace.tiers import allowance_of
from bulkops.pace.turns import Pace
from bulkops.planning.changes import CONCERNED, changes, concerns
from bulkops.sending import Attempt, open_sender
from bulkops.told import silent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bulkops.model import Json
    from bulkops.planning import Plan
    from bulkops.planning.changes import Concern, Difference
    from bulkops.sending import Sender
    from bulkops.settings import Settings

    _Place = tuple[str, str]

NOT_FOUND = 404
READERS = 8


@value
class Seen:
    """A line that was looked at: its agent as it is, and what would differ; `trouble` where it could not be read."""

    concern: Concern
    agent: Json
    differences: list[Difference]
    trouble: str | None = None

    @property
    def is_there(self) -> bool | None:
        """Whether there is such an agent; None where that could not be found out."""
        return None if self.trouble is not None else self.agent is not None


@value
class Preview:
    """What was seen: the lines in file order, and how many operations were not looked at, and why."""

    seen: list[Seen]
    reads: int
    beyond: int
    """More than were to be looked at."""
    unknown: int
    """Lines that get to know their agent only when others have run."""


def preview(plan: Plan, settings: Settings, state: Path | None, most: int) -> Preview:
    """Look at the agents of at most so many lines. Raises Stop when the server refuses the key or is not there."""
    wanted: list[Concern] = []
    unknown = 0
    beyond = sum(plan.left[kind] for kind in CONCERNED)
    for concern in concerns(plan):
        if len(wanted) == most:
            break
        beyond -= concern.operations
        if concern.agent_id:
            wanted.append(concern)
        else:
            unknown += 1
    ids = list(dict.fromkeys(_place(concern, settings) for concern in wanted))
    found: dict[_Place, Json] = {}
    if ids:
        try:
            anyio.run(_read, ids, settings, state, found)
        except BaseExceptionGroup as group:
            raise next((leaf for leaf in leaves(group) if isinstance(leaf, Stop)), group) from None
    seen = [_seen(concern, found[_place(concern, settings)]) for concern in wanted]
    return Preview(seen, len(ids), beyond, unknown)


def _place(concern: Concern, settings: Settings) -> _Place:
    return concern.line.account or settings.account.name, concern.agent_id


def _seen(concern: Concern, found: Json | OperationFailed) -> Seen:
    if not isinstance(found, OperationFailed):
        return Seen(concern, found, changes(concern, found))
    if found.status == NOT_FOUND:
        return Seen(concern, None, [])
    return Seen(concern, None, [], found.message)


async def _read(ids: list[_Place], settings: Settings, state: Path | None, found: dict[_Place, Json]) -> None:
    """Read agents, some at a time; what could not be read is found as its failure."""
    accounts = settings.accounts
    pace = Pace(
        {name: allowance_of(account) for name, account in accounts.items()},
        headers=settings.api.rate_headers,
        in_flight=READERS,
        kept=bounding.places(state, accounts.values(), silent),
    )
    left = iter(ids)
    async with pace, open_sender(settings, accounts, MemoryCheckpoint(), pace) as sender:
        for name, number in Counter(name for name, _ in ids).items():
            pace.expect(name, number)
        async with anyio.create_task_group() as readers:
            for _ in range(min(READERS, len(ids))):
                readers.start_soon(_read_some, left, sender, settings, found)


async def _read_some(
    left: Iterator[_Place], sender: Sender, settings: Settings, found: dict[_Place, Json]
) -> None:
    for place in left:
        account, agent_id = place
        try:
            request = settings.api.agent_get.request(agent_id=agent_id)
            attempt = Attempt(request, account, b"", 0, Life(Effect.READ))
            found[place] = (await sender.send(attempt)).json
        except OperationFailed as failure:
            found[place] = failure
        except InDoubt as doubt:
            found[place] = OperationFailed("unreadable", str(doubt))
