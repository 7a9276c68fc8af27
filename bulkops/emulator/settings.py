"""How one emulator is set up."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from .algorithms import Algorithm
from .limits import TIERS
from .schedule import Schedule

if TYPE_CHECKING:
    from pathlib import Path

    from .webhook import Webhook

_PORTS = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class EmulatorSettings:
    """The setting of an emulator; valid once it exists (ValueError with the remedy otherwise).

    - `api`: what it speaks, the `reference` or the `live` API.
    - `host`, `port`: where it listens; port 0 is a free one.
    - `tier`: `standard` (100/min), `pro` (500/min) or None (no limit); the live API has none, whatever is said here.
      `limit` requests per `period` seconds, when given, takes its place.
    - `limit_algorithm`: how it is kept. `limit_burst`: how many a token bucket (the limit itself) or GCRA (5)
      admits at once. `rejects_count`: whether, in windows, refused requests count too.
    - `rate_headers`: whether answers carry X-RateLimit-*. `retry_after`: whether a 429 of the limit says when to
      come again.
    - `concurrency`: how many requests of a key are served at once (None: any number); one too many is refused
      after `concurrency_queue` seconds. `concurrency_headers`: whether answers tell the numbers.
    - `foreign`: how much somebody else asks of each key, as a share of the limit at the start; `foreign_burst`: how
      many of theirs come at once.
    - `time_scale`: divides the period, index times and lengths of calls; 10 makes a minute six seconds.
    - `index_time`: seconds an index takes; None draws from a lognormal with median 20.
    - `index_bytes`: how much the indexes of a key may take up, told and kept by the live API.
    - `latency`: seconds added to each answer, fixed or drawn from (least, most); half of it passes before the
      effect and half after. Neither latency nor the seconds of faults and of the queue are scaled.
    - `keys`: the keys it knows; None knows every key that is not empty. Each has a world of its own.
    - `seed`: of all chance. `conversations`: how many each key starts with, `conv_seed_0001` and on.
    - `transcripts`: whether a transcript is told as a `text`, as the reference shows it, or as a list of `turns`.
    - `webhook`: where the events of calls that have ended go; None for nowhere.
    - `faults`: what goes wrong when. `effects_file`: where requests and effects are noted, see `journal`.
    """

    api: Literal["reference", "live"] = "reference"
    host: str = "127.0.0.1"
    port: int = 0
    tier: Literal["standard", "pro"] | None = "standard"
    limit: int | None = None
    period: float = 60.0
    limit_algorithm: Algorithm = Algorithm.FIXED_FROM_FIRST
    limit_burst: int | None = None
    rejects_count: bool = False
    rate_headers: bool = True
    retry_after: bool = True
    concurrency: int | None = None
    concurrency_queue: float = 0.0
    concurrency_headers: bool = True
    foreign: float = 0.0
    foreign_burst: int = 1
    time_scale: float = 1.0
    index_time: float | None = None
    index_bytes: int = 1_000_000_000
    latency: float | tuple[float, float] = 0.0
    keys: tuple[str, ...] | None = None
    seed: int = 0
    conversations: int = 0
    transcripts: Literal["text", "turns"] = "text"
    webhook: Webhook | None = None
    faults: Schedule = field(default_factory=Schedule)
    effects_file: Path | None = None

    def __post_init__(self) -> None:
        low, high = self.latency_range
        keys = self.keys
        checks = (
            (self.api in ("reference", "live"), f"unknown API {self.api!r}; one of reference, live"),
            (
                0 <= self.port < _PORTS,
                f"there is no port {self.port}; choose 1 to 65535, or 0 for a free one",
            ),
            (
                self.tier in (None, *TIERS),
                f"unknown tier {self.tier!r}; one of {', '.join(TIERS)}, or a limit",
            ),
            (self.limit is None or self.limit >= 1, "a limit is at least 1 request; leave it out for none"),
            (
                self.limit_burst is None or (self.limit_burst >= 1 and not self.limit_algorithm.has_windows),
                "a burst is at least 1 request, of a token-bucket or gcra",
            ),
            (
                not self.rejects_count or self.limit_algorithm.has_windows,
                f"refused requests count in windows; {self.limit_algorithm} has none",
            ),
            (self.concurrency is None or self.concurrency >= 1, "at least 1 request is served at a time"),
            (self.concurrency_queue >= 0, "nobody waits less than 0 seconds for a place"),
            (
                self.foreign == 0 or (self.foreign > 0 and self._has_limit),
                "others on the key ask for a share, greater than 0, of a limit",
            ),
            (self.foreign_burst >= 1, "others come at least 1 at once"),
            (self.period > 0, "a period is longer than 0 seconds"),
            (self.time_scale > 0, "a time scale is greater than 0; 1 is real time"),
            (self.index_time is None or self.index_time >= 0, "an index time cannot be negative"),
            (self.index_bytes >= 0, "indexes take up 0 bytes or more"),
            (
                self.webhook is None or self.api == "reference" or self.webhook.signature == "timestamped",
                "events of the live API have the signature timestamped",
            ),
            (0 <= low <= high, "a latency cannot be negative, nor end before it begins"),
            (self.conversations >= 0, "the number of conversations cannot be negative"),
            (
                self.transcripts in ("text", "turns"),
                f"unknown transcripts {self.transcripts!r}; one of text, turns",
            ),
            (
                keys is None or (keys and all(keys)),
                "give at least one key, none of them empty; None takes any",
            ),
        )
        for holds, message in checks:
            if not holds:
                raise ValueError(message)

    @property
    def latency_range(self) -> tuple[float, float]:
        """The least and the greatest latency in seconds."""
        return self.latency if isinstance(self.latency, tuple) else (self.latency, self.latency)

    @property
    def rate(self) -> tuple[int, float] | None:
        """Requests, and the (scaled) seconds they are for; None without a limit."""
        if self.limit is not None:
            return self.limit, self.period / self.time_scale
        if self.tier is None or not self._has_limit:
            return None
        limit, period = TIERS[self.tier]
        return limit, period / self.time_scale

    @property
    def _has_limit(self) -> bool:
        return self.limit is not None or (self.tier is not None and self.api == "reference")
