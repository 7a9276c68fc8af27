"""What an event says and how it is signed, against the documents and the vendor's own client."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from random import Random
from typing import Any, Literal

import pytest
from elevenlabs.client import ElevenLabs

from bulkops.emulator import Webhook, World
from bulkops.emulator.webhook import post_call
from tests.emulator.test_emulator_contract import assert_same_shape

URL = "http://127.0.0.1:8787/webhook"
# Copied from the API reference.
EVENT = """{
  "type": "post_call_transcription",
  "data": {
    "conversation_id": "conv_xyz789",
    "agent_id": "agent_abc123",
    "transcript": "...",
    "duration_seconds": 120,
    "analysis": {
      "sentiment": "positive",
      "resolution": true,
      "extracted_data": {}
    }
  },
  "event_timestamp": "2025-11-03T12:02:00Z"
}"""
# The vector of the live contract; its digest was checked with the vendor's client.
VECTOR = (
    b'{"type":"post_call_transcription","event_timestamp":1739537297,'
    b'"data":{"conversation_id":"conv_1","note":"n\xc3\xa9"}}'
)
DIGEST = "44962a0a7c750895d7134fe4c35fe923ee148aa71d3be17b126bbf5a660f1663"


def body(version: int = 1, *, turns: bool = False) -> bytes:
    """Return the event of a call."""
    world = World(label="w", rng=Random(7), epoch=1_700_000_000.0, turns=turns)
    call = world.start_conversation(f"agent_{20 * 'x'}", now=0.0)
    return post_call(world, call, version, call.ends)


def test_an_event_is_as_documented() -> None:
    """It has the keys and types of the reference's example, in its order."""
    event = json.loads(body())
    example = json.loads(EVENT)
    example["data"]["analysis"]["extracted_data"] = event["data"]["analysis"]["extracted_data"]
    assert_same_shape(event, example)
    assert list(event) == list(example)
    assert event["type"] == example["type"]


def test_an_event_tells_when_the_call_ended() -> None:
    """Its moment is the beginning and the length of the call together, and its transcript is whole."""
    world = World(label="w", rng=Random(7), epoch=1_700_000_000.0)
    call = world.start_conversation("agent_1", now=100.0)
    event = json.loads(post_call(world, call, 1, call.ends))
    assert event["event_timestamp"] == world.stamp(call.ends)
    assert event["data"]["duration_seconds"] == round(call.ends - call.started)
    assert event["data"]["transcript"] == call.transcript(call.ends)


def test_a_new_analysis_is_another_one() -> None:
    """Every version differs from the one before in its analysis, and in nothing else that it says of the call."""
    first, second, third = (json.loads(body(version))["data"] for version in (1, 2, 3))
    assert first.pop("analysis") != (middle := second.pop("analysis")) != third.pop("analysis")
    assert middle
    assert first == second == third


def test_the_bare_signature_is_over_the_body_written_again() -> None:
    """The digest is that of the reference's method: the body read as JSON and written without blanks."""
    written = json.dumps(json.loads(body()), separators=(",", ":"), ensure_ascii=False).encode()
    digest = hmac.new(b"s3cret", written, hashlib.sha256).hexdigest()
    assert Webhook(url=URL, secret=b"s3cret").sign(body(), time.time()) == digest


def test_the_timestamped_signature_of_the_vector() -> None:
    """The moment, a full stop and the raw body are signed, as in the live contract's vector."""
    webhook = Webhook(url=URL, secret=b"wsec_example", signature="timestamped")
    assert webhook.sign(VECTOR, 1739537297.9) == f"t=1739537297,v0={DIGEST}"


@pytest.mark.parametrize("forged", [False, True])
def test_the_vendors_client_believes_what_is_signed(*, forged: bool) -> None:
    """It takes the signed event, and refuses the one that somebody without the secret has signed."""
    webhook, client = Webhook(url=URL, secret=b"s3cret", signature="timestamped"), ElevenLabs(api_key="any")
    signature = (webhook.forge if forged else webhook.sign)(body(), time.time())
    if forged:
        with pytest.raises(Exception, match="does not match"):
            client.webhooks.construct_event(body().decode(), signature, "s3cret")
    else:
        assert client.webhooks.construct_event(body().decode(), signature, "s3cret") == json.loads(body())


@pytest.mark.parametrize("signature", ["bare", "timestamped"])
def test_what_is_forged_is_signed_in_the_same_form(signature: Literal["bare", "timestamped"]) -> None:
    """Only the digest tells a forged signature from a true one."""
    webhook = Webhook(url=URL, secret=b"s3cret", signature=signature)
    true, forged = webhook.sign(body(), 1e9), webhook.forge(body(), 1e9)
    assert true != forged
    assert [true[:-64], len(true)] == [forged[:-64], len(forged)]


@pytest.mark.parametrize(
    "url", [URL, "https://localhost:1/x", "http://[::1]:8787/", "http://127.9.9.9/", "http://LOCALHOST/"]
)
def test_events_stay_on_this_machine(url: str) -> None:
    """An address of this machine is taken."""
    assert Webhook(url=url, secret=b"s").url == url


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example.com/x",
        "http://10.0.0.1/",
        "http://localhost.example.com/",
        "http://127.0.0.1.example.com/",
        "http://127.0.0.1@example.com/",
        "http://0.0.0.0:8787/",
        "ftp://127.0.0.1/",
        "127.0.0.1:8787",
        "http://[::1",
        "",
    ],
)
def test_events_go_nowhere_else(url: str) -> None:
    """Any other address is refused, with the remedy."""
    with pytest.raises(ValueError, match=r"give an address such as http://127\.0\.0\.1:8787/webhook"):
        Webhook(url=url, secret=b"s")


def test_what_cannot_be_signed_is_refused() -> None:
    """An empty secret, an unknown form and no time at all are errors; the secret is in no text about a webhook."""
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"secret": b""}, "empty"),
        ({"secret": b"s", "signature": "v1"}, "bare, timestamped"),
        ({"secret": b"s", "timeout": 0.0}, "0 seconds"),
    ]
    for given, why in wrong:
        with pytest.raises(ValueError, match=why):
            Webhook(url=URL, **given)
    assert "s3cret" not in repr(Webhook(url=URL, secret=b"s3cret"))


def test_turns_are_told_as_the_live_service_tells_them() -> None:
    """Each has its role, its message and its second in the call; together they say what the text says."""
    told = json.loads(body(turns=True))["data"]
    assert all(list(turn) == ["role", "message", "time_in_call_secs"] for turn in told["transcript"])
    text = "\n".join(f"{turn['role'].capitalize()}: {turn['message']}" for turn in told["transcript"])
    assert text == json.loads(body())["data"]["transcript"]
    moments = [turn["time_in_call_secs"] for turn in told["transcript"]]
    assert moments == sorted(moments)
    assert moments[0] == 0
    assert moments[-1] < told["duration_seconds"]
