"""Who a line is, and sets of keys."""

from __future__ import annotations

import time
from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bulkops.checkpoint.identity import (
    KeyIndex,
    Occurrences,
    digest,
    line_key,
    operation_key,
    prefix,
    spelled,
)

KEYS = st.binary(min_size=16, max_size=16)
FEW_KEYS = st.integers(0, 20).map(lambda number: line_key(str(number), b"", 0))


@given(st.text(max_size=20), st.binary(max_size=30), st.integers(0, 5))
@example("", b"", 0)
def test_id_and_bytes_never_meet(text: str, raw: bytes, occurrence: int) -> None:
    """An id and a line's bytes, also the same ones, have different keys of 16 bytes each."""
    by_id, by_bytes = line_key(text, raw, occurrence), line_key(None, raw, occurrence)

    assert by_id != by_bytes
    assert line_key(None, text.encode(), 0) != by_id
    assert (len(by_id), len(by_bytes)) == (16, 16)


def test_id_hides_bytes_and_position() -> None:
    """A line with an id stays the same whatever its bytes and its occurrence."""
    assert line_key("a", b"x", 0) == line_key("a", b"y", 7)


@given(st.binary(max_size=40), st.integers(0, 2**40))
def test_bytes_and_occurrence_both_count(raw: bytes, occurrence: int) -> None:
    """Without an id, other bytes or another occurrence make another line."""
    key = line_key(None, raw, occurrence)

    assert key != line_key(None, raw + b"\x00", occurrence)
    assert key != line_key(None, raw, occurrence + 1)


@given(KEYS)
def test_spelled_key_is_read_back(key: bytes) -> None:
    """The id that we write for a line without one is its key again."""
    assert key == line_key(spelled(key), b"anything", 3)


@pytest.mark.parametrize(
    "near", ["~" + "A" * 32, "~" + "a" * 31, "~" + "a" * 33, "a" * 32, "~" + "a" * 32 + "\n"]
)
def test_near_spelling_is_an_ordinary_id(near: str) -> None:
    """Only the exact form spells a key; what comes near it is an id like any other."""
    assert line_key(near, b"", 0) != bytes.fromhex("aa" * 16)


@given(KEYS, st.integers(0, 10**6), st.integers(0, 10**6))
def test_operations_of_a_line_differ(key: bytes, one: int, other: int) -> None:
    """Operations have the same key only with the same line and index, and never that of the line."""
    assert (one == other) == (operation_key(key, one) == operation_key(key, other))
    assert operation_key(key, one) != key
    assert len(operation_key(key, one)) == 16


def test_digest_is_of_the_bytes() -> None:
    """The digest has 8 bytes and changes with the line's bytes."""
    assert len(digest(b"a")) == 8
    assert digest(b"a") != digest(b"a ")


def test_keys_stay_what_they_are() -> None:
    """Keys are written to disk, so the way they are made may not change."""
    assert line_key("a", b"", 0).hex() == "f16f16c9f993c266e61bdc0abd20598d"
    assert line_key(None, b"{}", 1).hex() == "8df0805cd2fc9172b27a8781f4ae8dc0"
    assert operation_key(bytes(16), 2).hex() == "ddc9a1bbf5cb72a687bc6f8f2b4cabb1"
    assert digest(b"{}").hex() == "f34d7aa857eacd83"


@given(st.lists(KEYS | FEW_KEYS), st.lists(KEYS | FEW_KEYS))
def test_index_is_a_set(inside: list[bytes], asked: list[bytes]) -> None:
    """A KeyIndex answers like a set of prefixes, and knows what was added more than once."""
    index = KeyIndex()
    for key in inside:
        index.add(key)
    index.freeze()

    counts = Counter(map(prefix, inside))
    assert len(index) == len(counts)
    assert all((key in index) == (prefix(key) in counts) for key in inside + asked)
    assert index.duplicates() == sorted(value for value, count in counts.items() if count > 1)


def test_lookalikes_show_as_duplicates() -> None:
    """Two different keys with the same 64 bits are told by their prefix."""
    index = KeyIndex()
    index.add(b"12345678" + b"a" * 8)
    index.add(b"12345678" + b"b" * 8)
    index.freeze()

    assert [int.from_bytes(b"12345678")] == index.duplicates()


def test_index_has_two_phases() -> None:
    """A KeyIndex refuses questions before it is frozen and keys after."""
    index = KeyIndex()
    with pytest.raises(ValueError, match="freeze"):
        _ = bytes(16) in index
    with pytest.raises(ValueError, match="freeze"):
        index.duplicates()
    index.freeze()
    with pytest.raises(ValueError, match="frozen"):
        index.add(bytes(16))


def test_index_of_many_keys_is_quick() -> None:
    """Adding and freezing takes a few microseconds per key at most, also on a busy machine."""
    keys = [line_key(None, b"%d" % number, 0) for number in range(200_000)]
    index = KeyIndex()
    start = time.process_time()
    for key in keys:
        index.add(key)
    index.freeze()

    assert (time.process_time() - start) / len(keys) < 6e-6


@given(st.lists(FEW_KEYS))
def test_occurrences_count_equals(keys: list[bytes]) -> None:
    """The second pass tells each line which of its equals it is, in file order."""
    occurrences = Occurrences()
    for key in keys:
        occurrences.add(key)
    occurrences.freeze()

    counts = Counter(keys)
    assert occurrences.repeated == {prefix(key) for key, count in counts.items() if count > 1}
    assert [keys[:place].count(key) for place, key in enumerate(keys)] == [
        occurrences.next(key) for key in keys
    ]


def test_occurrences_of_lookalikes() -> None:
    """Lines whose keys only look alike are each the first of their kind."""
    one, other = b"12345678" + b"a" * 8, b"12345678" + b"b" * 8
    occurrences = Occurrences()
    occurrences.add(one)
    occurrences.add(other)
    occurrences.freeze()

    assert [occurrences.next(one), occurrences.next(other)] == [0, 0]


def test_occurrences_have_two_passes() -> None:
    """Occurrences are told after the first pass, which then takes no more lines."""
    occurrences = Occurrences()
    with pytest.raises(ValueError, match="first pass"):
        occurrences.next(bytes(16))
    occurrences.freeze()
    with pytest.raises(ValueError, match="first pass"):
        occurrences.add(bytes(16))
