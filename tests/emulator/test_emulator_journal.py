"""What the server notes of requests and effects, read from its file while it runs."""

from __future__ import annotations

import hashlib
import http.client
import json
import socket
import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bulkops.emulator import Emulator

AGENT = {"name": "Ada", "conversation_config": {}}
BODY = json.dumps(AGENT).encode()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Name a journal."""
    return tmp_path / "effects.jsonl"


@pytest.fixture
def noting(emulate: Callable[..., Emulator], file: Path) -> Callable[..., Emulator]:
    """Start an emulator that keeps a journal."""
    return lambda faults=None, **given: emulate(faults, effects_file=file, **given)


def lines(file: Path, event: str) -> list[dict[str, Any]]:
    """Read what was noted of one kind."""
    return [told for each in file.read_text().splitlines() if (told := json.loads(each))["event"] == event]


def over(file: Path, requests: int) -> list[dict[str, Any]]:
    """Wait until so many requests are over; how they ended."""
    end = time.monotonic() + 5
    while len(found := lines(file, "over")) < requests:
        assert time.monotonic() < end, "they were never over"
        time.sleep(0.005)
    return found


def create(emulator: Emulator, timeout: float = 5.0) -> None:
    """Create an agent, whatever comes of it."""
    connection = http.client.HTTPConnection("127.0.0.1", emulator.port, timeout=timeout)
    with closing(connection), suppress(OSError, http.client.HTTPException):
        connection.request("POST", "/v1/convai/agents/create", BODY, {"xi-api-key": "k"})
        connection.getresponse().read()


def test_a_request_is_noted_from_its_coming_to_its_end(noting: Any, talk: Any, file: Path) -> None:
    """What was asked, what it did and how it was answered stand in the file, joined by the request's number."""
    emulator = noting()
    began = time.time()
    made = talk(emulator).post("/agents/create", content=BODY).json()["agent_id"]
    (told,) = over(file, 1)
    (started,), (received,), (effect,) = (lines(file, event) for event in ("started", "received", "effect"))
    digest = hashlib.sha256(BODY).hexdigest()
    world = emulator.world("a-key").label
    path = "/v1/convai/agents/create"
    asked = {"method": "POST", "path": path, "world": world, "digest": digest, "request": 1}
    assert asked.items() <= effect.items()
    assert received == asked | {"event": "received", "at": received["at"], "endpoint": "agent.create"}
    assert (effect["kind"], effect["id"], effect["name"]) == ("agent.create", made, "Ada")
    assert (told["request"], told["status"], told["delivered"], told["fault"]) == (1, 200, True, None)
    moments = [each["at"] for each in (started, received, effect, told)]
    assert moments == sorted(moments)
    assert began - 1 < moments[0] <= moments[-1] < time.time() + 1


def test_what_changes_nothing_is_noted_without_an_effect(noting: Any, talk: Any, file: Path) -> None:
    """A reading request and one that is refused for what it asks are received and over, and that is all."""
    api = talk(noting())
    api.get("/agents?page=1")
    api.post("/agents/create", json={})
    assert [(told["status"], told["delivered"]) for told in over(file, 2)] == [(200, True), (400, True)]
    assert [told["path"] for told in lines(file, "received")] == [
        "/v1/convai/agents",
        "/v1/convai/agents/create",
    ]
    assert lines(file, "effect") == []


def test_an_upload_is_known_by_its_file(noting: Any, talk: Any, file: Path) -> None:
    """The digest of an upload is that of the file, whatever the form around it."""
    talk(noting()).post("/knowledge-base/upload", files={"file": ("a.md", b"text")}, data={"name": "n"})
    (effect,) = lines(file, "effect")
    assert (effect["name"], effect["digest"]) == ("n", hashlib.sha256(b"text").hexdigest())


@pytest.mark.parametrize(
    ("fault", "status", "delivered", "effects"),
    [
        ({"fault": "error_before"}, 500, False, 0),
        ({"fault": "reset_before"}, None, False, 0),
        ({"fault": "429"}, 429, False, 0),
        ({"fault": "silent", "seconds": 0.01}, None, False, 0),
        ({"fault": "error_after"}, 500, False, 1),
        ({"fault": "reset_after"}, None, False, 1),
        ({"fault": "slow", "seconds": 0.01}, 200, True, 1),
        ({"fault": "cut"}, 200, False, 1),
        ({"fault": "not_json"}, 200, False, 1),
        ({"fault": "huge", "bytes": 10}, 200, False, 1),
        ({"fault": "no_id"}, 200, False, 1),
        ({"fault": "repeated"}, 200, False, 1),
        ({"fault": "stranger", "names": ["Eve"]}, 200, True, 2),
    ],
)
def test_only_the_true_answer_counts_as_delivered(
    noting: Any, file: Path, fault: dict[str, Any], status: int | None, *, delivered: bool, effects: int
) -> None:
    """Whatever a fault makes of an answer, the file says what was said, and whether the client was told the truth."""
    create(noting([fault | {"nth": 1}]))
    (told,) = over(file, 1)
    assert (told["status"], told["delivered"], told["fault"]) == (status, delivered, fault["fault"])
    assert len(lines(file, "effect")) == effects


def test_an_answer_to_nobody_is_not_delivered(noting: Any, file: Path) -> None:
    """When the client goes before the answer, the effect is noted and the answer is not delivered."""
    create(noting(latency=0.4), timeout=0.1)
    (told,) = over(file, 1)
    assert (told["delivered"], len(lines(file, "effect"))) == (False, 1)


def test_half_a_request_is_not_received(noting: Any, talk: Any, file: Path) -> None:
    """A client that dies within its body leaves nothing in the file."""
    emulator = noting()
    head = (
        b"POST /v1/convai/agents/create HTTP/1.1\r\nHost: e\r\nxi-api-key: k\r\nContent-Length: 100\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", emulator.port), timeout=5) as connection:
        connection.sendall(head + b"half")
    talk(emulator).get("/agents")
    assert [told["endpoint"] for told in lines(file, "received")] == ["agent.list"]


def test_what_is_not_let_in_is_not_noted(noting: Any, talk: Any, file: Path) -> None:
    """Beyond the limit nobody looks at what is asked: it stands in the tally, not in the file."""
    api = talk(noting(limit=1, period=1000.0))
    assert [api.get("/agents").status_code for _ in range(3)] == [200, 429, 429]
    assert len(lines(file, "received")) == len(over(file, 1)) == 1


def test_a_late_effect_is_noted_when_it_comes(noting: Any, file: Path) -> None:
    """A late effect has the number and the digest of its request, and comes after its end."""
    emulator = noting([{"nth": 1, "fault": "reset_after", "late": 0.05}])
    create(emulator)
    (told,) = over(file, 1)
    assert lines(file, "effect") == []
    while not emulator.effects:
        time.sleep(0.01)
    (effect,) = lines(file, "effect")
    assert (effect["request"], effect["digest"]) == (1, hashlib.sha256(BODY).hexdigest())
    assert 0.02 < effect["at"] - told["at"] < 0.5


def test_somebody_elses_effect_is_no_requests(noting: Any, file: Path) -> None:
    """What a stranger does has no method, path or digest, and the number 0."""
    create(noting([{"nth": 1, "fault": "stranger", "names": ["Eve"]}]))
    theirs, ours = lines(file, "effect")
    assert [theirs[key] for key in ("request", "method", "path", "digest")] == [0, None, None, None]
    assert (theirs["name"], ours["name"], ours["request"]) == ("Eve", "Ada", 1)
