"""What the emulator refuses, pages, merges and hides, as a client sees it over HTTP."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from bulkops.emulator import Algorithm

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from bulkops.emulator import Emulator

AGENT = {"name": "Ada", "conversation_config": {"agent": {"language": "en", "first_message": "Hi"}}}
TOOL = {"name": "t", "url": "https://example.com/hook", "method": "POST"}
MISSING = "agent_00000000000000000000"


def make_agent(api: httpx.Client, name: str = "Ada", **more: Any) -> str:
    """Make an agent; its id."""
    return str(api.post("/agents/create", json=AGENT | {"name": name} | more).json()["agent_id"])


def make_document(api: httpx.Client, name: str = "Guide") -> str:
    """Upload a document; its id."""
    reply = api.post("/knowledge-base/upload", files={"file": ("g.md", b"text")}, data={"name": name})
    return str(reply.json()["document_id"])


@pytest.mark.parametrize("key", [None, "wrong"])
def test_a_request_without_a_known_key_is_refused(emulate: Any, talk: Any, key: str | None) -> None:
    """No key and an unknown key are answered 401, in the error's shape and without rate limit headers."""
    reply = talk(emulate(keys=("right",), tier="standard"), key).get("/agents")
    assert reply.status_code == 401
    assert set(reply.json()["detail"]) == {"status", "message"}
    assert not [name for name in reply.headers if name.startswith("x-ratelimit")]


def test_any_key_has_a_world_of_its_own(emulator: Emulator, talk: Callable[..., httpx.Client]) -> None:
    """Without a set of keys each key sees only what is its own."""
    make_agent(talk(emulator, "one"))
    names = [agent["name"] for agent in talk(emulator, "two").get("/agents").json()["agents"]]
    assert names == ["Seeded Agent"]


def test_an_agent_of_another_key_is_forbidden(emulator: Emulator, talk: Callable[..., httpx.Client]) -> None:
    """An agent that is private to another key answers 403, whatever is asked of it."""
    agent, other = make_agent(talk(emulator, "one")), talk(emulator, "two")
    replies = [
        other.get(f"/agents/{agent}"),
        other.patch(f"/agents/{agent}", json=AGENT),
        other.delete(f"/agents/{agent}"),
        other.post("/conversations/create", json={"agent_id": agent}),
        other.post(f"/agents/{agent}/simulate", json={"scenario": "s"}),
    ]
    assert [reply.status_code for reply in replies] == [403] * 5


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", f"/agents/{MISSING}", None),
        ("PATCH", f"/agents/{MISSING}", AGENT),
        ("DELETE", f"/agents/{MISSING}", None),
        ("POST", f"/agents/{MISSING}/simulate", {"scenario": "s"}),
        ("POST", "/conversations/create", {"agent_id": MISSING}),
        ("GET", "/conversations/conv_none", None),
        ("POST", "/knowledge-base/doc_none/rag-index", {"embedding_model": "m"}),
        ("GET", "/knowledge-base/doc_none/rag-index", None),
        ("GET", "/agents/", None),
        ("GET", "/voices", None),
        ("GET", "/agents/a/b/c", None),
    ],
)
def test_what_does_not_exist_is_not_found(api: httpx.Client, method: str, path: str, body: Any) -> None:
    """Unknown ids and unknown paths are answered 404 with JSON."""
    reply = api.request(method, path, json=body)
    assert (reply.status_code, reply.json().keys()) == (404, {"detail"})


def test_a_document_without_an_index_has_no_status(api: httpx.Client) -> None:
    """The status of an index that nobody computed is 404."""
    assert api.get(f"/knowledge-base/{make_document(api)}/rag-index").status_code == 404


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "/agents/x"), ("GET", "/agents/create"), ("HEAD", "/agents")]
)
def test_a_method_that_a_path_does_not_take_is_refused(api: httpx.Client, method: str, path: str) -> None:
    """Other methods are answered 405, with those allowed in Allow."""
    reply = api.request(method, path)
    assert reply.status_code == 405
    assert reply.headers["allow"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/agents/create", {"conversation_config": {}}),
        ("/agents/create", {"name": "", "conversation_config": {}}),
        ("/agents/create", {"name": 7, "conversation_config": {}}),
        ("/agents/create", {"name": "a"}),
        ("/agents/create", {"name": "a", "conversation_config": []}),
        ("/agents/create", [AGENT]),
        ("/conversations/create", {}),
        ("/conversations/create", {"agent_id": "agent_seed_0001", "overrides": "none"}),
        ("/agents/agent_seed_0001/simulate", {}),
        ("/agents/agent_seed_0001/simulate", {"scenario": "s", "success_criteria": "one"}),
        ("/agents/agent_seed_0001/simulate", {"scenario": "s", "user_messages": [1]}),
        ("/tools/webhook", {k: v for k, v in TOOL.items() if k != "name"}),
        ("/tools/webhook", TOOL | {"url": "ftp://example.com"}),
        ("/tools/webhook", TOOL | {"method": "FETCH"}),
        ("/tools/webhook", TOOL | {"headers": []}),
        ("/knowledge-base/doc_any/rag-index", {}),
    ],
)
def test_a_body_that_breaks_the_contract_is_a_bad_request(
    emulator: Emulator, api: httpx.Client, path: str, body: Any
) -> None:
    """What misses a documented field, or has it in another type, is answered 400 and has no effect."""
    reply = api.post(path, json=body)
    assert (reply.status_code, set(reply.json()["detail"])) == (400, {"status", "message"})
    assert emulator.effects == []


def test_a_body_that_is_not_json_is_a_bad_request(api: httpx.Client) -> None:
    """A body that cannot be read as JSON is answered 400."""
    assert api.post("/agents/create", content=b'{"name": ').status_code == 400


@pytest.mark.parametrize(
    "form",
    [
        {"data": {"name": "n"}},
        {"files": {"file": ("a.txt", b"x")}},
        {"files": {"file": ("a.txt", b"x")}, "data": {"name": " "}},
        {"files": {"file": (None, b"x"), "name": (None, "n")}},
        {"files": [("file", ("a.txt", b"x")), ("file", ("b.txt", b"x"))], "data": {"name": "n"}},
        {"json": {"name": "n"}},
        {"content": b"no form", "headers": {"content-type": "multipart/form-data; boundary=b"}},
        {
            "content": b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nhalf',
            "headers": {"content-type": "multipart/form-data; boundary=b"},
        },
    ],
)
def test_a_form_that_breaks_the_contract_is_a_bad_request(
    emulator: Emulator, api: httpx.Client, form: Any
) -> None:
    """An upload without file or name, or that is no whole form, is answered 400 and has no effect."""
    reply = api.post("/knowledge-base/upload", **form)
    assert (reply.status_code, set(reply.json()["detail"])) == (400, {"status", "message"})
    assert emulator.effects == []


def test_lists_come_in_pages(emulate: Any, talk: Any) -> None:
    """Pages hold per_page agents in the order of creation, and the headers say how many there are in all."""
    api = talk(emulate())
    made = [make_agent(api, f"a{n}") for n in range(7)]
    pages = [api.get("/agents", params={"page": page, "per_page": 3}) for page in (1, 2, 3, 4)]
    assert [[agent["agent_id"] for agent in page.json()["agents"]] for page in pages] == [
        made[:3],
        made[3:6],
        made[6:],
        [],
    ]
    second = pages[1].headers
    assert [second[name] for name in ("x-total-count", "x-page", "x-per-page")] == ["7", "2", "3"]


def test_a_page_holds_fifty_unless_said_otherwise(emulate: Any, talk: Any) -> None:
    """Without parameters the first page comes, with fifty rows."""
    api = talk(emulate())
    for _ in range(51):
        make_agent(api)
    reply = api.get("/agents")
    assert len(reply.json()["agents"]) == 50
    assert (reply.headers["x-page"], reply.headers["x-per-page"]) == ("1", "50")


@pytest.mark.parametrize(
    "query", ["page=0", "page=-1", "page=x", "page=", "per_page=0", "per_page=101", "page=" + "9" * 5000]
)
def test_a_page_that_cannot_be_is_a_bad_request(api: httpx.Client, query: str) -> None:
    """Page numbers below one and sizes over a hundred are answered 400."""
    assert api.get(f"/agents?{query}").status_code == 400


def test_an_update_is_a_merge_patch(api: httpx.Client) -> None:
    """PATCH merges objects, removes what is null, replaces lists, and leaves the rest alone."""
    config = {"agent": {"language": "en", "first_message": "Hi", "tools": [1, 2]}, "tts": {"speed": 1.0}}
    agent = make_agent(api, conversation_config=config)
    patch = {"conversation_config": {"agent": {"language": "de", "first_message": None, "tools": [3]}}}
    reply = api.patch(f"/agents/{agent}", json=patch).json()
    expected = {"agent": {"language": "de", "tools": [3]}, "tts": {"speed": 1.0}}
    assert (reply["conversation_config"], reply["name"]) == (expected, "Ada")
    assert api.get(f"/agents/{agent}").json() == reply


def test_an_update_may_not_break_an_agent(api: httpx.Client) -> None:
    """A patch that removes the name is answered 400 and changes nothing."""
    agent = make_agent(api)
    assert api.patch(f"/agents/{agent}", json={"name": None}).status_code == 400
    assert api.get(f"/agents/{agent}").json()["name"] == "Ada"


def test_keys_the_reference_does_not_know_are_kept(api: httpx.Client) -> None:
    """An unknown key of the body is accepted and comes back; one the server assigns cannot be set."""
    agent = make_agent(api, platform_settings={"auth": True}, agent_id="mine")
    reply = api.get(f"/agents/{agent}").json()
    assert (reply["platform_settings"], reply["agent_id"]) == ({"auth": True}, agent)


def test_an_index_is_computed_once(emulator: Emulator, api: httpx.Client) -> None:
    """A second computation of the same index answers the present status and has no effect."""
    document = make_document(api)
    replies = [
        api.post(f"/knowledge-base/{document}/rag-index", json={"embedding_model": "m"}).json() for _ in "12"
    ]
    assert [reply["status"] for reply in replies] == ["ready", "ready"]
    assert [effect.kind for effect in emulator.effects] == ["document.upload", "document.index"]


def test_a_document_that_cannot_be_indexed_says_why(api: httpx.Client) -> None:
    """A document whose name contains "unindexable" ends as failed, with an error message."""
    document = make_document(api, "unindexable.bin")
    api.post(f"/knowledge-base/{document}/rag-index", json={"embedding_model": "m"})
    reply = api.get(f"/knowledge-base/{document}/rag-index").json()
    assert reply["status"] == "failed"
    assert "unindexable.bin" in reply["error"]


def test_a_criterion_with_the_word_fail_is_not_met(api: httpx.Client) -> None:
    """A criterion passes unless it contains the word "fail"; one of those fails the simulation."""
    body = {"scenario": "s", "success_criteria": ["be kind", "must FAIL here", "no failure"]}
    reply = api.post("/agents/agent_seed_0001/simulate", json=body).json()
    assert [detail["passed"] for detail in reply["evaluation"]["details"]] == [True, False, True]
    assert (reply["passed"], reply["evaluation"]["criteria_met"]) == (False, 2)


def test_a_simulation_without_criteria_passes(api: httpx.Client) -> None:
    """No criteria: passed, none of none."""
    reply = api.post("/agents/agent_seed_0001/simulate", json={"scenario": "s"}).json()
    assert reply["passed"] is True
    assert reply["evaluation"] == {"criteria_met": 0, "criteria_total": 0, "details": []}


def test_the_tier_limit_is_held_and_told(emulate: Any, talk: Any) -> None:
    """Answers count down; the request after the last one is 429 with Retry-After, and has no effect."""
    emulator = emulate(limit=3, period=1000.0)
    api, began = talk(emulator), time.time()
    replies = [api.post("/agents/create", json=AGENT) for _ in range(4)]
    assert [reply.status_code for reply in replies] == [200, 200, 200, 429]
    assert [reply.headers["x-ratelimit-remaining"] for reply in replies] == ["2", "1", "0", "0"]
    assert {reply.headers["x-ratelimit-limit"] for reply in replies} == {"3"}
    assert int(replies[0].headers["x-ratelimit-reset"]) == pytest.approx(began + 1000, abs=5)
    assert 990 <= int(replies[3].headers["retry-after"]) <= 1000
    assert len(emulator.effects) == 3


@pytest.mark.parametrize("algorithm", Algorithm)
def test_the_limit_is_kept_by_any_algorithm(emulate: Any, talk: Any, algorithm: Algorithm) -> None:
    """Whatever the algorithm, answers carry the three headers and a refusal says when to come again."""
    api, began = talk(emulate(limit=3, period=1000.0, limit_algorithm=algorithm)), time.time()
    replies = [api.get("/agents") for _ in range(8)]
    refused = [reply for reply in replies if reply.status_code == 429]
    assert {reply.headers["x-ratelimit-limit"] for reply in replies} == {"3"}
    assert all(began < int(reply.headers["x-ratelimit-reset"]) < began + 1010 for reply in replies)
    assert refused[0].headers["x-ratelimit-remaining"] == "0"
    # A counter may need all of the next window to forget this one.
    assert 1 <= int(refused[0].headers["retry-after"]) <= 2000


def test_headers_of_the_limit_may_be_left_out(emulate: Any, talk: Any) -> None:
    """A server that tells nothing refuses all the same."""
    api = talk(emulate(limit=1, period=1000.0, rate_headers=False, retry_after=False))
    replies = [api.get("/agents") for _ in range(2)]
    assert [reply.status_code for reply in replies] == [200, 429]
    told = {name for reply in replies for name in reply.headers}
    assert not told & {"retry-after", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"}


def test_each_key_has_a_limit_of_its_own(emulate: Any, talk: Any) -> None:
    """One key that has used up its limit takes nothing from another."""
    emulator = emulate(limit=1, period=1000.0)
    statuses = [talk(emulator, key).get("/agents").status_code for key in ("one", "one", "two")]
    assert statuses == [200, 429, 200]


def test_time_scale_shortens_the_period(emulate: Any, talk: Any) -> None:
    """At a scale of 1000 the standard tier's minute is over in 60 milliseconds."""
    api = talk(emulate(tier="standard", time_scale=1000.0))
    reply = api.get("/agents")
    assert reply.headers["x-ratelimit-limit"] == "100"
    assert int(reply.headers["x-ratelimit-reset"]) - time.time() < 2


def test_errors_count_and_carry_the_headers_too(emulate: Any, talk: Any) -> None:
    """Refused requests use up the limit and tell what is left of it."""
    api = talk(emulate(tier="pro"))
    replies = [
        api.post("/agents/create", json={}),
        api.get("/nothing"),
        api.put("/agents"),
        api.get("/agents/x"),
    ]
    assert [reply.headers["x-ratelimit-remaining"] for reply in replies] == ["499", "498", "497", "496"]


def test_rate_limit_headers_can_be_turned_off(emulate: Any, talk: Any) -> None:
    """With rate_headers off, a 429 still says when to come back, and nothing tells the limit before."""
    api = talk(emulate(limit=1, period=1000.0, rate_headers=False))
    replies = [api.get("/agents"), api.get("/agents")]
    assert not [name for reply in replies for name in reply.headers if name.startswith("x-ratelimit")]
    assert "retry-after" in replies[1].headers


def test_every_answer_has_a_date_and_a_request_id(api: httpx.Client) -> None:
    """Date and request-id stand on answers and on errors; ids differ."""
    replies = [api.get("/agents"), api.get("/nothing"), api.get("/agents/x")]
    assert len({reply.headers["request-id"] for reply in replies}) == 3
    assert all(reply.headers["date"] for reply in replies)
