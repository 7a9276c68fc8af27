"""`plan --online`: reads what a job would change, and changes nothing: GETs only, through the pace, at most so many."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import anyio

from bulkops import bounding
from bulkops.checkpoint.memory import MemoryCheckpoint
from bulkops.errors import InDoubt, OperationFailed, Stop, leaves
from bulkops.lifecycle import Life
from bulkops.model import Effect, value
from bulkops.pace.tiers import allowance_of
from bulkops.pace.turns import Pace
from bulkops.planning.changes import CONCERNED, ambiguous, changes, concerns, mapped_ids
from bulkops.sending import Attempt, open_sender
from bulkops.told import silent

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from bulkops.model import Json
    from bulkops.planning import Plan
    from bulkops.planning.changes import Concern, Difference
    from bulkops.sending import Sender
    from bulkops.settings import Settings

    _Place = tuple[str, str, str]
    """An account, a kind of thing, and the id of one."""

NOT_FOUND = 404
READERS = 8


@value
class Missing:
    """What a copy would name and its account does not have: the place, the kind and the id.

    With `trouble` it could not be found out whether the account has it.
    """

    path: str
    kind: str
    id: str
    trouble: str | None = None


@value
class Seen:
    """A line that was looked at: its agent as it is, and what would differ; `trouble` where it could not be read."""

    concern: Concern
    agent: Json
    differences: list[Difference]
    trouble: str | None = None
    absent: tuple[Missing, ...] = ()
    """What the map of a copy leads to, and its account does not have."""
    ambiguous: tuple[tuple[str, str], ...] = ()
    """Where a copy needs an id that two take the place of, and what is said of that: it would fail."""

    @property
    def is_there(self) -> bool | None:
        """Whether there is such an agent; None where that could not be found out."""
        return None if self.trouble is not None else self.agent is not None


@value
class Preview:
    """What was seen: the lines in file order, and how many operations were not looked at, and why."""

    seen: list[Seen]
    reads: Mapping[str, int]
    """How many things were read, by their kind."""
    beyond: int
    """More than were to be looked at."""
    unknown: int
    """Lines that get to know their agent only when others have run."""
    unsought: int = 0
    """So many ids that maps lead to were more than were to be looked at."""


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
    sought = [
        place
        for place in dict.fromkeys(missing for each in named for _, missing in each)
        if place not in found
    ]
    _look(found, sought[:most], settings, state)
    seen = [_seen(concern, found, each, settings) for concern, each in zip(wanted, named, strict=True)]
    return Preview(seen, Counter(kind for _, kind, _ in found), beyond, unknown, len(sought[most:]))


def _look(
    found: dict[_Place, Json], places: Iterable[_Place], settings: Settings, state: Path | None
) -> None:
    """Read what was not looked at yet."""
    ids = [place for place in dict.fromkeys(places) if place not in found]
    if ids:
        try:
            anyio.run(_read, ids, settings, state, found)
        except BaseExceptionGroup as group:
            raise next((leaf for leaf in leaves(group) if isinstance(leaf, Stop)), group) from None


def _place(concern: Concern, settings: Settings) -> _Place:
    source = concern.line.fields.get("from") if concern.line.op == "agent.clone" else None
    return source or concern.line.account or settings.account.name, "agent", concern.agent_id


def _named(concern: Concern, found: Mapping[_Place, Json], settings: Settings) -> list[tuple[str, _Place]]:
    """Return what a copy will name and the API can be asked for, with the place where it does."""
    agent, account = found[_place(concern, settings)], _target(concern, settings)
    if not isinstance(agent, dict):
        return []
    known = settings.api.endpoints()
    return [
        (path, (account, kind, entity))
        for path, kind, entity in mapped_ids(concern, settings.api, agent, account)
        if f"{kind}.get" in known
    ]


def _target(concern: Concern, settings: Settings) -> str:
    return concern.line.account or settings.account.name


def _missing(named: Iterable[tuple[str, _Place]], found: Mapping[_Place, Json]) -> Iterator[Missing]:
    for path, place in named:
        _, kind, entity = place
        if _is_absent(there := found.get(place)):
            yield Missing(path, kind, entity)
        elif isinstance(there, OperationFailed):
            yield Missing(path, kind, entity, there.message)


def _is_absent(found: Json | OperationFailed) -> bool:
    return isinstance(found, OperationFailed) and found.status == NOT_FOUND


def _seen(
    concern: Concern, found: Mapping[_Place, Json], named: Iterable[tuple[str, _Place]], settings: Settings
) -> Seen:
    agent: Json | OperationFailed = found[_place(concern, settings)]
    if _is_absent(agent):
        return Seen(concern, None, [])
    if isinstance(agent, OperationFailed):
        return Seen(concern, None, [], agent.message)
    return Seen(
        concern,
        agent,
        changes(concern, agent, settings.api),
        absent=tuple(_missing(named, found)),
        ambiguous=tuple(ambiguous(concern, settings.api, agent, _target(concern, settings))),
    )


async def _read(ids: list[_Place], settings: Settings, state: Path | None, found: dict[_Place, Json]) -> None:
    """Read things, some at a time; what could not be read is found as its failure."""
    accounts = settings.accounts
    pace = Pace(
        {name: allowance_of(account) for name, account in accounts.items()},
        headers=settings.api.rate_headers,
        in_flight=READERS,
        kept=bounding.places(state, accounts.values(), silent),
    )
    left = iter(ids)
    async with pace, open_sender(settings, accounts, MemoryCheckpoint(), pace) as sender:
        for name, number in Counter(name for name, _, _ in ids).items():
            pace.expect(name, number)
        async with anyio.create_task_group() as readers:
            for _ in range(min(READERS, len(ids))):
                readers.start_soon(_read_some, left, sender, settings, found)


async def _read_some(
    left: Iterator[_Place], sender: Sender, settings: Settings, found: dict[_Place, Json]
) -> None:
    for place in left:
        account, kind, entity = place
        of_path: dict[str, Any] = {f"{kind}_id": entity}
        try:
            request = settings.api.endpoint(f"{kind}.get").request(**of_path)
            attempt = Attempt(request, account, b"", 0, Life(Effect.READ))
            found[place] = (await sender.send(attempt)).json
        except OperationFailed as failure:
            found[place] = failure
        except InDoubt as doubt:
            found[place] = OperationFailed("unreadable", str(doubt))
