"""Conversations: how a call goes on in time, what is said, what is thought of it, and the calls every key starts with.

Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

_USER = (
    "Hi, I need help with order #{n}.",
    "It arrived on Tuesday, but the \u201cblue\u201d one was missing.",
    "Yes, that's right: 3 items, 2 arrived.",
    'My reference is "AB-{n}", can you see it?',
    "Could I get a refund instead?",
    "Grüße aus München; das wäre alles, danke!",
)
_AGENT = (
    "Hello! How can I help?",
    "I am sorry to hear that. Let me look it up.",
    "Thank you, I found order #{n} in your account.",
    "I can send the missing item today, at no cost.",
    "A refund takes 3 to 5 working days; shall I start it?",
    "You are welcome. Goodbye!",
)
_SENTIMENTS = ("positive", "neutral", "negative")
_DAY = 86_400.0
_INITIATED = 1.0
_SEEDED_DAYS = 14
_BROKEN_OFF = 40
_STILL_TALKING = 25  # every 25th seeded call has not ended when the server starts


class Turn(NamedTuple):
    """What one of the two says at once; `role` is `agent` or `user`."""

    role: str
    message: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """A call: `started`, `answered` and `ends` are moments on the world's clock (seconds); `order` is its subject.

    So many seconds of `thinking` after its end it has been analysed; `failed` tells that it did not end well.
    """

    conversation_id: str
    agent_id: str
    started: float
    answered: float
    ends: float
    order: int
    turns: tuple[Turn, ...]
    thinking: float = 0.0
    failed: bool = False

    @property
    def analysed(self) -> float:
        """The moment from which on its analysis is there."""
        return self.ends + self.thinking

    def status(self, now: float) -> str:
        """Say how far it is: `initiated`, `in_progress` or `completed`."""
        if now >= self.ends:
            return "completed"
        return "in_progress" if now >= self.answered else "initiated"

    def said(self, now: float) -> tuple[Turn, ...]:
        """Give what has been said until `now`."""
        if now >= self.ends:
            return self.turns
        part = max(0.0, (now - self.answered) / (self.ends - self.answered))
        return self.turns[: int(part * len(self.turns))]

    def transcript(self, now: float) -> str:
        """Give what has been said until `now`, a line for each turn."""
        return "\n".join(f"{turn.role.capitalize()}: {turn.message}" for turn in self.said(now))

    def transcript_turns(self, now: float) -> list[dict[str, Any]]:
        """Give the same as a list, each turn with the whole second of the call at which it begins."""
        apart = (self.ends - self.started) / len(self.turns)
        return [
            {"role": turn.role, "message": turn.message, "time_in_call_secs": int(number * apart)}
            for number, turn in enumerate(self.said(now))
        ]

    def seconds(self, now: float) -> int:
        """Count the whole seconds until `now`."""
        return max(0, round(min(now, self.ends) - self.started))

    def analysis(self, version: int) -> dict[str, Any]:
        """Say what is thought of the call when it is analysed for the `version`-th time: each time something else."""
        number = self.order + version
        return {
            "sentiment": _SENTIMENTS[number % len(_SENTIMENTS)],
            "resolution": number % 2 == 0,
            "extracted_data": {"order": str(self.order)},
        }


def place_call(
    conversation_id: str, agent_id: str, now: float, rng: Random, time_scale: float, thinking: float = 0.0
) -> Conversation:
    """Begin a call at `now`; it lasts 20 to 180 seconds, divided by the time scale as `thinking` is."""
    lasts = rng.uniform(20, 180) / time_scale
    answered = now + _INITIATED / time_scale
    thinks = thinking / time_scale
    return Conversation(conversation_id, agent_id, now, answered, now + lasts, *_talk(rng), thinks)


def past_calls(
    agent_id: str, count: int, now: float, rng: Random, time_scale: float, thinking: float = 0.0
) -> Iterator[Conversation]:
    """Yield `count` calls `conv_seed_0001` … of the two weeks before `now`, oldest first.

    Nearly all are completed; every 25th is still in progress and ends a scaled minute after `now`, and every 40th did
    not end well.
    """
    for number in range(1, count + 1):
        started = now - _SEEDED_DAYS * _DAY * (1 - (number - 1) / count)
        ends = started + rng.randint(20, 600)
        if number % _STILL_TALKING == 0:
            started, ends = now - 10.0, now + 60.0 / time_scale
        name, thinks, failed = f"conv_seed_{number:04d}", thinking / time_scale, number % _BROKEN_OFF == 0
        yield Conversation(name, agent_id, started, started + 1.0, ends, *_talk(rng), thinks, failed)


def _talk(rng: Random) -> tuple[int, tuple[Turn, ...]]:
    order = rng.randint(10_000, 99_999)
    pairs = rng.randint(2, len(_USER) - 1)
    said = [
        Turn(who, line.format(n=order))
        for two in zip(_AGENT, _USER, strict=True)
        for who, line in zip(("agent", "user"), two, strict=True)
    ]
    return order, (*said[: 2 * pairs], Turn("agent", _AGENT[-1]))
