from __future__ import annotations

import orjson

from bulkops.model import Effect, Request, RequestClass, State
from bulkops.reporting.meter import MOST_CODES, MOST_LOOKS, OTHER, Meter, Tally

WORK = Request("agent.create", "POST", "/agents", Effect.CREATE)
POLL = Request("document.index_status", "GET", "/x", Effect.READ, request_class=RequestClass.POLL)


def test_what_passes_is_counted() -> None:
    """Requests count by class, answers by status, latency by endpoint without refusals, these by code."""
    meter = Meter()
    for request in (WORK, WORK, POLL, WORK):
        meter.sent(request)
    assert meter.in_flight == 4
    meter.heard(WORK, 201, None, 0.2)
    meter.heard(WORK, 429, "rate_limited", 0.1)
    meter.heard(POLL, 503, None, 0.1)
    meter.heard(WORK, None, None, 9.0)
    meter.settled("index", 20.0, 3)
    meter.ended(State.DONE)
    tally = meter.take()
    assert meter.in_flight == 0
    assert tally.sent == {"work": 3, "poll": 1}
    assert tally.answers == {"2xx": 1, "429": 1, "5xx": 1, "none": 1}
    assert tally.refused == {"rate_limited": 1}
    assert {endpoint: each.count for endpoint, each in tally.latency.items()} == {
        "agent.create": 1,
        "document.index_status": 1,
    }
    assert tally.ended == {"done": 1}
    assert tally.looks["index"] == {3: 1}


def test_each_take_begins_anew_and_the_total_grows() -> None:
    """A take has what came since the last one; the total has all of it."""
    meter = Meter()
    for _ in range(3):
        meter.sent(WORK)
        assert meter.take().sent == {"work": 1}
    assert meter.take().sent == {}
    assert meter.total.sent == {"work": 3}


def test_the_server_cannot_make_the_counts_grow() -> None:
    """However many codes a server invents and looks it takes, there are few counters."""
    meter = Meter()
    for number in range(500):
        meter.sent(WORK)
        meter.heard(WORK, 429, f"code {number}", 0.1)
        meter.settled("index", 1.0, number)
        if number % 7 == 0:
            meter.take()
    meter.take()
    assert len(meter.total.refused) == MOST_CODES + 1
    assert meter.total.refused[OTHER] == 500 - MOST_CODES
    assert max(meter.total.looks["index"]) == MOST_LOOKS


def test_a_tally_survives_json() -> None:
    """What is written is what is read, and what has another shape is passed over."""
    meter = Meter()
    meter.sent(WORK)
    meter.heard(WORK, 200, None, 0.2)
    meter.settled("index", 4.0, 2)
    told = meter.take().to_json()
    assert Tally.from_json(orjson.loads(orjson.dumps(told))).to_json() == told
    assert Tally.from_json({"sent": [], "latency": {"x": 3}, "looks": {"index": {"y": 1}}}).to_json() == {
        "latency": {"x": {"sum": 0.0}},
        "looks": {"index": {}},
    }
