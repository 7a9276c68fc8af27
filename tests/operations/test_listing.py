"""Listings end, and none ends early in silence."""

from __future__ import annotations

import tracemalloc
from itertools import count
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkops import listing
from bulkops.api import LIVE
from bulkops.errors import OperationFailed
from bulkops.model import Reply, Request
from bulkops.operations.agent_list import ListAgents
from tests.operations.steps_doubles import drive, saved

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def page(numbers: list[int] | range, total: int | None = None) -> Reply:
    """Return a page with these agents."""
    rows = [{"agent_id": f"agent_{number}"} for number in numbers]
    return Reply(200, {"agents": rows}, {} if total is None else {"x-total-count": str(total)})


def listed(*pages: Reply) -> tuple[list[str], Any]:
    """List these pages; return the ids that were saved, and the result."""
    steps, result = drive(ListAgents(), pages)
    queries = [dict(step.query) for step in steps if isinstance(step, Request)]
    assert [query["page"] for query in queries] == [str(n + 1) for n in range(len(queries))]
    return [orjson.loads(line)["agent_id"] for line in saved(steps).splitlines()], result


def refused(*pages: Reply) -> str:
    """List these pages, which cannot end well; return why."""
    with pytest.raises(OperationFailed) as caught:
        listed(*pages)
    return caught.value.message


def test_all_pages_are_read() -> None:
    """Pages are read until there are as many rows as the API tells, and not one page more."""
    ids, result = listed(page(range(50), 120), page(range(50, 100), 120), page(range(100, 120), 120))
    assert len(set(ids)) == len(ids) == 120
    assert result == {"count": 120}


def test_an_empty_listing_is_a_list() -> None:
    """Nothing to list makes an empty file and a count of nought."""
    assert listed(page([], 0)) == ([], {"count": 0})


def test_a_growing_total_is_followed() -> None:
    """Rows that are made while pages are read are listed as well."""
    ids, _ = listed(page(range(50), 60), page(range(50, 100), 130), page(range(100, 130), 130))
    assert len(ids) == 130


def test_rows_that_moved_on_are_written_once() -> None:
    """A row that was pushed to the next page, or stands twice on one, is written once."""
    ids, result = listed(page(range(50), 51), page([49, 50, 50], 51))
    assert ids == [f"agent_{n}" for n in range(51)]
    assert result == {"count": 51}


def test_a_total_that_is_larger_than_the_listing_fails() -> None:
    """A listing that ends before its total is an error, never a short list."""
    assert "tells of 120 rows and lists 50" in refused(page(range(50), 120), page([], 120))


def test_a_total_that_shrinks_fails() -> None:
    """When rows vanish while pages are read, others slid to pages that were read already: that is told."""
    assert "shrank" in refused(page(range(50), 101), page(range(51, 101), 100))


def test_a_repeated_page_fails() -> None:
    """A server that gives the same page for ever is left at the first repetition."""
    assert "page 2 of the listing repeats" in refused(page(range(50), 120), page(range(50), 120))


def test_without_a_total_only_an_empty_page_is_the_end() -> None:
    """A server that makes its pages smaller than asked for, and tells no total, is listed whole."""
    ids, _ = listed(page(range(30)), page(range(30, 45)), page([]))
    assert len(ids) == 45


@pytest.mark.parametrize(
    "answer", [{}, {"agents": None}, {"agents": {}}, {"agents": [{}]}, {"agents": [{"agent_id": 5}]},
               {"agents": ["agent_1"]}, None, []],
)  # fmt: skip
def test_rows_without_ids_fail(answer: Any) -> None:
    """What cannot be told apart cannot be listed whole: the listing fails and names the page."""
    assert "page 1 of the listing" in refused(Reply(200, answer))


def test_a_listing_without_end_is_not_a_short_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server whose pages never end fails the listing at the bound."""
    monkeypatch.setattr(listing, "MOST_PAGES", 3)
    assert "did not end within 3 pages" in refused(*(page([n]) for n in range(4)))


def cursors(pages: Iterable[list[str]], at: Iterator[int]) -> Iterator[Reply]:
    """Return pages of conversations of the live API; each but the last says where the next begins."""
    held: list[str] | None = None
    for ids in pages:
        if held is not None:
            yield conversations(held, f"c{next(at)}")
        held = ids
    yield conversations(held or [], None)


def conversations(ids: list[str], cursor: str | None) -> Reply:
    """Return a page with these conversations."""
    rows = [{"conversation_id": row_id} for row_id in ids]
    return Reply(200, {"conversations": rows, "has_more": cursor is not None, "next_cursor": cursor})


def walked(replies: Iterator[Reply]) -> Iterator[bytes]:
    """List the conversations of the live API with these pages; yield what is saved of each."""
    steps = listing.list_rows(LIVE, LIVE.listing("conversation.list"))
    step: Any = next(steps)
    try:
        while True:
            if isinstance(step, Request):
                step = steps.send(next(replies))
            else:
                yield step.data
                step = steps.send(Reply(200))
    except StopIteration:
        return


def test_a_listing_by_cursors_takes_no_more_memory_the_longer_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept of a listing's rows are the last ids; a tenth of the rows takes as much as all of them."""
    monkeypatch.setattr(listing, "REMEMBERED", 1_000)

    def peak(rows: int) -> int:
        pages = ([f"conv_{first + n:020}" for n in range(100)] for first in range(0, rows, 100))
        tracemalloc.start()
        try:
            for _ in walked(cursors(pages, count())):
                pass
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(5_000)
    assert peak(50_000) < 1.3 * peak(5_000)


def test_rows_that_a_cursor_shows_again_are_written_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that comes again within what is remembered is written once, whichever page it stands on."""
    monkeypatch.setattr(listing, "REMEMBERED", 4)
    pages = [["a", "b"], ["b", "c"], ["c", "d", "e"], ["e", "b", "f"]]
    lines = b"".join(walked(cursors(pages, count()))).splitlines()
    assert [orjson.loads(line)["conversation_id"] for line in lines] == ["a", "b", "c", "d", "e", "f"]


def test_a_cursor_that_leads_back_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server whose cursors go in a circle is left there, even when its rows are not remembered any more."""
    monkeypatch.setattr(listing, "REMEMBERED", 1)
    around = ([f"{n}", f"{n + 1}", f"{n + 2}"] for n in range(0, 3_000, 3))
    with pytest.raises(OperationFailed, match="in a circle from page 6 on"):
        for _ in walked(cursors(around, (n % 5 for n in count()))):
            pass


replies = st.builds(
    page, st.lists(st.integers(0, 12), max_size=6), st.none() | st.integers(0, 15)
)  # fmt: skip


@given(st.lists(replies, max_size=8), replies)
def test_any_server_is_left_within_bounds(first: list[Reply], then: Reply) -> None:
    """Whatever pages a server gives, and one of them for ever, the listing ends: whole, or as a failure."""
    asked = 0

    def answers() -> Iterator[Reply]:
        nonlocal asked
        for reply in first:
            asked += 1
            yield reply
        while True:
            asked += 1
            yield then

    try:
        steps, result = drive(ListAgents(), answers())
    except OperationFailed:
        return
    finally:
        assert asked <= len(first) + 2
    told = [*first, *[then] * 3][asked - 1].headers.get("x-total-count")
    ids = [orjson.loads(line)["agent_id"] for line in saved(steps).splitlines()]
    assert len(set(ids)) == len(ids) == result["count"]
    assert told is None or len(ids) >= int(told)
