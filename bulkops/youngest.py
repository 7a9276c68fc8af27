"""Reading a listing from its young end, as far back as is needed and with as few requests as that takes."""

from __future__ import annotations

from collections.abc import Generator
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

from bulkops.errors import OperationFailed
from bulkops.model import Reply, Request, value
from bulkops.moments import moment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bulkops.api.profile import Listing, Profile
    from bulkops.model import Json

MOST_READINGS = 4
"""So often a listing is read anew because it changed while it was read."""
MOST_PAGES = 100_000


@value
class Young:
    """The young end of a listing.

    `whole`: everything was read that is not older than was asked for; only then does it mean anything that
    something is not there. `newest_first` is the order as far as it is known. `listed_at` is the server's time.
    """

    rows: tuple[Json, ...]
    whole: bool
    pages: int
    total: int | None
    newest_first: bool | None
    listed_at: str | None


Reading: TypeAlias = Generator[Request, Reply, Young]


def created_at(row: Json, listing: Listing) -> float | None:
    """Return when a row's thing was made (epoch seconds of the server); None where the row does not say."""
    return moment(row.get(listing.created_field)) if listing.created_field is not None else None


def read_youngest(
    api: Profile, listing: Listing, since: float | None, *, newest_first: bool | None = None
) -> Reading:
    """Yield the requests that read everything made since a moment (epoch seconds of the server), or everything.

    `newest_first` is the order that an earlier reading found. Where neither that nor the profile tells it, it is
    learnt from the ages on the first and the last page. A listing without a usable order is read whole.
    """
    known = newest_first if listing.newest_first is None else listing.newest_first
    reader = _Reader(api, listing, since, newest_first=known)
    for _ in range(MOST_READINGS):
        whole = yield from reader.read()
        if whole or not reader.moved:
            break
    return Young(
        tuple(reader.found.values()), whole, reader.pages, reader.total, reader.newest_first, reader.listed_at
    )


class _Reader:
    """One reading after the other; what an earlier one saw is kept, as it was there."""

    def __init__(
        self, api: Profile, listing: Listing, since: float | None, *, newest_first: bool | None
    ) -> None:
        self.found: dict[str, Json] = {}
        self.pages = 0
        self.total: int | None = None
        self.newest_first = newest_first
        self.listed_at: str | None = None
        self.moved = False
        self._api = api
        self._listing = listing
        self._since = since
        self._before: Reply | None = None
        self._asked: set[tuple[tuple[str, str], ...]] = set()
        self._ends: bool | None = None
        """Whether the last page that was read says that it is the last one."""

    def read(self) -> Generator[Request, Reply, bool]:
        """Read once; return whether nothing can have been missed. `moved` tells whether trying again may help."""
        self.moved = False
        first = yield from self._page(1)
        if self._ends is not None:
            return (yield from self._twice(first))
        total = self.total
        if total is None or not first:
            # A listing that does not tell how long it is cannot show that something is not in it.
            return total == 0
        size = len(first)
        last = -(-total // size)
        if last <= 1:
            return True
        if last > MOST_PAGES:
            return False
        if self.newest_first is not True:
            end = yield from self._page(last)
            if self.newest_first is None:
                self.newest_first = self._learnt(first, end)
            if self.newest_first is None:
                return (yield from self._all(last, size, total))
            if not self.newest_first:
                return (yield from self._downward(end, last, size))
        return (yield from self._upward(first, size, total))

    def _twice(self, first: Sequence[Json]) -> Generator[Request, Reply, bool]:
        """Read a listing of cursors, twice where it has several pages: nothing tells that one of them has moved.

        Where a page begins behind a row and not at a number, none does; but no API promises that. So what the first
        reading missed, though younger things were in it, says that it moved.
        """
        pages = self.pages
        if not (yield from self._onward(first)):
            return False
        if self.pages == pages:
            return True
        known = set(self.found)
        ages = [age for row in self.found.values() if (age := created_at(row, self._listing)) is not None]
        if not (yield from self._onward((yield from self._page(1)))):
            return False
        for row_id in self.found.keys() - known:
            age = created_at(self.found[row_id], self._listing)
            self.moved |= age is None or (bool(ages) and age < max(ages))
        return not self.moved

    def _onward(self, rows: Sequence[Json]) -> Generator[Request, Reply, bool]:
        """Read on from page 1 of a listing that itself says where it goes on and ends.

        One that is not in order of age after all is read to its end.
        """
        for number in range(2, MOST_PAGES):
            if self.newest_first and not self._sorted(rows, newest_first=True):
                self.newest_first = None
            if self._ends or (self.newest_first and self._reaches_back(rows)):
                return True
            rows = [*rows[-1:], *(yield from self._page(number))]
        return False

    def _upward(self, rows: Sequence[Json], size: int, total: int) -> Generator[Request, Reply, bool]:
        """Read on from page 1, which told this total, of a listing whose first row is the newest.

        What is added meanwhile pushes rows to pages that come later: they are met twice. Only what is removed
        can pull a row to a page that was read before.
        """
        number = 1
        self.moved = self.total is None or self.total < total
        while not self.moved and self._sorted(rows, newest_first=True):
            before = self.total or 0
            if number * size >= before or self._reaches_back(rows):
                return True
            number += 1
            rows = [*rows[-1:], *(yield from self._page(number))]
            self.moved = self.total is None or self.total < before
        return False if self.moved else self._unordered()

    def _downward(self, rows: Sequence[Json], last: int, size: int) -> Generator[Request, Reply, bool]:
        """Read back from the last page of a listing whose last row is the newest.

        Page by page the total has to stay: whatever comes or goes can push a row to a page that was read before.
        """
        total, number = self.total, last
        # More may have been added than fits on what was the last page.
        self.moved = total is None or total > last * size
        while not self.moved and self._sorted(rows, newest_first=False):
            if number == 1 or self._reaches_back(rows):
                return True
            number -= 1
            page = yield from self._page(number)
            self.moved = self.total != total or len(page) != size
            rows = [*page, *rows[:1]]
        return False if self.moved else self._unordered()

    def _all(self, last: int, size: int, total: int) -> Generator[Request, Reply, bool]:
        """Read the pages between the first and the last, and see that nothing moved."""
        self.moved = self.total != total
        for number in range(2, last):
            if self.moved:
                break
            page = yield from self._page(number)
            self.moved = self.total != total or len(page) != size
        return not self.moved

    def _unordered(self) -> bool:
        """Note that the listing is not in order of age after all: the next reading reads all of it."""
        self.newest_first, self._since, self.moved = None, None, True
        return False

    def _page(self, number: int) -> Generator[Request, Reply, list[Json]]:
        listing = self._listing
        paging = self._api.paging
        if number == 1:
            self._asked.clear()
        request = listing.page(paging, number, self._before)
        if self._ends is not None and request.query in self._asked:
            raise OperationFailed("bad_answer", f"the listing goes in a circle from page {number - 1} on")
        self._asked.add(request.query)
        reply = self._before = yield request
        rows = reply.json.get(listing.rows) if isinstance(reply.json, dict) else None
        if not isinstance(rows, list):
            raise OperationFailed("bad_answer", f"page {number} of the listing has no `{listing.rows}`")
        self.pages += 1
        self.total, self._ends = paging.total(reply), paging.ends(reply)
        if number == 1:
            self.listed_at = reply.headers.get("date")
        for row in rows:
            row_id = row.get(listing.id_field) if isinstance(row, dict) else None
            if not isinstance(row_id, str):
                raise OperationFailed("bad_answer", f"page {number} has a row without `{listing.id_field}`")
            self.found[row_id] = row
        return rows

    def _reaches_back(self, rows: Sequence[Json]) -> bool:
        """Tell whether rows go back beyond what was asked for."""
        since = self._since
        ages = (created_at(row, self._listing) for row in rows)
        return since is not None and any(age is not None and age < since for age in ages)

    def _learnt(self, first: Sequence[Json], end: Sequence[Json]) -> bool | None:
        """Return whether the newest rows come first; None where it cannot be told, or is of no use."""
        rows = [*first, *end]
        for newest_first in (False, True):
            if self._since is not None and self._sorted(rows, newest_first=newest_first, strictly=True):
                return newest_first
        return None

    def _sorted(self, rows: Sequence[Json], *, newest_first: bool, strictly: bool = False) -> bool:
        """Tell whether rows stand in order of age; `strictly`: and are not all equally old."""
        ages: list[float] = [age for row in rows if (age := created_at(row, self._listing)) is not None]
        if newest_first:
            ages.reverse()
        in_order = all(one <= other for one, other in pairwise(ages))
        return in_order and len(ages) == len(rows) and not (strictly and ages[0] == ages[-1])
