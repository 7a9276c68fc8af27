"""What answers have named: known exactly, and in little memory."""

from __future__ import annotations

import tracemalloc

from bulkops.sending.named import Named

MANY = 200_000


def test_an_id_is_new_once() -> None:
    """Of many ids none is taken for another one, and each is known from then on."""
    named = Named()
    ids = [f"agent_{number}" for number in range(20_000)]
    assert all(named.add(entity) for entity in ids)
    assert not any(named.add(entity) for entity in ids)


def test_an_id_takes_few_bytes() -> None:
    """Twelve bytes at most, the fixed part not counted, which is a megabyte and a half."""
    tracemalloc.start()
    try:
        named = Named()
        for number in range(MANY):
            named.add(f"agent_{number}")
        taken, _ = tracemalloc.get_traced_memory()
        for number in range(MANY, 2 * MANY):
            named.add(f"agent_{number}")
        more, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (more - taken) / MANY <= 12
    assert taken <= 12 * MANY + 2_000_000
