"""What stands behind one API key: a world, and what its requests have to pass."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from .admission import Admission, Others
from .algorithms import make_limit
from .places import Places
from .world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .calls import Conversation
    from .settings import EmulatorSettings
    from .things import Effect


@dataclass(frozen=True, slots=True)
class Account:
    """A key's world, the limit its requests pass, and the places they are served at (None: without end)."""

    world: World
    admission: Admission | None
    places: Places | None


def open_account(
    key: str,
    settings: EmulatorSettings,
    *,
    now: float,
    epoch: float,
    changes: Sequence[tuple[float, int]],
    thinking: float,
    on_effect: Callable[[Effect], None],
    on_call: Callable[[World, Conversation], None],
) -> Account:
    """Make the account of a key that is first used at `now` (monotonic; `epoch` is the wall clock at its 0).

    `changes` are those of the limit, past and to come; `thinking` is how long a call is analysed.
    """
    # Worlds are told apart by a digest: a key stands in no file and no answer.
    label = hashlib.sha256(key.encode()).hexdigest()[:12]
    world = World(
        label=label,
        rng=Random(f"{settings.seed}:{label}"),
        epoch=epoch,
        time_scale=settings.time_scale,
        index_time=settings.index_time,
        turns=settings.transcripts == "turns",
        thinking=thinking,
        index_bytes=settings.index_bytes,
        on_effect=on_effect,
        on_call=on_call,
    )
    world.seed(settings.conversations, now)
    places = (
        None if settings.concurrency is None else Places(settings.concurrency, settings.concurrency_queue)
    )
    return Account(world, _admission(label, settings, now, epoch, changes), places)


def _admission(
    label: str, settings: EmulatorSettings, now: float, epoch: float, changes: Sequence[tuple[float, int]]
) -> Admission | None:
    if settings.rate is None:
        return None
    requests, period = settings.rate
    limit = make_limit(
        settings.limit_algorithm,
        requests,
        period,
        origin=-(epoch % period),
        burst=settings.limit_burst,
        rejects_count=settings.rejects_count,
    )
    others = None
    if settings.foreign:
        # They were there before this one: for as long as a limit remembers.
        rate, rng = settings.foreign * requests / period, Random(f"{settings.seed}:{label}:others")
        others = Others(rate, settings.foreign_burst, begin=now - period, rng=rng)
    return Admission(limit, others, changes)
