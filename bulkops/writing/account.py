"""What an account has: its agents, read one by one in the turns of the pace. Nothing is written to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio

from bulkops.checkpoint.memory import MemoryCheckpoint
from bulkops.errors import BulkopsError, OperationFailed, UsageError, leaves
from bulkops.lifecycle import Life
from bulkops.mapping import agents_at, ids_at, sendable, texts_at
from bulkops.model import Effect, traced
from bulkops.pace.tiers import allowance_of
from bulkops.pace.turns import Pace
from bulkops.sending import Attempt, open_sender
from bulkops.sending.listings import listed_rows

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from bulkops.model import Json
    from bulkops.pace.sharing import Place
    from bulkops.sending import Sender
    from bulkops.settings import Settings


@dataclass(frozen=True, slots=True)
class Use:
    """An id of an account in an agent's configuration: what kind of thing it names, where it stands, its name there."""

    kind: str
    id: str
    path: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent, as far as it has to be known to be moved."""

    id: str
    name: str
    uses: tuple[Use, ...]


def read_agents(
    settings: Settings, wanted: Sequence[str], kept: Mapping[str, Place], known: Collection[str]
) -> list[Agent]:
    """Return the agents of the settings' account, or those wanted, in the order of the listing, or as they are wanted.

    What they use is what stands where the API has ids, other agents of the account, and ids that are `known`, wherever
    these stand as a whole text. Raises UsageError for an agent that is not there, and Stop when the account cannot be
    read.
    """
    try:
        return anyio.run(_read, settings, wanted, kept, frozenset(known))
    except BaseExceptionGroup as group:
        ours = [error for error in leaves(group) if isinstance(error, BulkopsError)]
        raise (ours[0] if ours else group) from None


async def _read(
    settings: Settings, wanted: Sequence[str], kept: Mapping[str, Place], known: frozenset[str]
) -> list[Agent]:
    account = settings.account
    pace = Pace(
        {account.name: allowance_of(account)},
        headers=settings.api.rate_headers,
        in_flight=settings.in_flight,
        kept=kept,
    )
    found: dict[str, Agent] = {}
    async with pace, open_sender(settings, settings.accounts, MemoryCheckpoint(), pace) as sender:
        try:
            listing = settings.api.agent_list
            rows = listed_rows(settings.api, listing, sender, account.name)
            listed = [row[listing.id_field] async for row in rows]
        except OperationFailed as failure:
            raise UsageError(
                f"the agents of account {account.name} cannot be listed: {failure.message}{traced(failure.request_id)}"
            ) from None
        agents = frozenset(listed)
        left = iter(list(dict.fromkeys(wanted or listed)))
        pace.expect(account.name, len(wanted or listed))

        async def work() -> None:
            for agent_id in left:
                found[agent_id] = _agent(
                    settings, agent_id, await _one(settings, sender, agent_id), agents | known
                )

        async with anyio.create_task_group() as workers:
            for _ in range(settings.in_flight):
                workers.start_soon(work)
    return [found[agent_id] for agent_id in dict.fromkeys(wanted or listed)]


async def _one(settings: Settings, sender: Sender, agent_id: str) -> Json:
    try:
        request = settings.api.agent_get.request(agent_id=agent_id)
        attempt = Attempt(request, settings.account.name, b"", 0, Life(Effect.READ))
        return (await sender.send(attempt)).json
    except OperationFailed as failure:
        raise UsageError(
            f"agent {agent_id} of account {settings.account.name} cannot be read: {failure.message}"
            f"{traced(failure.request_id)}"
        ) from None


def _agent(settings: Settings, agent_id: str, whole: Json, known: Collection[str]) -> Agent:
    api = settings.api
    kept = sendable(api, whole)
    uses = {use.path: use for use in _uses(settings, kept, known)}
    name = whole.get(api.name_field)
    return Agent(agent_id, name if isinstance(name, str) else agent_id, tuple(uses.values()))


def _uses(settings: Settings, kept: Json, known: Collection[str]) -> Iterator[Use]:
    """Yield what an agent uses; what is told of one place comes last."""
    for path, kind, found in agents_at(settings.api.agent_id_field, kept):
        yield Use(kind, found, path)
    for path, text in texts_at(kept):
        if text in known:
            yield Use("agent", text, path)
    for path, kind, found in ids_at(settings.api.agent_ids, kept):
        row = _at(kept, path)
        name = row.get("name") if isinstance(row, dict) else None
        yield Use(kind, found, path, name if isinstance(name, str) else None)


def _at(value: Json, path: str) -> Json:
    for key in path.split("."):
        value = value[int(key)] if isinstance(value, list) else value[key]
    return value
