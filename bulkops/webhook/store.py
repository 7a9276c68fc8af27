"""Keeps deliveries durably and once: all that wait are written together, with one sync, and then told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio
from anyio import to_thread

if TYPE_CHECKING:
    from bulkops.webhook.recent import Recent
    from bulkops.webhook.writer import Delivery, SpoolWriter


@dataclass(slots=True)
class _Batch:
    deliveries: list[Delivery] = field(default_factory=list)
    begun: anyio.Event = field(default_factory=anyio.Event)
    ended: anyio.Event = field(default_factory=anyio.Event)
    kept: bool = False


class NotKept(Exception):
    """The disk has refused a delivery: whoever sent it has to hear so, and send it again."""


class Store:
    """Where deliveries are kept. `run` has to run while anything is kept; for one event loop."""

    def __init__(self, writer: SpoolWriter, recent: Recent) -> None:
        self._writer = writer
        self._recent = recent
        self._alone = anyio.CapacityLimiter(1)
        self._next = _Batch()
        self._coming: dict[str, _Batch] = {}
        self.trouble: str | None = None
        """What the disk said to the last write, if it refused it."""

    async def keep(self, delivery: Delivery) -> bool:
        """Keep a delivery; when it returns, it is on the disk. Tell whether it was new.

        Raises NotKept when it is not.
        """
        if delivery.sha256 in self._recent:
            return False
        batch = self._coming.get(delivery.sha256)
        new = batch is None
        if batch is None:
            batch = self._coming[delivery.sha256] = self._next
            batch.deliveries.append(delivery)
            batch.begun.set()
        await batch.ended.wait()
        if not batch.kept:
            raise NotKept
        return new

    async def run(self) -> None:
        """Write what is to be kept, until cancelled; what is being written then is finished."""
        while True:
            await self._next.begun.wait()
            batch, self._next = self._next, _Batch()
            try:
                await to_thread.run_sync(self._writer.append, batch.deliveries, limiter=self._alone)
            except OSError as refused:
                self.trouble = refused.strerror or type(refused).__name__
            else:
                self.trouble = None
                batch.kept = True
                for delivery in batch.deliveries:
                    self._recent.add(delivery.sha256)
            finally:
                for delivery in batch.deliveries:
                    del self._coming[delivery.sha256]
                batch.ended.set()
