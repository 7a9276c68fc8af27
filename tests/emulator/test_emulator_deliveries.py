"""When events are delivered, again and again or not at all, in virtual time and to somebody who plays along."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from bulkops.emulator import Schedule, Webhook, World
from bulkops.emulator.deliveries import QUEUED, RETRIES, Deliveries
from bulkops.emulator.faults import Faults
from bulkops.emulator.webhook import post_call
from tests.jumping import run_jumping

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bulkops.emulator import Delivery

EPOCH = 1_700_000_000.0
DAY = 86_400.0


class Played:
    """A play of so many calls that begin at once: what was sent when, and what was noted."""

    def __init__(
        self,
        calls: int = 1,
        answer: Callable[[int], int | None] = lambda _: 200,
        faults: list[Any] | None = None,
        *,
        takes: float = 0.0,
        time_scale: float = 1.0,
        **webhook: Any,
    ) -> None:
        self.sent: list[tuple[float, dict[str, Any], Mapping[str, str]]] = []
        self.noted: list[Delivery] = []
        self.most_at_once = 0
        self.webhook = Webhook(url="http://127.0.0.1/", secret=b"s", **webhook)
        at_once = 0

        async def post(body: bytes, headers: Mapping[str, str]) -> int | None:
            nonlocal at_once
            self.sent.append((asyncio.get_running_loop().time(), json.loads(body), headers))
            status = answer(len(self.sent))
            at_once += 1
            self.most_at_once = max(self.most_at_once, at_once)
            await anyio.sleep(takes)
            at_once -= 1
            return status

        async def play() -> None:
            deliveries = Deliveries(
                self.webhook,
                Faults(Schedule.parse(faults or []).rules),
                post_call,
                now=asyncio.get_running_loop().time,
                epoch=EPOCH,
                time_scale=time_scale,
                rng=Random(1),
                on_delivery=self.noted.append,
            )
            world = World(
                label="w", rng=Random(7), epoch=EPOCH, time_scale=time_scale, on_call=deliveries.expect
            )
            with anyio.move_on_after(DAY):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(deliveries.run, post)
                    await anyio.sleep(1)
                    self.calls = [world.start_conversation("agent_1", now=1.0) for _ in range(calls)]

        run_jumping(play)

    @property
    def ids(self) -> list[str]:
        """The conversations that were sent, in order."""
        return [event["data"]["conversation_id"] for _, event, _ in self.sent]

    @property
    def moments(self) -> list[float]:
        """When they were sent."""
        return [at for at, _, _ in self.sent]

    @property
    def ends(self) -> list[str]:
        """How each attempt ended."""
        return [each.ended for each in self.noted]


def by_end(played: Played) -> list[str]:
    """Return the ids of the calls in the order in which they end."""
    return [call.conversation_id for call in sorted(played.calls, key=lambda call: call.ends)]


def test_each_call_is_delivered_when_it_ends() -> None:
    """Each is sent once, at its end, whatever the order in which they began."""
    played = Played(20)
    assert played.ids == by_end(played)
    assert played.moments == pytest.approx(sorted(call.ends for call in played.calls), abs=1e-3)
    assert played.ends == ["delivered"] * 20


@pytest.mark.parametrize("status", [500, 429, 408, 404, 302, None])
def test_without_retries_each_is_tried_once(status: int | None) -> None:
    """As the reference has no word of retries, an event that fails is lost."""
    played = Played(3, lambda _: status)
    assert len(played.sent) == 3
    assert played.ends == ["unanswered" if status is None else "refused"] * 3
    assert not any(each.again for each in played.noted)


@pytest.mark.parametrize("status", [500, 503, 429, 408, None])
@pytest.mark.parametrize("time_scale", [1.0, 10.0])
def test_retries_come_as_the_service_makes_them(status: int | None, time_scale: float) -> None:
    """Five attempts: at once, then 30 s, 2, 8 and 30 minutes later, each up to a tenth later; scaled as all time is."""
    played = Played(1, lambda _: status, retries=True, time_scale=time_scale)
    waits = [(later - before) * time_scale for before, later in pairwise(played.moments)]
    assert len(waits) == len(RETRIES)
    assert all(least - 1e-3 <= wait <= least * 1.1 + 1e-3 for wait, least in zip(waits, RETRIES, strict=True))
    assert any(wait > least * 1.001 for wait, least in zip(waits, RETRIES, strict=True))
    assert [(each.attempt, each.again) for each in played.noted] == [(n, n < 5) for n in range(1, 6)]
    assert len({each.sha256 for each in played.noted}) == 1


def test_retries_end_with_the_first_success() -> None:
    """What is taken at last is not sent again."""
    played = Played(1, lambda number: 200 if number == 3 else 503, retries=True)
    assert played.ends == ["refused", "refused", "delivered"]


@pytest.mark.parametrize("status", [400, 401, 404, 413, 302])
def test_what_will_not_pass_later_is_not_tried_again(status: int) -> None:
    """A refusal that says that the event is wrong, or a redirect, ends it."""
    assert len(Played(1, lambda _: status, retries=True).sent) == 1


def test_a_retry_is_signed_anew() -> None:
    """Each attempt tells its own moment: the last one would be too old for a receiver otherwise."""
    played = Played(1, lambda _: 503, retries=True, signature="timestamped")
    told = [int(headers["ElevenLabs-Signature"][2:].partition(",")[0]) for _, _, headers in played.sent]
    assert told == [int(EPOCH + at) for at in played.moments]


def test_no_more_than_a_hundred_wait_to_be_tried_again() -> None:
    """What fails beyond them is given up."""
    played = Played(QUEUED + 20, lambda _: 503, retries=True)
    firsts = [each for each in played.noted if each.attempt == 1]
    assert len(firsts) == QUEUED + 20
    assert not all(each.again for each in firsts)
    waiting = most = 0
    for each in played.noted:
        waiting += each.again - (each.attempt > 1)
        most = max(most, waiting)
    assert QUEUED <= most <= QUEUED + 1


def test_a_slow_receiver_is_not_stormed() -> None:
    """So many events are under way at once and no more; none is lost."""
    played = Played(60, takes=100.0)
    assert played.most_at_once == 16
    assert len(played.sent) == 60


def of_events(fault: str, **more: Any) -> list[Any]:
    """Return a rule about the second event."""
    return [{"endpoint": "webhook.deliver", "nth": 2, "fault": fault, **more}]


def test_drop() -> None:
    """A dropped event is never sent, also where retries are, and noted as an attempt that was none."""
    played = Played(3, faults=of_events("drop"), retries=True)
    first, dropped, last = by_end(played)
    assert played.ids == [first, last]
    assert [(each.conversation_id, each.attempt) for each in played.noted if each.ended == "dropped"] == [
        (dropped, 0)
    ]


def test_duplicate() -> None:
    """A doubled event comes twice, the same to the byte, so many seconds apart."""
    played = Played(3, faults=of_events("duplicate", seconds=7))
    twice = by_end(played)[1]
    moments = [at for at, name in zip(played.moments, played.ids, strict=True) if name == twice]
    assert moments[1] - moments[0] == pytest.approx(7, abs=1e-3)
    digests = [each.sha256 for each in played.noted if each.conversation_id == twice]
    assert len(digests) == 2
    assert len(set(digests)) == 1
    assert Counter(played.ids).total() == 4


def test_delay() -> None:
    """A delayed event is overtaken by the others, and tells when its call ended all the same."""
    played = Played(3, faults=of_events("delay", seconds=1000))
    first, late, last = by_end(played)
    assert played.ids == [first, last, late]
    (call,) = (call for call in played.calls if call.conversation_id == late)
    assert played.sent[-1][1]["data"]["duration_seconds"] == call.seconds(call.ends)
    assert played.moments[-1] == pytest.approx(call.ends + 1000, abs=1e-3)


def test_wrong_signature() -> None:
    """Only the struck event is signed by somebody else."""
    played = Played(3, faults=of_events("wrong_signature"))
    bodies = [
        json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode() for _, event, _ in played.sent
    ]
    right = [
        headers["ElevenLabs-Signature"] == played.webhook.sign(body, 0.0)
        for body, (_, _, headers) in zip(bodies, played.sent, strict=True)
    ]
    assert right == [True, False, True]


def test_reanalyse() -> None:
    """A conversation that is analysed again comes again, with another analysis, at its own moment."""
    played = Played(3, faults=of_events("reanalyse", seconds=3600))
    again = by_end(played)[1]
    (before, first), (after, second) = (
        (at, event) for at, event, _ in played.sent if event["data"]["conversation_id"] == again
    )
    assert after - before == pytest.approx(3600, abs=1e-3)
    assert first["data"].pop("analysis") != second["data"].pop("analysis")
    assert first["data"] == second["data"]
    assert first["event_timestamp"] < second["event_timestamp"]
    assert [each.version for each in played.noted if each.conversation_id == again] == [1, 2]


def test_faults_by_chance_are_the_same_again() -> None:
    """A share of events is struck, with all the rule's faults, and the same ones for the same seed."""
    faults = ["drop", "duplicate", {"fault": "delay", "seconds": 60}, "wrong_signature", "reanalyse"]
    rule = [{"endpoint": "webhook.deliver", "rate": 0.3, "seed": 5, "faults": faults}]
    first, again = (
        [(each.conversation_id, each.fault, each.ended) for each in Played(400, faults=rule).noted]
        for _ in range(2)
    )
    assert first == again
    struck = Counter(fault for _, fault, _ in first)
    assert {str(fault) for fault in struck if fault} == {
        "drop",
        "duplicate",
        "delay",
        "wrong_signature",
        "reanalyse",
    }
    assert 0.2 < len({name for name, fault, _ in first if fault}) / 400 < 0.4
