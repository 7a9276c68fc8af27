"""What is an event, and as what it is kept."""

from __future__ import annotations

import hashlib
import json

import pytest

from bulkops.webhook.checking import NoEvent, delivery_of
from bulkops.webhook.spool import OTHER, POST_CALL, line_of
from tests.canary import CANARY
from tests.webhook.webhook_doubles import WEBHOOK, event


def test_a_post_call_event_is_kept_as_it_came() -> None:
    """Kind, digest of the raw body, moment and the body itself."""
    body = event(1)
    delivery = delivery_of(body, 5.0, WEBHOOK)
    assert (delivery.kind, delivery.received_at, delivery.body) == (POST_CALL, 5.0, body)
    assert delivery.sha256 == hashlib.sha256(body).hexdigest()


@pytest.mark.parametrize("type", ["post_call_audio", "call_initiation_failure", "voice_removed", "of 2030"])
def test_every_other_type_is_kept_too(type: str) -> None:
    """Types that are known and types that nobody knows."""
    assert delivery_of(json.dumps({"type": type}).encode(), 5.0, WEBHOOK).kind == OTHER


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b"[]",
        b"null",
        b'"text"',
        b"{}",
        b'{"type": 5}',
        b'{"type": ""}',
        b'{"type": "a"',
        b'{"type": "a"} {}',
        b'{"type": "a", "n": NaN}',
        b'{"type": "a", "n": Infinity}',
        b'{"type": "\xff"}',
        b'\xef\xbb\xbf{"type": "a"}',
        b"[" * 100_000,
        b'{"type":' * 50_000,
    ],
)
def test_what_is_no_event_is_refused(body: bytes) -> None:
    """No JSON, no object, or no type; the reason shows nothing of the body."""
    with pytest.raises(NoEvent) as refused:
        delivery_of(body + CANARY.encode() * (body == b"nonsense"), 5.0, WEBHOOK)
    assert CANARY not in str(refused.value)


def test_half_a_character_does_not_cost_the_event() -> None:
    """An emoji that was cut apart, which no UTF-8 text can hold, becomes U+FFFD; whole ones stay."""
    body = rb'{"type":"t","text":"a\ud83d b\ud83d\ude00 \ude00","big":1.5}'
    delivery = delivery_of(body, 5.0, WEBHOOK)
    assert json.loads(delivery.body) == {"type": "t", "text": "a\ufffd b\U0001f600 \ufffd", "big": 1.5}
    assert delivery.sha256 == hashlib.sha256(body).hexdigest()
    assert json.loads(line_of(5.0, delivery.sha256, delivery.body))["event"]["big"] == 1.5
