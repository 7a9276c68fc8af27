"""What each fault looks like to a client, and whether the effect happened: real sockets, foreign clients."""

from __future__ import annotations

import http.client
import json
import socket
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulkops.emulator import Emulator

BODY = json.dumps({"name": "Ada", "conversation_config": {}}).encode()


def create(
    emulator: Emulator, timeout: float = 5.0, body: bytes = BODY
) -> tuple[http.client.HTTPResponse, bytes]:
    """Create an agent with the client of the standard library."""
    with closing(http.client.HTTPConnection("127.0.0.1", emulator.port, timeout=timeout)) as connection:
        connection.request("POST", "/v1/convai/agents/create", body, {"xi-api-key": "k"})
        reply = connection.getresponse()
        return reply, reply.read()


def created(emulator: Emulator) -> int:
    """Count the agents that are really there."""
    return len(emulator.world("k").agents)


@pytest.fixture
def faulty(emulate: Callable[..., Emulator]) -> Callable[..., Emulator]:
    """Start an emulator whose first agent.create goes wrong: `faulty("slow", seconds=1)`."""
    return lambda kind, **given: emulate([{"endpoint": "agent.create", "nth": 1, "fault": kind} | given])


@pytest.mark.parametrize(("kind", "effects"), [("error_before", 0), ("error_after", 1)])
def test_an_error_comes_before_or_after_the_effect(faulty: Any, kind: str, effects: int) -> None:
    """error_before has no effect, error_after has; both answer the status in the error's shape."""
    emulator = faulty(kind, status=503)
    reply, body = create(emulator)
    assert (reply.status, set(json.loads(body)["detail"])) == (503, {"status", "message"})
    assert (created(emulator), emulator.requests.server_errors) == (effects, 1)


@pytest.mark.parametrize(("kind", "effects"), [("reset_before", 0), ("reset_after", 1)])
def test_a_reset_comes_before_or_after_the_effect(faulty: Any, kind: str, effects: int) -> None:
    """The connection is reset without an answer; only reset_after has had its effect."""
    emulator = faulty(kind)
    with pytest.raises(ConnectionResetError):
        create(emulator)
    assert (created(emulator), emulator.requests.unanswered) == (effects, 1)
    assert create(emulator)[0].status == 200


def test_an_early_reset_does_not_wait_for_the_body(faulty: Any) -> None:
    """reset_early ends the connection while the client still has the body to send."""
    emulator = faulty("reset_early")
    head = (
        b"POST /v1/convai/agents/create HTTP/1.1\r\nHost: e\r\nxi-api-key: k\r\nContent-Length: 100\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", emulator.port), timeout=5) as connection:
        connection.sendall(head)
        with pytest.raises(ConnectionResetError):
            connection.recv(100)
    assert created(emulator) == 0


def test_a_slow_answer_comes_late(faulty: Any) -> None:
    """The effect of a slow request has happened, although the client gave up waiting."""
    emulator = faulty("slow", seconds=600)
    with pytest.raises(TimeoutError):
        create(emulator, timeout=0.2)
    assert created(emulator) == 1


def test_a_slow_answer_comes_whole(faulty: Any) -> None:
    """A client that waits long enough gets the answer."""
    began = time.monotonic()
    reply, body = create(faulty("slow", seconds=0.1))
    assert time.monotonic() - began >= 0.1
    assert (reply.status, json.loads(body)["name"]) == (200, "Ada")


def test_a_cut_answer_promises_more_than_it_holds(faulty: Any) -> None:
    """The head of a cut answer is whole, half of its body comes, the effect has happened."""
    emulator = faulty("cut")
    with pytest.raises(http.client.IncompleteRead) as caught:
        create(emulator)
    assert len(caught.value.partial) > 0
    assert abs(len(caught.value.partial) - (caught.value.expected or 0)) <= 1
    assert created(emulator) == 1


def test_an_answer_may_not_be_json(faulty: Any) -> None:
    """not_json answers 200 with a page of HTML after the effect."""
    emulator = faulty("not_json")
    reply, body = create(emulator)
    assert (reply.status, reply.headers["content-type"], body[:9]) == (200, "text/html", b"<!DOCTYPE")
    assert created(emulator) == 1


@pytest.mark.parametrize("size", [2, 65_538, 3_000_000])
def test_an_answer_may_be_huge(faulty: Any, size: int) -> None:
    """Huge answers have exactly the bytes asked for, are JSON, and do not say how long they are."""
    reply, body = create(faulty("huge", bytes=size))
    assert (reply.status, reply.headers["content-length"], len(body)) == (200, None, size)
    assert isinstance(json.loads(body), str)


def test_a_client_that_leaves_a_huge_answer_does_not_hold_the_server(faulty: Any) -> None:
    """After the client has gone, a terabyte is not sent to nobody."""
    emulator = faulty("huge", bytes=1 << 40)
    with closing(http.client.HTTPConnection("127.0.0.1", emulator.port, timeout=5)) as connection:
        connection.request("POST", "/v1/convai/agents/create", BODY, {"xi-api-key": "k"})
        assert len(connection.getresponse().read(1000)) == 1000
    began = time.monotonic()
    assert create(emulator)[0].status == 200
    assert time.monotonic() - began < 1


def test_a_fault_can_be_a_429(faulty: Any) -> None:
    """429 carries Retry-After and has no effect."""
    emulator = faulty("429", retry_after=2)
    reply, _ = create(emulator)
    assert (reply.status, reply.headers["retry-after"]) == (429, "2")
    assert (created(emulator), emulator.requests.limited) == (0, 1)


def test_a_fault_can_be_a_busy_service(faulty: Any) -> None:
    """system_busy is a 429 that does not say when to come again, and has no effect."""
    emulator = faulty("system_busy")
    reply, body = create(emulator)
    assert (reply.status, reply.headers["retry-after"]) == (429, None)
    assert json.loads(body)["detail"]["status"] == "system_busy"
    assert (created(emulator), emulator.requests.refused) == (0, {"system_busy": 1})


def test_an_answer_may_lack_its_id(faulty: Any) -> None:
    """no_id answers as usual after the effect, but without the id."""
    emulator = faulty("no_id")
    reply, body = create(emulator)
    assert (reply.status, json.loads(body).keys()) == (200, {"name", "created_at"})
    assert created(emulator) == 1


def test_an_answer_is_that_to_another_request(faulty: Any) -> None:
    """Where an answer is repeated, it names the id that the one before named; each has been made."""
    emulator = faulty("repeated", nth=2)
    told = [json.loads(create(emulator)[1])["agent_id"] for _ in range(3)]
    assert told[0] == told[1] != told[2]
    assert created(emulator) == 3


def test_silence_ends_with_the_client(faulty: Any) -> None:
    """A silent request is never answered, has no effect, and is over when the client goes."""
    emulator = faulty("silent")
    with pytest.raises(TimeoutError):
        create(emulator, timeout=0.2)
    assert create(emulator)[0].status == 200
    assert (created(emulator), emulator.requests.unanswered) == (1, 1)
    assert emulator.requests.server_errors == 0


def test_silence_ends_with_its_time(faulty: Any) -> None:
    """After the seconds of the schedule the connection is reset."""
    with pytest.raises(ConnectionResetError):
        create(faulty("silent", seconds=0.05))


def test_a_refused_request_is_refused_whatever_comes_after(faulty: Any) -> None:
    """A bad request stays a 400: a fault after the effect needs an effect."""
    reply, _ = create(faulty("cut"), body=b"{}")
    assert reply.status == 400


def test_faults_keep_the_connection_of_others(faulty: Any) -> None:
    """A reset ends the connection it struck and no other."""
    emulator = faulty("reset_after")
    with closing(http.client.HTTPConnection("127.0.0.1", emulator.port, timeout=5)) as other:
        other.request("GET", "/v1/convai/agents", headers={"xi-api-key": "k"})
        other.getresponse().read()
        before = other.sock
        with pytest.raises(ConnectionResetError):
            create(emulator)
        other.request("GET", "/v1/convai/agents", headers={"xi-api-key": "k"})
        assert len(json.loads(other.getresponse().read())["agents"]) == 1
        assert other.sock is before
