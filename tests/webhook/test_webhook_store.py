"""Keeping: durable before it is told, once, many together."""

from __future__ import annotations

import asyncio
import os
import stat
import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import pytest

from bulkops.webhook.recent import Recent
from bulkops.webhook.spool import files
from bulkops.webhook.store import NotKept, Store
from bulkops.webhook.writer import SpoolWriter
from tests.webhook.test_webhook_writer import delivery, file_limit
from tests.webhook.webhook_doubles import conversations, run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from bulkops.webhook.writer import Delivery


class Counting(SpoolWriter):
    """A writer that remembers how many came at once."""

    batches: list[int]

    def append(self, deliveries: Sequence[Delivery]) -> None:
        """Append, and note."""
        self.batches.append(len(deliveries))
        super().append(deliveries)


@asynccontextmanager
async def storing(spool: Path) -> AsyncIterator[tuple[Store, Counting]]:
    """Run a store on a spool."""
    writer = Counting(spool, 2**20)
    writer.batches = []
    writer.prepare()
    store = Store(writer, Recent())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(store.run)
        yield store, writer
        tasks.cancel_scope.cancel()
    writer.close()


def test_what_waits_is_written_together(tmp_path: Path) -> None:
    """A hundred that come at once take a few writes, and each is there when its wait ends."""

    async def main() -> None:
        async with storing(tmp_path) as (store, writer):

            async def keep(number: int) -> None:
                assert await store.keep(delivery(number))
                assert f"conv_{number}" in conversations(tmp_path)

            await asyncio.gather(*(keep(number) for number in range(100)))
            assert sum(writer.batches) == 100
            assert len(writer.batches) <= 3

    run(main)


def test_nobody_hears_before_the_disk_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the lines, the new file's name and its folder's are not synced, no wait ends."""
    real, go_on, synced = os.fsync, threading.Event(), []

    def held(descriptor: int) -> None:
        assert go_on.wait(30)
        content = os.fstat(descriptor)
        synced.append("folder" if stat.S_ISDIR(content.st_mode) else content.st_size)
        real(descriptor)

    async def main() -> None:
        async with storing(tmp_path) as (store, _):
            monkeypatch.setattr(os, "fsync", held)
            waits = [asyncio.create_task(store.keep(delivery(number))) for number in range(3)]
            done, _ = await asyncio.wait(waits, timeout=0.1)
            assert not done
            go_on.set()
            assert await asyncio.gather(*waits) == [True] * 3
        sizes = [file.path.stat().st_size for file in files(tmp_path)]
        assert synced == ["folder", "folder", *sizes]

    run(main)


def test_the_same_is_kept_once(tmp_path: Path) -> None:
    """Delivered again, before or after the first is on the disk, it is acknowledged and not written."""

    async def main() -> None:
        async with storing(tmp_path) as (store, _):
            told = await asyncio.gather(*(store.keep(delivery(number % 2)) for number in range(10)))
            assert sorted(told) == [False] * 8 + [True] * 2
            assert not await store.keep(delivery(1))
        assert sorted(conversations(tmp_path)) == ["conv_0", "conv_1"]

    run(main)


def test_what_the_disk_refuses_is_told_to_all_who_wait(tmp_path: Path) -> None:
    """Nobody hears that it was kept, it is not taken for known, and it can be kept when there is room again."""

    async def main() -> None:
        async with storing(tmp_path) as (store, _):
            assert await store.keep(delivery(0))
            size = files(tmp_path)[0].path.stat().st_size
            with file_limit(size):
                told = await asyncio.gather(
                    *(store.keep(delivery(number)) for number in (1, 1, 2)), return_exceptions=True
                )
            assert [type(one) for one in told] == [NotKept] * 3
            assert (store.trouble,) == ("File too large",)
            assert [await store.keep(delivery(number)) for number in (1, 1, 2)] == [True, False, True]
            assert store.trouble is None
        assert conversations(tmp_path) == ["conv_0", "conv_1", "conv_2"]

    run(main)


def test_a_mistake_in_the_writer_is_no_acknowledgement(tmp_path: Path) -> None:
    """Whatever else goes wrong while writing, nobody hears that it was kept."""

    class Broken(SpoolWriter):
        def append(self, deliveries: Sequence[Delivery]) -> None:
            raise RuntimeError

    async def main() -> None:
        store = Store(Broken(tmp_path, 1), Recent())
        heard: list[bool] = []

        async def keep() -> None:
            try:
                heard.append(await store.keep(delivery(1)))
            except NotKept:
                heard.append(False)

        async def both() -> None:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(store.run)
                tasks.start_soon(keep)

        with pytest.raises(ExceptionGroup):
            await both()
        assert heard in ([], [False])

    run(main)


def test_who_does_not_wait_any_more_harms_nobody(tmp_path: Path) -> None:
    """One that is cancelled is written all the same, and others that wait for the same hear of it."""

    async def main() -> None:
        async with storing(tmp_path) as (store, _):
            first = asyncio.create_task(store.keep(delivery(1)))
            await asyncio.sleep(0)
            second = asyncio.create_task(store.keep(delivery(1)))
            await asyncio.sleep(0)
            first.cancel()
            assert not await second
        assert conversations(tmp_path) == ["conv_1"]

    run(main)
