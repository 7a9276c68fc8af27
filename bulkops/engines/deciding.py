"""What is done about an operation in doubt without asking anybody: as the user wants it, and where nobody can tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulkops.lifecycle import Choice, Chosen
from bulkops.model import Evidence, Held
from bulkops.settings import Policy

if TYPE_CHECKING:
    from bulkops.engines.drive import Doubtful, Running
    from bulkops.settings import Settings

MOST_RESENT = 3
"""So often a run sends one operation again that is in doubt each time, where the user wants that."""


def decided(settings: Settings, running: Running, doubtful: Doubtful) -> Chosen | Held | None:
    """Return what follows a doubt by itself; None where the API has to be asked what became of the request."""
    policy = settings.in_doubt.of(running.planned.line.op)
    if policy is Policy.RETRY and running.resent < MOST_RESENT:
        running.resent += 1
        return Chosen(Choice.RETRY)
    if policy is Policy.SKIP:
        return Chosen(Choice.SKIP)
    if doubtful.edited:
        reason = "its line, or what fills it in, was edited since, so that nobody can tell what was sent; put it back"
        return Held(reason, Evidence("edited"))
    if settings.api.listing_of(doubtful.request.makes) is None:
        candidates = () if doubtful.repeated is None else (doubtful.repeated,)
        return Held(doubtful.reason, Evidence("no listing", candidates=candidates))
    return None
