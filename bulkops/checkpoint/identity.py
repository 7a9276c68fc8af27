"""Who a line is and who its operations are, wherever they stand in the file; and sets of millions of them."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from hashlib import blake2b
from itertools import pairwise
from struct import Struct

KEY_SIZE = 16
"""Bytes of an identity."""

_SPELLED = re.compile(r"~[0-9a-f]{32}", re.ASCII)
# Each is copied for what it is to be the hash of: making one anew, with all that it is given, takes longer. Where they
# are used that is written out, as a call more for each of five hashes of an operation would be felt.
_LINE = blake2b(digest_size=16, person=b"bulkops line")
_ID = blake2b(digest_size=16, person=b"bulkops id")
_OPERATION = blake2b(digest_size=16, person=b"bulkops op")
_TAG = blake2b(digest_size=16, person=b"bulkops tag")
_BYTES = blake2b(digest_size=8, person=b"bulkops bytes")
_PREFIX = Struct(">Q").unpack_from


def line_key(id: str | None, raw: bytes, occurrence: int) -> bytes:
    """Return the identity of a line, 16 bytes: of its id, else of its bytes and which of its equals it is.

    `raw` is the line without its line end, `occurrence` counts equal lines without id from zero; both are
    ignored where there is an id. An id as `spelled` writes it is the key that it spells.
    """
    if id is None:
        of_line = _LINE.copy()
        of_line.update(occurrence.to_bytes(8) + raw)
        return of_line.digest()
    if id.startswith("~") and _SPELLED.fullmatch(id):
        return bytes.fromhex(id[1:])
    of_id = _ID.copy()
    of_id.update(id.encode())
    return of_id.digest()


def spelled(key: bytes) -> str:
    """Return the id that stands for a line without one, `~` and 32 hex digits; `line_key` reads it back."""
    return f"~{key.hex()}"


def operation_key(line_key: bytes, index: int) -> bytes:
    """Return the identity of one operation of a line, 16 bytes; `index` counts them from zero."""
    of_operation = _OPERATION.copy()
    of_operation.update(line_key + index.to_bytes(8))
    return of_operation.digest()


def run_key(account: str) -> bytes:
    """Return the identity of what a run itself does in an account: 12 bytes, so that it is no operation's."""
    return b"run:" + blake2b(account.encode(), digest_size=8).digest()


def tag_key(tag: str) -> bytes:
    """Return the identity of a tag, 16 bytes."""
    of_tag = _TAG.copy()
    of_tag.update(tag.encode())
    return of_tag.digest()


def digest(raw: bytes) -> bytes:
    """Return 8 bytes that tell whether a line is still the same, byte for byte."""
    of_bytes = _BYTES.copy()
    of_bytes.update(raw)
    return of_bytes.digest()


def prefix(key: bytes) -> int:
    """Return the first 64 bits of a key, which stand for it in a `KeyIndex`."""
    value: int = _PREFIX(key)[0]
    return value


class KeyIndex:
    """A set of keys by their first 64 bits: 8 bytes per key, filled first, asked after `freeze`.

    Two different keys with the same 64 bits look alike here; within one set `duplicates` shows them.
    Buckets by the first byte keep the memory that sorting takes small.
    """

    def __init__(self) -> None:
        self._buckets = [array("Q") for _ in range(256)]
        self._duplicates: list[int] = []
        self._frozen = False

    def add(self, key: bytes) -> None:
        """Put a key in; after `freeze` that is a ValueError."""
        if self._frozen:
            raise ValueError("a frozen KeyIndex takes no more keys")
        self._buckets[key[0]].append(_PREFIX(key)[0])

    def freeze(self) -> None:
        """End the filling; from here on the set can be asked. A second call changes nothing."""
        if not self._frozen:
            self._frozen = True
            for place, bucket in enumerate(self._buckets):
                self._buckets[place] = self._sorted(bucket)

    def duplicates(self) -> list[int]:
        """Return, in order, the prefixes that were added more than once: one key, or two that look alike."""
        self._need_frozen()
        return list(self._duplicates)

    def __contains__(self, key: bytes) -> bool:
        self._need_frozen()
        bucket, value = self._buckets[key[0]], _PREFIX(key)[0]
        place = bisect_left(bucket, value)
        return place < len(bucket) and bucket[place] == value

    def __len__(self) -> int:
        """Return how many different prefixes are in; before `freeze`, how many were added."""
        return sum(map(len, self._buckets))

    def _sorted(self, bucket: array[int]) -> array[int]:
        ordered = sorted(bucket)
        repeated = sorted({value for value, following in pairwise(ordered) if value == following})
        self._duplicates += repeated
        return array("Q", sorted(set(ordered)) if repeated else ordered)

    def _need_frozen(self) -> None:
        if not self._frozen:
            raise ValueError("a KeyIndex answers after freeze()")


class Occurrences:
    """Tells equal lines without id apart: which of its equals a line is, counted from zero in file order.

    Two passes: `add` every key of occurrence zero, `freeze`, then `next` for each line again. The first pass
    takes 8 bytes per line, given back at `freeze`; then only lines that repeat take memory.
    """

    def __init__(self) -> None:
        self._seen: KeyIndex | None = KeyIndex()
        self._counts: dict[bytes, int] = {}
        self.repeated: frozenset[int] = frozenset()
        """After `freeze`: the prefixes of the lines that occur more than once."""

    def add(self, key0: bytes) -> None:
        """First pass: a line with this key of occurrence zero is in the file."""
        if self._seen is None:
            raise ValueError("the first pass has ended")
        self._seen.add(key0)

    def freeze(self) -> None:
        """End the first pass."""
        if self._seen is not None:
            self._seen.freeze()
            self.repeated = frozenset(self._seen.duplicates())
            self._seen = None

    def next(self, key0: bytes) -> int:
        """Second pass: return the occurrence of the line at hand."""
        if self._seen is not None:
            raise ValueError("the first pass has not ended")
        if prefix(key0) not in self.repeated:
            return 0
        occurrence = self._counts.get(key0, 0)
        self._counts[key0] = occurrence + 1
        return occurrence

    def restart(self) -> None:
        """Begin the second pass anew."""
        self._counts.clear()
