"""How the live API refuses: four shapes of `detail`, four meanings of 401, three kinds of 429."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from bulkops.emulator import Webhook
from bulkops.emulator.faults import ENDPOINTS, LIVE_ENDPOINTS
from bulkops.emulator.live.routes import ROUTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import Witness


def test_faults_can_name_every_endpoint() -> None:
    """The routes are those of the reference and those beside them, each under one name."""
    names = [each.name for methods in ROUTES.values() for each in methods.values()]
    assert sorted(names) == sorted((*ENDPOINTS, *LIVE_ENDPOINTS))


def test_a_refusal_of_today_has_six_fields(live: Witness) -> None:
    """What is not there is refused with type, code, message, status and the id of the request."""
    reply = live.raw.get("/agents/agent_none")
    detail = reply.json()["detail"]
    assert (reply.status_code, detail["code"], detail["type"]) == (404, "agent_not_found", "not_found")
    assert set(detail) == {"type", "code", "message", "status", "request_id"}
    assert detail["request_id"] == reply.headers["request-id"]


def test_a_body_that_is_no_json_is_refused_with_a_text(live: Witness) -> None:
    """The detail of a body that cannot be read is a plain text."""
    reply = live.raw.post("/agents/create", content=b"{")
    assert (reply.status_code, type(reply.json()["detail"])) == (400, str)


def test_paths_of_the_reference_are_not_there(live: Witness) -> None:
    """What only the reference has is answered 404 or 405."""
    for path in ("/conversations/create", "/knowledge-base/upload", "/tools/webhook", "/agents/a/simulate"):
        assert live.raw.post(path, json={}).status_code in {404, 405}


def test_401_has_four_meanings(witness: Callable[..., Witness]) -> None:
    """A wrong key, none, one without credits and one without the permission are told apart by the code."""
    faults: list[Any] = [
        {"nth": 1, "fault": "quota_exceeded"},
        {"nth": 2, "fault": "missing_permissions"},
    ]
    live = witness(keys=("a-key",), faults=faults)
    url = f"{live.emulator.base_url}/agents"
    replies = [live.raw.get("/agents"), live.raw.get("/agents")]
    with httpx.Client(verify=False, trust_env=False) as nobody:
        replies += [nobody.get(url), nobody.get(url, headers={"xi-api-key": "other"})]
    assert [reply.status_code for reply in replies] == [401] * 4
    assert [reply.json()["detail"]["code"] for reply in replies] == [
        "quota_exceeded",
        "missing_permissions",
        "needs_authorization",
        "invalid_api_key",
    ]


def test_429_has_three_kinds(witness: Callable[..., Witness]) -> None:
    """Too many in a time, too many at once, and a busy service, which alone has the older shape."""
    live = witness(limit=1, period=60.0)
    live.raw.get("/agents")
    assert live.raw.get("/agents").json()["detail"]["code"] == "rate_limit_exceeded"
    live = witness(concurrency=1, latency=0.3)
    with ThreadPoolExecutor(2) as pool:
        replies = list(pool.map(lambda _: live.raw.get("/agents"), range(2)))
    (refused,) = [reply for reply in replies if reply.status_code == 429]
    detail = refused.json()["detail"]
    assert (detail["code"], detail["status"]) == ("concurrent_limit_exceeded", "too_many_concurrent_requests")
    assert {reply.headers["maximum-concurrent-requests"] for reply in replies} == {"1"}
    assert {reply.headers["current-concurrent-requests"] for reply in replies} == {"1"}
    live = witness(faults=[{"fault": "system_busy"}])
    assert set(live.raw.get("/agents").json()["detail"]) == {"status", "message"}


def test_there_is_no_limit_by_time_unless_one_is_asked_for(live: Witness) -> None:
    """Two hundred requests pass, and no header tells of a limit."""
    replies = [live.raw.get("/agents") for _ in range(200)]
    assert {reply.status_code for reply in replies} == {200}
    assert not [name for name in replies[-1].headers if "ratelimit" in name]


def test_events_of_the_live_api_are_signed_with_their_time(witness: Callable[..., Witness]) -> None:
    """A bare signature is none that the live API makes."""
    with pytest.raises(ValueError, match="timestamped"):
        witness(webhook=Webhook(url="http://127.0.0.1:1/", secret=b"s"))
