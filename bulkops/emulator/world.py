"""All that one API key owns: agents, conversations, documents, tools. Pure: time and chance are given."""

from __future__ import annotations

import math
import string
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from .calls import past_calls, place_call
from .things import Agent, Document, Effect, Index, Made

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from .calls import Conversation

_ALPHABET = string.ascii_letters + string.digits
_ID_LENGTH = 20
_INDEX_MEDIAN = 20.0
_INDEX_SPREAD = 0.6  # sigma of the lognormal: most indexes take 6 to 65 seconds
_UNINDEXABLE = "unindexable"
SEEDED_AGENT = "agent_seed_0001"


class World:
    """What one key owns, and the log of what happened to it.

    `label` names the world without telling its key; `epoch` is the wall clock (epoch seconds) at `now == 0`;
    `index_time` is a fixed time for indexes in seconds (None: lognormal, median 20 s); both it and the length
    of calls are divided by `time_scale`. Methods take `now` (monotonic seconds) and the request's ordinal.
    """

    def __init__(
        self,
        *,
        label: str,
        rng: Random,
        epoch: float,
        time_scale: float = 1.0,
        index_time: float | None = None,
        on_effect: Callable[[Effect], None] = lambda _: None,
    ) -> None:
        self.label = label
        self.agents: dict[str, Agent] = {}
        self.conversations: dict[str, Conversation] = {}
        self.documents: dict[str, Document] = {}
        self.tools: dict[str, Made] = {}
        self.simulations: dict[str, Made] = {}
        self.effects: list[Effect] = []
        self._rng = rng
        self._epoch = epoch
        self._time_scale = time_scale
        self._index_time = index_time
        self._on_effect = on_effect
        self._listing: list[Agent] | None = None

    def stamp(self, moment: float) -> str:
        """Write a moment of the world's clock as RFC 3339 in UTC, to the second as the reference shows."""
        return _stamp(math.floor(self._epoch + moment))

    def seed(self, conversations: int, now: float) -> None:
        """Give the key a past: this many conversations, and the agent that held them."""
        if conversations:
            at = self.stamp(now - 30 * 86_400)
            body = b'{"name":"Seeded Agent","conversation_config":{"agent":{"language":"en"}}}'
            self.agents[SEEDED_AGENT] = Agent(SEEDED_AGENT, "Seeded Agent", body, at, at)
            calls = past_calls(SEEDED_AGENT, conversations, now, self._rng, self._time_scale)
            self.conversations |= {call.conversation_id: call for call in calls}

    def create_agent(self, name: str, body: bytes, *, now: float, request: int = 0) -> Agent:
        """Make an agent from the JSON object `body`."""
        at = self.stamp(now)
        agent = Agent(self._new_id("agent"), name, body, at, at)
        self.agents[agent.agent_id] = agent
        self._listing = None
        self._note("agent.create", agent.agent_id, name, now, request)
        return agent

    def update_agent(self, agent_id: str, name: str, body: bytes, *, now: float, request: int = 0) -> Agent:
        """Put a new body in place of the old one."""
        agent = replace(self.agents[agent_id], name=name, body=body, updated_at=self.stamp(now))
        self.agents[agent_id] = agent
        self._listing = None
        self._note("agent.update", agent_id, name, now, request)
        return agent

    def delete_agent(self, agent_id: str, *, now: float, request: int = 0) -> None:
        """Take an agent away; its conversations stay."""
        agent = self.agents.pop(agent_id)
        self._listing = None
        self._note("agent.delete", agent_id, agent.name, now, request)

    def list_agents(self) -> list[Agent]:
        """All agents in the order of their creation."""
        if self._listing is None:
            self._listing = list(self.agents.values())
        return self._listing

    def start_conversation(self, agent_id: str, *, now: float, request: int = 0) -> Conversation:
        """Begin a call with an agent."""
        call = place_call(self._new_id("conv"), agent_id, now, self._rng, self._time_scale)
        self.conversations[call.conversation_id] = call
        self._note("conversation.create", call.conversation_id, agent_id, now, request)
        return call

    def add_document(self, name: str, size: int, sha256: str, *, now: float, request: int = 0) -> Document:
        """Add a document of `size` bytes with this digest."""
        document = Document(self._new_id("doc"), name, size, sha256)
        self.documents[document.document_id] = document
        self._note("document.upload", document.document_id, name, now, request)
        return document

    def compute_index(self, document_id: str, model: str, *, now: float, request: int = 0) -> Index:
        """Get the index of a document for a model, or begin to compute it in place of another model's."""
        document = self.documents[document_id]
        if document.index is not None and document.index.model == model:
            return document.index
        index = Index(model, self.stamp(now), now + self._index_seconds(), _UNINDEXABLE in document.name)
        self.documents[document_id] = replace(document, index=index)
        self._note("document.index", document_id, document.name, now, request)
        return index

    def create_tool(self, name: str, *, now: float, request: int = 0) -> Made:
        """Make a webhook tool."""
        return self._make("tool.create", self.tools, name, now=now, request=request)

    def simulate(self, scenario: str, *, now: float, request: int = 0) -> Made:
        """Remember that a simulation took place."""
        return self._make("agent.simulate", self.simulations, scenario, now=now, request=request)

    def signature(self) -> str:
        """Give a new secret for a signed URL."""
        return self._new_id("sig")

    def _make(self, kind: str, shelf: dict[str, Made], name: str, *, now: float, request: int) -> Made:
        prefix = "tool" if shelf is self.tools else "sim"
        made = Made(self._new_id(prefix), name, self.stamp(now))
        shelf[made.id] = made
        self._note(kind, made.id, name, now, request)
        return made

    def _new_id(self, prefix: str) -> str:
        return f"{prefix}_{''.join(self._rng.choices(_ALPHABET, k=_ID_LENGTH))}"

    def _index_seconds(self) -> float:
        seconds = self._index_time
        if seconds is None:
            seconds = self._rng.lognormvariate(math.log(_INDEX_MEDIAN), _INDEX_SPREAD)
        return seconds / self._time_scale

    def _note(self, kind: str, entity: str, name: str, now: float, request: int) -> None:
        effect = Effect(kind, entity, name, self._epoch + now, request, self.label)
        self.effects.append(effect)
        self._on_effect(effect)


@lru_cache(maxsize=4096)  # most answers tell the second at hand, or one told before
def _stamp(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
