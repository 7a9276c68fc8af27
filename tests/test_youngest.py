"""The young end of a listing: read with few requests, and called whole only when nothing can be missing."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkops.api import REFERENCE, Pages
from bulkops.errors import OperationFailed
from bulkops.model import Reply
from bulkops.youngest import created_at, read_youngest

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulkops.youngest import Young

LISTING = REFERENCE.agent_list


def row(number: int, made: Any = None) -> dict[str, Any]:
    """Return the row of an agent that was made so many seconds after the epoch."""
    return {"agent_id": f"agent_{number}", "name": "N", "created_at": number if made is None else made}


@dataclass
class Shelf:
    """Agents by age, listed by pages; `between` happens after each page."""

    rows: list[dict[str, Any]]
    newest_first: bool = False
    size: int = 50
    between: Callable[[Shelf], None] = lambda _: None
    asked: list[int] = field(default_factory=list)

    def page(self, number: int) -> Reply:
        """Answer with a page."""
        rows = self.rows[::-1] if self.newest_first else self.rows
        part = rows[(number - 1) * self.size : number * self.size]
        total = str(len(rows))
        self.asked.append(number)
        self.between(self)
        return Reply(200, {"agents": part}, {"x-total-count": total, "date": "today"})


def read(shelf: Shelf, since: float | None, *, newest_first: bool | None = None) -> Young:
    """Read a shelf."""
    assert isinstance(REFERENCE.paging, Pages)
    api = replace(REFERENCE, paging=replace(REFERENCE.paging, size=shelf.size))
    reading = read_youngest(api, LISTING, since, newest_first=newest_first)
    request = next(reading)
    while True:
        try:
            request = reading.send(shelf.page(int(dict(request.query)["page"])))
        except StopIteration as end:
            young: Young = end.value
            return young


def ids(young: Young) -> set[int]:
    """Return the numbers of what was read."""
    return {int(found["agent_id"].partition("_")[2]) for found in young.rows}


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("count", [9_999, 10_000, 10_001])
def test_three_requests_find_the_youngest_of_ten_thousand(count: int, *, newest_first: bool) -> None:
    """The order is learnt from the first and the last page, and the young end is read as far as is needed."""
    shelf = Shelf([row(number) for number in range(count)], newest_first)
    young = read(shelf, count - 20)
    assert young.whole
    assert young.newest_first is newest_first
    assert ids(young) >= set(range(count - 20, count))
    assert len(shelf.asked) == young.pages <= 3
    assert young.listed_at == "today"


def test_a_listing_of_one_page_takes_one_request() -> None:
    """What fits on a page is one moment: nothing can have moved."""
    shelf = Shelf([row(number) for number in range(50)])
    assert (read(shelf, 49.0).whole, shelf.asked) == (True, [1])


def test_an_order_that_is_known_spares_a_request() -> None:
    """With the newest first, one page is enough."""
    shelf = Shelf([row(number) for number in range(1000)], newest_first=True)
    assert (read(shelf, 990.0, newest_first=True).whole, shelf.asked) == (True, [1])


def test_a_listing_without_order_is_read_whole() -> None:
    """Where ages do not tell the order, everything is read, and has to stand still meanwhile."""
    shelf = Shelf([row(number, made=number * 7 % 11) for number in range(30)], size=5)
    young = read(shelf, 3.0)
    assert (young.whole, ids(young), young.newest_first) == (True, set(range(30)), None)


def test_an_order_that_turns_out_wrong_is_not_trusted() -> None:
    """First and last page looked ordered, what is between is not: everything is read."""
    ages = [0, 1, 2, 90, 4, 91, 6, 7, 8, 9, 10, 11]
    shelf = Shelf([row(number, made) for number, made in enumerate(ages)], size=3)
    young = read(shelf, 5.0)
    assert (young.whole, ids(young)) == (True, set(range(12)))


def test_a_listing_that_never_stands_still_is_not_whole() -> None:
    """What always moves is read a few times and then shows nothing by what is not in it."""

    def grow(shelf: Shelf) -> None:
        shelf.rows.insert(0, row(len(shelf.rows) + 1000, made=None))

    young = read(Shelf([row(n, made=5) for n in range(20)], size=3, between=grow), 1.0)
    assert not young.whole


def test_a_listing_without_a_total_is_not_whole() -> None:
    """Nobody can tell whether there is more."""
    reading = read_youngest(REFERENCE, LISTING, 1.0)
    next(reading)
    with pytest.raises(StopIteration) as end:
        reading.send(Reply(200, {"agents": [row(1)]}))
    assert not end.value.value.whole


@pytest.mark.parametrize("answer", [[], {}, {"agents": 3}, {"agents": [{}]}, {"agents": [3]}])
def test_an_answer_of_another_shape_ends_the_reading(answer: Any) -> None:
    """It is no listing, so it is not read as an empty one."""
    reading = read_youngest(REFERENCE, LISTING, 1.0)
    next(reading)
    with pytest.raises(OperationFailed):
        reading.send(Reply(200, answer, {"x-total-count": "1"}))


@given(
    st.lists(st.integers(0, 30), min_size=0, max_size=30).map(sorted),
    st.booleans(),
    st.integers(0, 31),
    st.lists(st.sampled_from(["add", "remove", "nothing"]), max_size=12),
    st.randoms(use_true_random=False),
)
def test_what_is_whole_lacks_nothing_that_was_there_before(
    ages: list[int],
    newest_first: bool,  # noqa: FBT001 - hypothesis names no arguments
    since: int,
    acts: list[str],
    chance: Any,
) -> None:
    """Whatever comes and goes while it is read: a whole reading has all young ones that were there and stayed."""
    rows = [row(number, made) for number, made in enumerate(ages)]
    removed: set[int] = set()

    def act(shelf: Shelf) -> None:
        what = acts[len(shelf.asked) - 1] if len(shelf.asked) <= len(acts) else "nothing"
        if what == "add":
            shelf.rows.append(row(1000 + len(shelf.asked), made=31))
        elif what == "remove" and shelf.rows:
            gone = shelf.rows.pop(chance.randrange(len(shelf.rows)))
            removed.add(int(gone["agent_id"].partition("_")[2]))

    young = read(Shelf(rows.copy(), newest_first, 3, act), float(since))
    if young.whole and young.newest_first is not None:
        wanted = {number for number, made in enumerate(ages) if made >= since} - removed
        assert ids(young) >= wanted


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("1970-01-02T00:00:00Z", 86_400.0),
        ("1970-01-01T00:00:01.500Z", 1.5),
        ("1970-01-01T02:00:00+01:30", 1800.0),
        ("1970-01-01T00:00:00-01:00", 3600.0),
        (17, 17.0),
        (17.25, 17.25),
        ("yesterday", None),
        (None, None),
    ],
)
def test_an_age_is_read_from_a_date_or_a_number(said: Any, seconds: float | None) -> None:
    """RFC 3339, or seconds since the epoch; anything else is no age."""
    assert created_at({"created_at": said}, LISTING) == seconds
    assert created_at({"created_at": 1}, replace(LISTING, created_field=None)) is None
