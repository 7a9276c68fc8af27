"""`bulkops doctor`: what it finds out with three reads at most, what it says to do, and what it never shows."""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.e2e_accounts import EU, US, two_accounts
from tests.e2e.e2e_commands import KEY, agent, table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.e2e.e2e_commands import Desk, Ended

MOST_READS = 3
LIKE_A_KEY = "sk_" + "0123456789abcdef" * 3
ANOTHER_KEY = "a-key-that-looks-like-nothing"
IDS_FOR_DOCUMENTS = {
    "op": "agent.create",
    "body": {"name": "A", "conversation_config": {"agent": {"prompt": {"knowledge_base": ["doc_1"]}}}},
}


def doctor(desk: Desk, *words: object, **more: Any) -> Ended:
    """Call the doctor on the desk's server, without a word about its limit."""
    assert desk.server is not None
    return desk.bulkops("doctor", "--base-url", desk.server.base_url, *words, **more)


def found(ended: Ended) -> dict[str, dict[str, str]]:
    """Return the findings of `--json` by what they are about, the last of several."""
    told = json.loads(ended.out)
    assert told["exit_code"] == ended.code
    return {each["what"]: each for each in told["findings"]}


@contextmanager
def answering(status: int, body: bytes, **headers: str | None) -> Iterator[str]:
    """Serve one answer to everybody; yield the base URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(status)
            for name, text in {
                "Date": formatdate(usegmt=True),
                "Content-Length": str(len(body)),
                **headers,
            }.items():
                if text is not None:
                    self.send_header(name.replace("_", "-"), text)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1/convai"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("api", ["reference", "live"])
def test_all_is_well(desk_at: Callable[..., Desk], api: str) -> None:
    """With the right key and the right API everything is said to be so, by three reads at most, and it ends with 0."""
    desk = desk_at(api=api, tier="standard", index_bytes=20_000_000)
    ended = doctor(desk, "--api", api, "--json")
    assert ended.code == 0, ended.out
    told = found(ended)
    assert told["API"]["seen"] == f"the server speaks the {api} API, and so do we"
    quota = {"reference": "the reference API does not tell how much may be indexed"}
    assert told["quota"]["seen"] == quota.get(api, "indexes take up 0.0 MB of 20.0 MB")
    assert {what: each["level"] for what, each in told.items()} == {
        **dict.fromkeys(("key", "API", "limit", "in flight", "quota", "clock"), "ok"),
        "accounts": "note",
    }
    assert 1 <= desk.sent <= MOST_READS
    assert desk.effects() == []


@pytest.mark.parametrize(("told", "speaks"), [("reference", "live"), ("live", "reference")])
def test_the_wrong_api_is_found_out(desk_at: Callable[..., Desk], told: str, speaks: str) -> None:
    """Told the other API, it says which one the server speaks and how to say so, and proposes no accounts file."""
    desk = desk_at(api=speaks)
    ended = doctor(desk, "--api", told)
    assert ended.code == 2
    assert f"the server speaks the {speaks} API, and we would speak {told}" in ended.out
    assert f'→ give --api {speaks}, or say api = "{speaks}" in the accounts file' in ended.out
    assert "[accounts." not in ended.out
    assert desk.sent <= MOST_READS


def test_an_unknown_key_is_told(desk_at: Callable[..., Desk]) -> None:
    """A key that the server does not know ends it with 4 after one read, in the words of what it means."""
    desk = desk_at(api="live", keys=("another",))
    ended = doctor(desk, "--api", "live")
    assert ended.code == 4
    assert "bad   key       the server does not know the key: HTTP 401" in ended.out
    assert "each residency has keys of its own" in ended.out
    assert desk.sent == 1


def test_a_missing_permission_is_no_wrong_key(desk_at: Callable[..., Desk]) -> None:
    """A key that may not read agents is told to be good, also when the API that we would speak has no word for it."""
    fault = {"fault": "missing_permissions", "endpoint": "agent.list", "every": 1}
    desk = desk_at([fault], api="live")
    for api in ("live", "reference"):
        ended = doctor(desk, "--api", api)
        assert ended.code == 4
        assert "the key is good, and lacks a permission" in ended.out
        assert "does not know the key" not in ended.out


def test_a_spent_quota_is_no_wrong_key(desk_at: Callable[..., Desk]) -> None:
    """An account without credits ends it with 7, as it would a run."""
    desk = desk_at([{"fault": "quota_exceeded", "endpoint": "agent.list", "every": 1}], api="live")
    ended = doctor(desk, "--api", "live")
    assert ended.code == 7
    assert "the account has nothing left" in ended.out


@pytest.mark.parametrize(
    "body", [b"{}", b'{"agents": {}}', b'{"agents": [{}], "has_more": false}', b'{"has_more": false}']
)
def test_any_object_is_no_listing_of_agents(lone_desk: Desk, body: bytes) -> None:
    """A key counts as accepted by a listing as the API documents it, and not by whatever else a server answers."""
    with answering(200, body) as url:
        ended = lone_desk.bulkops("doctor", "--api", "live", "--base-url", url)
    assert ended.code == 2
    assert "does not look like the API: HTTP 200 without a listing of agents" in ended.out
    assert "accepts it" not in ended.out


def test_a_403_is_told_as_such(lone_desk: Desk) -> None:
    """A key that may list no agents is not called unknown; what a firewall answers is told to be a page."""
    with answering(403, b"<html>no</html>", Content_Type="text/html") as url:
        ended = lone_desk.bulkops("doctor", "--base-url", url)
    assert ended.code == 4
    assert "lets it list no agents: HTTP 403: the answer is a page of HTML" in ended.out
    assert "what the key may do" in ended.out


def test_what_answers_do_not_tell_is_unknown(lone_desk: Desk) -> None:
    """Without headers about limits and without a Date, both are said to be unknown, and what to do about it."""
    page = b'{"agents": [], "next_cursor": null, "has_more": false}'
    with answering(200, page, Date=None) as url:
        told = found(lone_desk.bulkops("doctor", "--api", "live", "--base-url", url, "--json"))
    assert told["clock"]["seen"].startswith("unknown: ")
    assert "NTP" in told["clock"]["remedy"]
    assert told["limit"]["seen"].startswith("unknown: ")
    assert 'rate = "600/min" in the accounts file' in told["limit"]["remedy"]


def test_nobody_there(lone_desk: Desk) -> None:
    """A server that cannot be reached ends it with 7 at once."""
    ended = lone_desk.bulkops("doctor", "--base-url", "http://127.0.0.1:1/v1/convai")
    assert ended.code == 7
    assert "http://127.0.0.1:1/v1/convai cannot be reached" in ended.out


def test_something_else_there(desk: Desk) -> None:
    """An address without an API is told as such, with 2: after two reads, as the other API may be there."""
    assert desk.server is not None
    ended = desk.bulkops("doctor", "--base-url", f"{desk.server.origin}/v1/convai/more")
    assert ended.code == 2
    assert "does not look like the API: HTTP 404" in ended.out
    assert desk.sent == 2


def test_a_page_of_a_proxy_is_not_the_api(lone_desk: Desk) -> None:
    """200 with a page of HTML is nothing to go on with."""
    with answering(200, b"<html>Sign in</html>") as url:
        ended = lone_desk.bulkops("doctor", "--base-url", url)
    assert ended.code == 2
    assert "does not look like the API: HTTP 200" in ended.out


@pytest.mark.parametrize(("seconds", "words"), [(-90, "1 min 30 s ahead of"), (3600, "1 h behind")])
def test_a_wrong_clock_is_told(lone_desk: Desk, seconds: int, words: str) -> None:
    """What the Date of an answer says is compared with this machine's clock, in whole seconds; it stops nothing."""
    page = b'{"agents": [], "next_cursor": null, "has_more": false}'
    date = formatdate(time.time() + seconds, usegmt=True)
    with answering(200, page, Date=date) as url:
        ended = lone_desk.bulkops("doctor", "--api", "live", "--base-url", url)
    line = next(line for line in ended.out.splitlines() if "clock" in line)
    # The second in which it was asked may be over when the answer comes.
    near = {
        words,
        words.replace("30 s", "31 s"),
        words.replace("1 h", "59 min 59 s"),
        words.replace("30 s", "29 s"),
    }
    assert any(each in line for each in near), line
    assert ended.code == 0


def test_texts_of_the_server_are_harmless(lone_desk: Desk) -> None:
    """What the server says reaches the terminal without what a terminal obeys, and without the key that it echoes."""
    said = {"detail": {"status": "invalid_api_key", "message": f"\x1b]0;owned\x07\u202e {KEY} {LIKE_A_KEY}"}}
    with answering(401, json.dumps(said).encode()) as url:
        ended = lone_desk.bulkops("doctor", "--base-url", url)
    assert ended.code == 4
    assert "owned" in ended.out
    assert not any(sign in ended.out for sign in ("\x1b", "\x07", "\u202e", LIKE_A_KEY, KEY))


def test_limits_in_headers_go_into_the_accounts_file(desk_at: Callable[..., Desk]) -> None:
    """Limits that answers tell are told, and the lines that the accounts file is to have: with those all is said."""
    desk = desk_at(tier="pro", concurrency=10)
    ended = doctor(desk, "--json")
    told = found(ended)
    assert "500 requests per min" in told["limit"]["seen"]
    assert "10 requests at once" in told["in flight"]["seen"]
    lines = json.loads(ended.out)["accounts_file"]
    assert lines[:1] == ["[accounts.default]"]
    assert 'tier = "pro"' in lines
    assert "ELEVENLABS_API_KEY" in lines[-1]
    key = desk.folder / "key"
    key.write_text(ANOTHER_KEY)
    key.chmod(0o600)
    desk.accounts("\n".join([*lines, f'api_key_file = "{key}"', ""]))
    again = desk.bulkops("doctor", "--json", env={"ELEVENLABS_API_KEY": ""})
    assert again.code == 0, again.out
    assert {found(again)[what]["level"] for what in ("limit", "accounts")} == {"ok"}
    assert json.loads(again.out)["accounts_file"] == []


def test_the_api_goes_into_the_accounts_file(desk_at: Callable[..., Desk]) -> None:
    """An API that is not the usual one is proposed for the accounts file, with which nobody has to say it again."""
    desk = desk_at(api="live")
    ended = doctor(desk, "--api", "live", "--json")
    lines = json.loads(ended.out)["accounts_file"]
    assert 'api = "live"' in lines
    desk.accounts("\n".join([*lines, 'api_key_command = "echo k"', ""]))
    again = desk.bulkops("doctor", "--json")
    assert again.code == 0, again.out
    assert found(again)["API"]["level"] == "ok"
    assert json.loads(again.out)["accounts_file"] == []


def test_job_files_are_looked_into(desk_at: Callable[..., Desk]) -> None:
    """A valid job is said to be, what the live API would drop is noted as by a plan, what is wrong is told: 2."""
    desk = desk_at(api="live")
    good = desk.job([IDS_FOR_DOCUMENTS], "good.jsonl")
    ended = doctor(desk, "--api", "live", good)
    assert ended.code == 0
    assert f"ok    job       {good}: 1 line, 1 operation, valid" in ended.out
    assert "note  job" in ended.out
    assert "`rag.enabled`" in ended.out.replace("conversation_config.agent.prompt.", "")
    wrong = desk.job([{"op": "agent.get"}, {"op": "agent.gett"}], "wrong.jsonl")
    ended = doctor(desk, "--api", "live", good, wrong, "nothing.jsonl")
    assert ended.code == 2
    assert "line 1: `agent_id`" in ended.out
    assert "(and 1 more)" in ended.out
    assert "nothing.jsonl: there is no such file" in ended.out


@pytest.mark.parametrize(
    "secret",
    [ANOTHER_KEY, LIKE_A_KEY, '","headers":{"xi-api-key": "0123abcd"},"x":"'],
    ids=["own", "like", "header"],
)
def test_a_key_in_a_job_file_is_told_and_not_shown(lone_desk: Desk, secret: str) -> None:
    """Where what looks like a key stands is told with file and line, also without a server; never the key itself."""
    line = '{"op": "agent.get", "agent_id": "a", "meta": {"note": "%s"}}'
    job = lone_desk.job([line % "harmless ${env:HOME}", line % secret])
    with answering(200, b'{"agents": []}', X_Total_Count="0") as url:
        ended = lone_desk.bulkops("doctor", job, "--base-url", url, env={"ELEVENLABS_API_KEY": ANOTHER_KEY})
    assert ended.code == 2
    assert f"{job}, line 2: what looks like an API key stands there" in ended.out
    assert "line 1: what" not in ended.out
    assert secret not in ended.out
    assert "0123abcd" not in ended.out


def test_a_header_of_a_tool_by_name_is_no_key(lone_desk: Desk) -> None:
    """What stands for a key that is kept elsewhere is none."""
    body = {"name": "t", "description": "d", "url": "https://x.example", "method": "GET"}
    headers = {"xi-api-key": "{{secret__key}}"}
    job = lone_desk.job([{"op": "tool.create", "body": {**body, "headers": headers}}])
    ended = lone_desk.bulkops("doctor", job, "--base-url", "http://127.0.0.1:1/v1/convai")
    assert "looks like an API key" not in ended.out


def test_without_a_key_only_job_files_are_looked_into(desk: Desk) -> None:
    """Without a key it says where one may come from, and sends nothing."""
    job = desk.job([{"op": "agent.get", "agent_id": "a"}])
    ended = doctor(desk, job, env={"ELEVENLABS_API_KEY": ""})
    assert (ended.code, desk.sent) == (2, 0)
    assert "there is no API key: set ELEVENLABS_API_KEY" in ended.out
    assert "1 operation, valid" in ended.out


def test_uploads_beyond_the_quota_are_noted(desk_at: Callable[..., Desk]) -> None:
    """What job files are to upload is set against what may still be indexed."""
    desk = desk_at(api="live", index_bytes=1_000)
    (desk.folder / "doc.txt").write_text("What a document says. " * 100)
    job = desk.job([{"op": "document.upload", "file": "doc.txt"}])
    told = found(doctor(desk, "--api", "live", "--json", job))["quota"]
    assert told["level"] == "note"
    assert "are to upload" in told["seen"]


def test_a_header_names_the_account(desk: Desk, tmp_path: Path) -> None:
    """The account that a job's header names is the one that is looked at, unless the options name another."""
    key = tmp_path / "key"
    key.write_text("other")
    key.chmod(0o600)
    assert desk.server is not None
    desk.accounts(f'[accounts.eu]\nbase_url = "{desk.server.base_url}"\napi_key_file = "{key}"\n')
    job = desk.job([{"$job": {"account": "eu"}}, {"op": "agent.get", "agent_id": "a"}])
    ended = desk.bulkops("doctor", job)
    assert ended.code == 0, ended.out
    assert "accounts.toml says of eu what was seen" in ended.out


def test_the_accounts_of_a_job_are_looked_at(desk: Desk) -> None:
    """All accounts that a job needs are looked at, each with its own key and reads; the run's is not, if unused."""
    two_accounts(desk)
    job = desk.job([agent(0, account="us"), agent(1, account="eu")])
    ended = doctor(desk, job, "--json", env={"ELEVENLABS_API_KEY": ""})
    assert ended.code == 0, ended.out
    told = json.loads(ended.out)
    keys = {each["account"]: each["seen"] for each in told["findings"] if each["what"] == "key"}
    assert [*keys] == ["us", "eu"]
    assert all("accepts it" in seen for seen in keys.values())
    assert {line for line in told["accounts_file"] if line.startswith("[")} == {
        "[accounts.us]",
        "[accounts.eu]",
    }
    assert desk.sent <= 2 * MOST_READS
    people = doctor(desk, job, env={"ELEVENLABS_API_KEY": ""}).out
    assert people.index("account us:") < people.index("account eu:") < people.index("ok    job")


def test_accounts_are_looked_at_by_name(desk_at: Callable[..., Desk]) -> None:
    """One account that cannot be used hides nothing of the others, and the worst decides how it ends."""
    desk = desk_at(keys=(US,))
    two_accounts(desk)
    ended = doctor(desk, "--account", "us", "--account", "eu", "--account", "nobody", "--json")
    assert ended.code == 4, ended.out
    levels = {each["account"]: each["level"] for each in reversed(json.loads(ended.out)["findings"])}
    assert levels == {"us": "ok", "eu": "bad", "nobody": "bad"}
    assert US not in ended.out
    assert EU not in ended.out


def test_an_account_that_says_no_api_is_asked_as_its_job_would(desk_at: Callable[..., Desk]) -> None:
    """An account of a job is looked at in the API of the job, and told to say so itself."""
    desk = desk_at(api="live")
    path = desk.accounts("")
    two_accounts(desk)
    path.write_text(path.read_text().replace("[accounts.us]", '[accounts.us]\napi = "live"'))
    job = desk.job([{"$job": {"account": "us"}}, agent(0), agent(1, account="eu")])
    ended = doctor(desk, job, "--json")
    assert ended.code == 0, ended.out
    lines = json.loads(ended.out)["accounts_file"]
    assert 'api = "live"' in lines[lines.index("[accounts.eu]") :]


def test_it_sends_reads_only(desk_at: Callable[..., Desk], tmp_path: Path) -> None:
    """The server's journal has GETs only."""
    journal = tmp_path / "journal.jsonl"
    desk = desk_at(api="live", effects_file=journal)
    assert doctor(desk).code == 2
    assert doctor(desk, "--api", "live").code == 0
    received = [event for event in table(journal) if event["event"] == "received"]
    assert {event["method"] for event in received} == {"GET"}
    assert len(received) <= 2 * MOST_READS
