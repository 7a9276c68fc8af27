"""What answers have named: the latest are known exactly, and in little memory."""

from __future__ import annotations

import tracemalloc

from bulkops.sending.named import KEPT, Named


def test_an_id_is_new_once() -> None:
    """Of many ids none is taken for another one, and each is known from then on."""
    named = Named()
    ids = [f"agent_{number}" for number in range(KEPT)]
    assert all(named.add(entity) for entity in ids)
    assert not any(named.add(entity) for entity in ids)


def test_the_latest_are_known() -> None:
    """However many there were, the last 32,768 are known."""
    named = Named()
    for number in range(3 * KEPT + 1000):
        assert named.add(f"agent_{number}")
    assert not any(named.add(f"agent_{number}") for number in range(2 * KEPT + 1000, 3 * KEPT + 1000))


def test_what_is_remembered_does_not_grow() -> None:
    """A long run remembers its ids in less than a megabyte."""
    tracemalloc.start()
    try:
        named = Named()
        for number in range(3 * KEPT):
            named.add(f"agent_{number}")
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken < 1_000_000
