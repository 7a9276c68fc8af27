"""What the wire hears of the live API: answers without a body, and what a refused key really means."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from bulkops.api import LIVE, REFERENCE
from bulkops.ends import Answered, Verdict, classify
from bulkops.errors import KeyRefused, OperationFailed, Spent
from bulkops.model import Effect
from bulkops.sending import Retrying
from tests.sending.sending_doubles import KEY, answer, attempt, create, raw_server, run, wired
from tests.sending.sending_scripts import says

if TYPE_CHECKING:
    from bulkops.api import Profile
    from bulkops.model import Request
    from bulkops.sending import Heard

DELETE = LIVE.agent_delete.request(agent_id="ada")


async def told(text: bytes, request: Request, api: Profile = LIVE) -> Heard:
    """Send one request to a server that answers so, and return what was heard."""
    async with raw_server(says(text)) as server, wired(server.base_url, api=api) as wire:
        return await wire.send(attempt(request))


@pytest.mark.parametrize("text", [b"", b"null", b"{}", b'"ok"', b"[]"])
def test_a_deletion_needs_no_words(text: bytes) -> None:
    """An empty answer to a deletion, null or any other JSON is heard as the reference's success."""
    heard = run(told(answer(text), DELETE))
    assert heard.end == Answered(200)
    assert heard.json["success"] is True


def test_an_empty_answer_is_none_where_one_is_documented() -> None:
    """What is not a deletion has to answer something, and so has a deletion of the reference."""
    assert run(told(answer(b""), create())).end == Answered(200, readable=False, named=False)
    gone = REFERENCE.agent_delete.request(agent_id="ada")
    assert run(told(answer(b""), gone, REFERENCE)).end == Answered(200, readable=False)


def test_an_id_is_found_by_our_name() -> None:
    """What a create made is known by our name of its id, though the answer calls it otherwise."""
    heard = run(told(answer(orjson.dumps(LIVE.tool_create.example)), LIVE.tool_create.request({})))
    assert (heard.entity, heard.end) == ("tool_123", Answered(200))
    assert heard.json["id"] == "tool_123"


def refused(status: int, detail: Any, api: Profile = LIVE) -> tuple[type[Exception], str, int]:
    """Return the error that comes of a refusal, its words and the exit code."""

    async def main() -> Exception:
        text = answer(orjson.dumps({"detail": detail}), f"{status} No")
        async with raw_server(says(text)) as server, wired(server.base_url, api=api) as wire:
            try:
                await Retrying(_Ruled(wire), give_up_after=1.0).send(attempt(create()))
            except (KeyRefused, Spent, OperationFailed) as error:
                return error
        raise AssertionError

    error = run(main())
    return type(error), str(error), error.exit_code  # type: ignore[attr-defined] # all of ours have one


class _Ruled:
    """The wire, with what the lifecycle commands about what was heard."""

    def __init__(self, wire: Any) -> None:
        self._wire = wire

    async def send(self, one: Any) -> Heard:
        """Send, and rule."""
        from bulkops.lifecycle import Durable, Ended, Granted, advance

        heard: Heard = await self._wire.send(one)
        life, _ = advance(one.life, Granted())
        life, _ = advance(life, Durable())
        heard.life, heard.command = advance(life, Ended(heard.end))
        return heard


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("invalid_api_key", "does not know the key"),
        ("needs_authorization", "did not see a key"),
        ("missing_permissions", "the key is good, and lacks a permission"),
        ("something_new", "refuses the key"),
    ],
)
def test_a_refused_key_says_which_way(code: str, words: str) -> None:
    """A 401 stops the run as a refused key, in the words of its own meaning."""
    kind, told_words, exit_code = refused(401, {"code": code, "message": "the server's words"})
    assert (kind, exit_code) == (KeyRefused, 4)
    assert words in told_words
    assert "the server's words" in told_words


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, "quota_exceeded"),
        (402, "payment_required"),
        *((each, "quota_exceeded") for each in (400, 403, 422, 429)),
    ],
)
def test_a_spent_quota_is_no_refused_key(status: int, code: str) -> None:
    """It stops the run with the exit code of what a later run goes on with; the reference knows no such thing."""
    kind, words, exit_code = refused(status, {"status": code, "message": "0 credits are left"})
    assert (kind, exit_code) == (Spent, 7)
    assert "0 credits are left" in words
    if status in (401, 402):
        assert refused(status, {"status": code, "message": "m"}, REFERENCE)[0] is KeyRefused


def test_a_spent_quota_is_known_by_either_word() -> None:
    """Of the code of today and the older word beside it, one is enough."""
    for detail in (
        {"code": "no_credits", "status": "quota_exceeded"},
        {"code": "quota_exceeded", "status": "x"},
    ):
        assert refused(401, {**detail, "message": "m"})[0] is Spent


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (429, "rate_limit_exceeded"),
        (429, "concurrent_limit_exceeded"),
        (429, "system_busy"),
        (500, "quota_exceeded"),
        (403, "plan_restricted"),
    ],
)
def test_what_is_no_spent_quota(status: int, code: str) -> None:
    """Limits that pass, failures of the server and what a plan does not have stop no run."""
    text = answer(orjson.dumps({"detail": {"code": code, "message": "m"}}), f"{status} No")
    assert run(told(text, DELETE)).end == Answered(status)


def test_a_spent_quota_had_no_effect() -> None:
    """Whatever was sent, it stays pending."""
    for effect in Effect:
        assert classify(effect, Answered(401, spent=True)) is Verdict.SPENT


def test_a_validation_names_the_field_and_the_request() -> None:
    """A 422 fails the operation, and names the path of the field; the request's id is that of the body."""
    row = {"loc": ["body", "conversation_config", "tts"], "msg": "field required", "type": "missing"}
    kind, words, _ = refused(422, [row])
    assert kind is OperationFailed
    assert "conversation_config.tts: field required" in words
    detail = {"code": "not_found", "message": "m", "request_id": "req_1"}
    assert run(told(answer(orjson.dumps({"detail": detail}), "404 Not Found"), DELETE)).request_id == "req_1"


@pytest.mark.parametrize("code", ["invalid_api_key", "quota_exceeded"])
def test_what_stops_a_run_names_the_request(code: str) -> None:
    """The service finds the request that stopped a run again by the id in the message."""
    detail = {"code": code, "message": "the server's words", "request_id": "req_1"}
    assert refused(401, detail)[1].endswith("the server's words (request req_1)")


def test_the_id_of_a_request_is_bounded_and_hides_the_key() -> None:
    """What a server says in its place is cut, and shows no key that it echoes."""
    text = answer(b"{}", "404 Not Found", request_id=f"{KEY}{'x' * 1000}")
    found = run(told(text, DELETE)).request_id
    assert found == f"***{'x' * 97}"


@pytest.mark.parametrize("status", [400, 403, 409, 422])
def test_a_create_that_was_refused_is_not_sent_again(status: int) -> None:
    """No refusal of a create is answered with another attempt; 409 among them, which the vendor's SDK repeats."""
    assert classify(Effect.CREATE, Answered(status)) in (Verdict.REFUSED, Verdict.FORBIDDEN)


class Kept:
    """A sink in memory."""

    def __init__(self) -> None:
        self.files: list[tuple[str, bytes]] = []

    async def begin(self, suffix: str) -> None:
        """Begin a file."""
        self.files = [(suffix, b"")]

    async def write(self, data: bytes) -> None:
        """Add to it."""
        suffix, before = self.files[0]
        self.files = [(suffix, before + data)]


AUDIO = LIVE.endpoint("conversation.audio").request(conversation_id="conv_1")


def heard_as(text: bytes) -> tuple[Heard, Kept]:
    """Return what is heard of an answer that is a file, and what was written of it."""
    sink = Kept()

    async def main() -> Heard:
        async with raw_server(says(text)) as server, wired(server.base_url, api=LIVE) as wire:
            return await wire.send(replace(attempt(AUDIO), sink=sink))

    return run(main()), sink


def of_type(kind: bytes, body: bytes = b"sound") -> bytes:
    """Return an answer of a type."""
    return b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s" % (kind, len(body), body)


def test_a_file_is_written_under_the_suffix_of_its_type() -> None:
    """What comes is written as it comes; what is heard is its type and its size."""
    heard, kept = heard_as(of_type(b"Audio/MPEG; charset=binary"))
    assert heard.end == Answered(200)
    assert heard.json == {"content_type": "audio/mpeg", "bytes": 5}
    assert kept.files == [(".mp3", b"sound")]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (of_type(b"text/html"), "type 'text/html'"),
        (of_type(b"../../etc/passwd"), "which is not taken"),
        (of_type(b"audio/mpeg", b""), "empty"),
        (of_type(b"audio/mpeg").replace(b"Length: 5", b"Length: 50"), "cut"),
    ],
)
def test_what_is_no_whole_file_is_unreadable(text: bytes, why: str) -> None:
    """Another type, nothing at all or a part is no file; the server's words decide no name."""
    heard, kept = heard_as(text)
    assert heard.end == Answered(200, readable=False)
    assert why in heard.reason
    assert [suffix for suffix, _ in kept.files] in ([], [".mp3"])


def test_a_refusal_is_no_file() -> None:
    """What is refused is heard as any refusal, and nothing is written."""
    heard, kept = heard_as(answer(orjson.dumps({"detail": {"code": "no_audio", "message": "m"}}), "404 No"))
    assert (heard.end, heard.code) == (Answered(404), "no_audio")
    assert kept.files == []
