"""Walking a listing page by page: it ends, and it does not end early in silence."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

import orjson

from bulkops.errors import OperationFailed
from bulkops.model import Save

if TYPE_CHECKING:
    from collections.abc import Collection

    from bulkops.api.profile import Listing, Profile
    from bulkops.model import Json, Reply
    from bulkops.operation import Steps

MOST_PAGES = 1_000_000
REMEMBERED = 20_000
"""How many ids of a listing by cursors are known again, at least; some 100 bytes each."""
_AGAIN = "run it again for a whole list"


def list_rows(api: Profile, listing: Listing) -> Steps:
    """Yield the steps that save every row of a listing to `lists/ID.jsonl`; return how many there were.

    Rows that move to a later page while pages are read are written once; where a cursor leads on, they are known
    again within `REMEMBERED` rows, so that memory does not grow with the listing. The listing fails rather than end
    early: when it is shorter than the total that the API tells, or the total shrinks while pages are read (rows
    move to pages that were read already), or a page repeats what was seen, or a row has no id. Where the API
    tells neither a total nor that a page is the last, only an empty page is an end.
    """
    seen = _Seen()
    total: int | None = None
    # Digests, as cursors may be long.
    asked: set[bytes] = set()
    reply: Reply | None = None
    for number in range(1, MOST_PAGES + 1):
        request = listing.page(api.paging, number, reply)
        place = blake2b(repr(request.query).encode(), digest_size=16).digest()
        if place in asked:
            raise OperationFailed("bad_answer", f"the listing goes in a circle from page {number - 1} on")
        asked.add(place)
        reply = yield request
        rows = reply.json.get(listing.rows) if isinstance(reply.json, dict) else None
        if not isinstance(rows, list):
            raise OperationFailed("bad_answer", f"page {number} of the listing has no `{listing.rows}`")
        found = {_id_of(row, listing, number): row for row in rows}
        fresh = {row_id: row for row_id, row in found.items() if row_id not in seen}
        yield Save("lists", None, ".jsonl", b"".join(orjson.dumps(row) + b"\n" for row in fresh.values()))
        before, total = total, api.paging.total(reply)
        if before is not None and total is not None and total < before:
            raise OperationFailed("cut_listing", f"the listing shrank while it was read; {_AGAIN}")
        ends = api.paging.ends(reply)
        # A cursor cannot fall back unseen: it would be asked for a second time.
        seen.add(fresh, most=None if ends is None else REMEMBERED)
        if ends or (ends is None and (not rows or (total is not None and seen.count >= total))):
            break
        if rows and not fresh:
            raise OperationFailed("bad_answer", f"page {number} of the listing repeats what came before")
    else:
        raise OperationFailed("cut_listing", f"the listing did not end within {MOST_PAGES:,} pages")
    if total is not None and seen.count < total:
        raise OperationFailed(
            "cut_listing",
            f"the API tells of {total} rows and lists {seen.count}; {_AGAIN}",
        )
    return {"count": seen.count}


class _Seen:
    """The ids of rows that were read: how many there were, and the latest of them."""

    def __init__(self) -> None:
        self.count = 0
        self._latest: set[str] = set()
        self._before: set[str] = set()

    def __contains__(self, row_id: str) -> bool:
        return row_id in self._latest or row_id in self._before

    def add(self, fresh: Collection[str], *, most: int | None) -> None:
        """Remember ids that are new: all of them, or the last `most` at least and twice as many at most."""
        self.count += len(fresh)
        self._latest.update(fresh)
        if most is not None and len(self._latest) >= most:
            self._latest, self._before = set(), self._latest


def _id_of(row: Json, listing: Listing, page: int) -> str:
    value = row.get(listing.id_field) if isinstance(row, dict) else None
    if not isinstance(value, str):
        raise OperationFailed(
            "bad_answer", f"page {page} of the listing has a row without `{listing.id_field}`"
        )
    return value
