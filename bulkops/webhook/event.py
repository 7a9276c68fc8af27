"""What a delivered event says of itself: its type, the conversation that it is about, and when it happened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulkops.moments import moment

if TYPE_CHECKING:
    from bulkops.api import Webhook
    from bulkops.model import Json


def type_of(event: Json, webhook: Webhook) -> str | None:
    """Return the type of an event; None for what is no event."""
    kind = event.get(webhook.type_field) if isinstance(event, dict) else None
    return kind if isinstance(kind, str) and kind else None


def is_post_call(event: Json, webhook: Webhook) -> bool:
    """Tell whether an event brings the transcript of a conversation that has ended."""
    return type_of(event, webhook) == webhook.post_call


def conversation_of(event: Json, webhook: Webhook) -> str | None:
    """Return the id of the conversation that an event is about; None where it names none."""
    data = event.get(webhook.data_field) if isinstance(event, dict) else None
    named = data.get(webhook.conversation_id_field) if isinstance(data, dict) else None
    return named if isinstance(named, str) and named else None


def happened_at(event: Json, webhook: Webhook) -> float | None:
    """Return the epoch seconds that an event was made at; None where it does not say.

    Both spellings are in use, and both as texts: RFC 3339, and seconds.
    """
    said = event.get(webhook.moment_field) if isinstance(event, dict) else None
    if isinstance(said, str) and said.isascii() and said.isdecimal():
        return moment(float(said))
    return None if isinstance(said, bool) else moment(said)
