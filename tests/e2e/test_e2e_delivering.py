"""`bulkops emulate --webhook`: the local server delivers the calls that end."""

from __future__ import annotations

import hashlib
import hmac
import signal
from typing import TYPE_CHECKING

import pytest

from tests.e2e.e2e_commands import FAST, agent, end_of, files_below, results, table, until
from tests.emulator.webhook_receiver import receiving

if TYPE_CHECKING:
    from tests.e2e.e2e_commands import Desk

SECRET = "wsec_of_a_rehearsal"
CALL = {"op": "conversation.create", "id": "call", "body": {"agent_id": "${ref:a0#agent_id}"}}


def test_a_call_that_ends_is_delivered(lone_desk: Desk) -> None:
    """Address, secret, form, retries, faults and shape come from the command line; the end tells of the deliveries."""
    folder = lone_desk.folder
    (folder / "secret.txt").write_text(f"{SECRET}\nan older one\n")
    (folder / "faults.json").write_text(
        '[{"endpoint": "webhook.deliver", "fault": "duplicate", "seconds": 0}]'
    )
    with receiving() as receiver:
        receiver.answers = [503]
        options = (
            *("--webhook", receiver.url, "--webhook-secret-file", "secret.txt", "--webhook-retries"),
            *("--webhook-signature", "timestamped", "--transcripts", "turns", "--faults", "faults.json"),
            *("--time-scale", 1000, "--effects", "effects.jsonl", *FAST, "--conversations", 0),
        )
        with lone_desk.start("emulate", "--port", 0, *options) as server:
            assert server.stdout is not None
            url = server.stdout.readline().strip()
            job = lone_desk.job([agent(0), CALL])
            done = lone_desk.bulkops("run", job, "--base-url", url, *FAST, "--time-scale", 1000)
            assert done.code == 0, done.err
            until(lambda: [told["event"] for told in table(folder / "effects.jsonl")].count("delivery") == 3)
            server.send_signal(signal.SIGTERM)
            over = end_of(server)
    (made,) = (row["result"]["conversation_id"] for row in results(job) if row["id"] == "call")
    assert [came.event["data"]["conversation_id"] for came in receiver.received] == [made] * 3
    for came in receiver.received:
        moment, _, digest = came.signature.removeprefix("t=").partition(",v0=")
        signed = moment.encode() + b"." + came.body
        assert digest == hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
        assert {turn["role"] for turn in came.event["data"]["transcript"]} == {"agent", "user"}
    assert "webhook: refused 1, delivered 2" in over.err or "webhook: delivered 2, refused 1" in over.err
    (folder / "secret.txt").unlink()
    assert not [path for path in files_below(folder) if SECRET.encode() in path.read_bytes()]
    assert SECRET not in over.err


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--webhook", "http://127.0.0.1:1/"), "--webhook needs --webhook-secret-file"),
        (("--webhook", "https://a.example/", "--webhook-secret-file", "secret"), "is not on this machine"),
        (
            ("--webhook", "http://127.0.0.1:1/", "--webhook-secret-file", "none"),
            "the secret in none cannot be read",
        ),
        (
            ("--webhook", "http://127.0.0.1:1/", "--webhook-secret-file", "empty"),
            "the secret of the webhook is empty",
        ),
        (("--webhook-signature", "v1"), "there are: bare, timestamped"),
        (("--transcripts", "turn"), "turns"),
    ],
)
def test_a_webhook_that_cannot_be(lone_desk: Desk, options: tuple[str, ...], why: str) -> None:
    """What is missing or wrong is told before the server starts, with 2 and what to do."""
    (lone_desk.folder / "secret").write_text(SECRET)
    (lone_desk.folder / "empty").write_text("\n")
    ended = lone_desk.bulkops("emulate", "--port", 0, *options)
    assert (ended.code, ended.out) == (2, "")
    assert why in ended.err
    assert "Traceback" not in ended.err
