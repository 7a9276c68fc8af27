"""Events as they arrive over real HTTP, at somebody who is not ours, and what the emulator tells of them."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import re
import socket
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from bulkops.emulator import Webhook
from tests.emulator.webhook_receiver import receiving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bulkops.emulator import Emulator
    from tests.emulator.webhook_receiver import Receiver

SECRET = b"wsec_of_a_test"
FAST = 2000.0
"""The time scale: a call lasts 10 to 90 ms."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Receive."""
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def delivering(emulate: Callable[..., Emulator], receiver: Receiver) -> Callable[..., Emulator]:
    """Start an emulator that delivers to the receiver: `delivering(faults, conversations=3, seeded=True)`."""

    def start(faults: list[Any] | None = None, **given: Any) -> Emulator:
        of_webhook = {
            key: given.pop(key) for key in ("signature", "retries", "seeded", "timeout") if key in given
        }
        webhook = Webhook(url=given.pop("url", receiver.url), secret=SECRET, **of_webhook)
        return emulate(faults, **{"time_scale": FAST, "webhook": webhook} | given)

    return start


def until(holds: Callable[[], object]) -> None:
    """Wait until something holds."""
    end = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.002)


def call(api: httpx.Client) -> str:
    """Begin a conversation; its id."""
    agent = api.post("/agents/create", json={"name": "Ada", "conversation_config": {}}).json()["agent_id"]
    made = api.post("/conversations/create", json={"agent_id": agent}).json()
    return str(made["conversation_id"])


def control(emulator: Emulator, what: str) -> Any:
    """Ask for what stands beside the API."""
    return httpx.get(f"{emulator.origin}/_emulator/{what}", trust_env=False).json()


def test_a_conversation_that_ends_is_delivered(delivering: Any, talk: Any, receiver: Receiver) -> None:
    """The event tells what GET tells of the ended call, and is signed over the bytes that came."""
    api = talk(delivering())
    name = call(api)
    until(lambda: receiver.received)
    (came,) = receiver.received
    told = api.get(f"/conversations/{name}").json()
    assert told["status"] == "completed"
    assert came.event["event_timestamp"] == told["ended_at"]
    assert {key: told[key] for key in came.event["data"].keys() & told} == {
        key: came.event["data"][key]
        for key in ("conversation_id", "agent_id", "transcript", "duration_seconds")
    }
    assert came.path == "/webhook"
    assert came.headers["Content-Type"] == "application/json"
    assert came.signature == hmac.new(SECRET, came.body, hashlib.sha256).hexdigest()


def test_a_timestamped_delivery_tells_the_moment(delivering: Any, talk: Any, receiver: Receiver) -> None:
    """The moment in the header is now, whatever the server's clock does with calls."""
    call(talk(delivering(signature="timestamped")))
    until(lambda: receiver.received)
    (came,) = receiver.received
    found = re.fullmatch(r"t=(\d+),v0=([0-9a-f]{64})", came.signature)
    assert found is not None
    assert abs(int(found[1]) - time.time()) < 10
    signed = found[1].encode() + b"." + came.body
    assert found[2] == hmac.new(SECRET, signed, hashlib.sha256).hexdigest()


def test_turns_are_told_by_get_and_by_the_webhook(delivering: Any, talk: Any, receiver: Receiver) -> None:
    """With transcripts as turns both tell the same list; a call that goes on tells the turns until now."""
    emulator = delivering(transcripts="turns")
    api = talk(emulator)
    name = call(api)
    until(lambda: receiver.received)
    transcript = api.get(f"/conversations/{name}").json()["transcript"]
    assert receiver.received[0].event["data"]["transcript"] == transcript
    assert {tuple(turn) for turn in transcript} == {("role", "message", "time_in_call_secs")}
    going_on = emulator.world("a-key").conversations[name]
    assert going_on.transcript_turns(going_on.started) == []


def test_seeded_conversations_are_delivered_where_wanted(
    delivering: Any, talk: Any, receiver: Receiver
) -> None:
    """With `seeded`, a key's past is delivered when it is first used, and those still on when they end."""
    emulator = delivering(conversations=30, seeded=True)
    talk(emulator).get("/agents")
    until(lambda: len(emulator.deliveries) == 30)
    names = [came.event["data"]["conversation_id"] for came in receiver.received]
    assert sorted(names) == [f"conv_seed_{number:04d}" for number in range(1, 31)]
    (late,) = (each for each in emulator.deliveries if each.conversation_id == "conv_seed_0025")
    assert late.at >= emulator._service.epoch + emulator.world("a-key").conversations["conv_seed_0025"].ends


def test_seeded_conversations_are_not_delivered_unasked(
    delivering: Any, talk: Any, receiver: Receiver
) -> None:
    """Without it only what was made with the running server is."""
    name = call(talk(delivering(conversations=30)))
    until(lambda: receiver.received)
    assert [came.event["data"]["conversation_id"] for came in receiver.received] == [name]


def test_what_came_of_it_is_told(delivering: Any, talk: Any, receiver: Receiver, tmp_path: Path) -> None:
    """Attempts, drops and answers are told over HTTP, in the file, in the counts, and as values."""
    file = tmp_path / "effects.jsonl"
    drop = [{"endpoint": "webhook.deliver", "nth": 1, "fault": "drop"}]
    receiver.answers = [503]
    emulator = delivering(drop, retries=True, effects_file=file)
    api = talk(emulator)
    dropped = call(api)
    until(lambda: emulator.deliveries)
    taken = call(api)
    until(lambda: len(emulator.deliveries) == 3)
    told = control(emulator, "deliveries")["deliveries"]
    digest = hashlib.sha256(receiver.received[0].body).hexdigest()
    assert [(each["conversation_id"], each["attempt"], each["ended"], each["status"]) for each in told] == [
        (dropped, 0, "dropped", None),
        (taken, 1, "refused", 503),
        (taken, 2, "delivered", 200),
    ]
    assert [each["again"] for each in told] == [False, True, False]
    assert [each["fault"] for each in told] == ["drop", None, None]
    assert {each["sha256"] for each in told[1:]} == {digest}
    assert {each["world"] for each in told} == {emulator.world("a-key").label}
    noted = [json.loads(line) for line in file.read_text().splitlines()]
    assert [
        {k: v for k, v in each.items() if k != "event"} for each in noted if each["event"] == "delivery"
    ] == told
    assert control(emulator, "state")["deliveries"] == {"dropped": 1, "refused": 1, "delivered": 1}
    assert "webhook: dropped 1, refused 1, delivered 1" in emulator.statistics.lines()


def test_a_redirect_is_not_followed(delivering: Any, talk: Any, receiver: Receiver) -> None:
    """The event goes where it was meant to go, and nowhere else."""
    receiver.answers = [307, 302]
    emulator = delivering()
    api = talk(emulator)
    for _ in range(2):
        call(api)
    until(lambda: len(emulator.deliveries) == 2)
    assert sorted(each.status or 0 for each in emulator.deliveries) == [302, 307]
    assert [came.path for came in receiver.received] == ["/webhook"] * 2


def test_a_receiver_that_never_answers_is_left(delivering: Any, talk: Any, receiver: Receiver) -> None:
    """After its time the attempt is over, and others have not waited for it."""
    receiver.answers = [0]
    emulator = delivering(timeout=0.3)
    api = talk(emulator)
    first = call(api)
    until(lambda: receiver.received)
    second = call(api)
    until(lambda: len(emulator.deliveries) == 2)
    assert [(each.conversation_id, each.ended) for each in emulator.deliveries] == [
        (second, "delivered"),
        (first, "unanswered"),
    ]


def test_nobody_there_is_no_mistake_of_ours(
    delivering: Any, talk: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A port at which nobody listens is an attempt without an answer; the server goes on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    emulator = delivering(url=f"http://127.0.0.1:{port}/")
    api = talk(emulator)
    call(api)
    until(lambda: emulator.deliveries)
    assert emulator.deliveries[0].ended == "unanswered"
    assert api.get("/agents").status_code == 200
    assert [each for each in caplog.records if each.levelno >= logging.ERROR] == []


def test_it_ends_with_calls_still_on(delivering: Any, talk: Any, receiver: Receiver) -> None:
    """A server that ends does not wait for the ends of calls; without a webhook nothing is told of any."""
    emulator = delivering(time_scale=1.0)
    call(talk(emulator))
    assert emulator.deliveries == receiver.received == []
    assert control(emulator, "state")["deliveries"] == {}
