"""A limit that others use too and that changes, with times that are given; and both over HTTP."""

from __future__ import annotations

from itertools import pairwise
from random import Random
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkops.emulator.admission import Admission, Others
from bulkops.emulator.algorithms import Algorithm, make_limit

PERIOD = 60.0


def strangers(rate: float, burst: int = 1, begin: float = 0.0) -> Others:
    """Let others come, always the same."""
    return Others(rate, burst, begin=begin, rng=Random(5))


@given(st.floats(0.1, 50), st.integers(1, 40), st.integers(0, 1000))
def test_others_come_as_often_as_said(rate: float, burst: int, seed: int) -> None:
    """Over a long time the others keep their rate to within five per cent and a burst, however many come at once."""
    others = Others(rate, burst, begin=0.0, rng=Random(seed))
    lasts = 2000 * burst / rate
    moments = list(others.until(lasts))
    assert abs(len(moments) - rate * lasts) < 0.05 * rate * lasts + burst
    assert moments == sorted(moments)
    assert not moments or moments[-1] <= lasts


def test_others_come_in_bursts() -> None:
    """A burst is at one moment, and the gaps between bursts differ."""
    moments = list(strangers(1.0, burst=30).until(1000.0))
    bursts = sorted({*moments})
    assert all(moments.count(each) == 30 for each in bursts)
    gaps = {round(after - before) for before, after in pairwise(bursts)}
    assert min(gaps) >= 20
    assert max(gaps) <= 40
    assert len(gaps) > 5


@given(st.lists(st.floats(0, 500), max_size=80).map(sorted), st.sampled_from(Algorithm))
def test_others_take_from_the_same_limit(times: list[float], algorithm: Algorithm) -> None:
    """What passes is what would pass if the requests of both came one after the other in time."""
    admission = Admission(make_limit(algorithm, 10, PERIOD), strangers(0.1))
    ours = [admission.admit(now).admitted for now in times]

    alone = make_limit(algorithm, 10, PERIOD)
    theirs = list(strangers(0.1).until(times[-1] if times else 0.0))
    merged = sorted([(moment, False) for moment in theirs] + [(moment, True) for moment in times])
    passed = [(own, alone.admit(moment).admitted) for moment, own in merged]
    assert ours == [admitted for own, admitted in passed if own]
    assert admission.others_admitted == sum(admitted for own, admitted in passed if not own)
    assert admission.others_admitted + admission.others_refused == (len(theirs) if times else 0)


def test_a_change_takes_effect_at_its_moment() -> None:
    """Others before a change meet the old limit, those after it the new one; nobody has to ask in between."""
    changes: list[tuple[float, int]] = []
    admission = Admission(make_limit(Algorithm.SLIDING_LOG, 10, PERIOD), strangers(1.0), changes)
    changes += [(100.0, 30), (200.0, 5)]
    assert admission.admit(300.0).limit == 5

    alone, passed = make_limit(Algorithm.SLIDING_LOG, 10, PERIOD), 0
    for moment in strangers(1.0).until(300.0):
        alone.change(10 if moment <= 100 else 30 if moment <= 200 else 5, moment)
        passed += alone.admit(moment).admitted
    assert admission.others_admitted == passed


def test_the_limit_changes_while_the_server_runs(emulate: Any, talk: Any) -> None:
    """After a change the headers tell the new limit, what was used stays used, and new keys have it too."""
    emulator = emulate(limit=2, period=1000.0)
    api = talk(emulator)
    assert [api.get("/agents").status_code for _ in range(3)] == [200, 200, 429]
    emulator.change_limit(4)
    replies = [api.get("/agents") for _ in range(3)]
    assert [reply.status_code for reply in replies] == [200, 200, 429]
    assert {reply.headers["x-ratelimit-limit"] for reply in replies} == {"4"}
    assert talk(emulator, "another").get("/agents").headers["x-ratelimit-remaining"] == "3"


def test_the_limit_changes_by_a_request(emulate: Any, talk: Any) -> None:
    """A POST beside the API changes the limit too, and the state tells it; what makes no sense is refused."""
    emulator = emulate(limit=2, period=1000.0)
    url = f"{emulator.origin}/_emulator/limit"
    assert httpx.post(url, params={"requests": 7}).json() == {"requests": 7, "seconds": 1000.0}
    assert talk(emulator).get("/agents").headers["x-ratelimit-limit"] == "7"
    state = httpx.get(f"{emulator.origin}/_emulator/state").json()
    assert state["limit"] == {"requests": 7, "seconds": 1000.0}
    statuses = [
        httpx.post(url, params=given).status_code for given in ({}, {"requests": 0}, {"requests": "x"})
    ]
    assert statuses == [400] * 3
    assert httpx.get(url).status_code == 404


def test_without_a_limit_there_is_none_to_change(emulate: Any) -> None:
    """A server that was started without a limit says so."""
    emulator = emulate()
    with pytest.raises(ValueError, match="start it with one"):
        emulator.change_limit(5)
    assert httpx.post(f"{emulator.origin}/_emulator/limit?requests=5").status_code == 400


def test_others_on_the_key_are_counted(emulate: Any, talk: Any) -> None:
    """Others have been there for a period when a key is first used, and the state counts them."""
    emulator = emulate(limit=10, period=1000.0, foreign=0.5, limit_algorithm=Algorithm.SLIDING_LOG)
    reply = talk(emulator).get("/agents")
    others = httpx.get(f"{emulator.origin}/_emulator/state").json()["others"]
    assert 3 <= others["admitted"] <= 7
    assert int(reply.headers["x-ratelimit-remaining"]) == 9 - others["admitted"]
    told = emulator.statistics
    assert {"admitted": told.others_admitted, "refused": told.others_refused} == others
