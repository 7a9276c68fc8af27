"""What one running emulator holds: accounts, faults to come, the tally, the effects."""

from __future__ import annotations

import hashlib
import time
from dataclasses import asdict, dataclass
from random import Random
from typing import TYPE_CHECKING, Any, BinaryIO

import orjson

from .algorithms import make_limit
from .faults import Faults
from .tally import Tally
from .world import World

if TYPE_CHECKING:
    from collections.abc import Callable

    from .limits import Limit
    from .settings import EmulatorSettings
    from .things import Effect


@dataclass(frozen=True, slots=True)
class Account:
    """A key's world, and the limit its requests pass (None: no limit)."""

    world: World
    limit: Limit | None


class Service:
    """The state of a server. `now` is its clock (monotonic seconds), `epoch` the wall clock at its 0."""

    def __init__(
        self,
        settings: EmulatorSettings,
        *,
        now: Callable[[], float] = time.monotonic,
        epoch: float | None = None,
    ) -> None:
        self.settings = settings
        self.now = now
        self.epoch = time.time() - now() if epoch is None else epoch
        self.rng = Random(settings.seed)
        self.faults = Faults(settings.faults.rules)
        self.tally = Tally(settings.rate[1] if settings.rate else settings.period / settings.time_scale)
        self.effects: list[Effect] = []
        self._accounts: dict[str, Account] = {}
        self._file: BinaryIO | None = None

    def open(self) -> None:
        """Open the effects file, if there is one; without a buffer, so that a line is with the OS at once."""
        if self.settings.effects_file is not None:
            self._file = self.settings.effects_file.open("ab", buffering=0)

    def close(self) -> None:
        """Close the effects file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def account(self, key: str) -> Account | None:
        """Give the account of a key, made when it is first used; None for a key that is not known here."""
        account = self._accounts.get(key)
        known = self.settings.keys
        if account is None and key and (known is None or key in known):
            # A test may ask for the world from another thread while its first request arrives.
            account = self._accounts.setdefault(key, self._open_account(key))
        return account

    def foreign(self, agent_id: str) -> bool:
        """Whether any account has this agent: asked when the caller's own has not."""
        return any(agent_id in account.world.agents for account in self._accounts.values())

    def state(self) -> dict[str, Any]:
        """Show counters, limits and sizes as JSON."""
        tally, rate = self.tally, self.settings.rate
        return {
            "requests": tally.total,
            "unanswered": tally.unanswered,
            "endpoints": dict(tally.endpoints),
            "statuses": {str(status): count for status, count in tally.statuses.items()},
            "most_in_a_window": tally.most_in_a_window(),
            "effects": len(self.effects),
            "worlds": {
                account.world.label: len(account.world.effects) for account in self._accounts.values()
            },
            "limit": None if rate is None else {"requests": rate[0], "seconds": rate[1]},
            "time_scale": self.settings.time_scale,
        }

    def history(self, key: str | None) -> dict[str, Any]:
        """Show the effects as JSON, all or those of one key."""
        account = self._accounts.get(key) if key is not None else None
        chosen = self.effects if key is None else account.world.effects if account is not None else []
        return {"effects": [asdict(effect) for effect in chosen]}

    def _open_account(self, key: str) -> Account:
        settings = self.settings
        # Worlds are told apart by a digest: a key stands in no file and no answer.
        label = hashlib.sha256(key.encode()).hexdigest()[:12]
        world = World(
            label=label,
            rng=Random(f"{settings.seed}:{label}"),
            epoch=self.epoch,
            time_scale=settings.time_scale,
            index_time=settings.index_time,
            on_effect=self._note,
        )
        world.seed(settings.conversations, self.now())
        return Account(world, self._make_limit())

    def _make_limit(self) -> Limit | None:
        settings = self.settings
        if settings.rate is None:
            return None
        limit, period = settings.rate
        return make_limit(
            settings.limit_algorithm,
            limit,
            period,
            origin=-(self.epoch % period),
            burst=settings.limit_burst,
            rejects_count=settings.rejects_count,
        )

    def _note(self, effect: Effect) -> None:
        self.effects.append(effect)
        if self._file is not None:
            self._file.write(orjson.dumps(asdict(effect)) + b"\n")
