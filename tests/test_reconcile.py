"""What becomes of doubts: found, absent, held or not decided yet; by what the API shows and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkops.api import REFERENCE
from bulkops.api.stamping import stamped
from bulkops.errors import OperationFailed
from bulkops.model import Absent, Found, Held, Reply, Request
from bulkops.reconcile import (
    SLACK,
    Claimed,
    Claims,
    Doubt,
    carries,
    equal,
    is_settled,
    reconcile,
    stamp_of,
    unlisted,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bulkops.model import Finding

LISTING = REFERENCE.agent_list
NOW = 1_000_000.0


def doubt(key: str, name: str | None = "Anna", *, settled: bool = True, **more: Any) -> Doubt:
    """Return a doubt that arose just now."""
    given: dict[str, Any] = {"body": {"name": name}, "since": NOW, "until": NOW + 60.0, **more}
    return Doubt(key=key.encode(), number=0, name=name, settled=settled, **given)


def agent(number: int, name: str = "Anna", made: float = NOW + 1) -> dict[str, Any]:
    """Return a row of the listing."""
    return {"agent_id": f"agent_{number}", "name": name, "created_at": made}


def settle(
    doubts: Iterable[Doubt],
    rows: Iterable[dict[str, Any]],
    *,
    claimed: Claimed | None = None,
    whole: Mapping[str, Any] | None = None,
    total: str | None = None,
) -> tuple[dict[str, Finding], list[str]]:
    """Reconcile against a listing of one page; return the findings by key, and the paths that were asked."""
    listed, asked = list(rows), list[str]()
    steps = reconcile(REFERENCE, LISTING, list(doubts))
    step = next(steps)
    try:
        while True:
            if isinstance(step, Claims):
                step = steps.send(claimed or Claimed())
                continue
            assert isinstance(step, Request)
            asked.append(step.path)
            if step.path == "/agents":
                headers = {"x-total-count": total or str(len(listed))}
                step = steps.send(Reply(200, {"agents": listed}, headers))
            elif whole is not None and (found := whole.get(step.path.rpartition("/")[2])) is not None:
                step = steps.send(Reply(200, found))
            else:
                step = steps.throw(OperationFailed("gone", "it is not there", status=404))
    except StopIteration as end:
        return {key.decode(): finding for (key, _), finding in end.value.of.items()}, asked


def told(findings: Mapping[str, Finding]) -> dict[str, Any]:
    """Return findings in short: the id, the class, or nothing."""
    return {
        key: finding.entity if isinstance(finding, Found) else type(finding)
        for key, finding in findings.items()
    }


def test_what_is_there_is_found_at_once() -> None:
    """Positive evidence needs no settle time; one request is enough."""
    found, asked = settle([doubt("a", settled=False)], [agent(1), agent(2, "Bert")])
    assert (told(found), asked) == ({"a": "agent_1"}, ["/agents"])
    evidence = found["a"].evidence
    assert (evidence.rule, evidence.pages, evidence.total, evidence.candidates) == (
        "count",
        1,
        2,
        ("agent_1",),
    )


@pytest.mark.parametrize(("settled", "expected"), [(True, {"a": Absent}), (False, {})])
def test_absence_is_believed_only_when_it_is_settled(expected: dict[str, Any], *, settled: bool) -> None:
    """Asked too early, a listing that lacks it shows nothing."""
    assert told(settle([doubt("a", settled=settled)], [])[0]) == expected


def test_absence_is_believed_only_of_a_whole_listing() -> None:
    """One that has more rows than it showed may have it."""
    assert told(settle([doubt("a")], [], total="7")[0]) == {}


@pytest.mark.parametrize(
    ("born", "now", "settle", "expected"), [(10, 69.9, 60, False), (10, 70, 60, True), (0, 0, 0, True)]
)
def test_settling_takes_its_time(born: float, now: float, settle: float, *, expected: bool) -> None:
    """From the birth of the doubt, not less."""
    assert is_settled(born, now, settle) is expected


def test_what_is_owned_or_was_there_before_is_not_adopted() -> None:
    """Ids of done operations and of the time before the job belong to somebody."""
    rows = [agent(1), agent(2)]
    found, _ = settle([doubt("a")], rows, claimed=Claimed(owned=frozenset({"agent_1", "agent_2"})))
    assert told(found) == {"a": Absent}


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (NOW - SLACK - 1, Absent),
        (NOW - SLACK, "agent_1"),
        (NOW + 60 + SLACK, "agent_1"),
        (NOW + 61 + SLACK, Held),
    ],
)
def test_only_what_was_made_meanwhile_can_be_it(made: float, expected: Any) -> None:
    """Older is somebody else's; much younger is a matter for people, who may have made it by hand."""
    assert told(settle([doubt("a")], [agent(1, made=made)])[0]) == {"a": expected}


def test_identical_doubts_share_what_is_there_one_to_one() -> None:
    """Of three doubts and two candidates, two are found, with different ids, and one is absent."""
    found, _ = settle([doubt("a"), doubt("b"), doubt("c")], [agent(1), agent(2)])
    entities = [finding.entity for finding in found.values() if isinstance(finding, Found)]
    assert sorted(entities) == ["agent_1", "agent_2"]
    assert sum(isinstance(finding, Absent) for finding in found.values()) == 1


def test_identical_doubts_are_decided_together() -> None:
    """As long as one of them is not settled, what is there may be its own; once each has one, all are found."""
    doubts = [doubt("a", settled=False), doubt("b")]
    assert told(settle(doubts, [agent(1)])[0]) == {}
    assert set(told(settle(doubts, [agent(1), agent(2)])[0]).values()) == {"agent_1", "agent_2"}


def test_what_is_there_goes_to_a_doubt_of_its_time() -> None:
    """Of identical doubts that arose at different times each gets only what was made when it can have been."""
    early = doubt("early", since=NOW - 1000, until=NOW - 900)
    found, _ = settle([doubt("late"), early], [agent(1, made=NOW + 1)])
    assert told(found) == {"late": "agent_1", "early": Absent}
    found, _ = settle([doubt("late"), early], [agent(1, made=NOW - 950)])
    assert told(found) == {"late": Absent, "early": "agent_1"}


def test_what_is_not_dated_adopts_nothing() -> None:
    """Sent before the server's clock was known: what is there may be older; only when nothing is, it is absent."""
    undated = doubt("a", since=NOW - 86_400, dated=False)
    assert told(settle([undated], [agent(1, made=NOW - 80_000)])[0]) == {"a": Held}
    assert told(settle([undated], [agent(1, made=NOW - 90_000)])[0]) == {"a": Absent}


def test_things_are_looked_at_when_others_are_in_doubt() -> None:
    """What an edited line once sent may have the name and another body: only a look tells."""
    one = doubt("a", body={"name": "Anna", "x": 1})
    whole = {"agent_1": {"name": "Anna", "x": 2}}
    found, asked = settle([one], [agent(1)], whole=whole, claimed=Claimed(others=True))
    assert (told(found), len(asked)) == ({"a": Absent}, 2)


def test_more_candidates_than_doubts_are_held() -> None:
    """Somebody else makes things of that name: nobody guesses, and the ids are told."""
    found, _ = settle([doubt("a"), doubt("b")], [agent(1), agent(2), agent(3)])
    assert told(found) == {"a": Held, "b": Held}
    assert found["a"].evidence.candidates == ("agent_1", "agent_2", "agent_3")


def test_what_did_take_effect_is_never_absent() -> None:
    """A 2xx that could not be read comes first, and is held when the listing lacks it."""
    found, _ = settle([doubt("a"), doubt("b", sure=True)], [agent(1)])
    assert told(found) == {"a": Absent, "b": "agent_1"}
    assert told(settle([doubt("b", sure=True)], [])[0]) == {"b": Held}


def test_a_name_that_is_under_way_is_left_alone() -> None:
    """The row may be what another operation is making right now."""
    found, _ = settle([doubt("a"), doubt("b", "Bert")], [agent(1)], claimed=Claimed(busy=frozenset({"Anna"})))
    assert told(found) == {"b": Absent}


def test_nothing_is_decided_while_an_operation_is_taken_back() -> None:
    """What it made is nobody's until it is in doubt itself: neither given to another nor taken for absent."""
    doubts = [doubt("a"), doubt("b", "Bert"), doubt("c", stamp="abcdefghijkl")]
    assert told(settle(doubts, [agent(1)], claimed=Claimed(moving=True))[0]) == {}


def test_bodies_are_compared_only_where_the_name_does_not_tell() -> None:
    """Two bodies of one name: each candidate is looked at, and goes to the body it carries."""
    one = doubt("a", body={"name": "Anna", "x": 1})
    two = doubt("b", body={"name": "Anna", "x": 2})
    whole = {
        "agent_1": {"name": "Anna", "x": 2.0, "more": True},
        "agent_2": {"name": "Anna", "x": 3},
        "agent_4": {"name": "Anna", "x": 1},
    }
    rows = [agent(1), agent(2), agent(3), agent(4, made=NOW - 100)]
    found, asked = settle([one, two], rows, whole=whole)
    assert told(found) == {"a": Absent, "b": "agent_1"}
    assert asked == ["/agents", "/agents/agent_1", "/agents/agent_2", "/agents/agent_3"]


def test_a_thing_belongs_to_the_body_that_says_the_most_of_it() -> None:
    """One body is a part of the other: what carries both was made from the larger."""
    small = doubt("a", body={"name": "Anna"})
    large = doubt("b", body={"name": "Anna", "x": [1, {"y": 2}]})
    whole = {"agent_1": {"name": "Anna", "x": [1, {"y": 2, "z": 3}]}}
    assert told(settle([small, large], [agent(1)], whole=whole)[0]) == {"a": Absent, "b": "agent_1"}


def test_a_failing_look_decides_nothing() -> None:
    """A server that fails while details are read leaves everything as it was."""
    doubts = [doubt("a", body={"x": 1, "name": "Anna"}), doubt("b", body={"x": 2, "name": "Anna"})]
    steps = reconcile(REFERENCE, LISTING, doubts)
    next(steps)
    steps.send(Reply(200, {"agents": [agent(1)]}, {"x-total-count": "1"}))
    steps.send(Claimed())
    with pytest.raises(OperationFailed, match="away"):
        steps.throw(OperationFailed("gone", "away", status=500))


def test_a_stamp_is_exact() -> None:
    """With a stamp, others of the same name do not matter, nor do ages; made twice, it is held with both ids."""
    stamp = stamp_of("check", b"key", 0)
    mine = doubt("a", stamped("Anna", stamp), stamp=stamp)
    rows = [agent(1), agent(2), agent(3, stamped("Anna", stamp)), agent(4, stamped("Anna", stamp[::-1]))]
    found, _ = settle([mine], rows)
    assert told(found) == {"a": "agent_3"}
    assert found["a"].evidence.rule == "stamp"
    assert told(settle([mine], rows[:2])[0]) == {"a": Absent}
    twice, _ = settle([mine], [*rows, agent(5, stamped("Anna", stamp))])
    assert told(twice) == {"a": Held}
    assert twice["a"].evidence.candidates == ("agent_3", "agent_5")


@pytest.mark.parametrize("by_name", [True, False])
def test_a_name_is_claimed_by_answers_to_come_and_a_stamp_is_not(*, by_name: bool) -> None:
    """Only for what can be told by nothing else than its name the run has to hear of all that is under way."""
    stamp = stamp_of("check", b"key", 0)
    steps = reconcile(REFERENCE, LISTING, [doubt("a", stamped("Anna", stamp), stamp=stamp), doubt("b")])
    next(steps)
    rows = [agent(1, stamped("Anna", stamp)), agent(2, "Anna" if by_name else "Bert")]
    claims = steps.send(Reply(200, {"agents": rows}, {"x-total-count": "2"}))
    assert isinstance(claims, Claims)
    assert claims.by_name is by_name


def test_a_stamp_is_of_one_request_of_one_operation_of_one_checkpoint() -> None:
    """Twelve characters of base32; the same for every attempt."""
    stamps = {stamp_of(check, key, n) for check in ("c", "d") for key in (b"k", b"l") for n in (0, 1)}
    assert len(stamps) == 8
    assert {len(stamp) for stamp in stamps} == {12}
    assert stamp_of("c", b"k", 0) in stamps


def test_what_has_no_name_or_no_listing_is_held() -> None:
    """There is nothing to look for, or nowhere to look."""
    found, _ = settle([doubt("a", None)], [agent(1)])
    assert told(found) == {"a": Held}
    without = unlisted([doubt("a")], "document").of
    assert [type(finding) for finding in without.values()] == [Held]


def test_a_listing_without_ages_relies_on_what_was_there_before() -> None:
    """Where rows tell no age, those that the run knows are left out instead, and what is left is looked at."""
    listing = replace(LISTING, created_field=None)
    steps = reconcile(REFERENCE, listing, [doubt("a")])
    next(steps)
    rows = [agent(1, made=NOW - 1000), agent(2, made=NOW - 1000)]
    claims = steps.send(Reply(200, {"agents": rows}, {"x-total-count": "2"}))
    assert claims == Claims("agent", ("agent_1", "agent_2"), by_name=True)
    look = steps.send(Claimed(owned=frozenset({"agent_1"})))
    assert isinstance(look, Request)
    with pytest.raises(StopIteration) as end:
        steps.send(Reply(200, doubt("a").body))
    assert told({"a": end.value.value.of[b"a", 0]}) == {"a": "agent_2"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-5, 5) | st.text(max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=8,
)


@given(JSON, st.dictionaries(st.text(min_size=3, max_size=4), JSON, max_size=2))
def test_a_thing_carries_what_it_was_made_from(sent: Any, defaults: dict[str, Any]) -> None:
    """Whatever a server adds beside it."""
    whole = {**sent, **defaults} if isinstance(sent, dict) else sent
    assert carries(whole, sent)
    assert equal(sent, sent)


@pytest.mark.parametrize(
    ("whole", "sent", "expected"),
    [
        (1.0, 1, True),
        (True, 1, False),
        (1, True, False),
        ([1, 2], [1], False),
        ({"a": 1}, {"a": 1, "b": None}, True),
        ({"a": 1}, {"a": 2}, False),
        (None, {"a": None}, False),
        ("1", 1, False),
    ],
)
def test_numbers_count_by_value_and_nothing_else_is_lenient(whole: Any, sent: Any, *, expected: bool) -> None:
    """120 and 120.0 are the same, true and 1 are not; a null that a server leaves out is no difference."""
    assert carries(whole, sent) is expected


@given(
    st.lists(st.tuples(st.sampled_from("AB"), st.booleans(), st.booleans()), min_size=1, max_size=5),
    st.lists(st.tuples(st.sampled_from("ABC"), st.integers(-20, 90)), max_size=6),
    st.sets(st.integers(0, 5)),
)
def test_no_id_is_given_twice_and_none_that_is_owned(
    doubts: list[tuple[str, bool, bool]], rows: list[tuple[str, int]], owned: set[int]
) -> None:
    """Whatever is there: different doubts get different ids, of their name, and what is sure is never absent."""
    asked = [
        doubt(str(place), name, settled=settled, sure=sure)
        for place, (name, settled, sure) in enumerate(doubts)
    ]
    listed = [agent(place, name, NOW + age) for place, (name, age) in enumerate(rows)]
    found, _ = settle(asked, listed, claimed=Claimed(owned=frozenset(f"agent_{n}" for n in owned)))
    entities = {key: f.entity for key, f in found.items() if isinstance(f, Found)}
    assert len(set(entities.values())) == len(entities)
    for one in asked:
        finding = found.get(one.key.decode())
        assert not (isinstance(finding, Absent) and (one.sure or not one.settled))
        if isinstance(finding, Found):
            place = int(finding.entity.partition("_")[2])
            assert rows[place][0] == one.name
            assert place not in owned
