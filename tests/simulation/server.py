"""The server of a simulation: what it did is the oracle, and shares no code with what is tested."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bulkops.api import REFERENCE, Pages
from bulkops.model import Reply

if TYPE_CHECKING:
    from bulkops.api.profile import Profile
    from bulkops.model import Request
    from tests.simulation.history import History

EPOCH = 1_000_000
"""The server's clock when a history begins."""
BEFORE = 1000.0


@dataclass(frozen=True, slots=True)
class Thing:
    """What was made: by which operation (None: by somebody else), from which body, and when."""

    id: str
    name: str
    body: dict[str, Any]
    made: float
    order: int | None
    listed: bool = True


class Server:
    """Things, and the listing of them as it is seen at a moment (seconds since the history began)."""

    def __init__(self, history: History) -> None:
        self.things: list[Thing] = []
        self.made: list[Thing] = []
        """Everything that the client made, also what was removed: the log of effects."""
        self._history = history
        self._count = 0
        for number, name in enumerate(history.before):
            self._add(name, {"name": name, "variant": 0}, -BEFORE + 20 * number, None)

    def create(self, order: int, body: dict[str, Any], now: float, *, listed: bool) -> str:
        """Make something for the client; return its id."""
        thing = self._add(body["name"], body, now, order, listed=listed)
        self.made.append(thing)
        return thing.id

    def meddle(self, name: str, now: float, *, makes: bool) -> None:
        """Make or remove something for somebody else."""
        if makes:
            self._add(name, {"name": name, "variant": 0}, now, None)
            return
        others = [thing for thing in self.things if thing.order is None]
        if others:
            self.things.remove(others[len(name) % len(others)])

    def answer(self, request: Request, now: float) -> Reply | None:
        """Answer a read; None is a 404."""
        headers = {"date": str(EPOCH + int(now))}
        if request.query:
            rows = self._rows(now)
            size = self._history.page
            first = (int(dict(request.query)["page"]) - 1) * size
            headers["x-total-count"] = str(len(rows))
            return Reply(200, {"agents": rows[first : first + size]}, headers)
        wanted = request.path.rpartition("/")[2]
        thing = next((thing for thing in self.things if thing.id == wanted), None)
        return None if thing is None else Reply(200, {**thing.body, "more": 1.0}, headers)

    def _rows(self, now: float) -> list[dict[str, Any]]:
        history = self._history
        seen = [thing for thing in self.things if thing.listed and thing.made + history.lag <= now]
        if history.newest_first:
            seen.reverse()
        if history.ages:
            return [
                {"agent_id": thing.id, "name": thing.name, "created_at": EPOCH + int(thing.made)}
                for thing in seen
            ]
        return [{"agent_id": thing.id, "name": thing.name} for thing in seen]

    def _add(
        self, name: str, body: dict[str, Any], now: float, order: int | None, *, listed: bool = True
    ) -> Thing:
        self._count += 1
        thing = Thing(f"agent_{self._count}", name, body, now, order, listed)
        self.things.append(thing)
        return thing


def profile_of(history: History) -> Profile:
    """Return the API profile that describes this server."""
    listing = REFERENCE.agent_list
    assert isinstance(REFERENCE.paging, Pages)
    return replace(
        REFERENCE,
        paging=replace(REFERENCE.paging, size=history.page),
        agent_list=replace(listing, created_field=listing.created_field if history.ages else None),
    )
