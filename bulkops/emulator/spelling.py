"""How an API says what a world holds: the one thing that is different between the APIs this server speaks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .live import conversations, refusing
from .live import routes as live_routes
from .routes import ROUTES
from .webhook import post_call

if TYPE_CHECKING:
    from .answers import Answer, Refusal
    from .calls import Conversation
    from .routes import Routes
    from .world import World

Event = Callable[["World", "Conversation", int, float], bytes]
"""Writes the event of a call whose so-manieth analysis was done at some moment."""


@dataclass(frozen=True, slots=True)
class Spelling:
    """What answers which path, how a refusal of a request (by its id) is told, and how an event is written.

    So many seconds of `thinking` lie between the end of a call and its analysis.
    """

    routes: Routes
    refused: Callable[[str, Refusal], Answer]
    event: Event
    thinking: float = 0.0


def _plainly(_: str, refusal: Refusal) -> Answer:
    return refusal.answer


REFERENCE = Spelling(ROUTES, _plainly, post_call)
LIVE = Spelling(live_routes.ROUTES, refusing.refused, conversations.post_call, thinking=2.0)
SPELLINGS = {"reference": REFERENCE, "live": LIVE}
