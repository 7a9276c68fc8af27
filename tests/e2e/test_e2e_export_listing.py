"""Exports of conversations that the API lists: each once, whatever else brought it, and whole or not at all."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from bulkops.emulator.live.conversations import post_call
from tests.e2e.e2e_commands import KEY, table
from tests.e2e.test_e2e_doctor import answering
from tests.exporting.exporting_spool import deliver, event

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.e2e_commands import Desk, Ended

TOTAL, DELIVERED, UNFINISHED = 130, 20, 5
"""Two pages of a listing; the emulator's seeded calls that still go on are every 25th."""
FROM_BOTH = ("--ids-from", "spool", "--ids-from", "listing", "--since", "watermark:nightly")


def export(desk: Desk, *words: object) -> Ended:
    """Export from a live server into `ex`."""
    live = ("--api", "live", "--out", "ex", "--wait", "0s")
    return desk.bulkops("export", "conversations", *live, *desk.target, *words)


def exported(desk: Desk) -> list[tuple[str, int]]:
    """Return the versions in the data set."""
    parts = sorted((desk.folder / "ex" / "conversations").glob("day=*/part-*.jsonl"))
    return [(row["conversation_id"], row["version"]) for part in parts for row in table(part)]


def summary(desk: Desk) -> dict[str, Any]:
    """Return what the last export says of itself."""
    found: dict[str, Any] = orjson.loads((desk.folder / "ex" / "summary.json").read_bytes())
    return found


def test_what_is_listed_and_delivered_is_exported_once(desk_at: Callable[..., Desk]) -> None:
    """Each once; the table tells where they were seen; the watermark waits; again, nothing is exported nor read."""
    desk = desk_at(api="live", conversations=TOTAL)
    assert desk.server is not None
    world = desk.server.world(KEY)
    over = list(world.conversations.values())[:DELIVERED]
    spool = desk.folder / "spool"
    deliver(spool, *(orjson.loads(post_call(world, call, 1, call.analysed)) for call in over))
    first = export(desk, *FROM_BOTH)
    assert first.code == 0, first.err
    told = exported(desk)
    assert len(told) == len(set(told)) == TOTAL - UNFINISHED
    days = summary(desk)["days"]
    sums = {
        name: sum(day[name] for day in days) for name in ("seen", "webhook", "listing", "exported", "pending")
    }
    assert sums == {
        "seen": TOTAL, "webhook": DELIVERED, "listing": TOTAL, "exported": TOTAL - UNFINISHED, "pending": UNFINISHED,
    }  # fmt: skip
    # Two pages; and what was not over is asked for once, with a last look.
    assert desk.server.requests.endpoints["conversation.list"] == 2
    assert desk.server.requests.endpoints["conversation.get"] <= TOTAL - DELIVERED + UNFINISHED
    assert summary(desk)["requests"] == desk.sent
    pending = table(desk.folder / "ex" / "pending.jsonl")
    assert summary(desk)["watermark"]["at"] == min(each["created_at"] for each in pending)
    before = desk.sent
    second = export(desk, *FROM_BOTH)
    assert second.code == 0
    assert "exported 0 conversations" in second.err
    assert exported(desk) == told
    # The youngest, by one page, and what was not over.
    assert desk.server.requests.endpoints["conversation.list"] == 3
    assert desk.sent - before <= 1 + 2 * UNFINISHED
    assert desk.bulkops("export", "verify", "ex").code == 0


def test_only_what_began_within_the_window_is_exported(desk_at: Callable[..., Desk]) -> None:
    """`--since` and `--until` bound the listing, and what is exported from it."""
    desk = desk_at(api="live", conversations=28)
    assert desk.server is not None
    world = desk.server.world(KEY)
    begins = sorted(world.stamp(call.started) for call in world.conversations.values())
    ended = export(desk, "--ids-from", "listing", "--since", begins[4], "--until", begins[9])
    assert ended.code == 0, ended.err
    assert len(exported(desk)) == 5
    assert sum(day["listing"] for day in summary(desk)["days"]) == 5


@pytest.mark.parametrize("cursor", [None, "again"])
def test_a_listing_that_does_not_end_well_is_no_listing(lone_desk: Desk, cursor: str | None) -> None:
    """A cursor that is missing or comes again ends it with 7 and no watermark; what the spool brought is exported."""
    row = {"conversation_id": "conv_1", "start_time_unix_secs": 1_762_171_200, "status": "done"}
    page = {"conversations": [row], "next_cursor": cursor, "has_more": True}
    deliver(lone_desk.folder / "spool", event("conv_9", status="done"))
    with answering(200, json.dumps(page).encode()) as url:
        ended = lone_desk.bulkops(
            "export", "conversations", "--api", "live", "--base-url", url, "--out", "ex", *FROM_BOTH, "--rate", "9999/s"
        )  # fmt: skip
    assert ended.code == 7, ended.err
    assert "the listing of conversations was not read to its end: " in ended.err
    assert [name for name, _ in exported(lone_desk)] == ["conv_9"]
    assert summary(lone_desk)["watermark"]["at"] is None
    assert summary(lone_desk)["requests"] == (1 if cursor is None else 2)


def test_limits_of_requests_count_the_listing(desk_at: Callable[..., Desk]) -> None:
    """With one request allowed, one page is read; the next export goes on."""
    desk = desk_at(api="live", conversations=TOTAL)
    ended = export(desk, "--ids-from", "listing", "--max-requests", 1)
    assert (ended.code, desk.sent) == (7, 1)
    assert summary(desk)["requests"] == 1
    assert "--max-requests" in ended.err
    assert "the same command goes on" in ended.err


def test_the_reference_has_no_listing(desk: Desk) -> None:
    """Under the reference it is refused with the reason, and nothing is sent."""
    ended = desk.bulkops("export", "conversations", "--ids-from", "listing", *desk.target)
    assert (ended.code, desk.sent) == (2, 0)
    assert "the API 'reference' has no listing of conversations" in ended.err
