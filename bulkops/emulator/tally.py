"""What a server has heard and said, in numbers."""

from __future__ import annotations

from array import array
from collections import Counter


class Tally:
    """Counts of requests under /v1/convai; `window` is the length (seconds) of the windows looked at.

    `total` counts arrivals from `first` to `last`, `endpoints` those that reached an endpoint, `statuses` the answers,
    `unanswered` the requests that ended without one (aborted, or given up by the client). `refused` tells why an
    answer was 429: for the `limit`, for `concurrency`, as `system_busy`, or by another `fault`.
    """

    def __init__(self, window: float) -> None:
        self.window = window
        self.total = 0
        self.first = self.last = 0.0
        self.unanswered = 0
        self.endpoints: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()
        self.refused: Counter[str] = Counter()
        self._seconds: Counter[int] = Counter()
        self._admitted: dict[str, array[float]] = {}

    def arrived(self, now: float) -> int:
        """Count a request; its ordinal, from 1."""
        if not self.total:
            self.first = now
        self.last = now
        self.total += 1
        self._seconds[int(now - self.first)] += 1
        return self.total

    def admitted(self, world: str, now: float) -> None:
        """Note when the limit of a world let a request through (eight bytes for each)."""
        self._admitted.setdefault(world, array("d")).append(now)

    @property
    def unauthorized(self) -> int:
        """How many answers were 401."""
        return self.statuses[401]

    @property
    def limited(self) -> int:
        """How many answers were 429."""
        return self.statuses[429]

    @property
    def server_errors(self) -> int:
        """How many answers were 5xx."""
        return sum(count for status, count in self.statuses.items() if status >= 500)  # noqa: PLR2004 - the first server error

    @property
    def busiest_second(self) -> int:
        """How many requests came in one of the seconds since the first, at most."""
        return max(self._seconds.values(), default=0)

    def most_in_a_window(self) -> int:
        """Give the largest number of requests of one world that were admitted within any sliding window."""
        most = 0
        for times in self._admitted.values():
            first = 0
            for last, moment in enumerate(times):
                while times[first] <= moment - self.window:
                    first += 1
                most = max(most, last - first + 1)
        return most
