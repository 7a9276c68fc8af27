"""What a server has seen, in the numbers that matter to whoever paces a client."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True, slots=True)
class Statistics:
    """Counts since the start.

    `seconds` lie between the first and the last of the `requests`, refused ones included. `limit` is requests
    and (scaled) seconds as they are now. `most_in_a_window` were admitted of one key in any so many seconds.
    `refused` tells the answers 429 by kind: for the `limit`, for `concurrency`, as `system_busy`, by another
    `fault`. `others_admitted` and `others_refused` are requests of others on the keys, until the last of our own.
    `most_at_once` were in service at once of one key (0 without a limit of these). `deliveries` tells the attempts to
    deliver events by their end.
    """

    requests: int
    seconds: float
    busiest_second: int
    limit: tuple[int, float] | None
    window: float
    most_in_a_window: int
    refused: Mapping[str, int]
    others_admitted: int
    others_refused: int
    most_at_once: int
    deliveries: Mapping[str, int]

    @property
    def per_second(self) -> float:
        """How many requests came in a second, on average."""
        return (self.requests - 1) / self.seconds if self.seconds else float(self.requests)

    def lines(self) -> Iterator[str]:
        """Yield the same for people."""
        yield (
            f"{self.requests:,} requests in {self.seconds:.1f} s: {self.per_second:.2f} a second, "
            f"{self.busiest_second:,} in the busiest one"
        )
        limit = "without a limit" if self.limit is None else f"the limit is {self.limit[0]:,}"
        yield f"at most {self.most_in_a_window:,} admitted of a key in any {self.window:g} s; {limit}"
        if self.most_at_once:
            yield f"at most {self.most_at_once:,} in service at once"
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in self.refused.items())
        yield f"429: {kinds or 'none'}"
        if self.others_admitted or self.others_refused:
            yield f"others on the key: {self.others_admitted:,} admitted, {self.others_refused:,} refused"
        if self.deliveries:
            ends = ", ".join(f"{end} {count:,}" for end, count in self.deliveries.items())
            yield f"webhook: {ends}"
