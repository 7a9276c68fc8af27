"""`plan --online`: reads what a job would change, and changes nothing: GETs only, through the pace, at most so many."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio

from bulkops import bounding
from bulkops.checkpoint.memory import MemoryCheckpoint
from bulkops.errors import InDoubt, OperationFailed, Stop, leaves
from bulkops.lifecycle import Life
from bulkops.model import Effect, value
from bulkops.pace.tiers import allowance_of
from bulkops.pace.turns import Pace
from bulkops.planning.changes import CONCERNED, changes, concerns, mapped_agents
from bulkops.sending import Attempt, open_sender
from bulkops.told import silent

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from bulkops.api.profile import Profile
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
    absent: tuple[tuple[str, str], ...] = ()
    """Where a copy would name an agent that its account does not have, and that agent."""

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
    found: dict[_Place, Json] = {}
    _look(found, [_place(concern, settings) for concern in wanted], settings, state)
    named = [_named(concern, found, settings) for concern in wanted]
    _look(found, [place for each in named for _, place in each], settings, state)
    seen = [
        replace(_seen(concern, found[_place(concern, settings)], settings.api), absent=_absent(each, found))
        for concern, each in zip(wanted, named, strict=True)
    ]
    return Preview(seen, len(found), beyond, unknown)


def _look(
    found: dict[_Place, Json], places: Iterable[_Place], settings: Settings, state: Path | None
) -> None:
    """Read the agents that were not looked at yet."""
    ids = [place for place in dict.fromkeys(places) if place not in found]
    if ids:
        try:
            anyio.run(_read, ids, settings, state, found)
        except BaseExceptionGroup as group:
            raise next((leaf for leaf in leaves(group) if isinstance(leaf, Stop)), group) from None


def _place(concern: Concern, settings: Settings) -> _Place:
    source = concern.line.fields.get("from") if concern.line.op == "agent.clone" else None
    return source or concern.line.account or settings.account.name, concern.agent_id


def _named(concern: Concern, found: Mapping[_Place, Json], settings: Settings) -> list[tuple[str, _Place]]:
    """Return the agents that a copy will name, with the place where it does."""
    agent, account = found[_place(concern, settings)], concern.line.account or settings.account.name
    if not isinstance(agent, dict):
        return []
    return [
        (path, (account, agent_id)) for path, agent_id in mapped_agents(concern, settings.api, agent, account)
    ]


def _absent(named: Iterable[tuple[str, _Place]], found: Mapping[_Place, Json]) -> tuple[tuple[str, str], ...]:
    return tuple((path, place[1]) for path, place in named if _is_absent(found[place]))


def _is_absent(found: Json | OperationFailed) -> bool:
    return isinstance(found, OperationFailed) and found.status == NOT_FOUND


def _seen(concern: Concern, found: Json | OperationFailed, api: Profile) -> Seen:
    if not isinstance(found, OperationFailed):
        return Seen(concern, found, changes(concern, found, api))
    if _is_absent(found):
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
