"""Events that were recorded, taken into a spool as if they were delivered; who recorded them is believed."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bulkops.webhook.checking import NoEvent, delivery_of
from bulkops.webhook.recent import Recent
from bulkops.webhook.spool import day_of, parts_of
from bulkops.webhook.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bulkops.api import Webhook
    from bulkops.webhook.writer import Delivery, SpoolWriter

KNOWN = 1_000_000
_AT_ONCE = 1000
_BYTES_AT_ONCE = 2**23
_OF_OURS = b'{"received_at":"'


@dataclass(slots=True)
class Replay:
    """Takes recorded events into a spool. `problem` hears of a line that holds none, by its number."""

    writer: SpoolWriter
    webhook: Webhook
    problem: Callable[[int, str], None]
    tally: Tally = field(default_factory=Tally)
    _recent: Recent = field(default_factory=lambda: Recent(KNOWN))
    _days: set[str] = field(default_factory=set)
    _batch: dict[str, Delivery] = field(default_factory=dict)
    _bytes: int = 0

    def take(self, lines: Iterable[bytes]) -> None:
        """Take every line: an event, or a line of another spool, whose day and digest are kept.

        When it returns, all are on the disk. Raises OSError when the disk refuses them.
        """
        for number, raw in enumerate(lines, 1):
            if _is_torn(raw):
                self.problem(number, "is cut off, and so was never acknowledged; left out")
            elif raw.strip():
                self._take(number, raw)
        self._write()

    def _take(self, number: int, raw: bytes) -> None:
        try:
            delivery = self._delivery(raw)
        except NoEvent as flaw:
            self.tally.refused[0, str(flaw)] += 1
            self.problem(number, f"is left out: {flaw}")
            return
        self._look_at(day_of(delivery.received_at))
        if delivery.sha256 in self._recent or delivery.sha256 in self._batch:
            self.tally.known += 1
            return
        self._batch[delivery.sha256] = delivery
        self._bytes += len(delivery.body)
        if len(self._batch) >= _AT_ONCE or self._bytes >= _BYTES_AT_ONCE:
            self._write()

    def _delivery(self, raw: bytes) -> Delivery:
        parts = parts_of(raw)
        if parts is None:
            return delivery_of(raw.strip(), time.time(), self.webhook)
        at, sha256, body = parts
        return delivery_of(body, at, self.webhook, sha256)

    def _look_at(self, day: str) -> None:
        """Know what the spool has of a day, before anything is added to it."""
        if day not in self._days:
            self._write()
            self._days.add(day)
            self._recent.fill(self.writer.spool, [day])

    def _write(self) -> None:
        if self._batch:
            self.writer.append(list(self._batch.values()))
            for sha256 in self._batch:
                self._recent.add(sha256)
            self.tally.kept += len(self._batch)
            self._batch.clear()
            self._bytes = 0


def _is_torn(raw: bytes) -> bool:
    """Tell whether this is the end of a spool's file that its writer did not finish."""
    return not raw.endswith(b"\n") and raw.startswith(_OF_OURS)
