"""What an event says of itself, in every shape that is in use."""

from __future__ import annotations

from typing import Any

import pytest

from bulkops.api import REFERENCE
from bulkops.webhook.event import conversation_of, happened_at, is_post_call, type_of

WEBHOOK = REFERENCE.webhook


def test_the_documented_event() -> None:
    """Type, conversation and moment of the reference's example are found."""
    event = WEBHOOK.example
    assert (type_of(event, WEBHOOK), is_post_call(event, WEBHOOK)) == ("post_call_transcription", True)
    assert conversation_of(event, WEBHOOK) == "conv_xyz789"
    assert happened_at(event, WEBHOOK) == 1762171320.0


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("2025-11-03T12:02:00Z", 1762171320.0),
        ("2025-11-03T13:02:00.5+01:00", 1762171320.5),
        (1762171320, 1762171320.0),
        (1762171320.5, 1762171320.5),
        ("1762171320", 1762171320.0),
        ("soon", None),
        ("", None),
        (True, None),
        (None, None),
        ([], None),
    ],
)
def test_a_moment_in_every_spelling(said: Any, seconds: float | None) -> None:
    """RFC 3339 or seconds, as number or text; anything else is no moment."""
    assert happened_at({**WEBHOOK.example, "event_timestamp": said}, WEBHOOK) == seconds


@pytest.mark.parametrize(
    "event", [None, [], "x", 5, {}, {"type": 5}, {"type": ""}, {"data": []}, {"data": {}}]
)
def test_what_says_nothing_is_nothing(event: Any) -> None:
    """Of any JSON there is an answer, and it is None."""
    assert type_of(event, WEBHOOK) is None
    assert conversation_of(event, WEBHOOK) is None
    assert happened_at(event, WEBHOOK) is None
    assert not is_post_call(event, WEBHOOK)
