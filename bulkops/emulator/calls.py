"""Conversations: how a call goes on in time, what is said, and the calls every key starts with. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

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
_DAY = 86_400.0
_INITIATED = 1.0
_SEEDED_DAYS = 14
_STILL_TALKING = 25  # every 25th seeded call has not ended when the server starts


@dataclass(frozen=True, slots=True)
class Conversation:
    """A call: `started`, `answered` and `ends` are moments on the world's clock (seconds)."""

    conversation_id: str
    agent_id: str
    started: float
    answered: float
    ends: float
    turns: tuple[str, ...]

    def status(self, now: float) -> str:
        """Say how far it is: `initiated`, `in_progress` or `completed`."""
        if now >= self.ends:
            return "completed"
        return "in_progress" if now >= self.answered else "initiated"

    def transcript(self, now: float) -> str:
        """Give what has been said until `now`, a line for each turn."""
        if now >= self.ends:
            return "\n".join(self.turns)
        part = max(0.0, (now - self.answered) / (self.ends - self.answered))
        return "\n".join(self.turns[: int(part * len(self.turns))])

    def seconds(self, now: float) -> int:
        """Count the whole seconds until `now`."""
        return max(0, round(min(now, self.ends) - self.started))


def place_call(
    conversation_id: str, agent_id: str, now: float, rng: Random, time_scale: float
) -> Conversation:
    """Begin a call at `now`; it lasts 20 to 180 seconds, divided by the time scale."""
    lasts = rng.uniform(20, 180) / time_scale
    answered = now + _INITIATED / time_scale
    return Conversation(conversation_id, agent_id, now, answered, now + lasts, _turns(rng))


def past_calls(
    agent_id: str, count: int, now: float, rng: Random, time_scale: float
) -> Iterator[Conversation]:
    """Yield `count` calls `conv_seed_0001` … of the two weeks before `now`, oldest first.

    Nearly all are completed; every 25th is still in progress and ends a scaled minute after `now`.
    """
    for number in range(1, count + 1):
        started = now - _SEEDED_DAYS * _DAY * (1 - (number - 1) / count)
        ends = started + rng.randint(20, 600)
        if number % _STILL_TALKING == 0:
            started, ends = now - 10.0, now + 60.0 / time_scale
        yield Conversation(f"conv_seed_{number:04d}", agent_id, started, started + 1.0, ends, _turns(rng))


def _turns(rng: Random) -> tuple[str, ...]:
    order = rng.randint(10_000, 99_999)
    pairs = rng.randint(2, len(_USER) - 1)
    said = [
        f"{who}: {line.format(n=order)}"
        for two in zip(_AGENT, _USER, strict=True)
        for who, line in zip(("Agent", "User"), two, strict=True)
    ]
    return (*said[: 2 * pairs], f"Agent: {_AGENT[-1]}")
