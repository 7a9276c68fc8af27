"""What one running emulator holds: accounts, faults to come, the tally, the effects."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import suppress
from dataclasses import asdict
from random import Random
from typing import TYPE_CHECKING, Any

from .account import open_account
from .answers import Refusal
from .deliveries import Deliveries
from .faults import Faults
from .journal import Journal
from .spelling import SPELLINGS
from .statistics import Statistics
from .tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable

    from .account import Account
    from .answers import Answer
    from .calls import Conversation
    from .deliveries import Delivery
    from .journal import Received
    from .settings import EmulatorSettings
    from .things import Effect
    from .world import World


class Service:
    """The state of a server. `now` is its clock (monotonic seconds), `epoch` the wall clock at its 0.

    `acting` is the request that is taking effect at this moment.
    """

    def __init__(
        self,
        settings: EmulatorSettings,
        *,
        now: Callable[[], float] = time.monotonic,
        epoch: float | None = None,
    ) -> None:
        self.settings = settings
        self.spelling = SPELLINGS[settings.api]
        self.now = now
        self.epoch = time.time() - now() if epoch is None else epoch
        self.rng = Random(settings.seed)
        self.faults = Faults(settings.faults.rules)
        self.tally = Tally(settings.rate[1] if settings.rate else settings.period / settings.time_scale)
        self.effects: list[Effect] = []
        self.delivered: list[Delivery] = []
        """What came of each attempt to deliver an event, in order."""
        self.deliveries = self._deliveries()
        self.journal: Journal | None = None
        self.acting: Received | None = None
        self.last: dict[tuple[str, str], Answer] = {}
        """The last answer of each endpoint of each world."""
        self._accounts: dict[str, Account] = {}
        self._changes: list[tuple[float, int]] = []
        self._late: list[asyncio.TimerHandle] = []

    def open(self) -> None:
        """Open the journal, if one is wanted."""
        if self.settings.effects_file is not None:
            self.journal = Journal(self.settings.effects_file, self.epoch + self.now())

    def close(self) -> None:
        """Close the journal; effects that are still to come do not come any more."""
        for each in self._late:
            each.cancel()
        if self.journal is not None:
            self.journal.close()

    def later(self, seconds: float, act: Callable[[], object]) -> None:
        """Let something take effect in so many seconds; what is refused then has none, and nobody hears of it."""

        def act_alone() -> None:
            with suppress(Refusal):
                act()

        self._late.append(asyncio.get_running_loop().call_later(seconds, act_alone))

    def account(self, key: str) -> Account | None:
        """Give the account of a key, made when it is first used; None for a key that is not known here."""
        account = self._accounts.get(key)
        known = self.settings.keys
        if account is None and key and (known is None or key in known):
            # A test may ask for the world from another thread while its first request arrives.
            account = self._accounts.setdefault(key, self._open(key))
        return account

    def change_limit(self, limit: int) -> None:
        """Let every key have `limit` requests in each period from now on. Any thread may call it.

        Raises ValueError, with the remedy, for a limit below 1, and on a server that was started without one.
        """
        if limit < 1:
            raise ValueError("a limit is at least 1 request")
        if self.settings.rate is None:
            raise ValueError("this server has no limit to change; start it with one")
        self._changes.append((self.now(), limit))

    @property
    def rate(self) -> tuple[int, float] | None:
        """Requests, and the (scaled) seconds they are for, as they are now; None without a limit."""
        rate = self.settings.rate
        return (self._changes[-1][1], rate[1]) if rate is not None and self._changes else rate

    def foreign(self, agent_id: str) -> bool:
        """Whether any account has this agent: asked when the caller's own has not."""
        return any(agent_id in account.world.agents for account in self._accounts.values())

    def statistics(self) -> Statistics:
        """Sum up what came and what passed."""
        tally, accounts = self.tally, list(self._accounts.values())
        met = [each.admission for each in accounts if each.admission is not None]
        return Statistics(
            requests=tally.total,
            seconds=tally.last - tally.first,
            busiest_second=tally.busiest_second,
            limit=self.rate,
            window=tally.window,
            most_in_a_window=tally.most_in_a_window(),
            refused=dict(tally.refused),
            others_admitted=sum(each.others_admitted for each in met),
            others_refused=sum(each.others_refused for each in met),
            most_at_once=max((each.places.peak for each in accounts if each.places is not None), default=0),
            deliveries=Counter(each.ended for each in list(self.delivered)),
        )

    def state(self) -> dict[str, Any]:
        """Show counters, limits and sizes as JSON."""
        tally, rate, statistics = self.tally, self.rate, self.statistics()
        return {
            "requests": tally.total,
            "unanswered": tally.unanswered,
            "endpoints": dict(tally.endpoints),
            "statuses": {str(status): count for status, count in tally.statuses.items()},
            "refused": statistics.refused,
            "per_second": statistics.per_second,
            "busiest_second": statistics.busiest_second,
            "most_in_a_window": statistics.most_in_a_window,
            "most_at_once": statistics.most_at_once,
            "others": {"admitted": statistics.others_admitted, "refused": statistics.others_refused},
            "effects": len(self.effects),
            "deliveries": statistics.deliveries,
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

    def deliveries_told(self) -> dict[str, Any]:
        """Show what came of the events as JSON."""
        return {"deliveries": [asdict(each) for each in list(self.delivered)]}

    def _deliveries(self) -> Deliveries | None:
        settings = self.settings
        if settings.webhook is None:
            return None
        return Deliveries(
            settings.webhook,
            self.faults,
            self.spelling.event,
            now=self.now,
            epoch=self.epoch,
            time_scale=settings.time_scale,
            rng=Random(f"{settings.seed}:webhook"),
            on_delivery=self._note_delivery,
        )

    def _open(self, key: str) -> Account:
        account = open_account(
            key,
            self.settings,
            now=self.now(),
            epoch=self.epoch,
            changes=self._changes,
            thinking=self.spelling.thinking,
            on_effect=self._note,
            on_call=self._expect,
        )
        if self.settings.webhook is not None and self.settings.webhook.seeded:
            for call in account.world.conversations.values():
                self._expect(account.world, call)
        return account

    def _expect(self, world: World, call: Conversation) -> None:
        if self.deliveries is not None:
            self.deliveries.expect(world, call)

    def _note_delivery(self, delivery: Delivery) -> None:
        self.delivered.append(delivery)
        if self.journal is not None:
            self.journal.delivery(delivery)

    def _note(self, effect: Effect) -> None:
        self.effects.append(effect)
        if self.journal is not None:
            self.journal.effect(effect, self.acting)
