"""The whole circle: conversations end, webhooks arrive or are lost, and the nightly export finds what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bulkops.emulator import Webhook
from tests.e2e.e2e_commands import interrupt, results, until
from tests.e2e.test_e2e_export import export, rows, summary, versions, whole
from tests.e2e.test_e2e_listen import listen, url_of
from tests.webhook.webhook_doubles import SECRET

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.e2e_commands import Desk

CALLS = 60
LOST, DOUBLED = 12, 8
FAULTS = [
    {"endpoint": "webhook.deliver", "times": [1, LOST], "fault": "drop"},
    {
        "endpoint": "webhook.deliver",
        "times": [LOST + 1, LOST + DOUBLED],
        "fault": "duplicate",
        "seconds": 0.05,
    },
    {"endpoint": "webhook.deliver", "times": [21, 35], "fault": "delay", "seconds": 0.2},
    {"endpoint": "webhook.deliver", "nth": 40, "fault": "reanalyse", "seconds": 0.3},
    {"endpoint": "webhook.deliver", "nth": 41, "fault": "wrong_signature"},
]


def calls(desk: Desk) -> Path:
    """Make conversations; return the job that made them."""
    job = desk.job(
        [
            {"op": "agent.create", "id": "agent", "body": {"name": "A", "conversation_config": {}}},
            *[{"op": "conversation.create", "body": {"agent_id": "${ref:agent#agent_id}"}}] * CALLS,
        ]
    )
    ended = desk.run(job)
    assert ended.code == 0, ended.err
    return job


@pytest.mark.parametrize(("signature", "transcripts"), [("bare", "text"), ("timestamped", "turns")])
def test_an_export_asks_only_for_what_webhooks_lost(
    lone_desk: Desk, desk_at: Callable[..., Desk], signature: Any, transcripts: Any
) -> None:
    """Of sixty calls some deliveries are lost, doubled, late or forged: as many requests as are lost, each call once.

    What was analysed anew is a new version, and the data set proves that nothing is missing.
    """
    with listen(lone_desk) as receiver:
        webhook = Webhook(url=url_of(receiver), secret=SECRET.encode(), signature=signature)
        desk = desk_at(FAULTS, webhook=webhook, transcripts=transcripts, time_scale=400)
        job = calls(desk)
        made = {
            row["result"]["conversation_id"] for row in results(job) if row["op"] == "conversation.create"
        }
        server = desk.server
        assert server is not None
        until(lambda: made == {delivery.conversation_id for delivery in server.deliveries})
        until(lambda: max(delivery.version for delivery in server.deliveries) == 2)
        # Delayed ones and the twins of duplicates are on their way yet.
        until(lambda: len(server.deliveries) == CALLS + DOUBLED + 1)
        assert interrupt(receiver).code == 0
        arrived = {each.conversation_id for each in server.deliveries if each.ended == "delivered"}
        lost = made - arrived
        assert len(lost) == LOST + 1  # and the one that was forged
        words = ("--ids-from", "spool", "--since", "watermark:nightly", "--time-scale", 400)
        first = export(desk, *words)
        assert first.code == 0, first.err
        assert summary(desk)["requests"] == 0
        assert {name for name, _ in versions(desk)} == arrived
        before = desk.sent
        second = export(desk, *words, "--ids-from", "job.run", "--lookback", "0s")
        assert second.code == 0, second.err
        assert desk.sent - before == len(lost)
    assert {name for name, number in versions(desk) if number == 1} == made
    assert len([number for _, number in versions(desk) if number == 2]) == 1
    assert sum(day["missing"] for day in summary(desk)["days"]) == 0
    assert whole(desk)
    told = {row["conversation_id"]: row for row in rows(desk) if row["version"] == 1}
    for name in sorted(arrived)[:1] + sorted(lost)[:1]:
        row = told[name]
        assert (row["turns"] is None) == (transcripts == "text")
        assert "Agent: Hello! How can I help?" in row["transcript"]
        assert row["created_at"] <= row["ended_at"]
