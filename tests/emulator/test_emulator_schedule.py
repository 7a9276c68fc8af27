"""Which request a schedule of faults strikes; pure."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bulkops.emulator import Fault, FaultKind, Schedule
from bulkops.emulator.faults import Faults


def struck(entries: list[Any], *endpoints: str) -> list[FaultKind | None]:
    """Say which fault strikes each of these requests."""
    faults = Faults(Schedule.parse(entries).rules)
    return [fault.kind if fault else None for fault in map(faults.next, endpoints)]


def test_nth_counts_the_requests_that_match() -> None:
    """`nth` strikes the nth request to its endpoint, once."""
    entry = {"endpoint": "agent.create", "nth": 2, "fault": "error_after", "status": 502}
    hits = struck([entry], "agent.create", "agent.get", "agent.create", "agent.create")
    assert hits == [None, None, "error_after", None]


def test_every_strikes_again_and_again() -> None:
    """`every` strikes each time that many have come, whatever the endpoint."""
    assert struck([{"every": 2, "fault": "429"}], *["agent.get", "tool.create"] * 2) == [
        None,
        "429",
        None,
        "429",
    ]


def test_times_strikes_from_the_first_to_the_last() -> None:
    """`times` strikes a range, both ends included."""
    assert struck([{"times": [2, 3], "fault": "cut"}], *["agent.get"] * 4) == [None, "cut", "cut", None]


def test_without_a_condition_every_request_is_struck() -> None:
    """A rule with only an endpoint strikes always."""
    assert struck([{"endpoint": "agent.get", "fault": "cut"}], "agent.get", "agent.list", "agent.get") == [
        "cut",
        None,
        "cut",
    ]


def test_conditions_add_up() -> None:
    """A rate within a range strikes nothing outside the range."""
    hits = struck([{"times": [3, 4], "rate": 1, "fault": "cut"}], *["agent.get"] * 6)
    assert hits == [None, None, "cut", "cut", None, None]


def test_a_rate_is_kept_and_repeats() -> None:
    """A rate strikes about that share of requests, with all its faults; the same ones for the same seed."""
    entry = {"rate": 0.15, "seed": 1, "faults": ["429", {"fault": "slow", "seconds": 2}]}
    first, again = (struck([entry], *["agent.get"] * 2000) for _ in "12")
    other = struck([entry | {"seed": 2}], *["agent.get"] * 2000)
    assert first == again != other
    assert {*first} == {None, "429", "slow"}
    assert 0.12 < 1 - first.count(None) / 2000 < 0.18


def test_the_first_rule_that_strikes_decides_and_all_count() -> None:
    """A rule that comes second still counts the requests that the first one struck."""
    entries = [{"nth": 1, "fault": "429"}, {"nth": 2, "fault": "cut"}]
    assert struck(entries, "agent.get", "agent.get") == ["429", "cut"]


def test_events_are_struck_by_rules_that_name_them() -> None:
    """A rule about any request does not count events, and one about events counts no request."""
    entries = [{"nth": 2, "fault": "cut"}, {"endpoint": "webhook.deliver", "nth": 2, "fault": "drop"}]
    hits = struck(entries, "webhook.deliver", "agent.get", "webhook.deliver", "agent.get")
    assert hits == [None, None, "drop", "cut"]


def test_parameters_stand_beside_the_fault_or_within() -> None:
    """A fault takes its parameters from its own object, then from the rule, then the defaults."""
    text = json.dumps(
        [{"status": 503, "seconds": 1, "faults": ["error_after", {"fault": "slow", "seconds": 9}, "silent"]}]
    )
    assert Schedule.parse(text).rules[0].faults == (
        Fault(FaultKind.ERROR_AFTER, status=503, seconds=1.0),
        Fault(FaultKind.SLOW, status=503, seconds=9.0),
        Fault(FaultKind.SILENT, status=503, seconds=1.0),
    )


def test_silence_lasts_an_hour_by_default() -> None:
    """A silent request outlasts every client unless the schedule says otherwise."""
    assert Schedule.parse([{"fault": "silent"}]).rules[0].faults[0].seconds == 3600


@pytest.mark.parametrize(
    ("bad", "remedy"),
    [
        ("no object", "write"),
        ({}, "`fault`"),
        ({"fault": "429", "faults": ["429"]}, "either"),
        ({"fault": "explode"}, "error_before"),
        ({"faults": []}, "at least one"),
        ({"fault": "429", "nht": 3}, "nth"),
        ({"fault": "429", "nth": 0}, "from 1"),
        ({"fault": "429", "nth": True}, "whole number"),
        ({"fault": "429", "every": 1.5}, "whole number"),
        ({"fault": "429", "rate": 2}, "up to 1"),
        ({"fault": "429", "nth": 1, "times": [1, 2]}, "keep one"),
        ({"fault": "429", "times": [3]}, "first, last"),
        ({"fault": "429", "times": [3, 2]}, "write"),
        ({"fault": "429", "endpoint": "agent.clone"}, "agent.create"),
        ({"fault": "error_after", "status": 200}, "from 400"),
        ({"faults": [{"fault": "slow", "second": 1}]}, "seconds"),
        ({"fault": "slow", "late": 1}, "reset_after"),
        ({"fault": "reset_after", "late": -1}, "from 0"),
        ({"fault": "stranger"}, "`names`"),
        ({"fault": "stranger", "names": []}, "list of names"),
        ({"fault": "stranger", "names": "Eve"}, "list of names"),
        ({"fault": "cut", "names": ["Eve"]}, "`stranger`"),
        ({"fault": "drop"}, "webhook.deliver"),
        ({"fault": "drop", "endpoint": "agent.create"}, "webhook.deliver"),
        ({"fault": "cut", "endpoint": "webhook.deliver"}, "duplicate"),
    ],
)
def test_a_bad_entry_is_named_with_its_remedy(bad: Any, remedy: str) -> None:
    """A schedule that cannot be meant is a ValueError with the entry's number and what to write."""
    with pytest.raises(ValueError, match=r"entry 2: .*" + remedy):
        Schedule.parse([{"fault": "429"}, bad])


@pytest.mark.parametrize("text", ["", "{", '{"fault": "429"}', "7"])
def test_what_is_no_list_is_no_schedule(text: str) -> None:
    """Text that is not a JSON list is a ValueError that says so."""
    with pytest.raises(ValueError, match="list"):
        Schedule.parse(text)
