"""All that one API key owns: agents, conversations, documents, tools. Pure: time and chance are given."""

from __future__ import annotations

import math
import string
from bisect import bisect_left, bisect_right, insort
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .calls import past_calls, place_call
from .things import Agent, Document, Effect, Index, Made, index_id, stamp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

    from .calls import Conversation

_ALPHABET = string.ascii_letters + string.digits
_ID_LENGTH = 20
_INDEX_MEDIAN = 20.0
_INDEX_SPREAD = 0.6  # sigma of the lognormal: most indexes take 6 to 65 seconds
_UNINDEXABLE = "unindexable"
_PREFIXES = {
    "tool.create": "tool",
    "agent.simulate": "sim",
    "test.create": "test",
    "test.run": "suite",
}
SEEDED_AGENT = "agent_seed_0001"


class World:
    """What one key owns, and the log of what happened to it.

    `label` names the world without telling its key; `epoch` is the wall clock (epoch seconds) at `now == 0`;
    `index_time` is a fixed time for indexes in seconds (None: lognormal, median 20 s); both it and the length
    of calls are divided by `time_scale`. `index_bytes` is how much indexes may take up. `transcript` is told as a text,
    or as a list of `turns`; so many scaled seconds of `thinking` lie between the end of a call and its analysis.
    `on_call` hears of each call that begins. Methods take `now` (monotonic seconds) and the request's ordinal.
    """

    def __init__(
        self,
        *,
        label: str,
        rng: Random,
        epoch: float,
        time_scale: float = 1.0,
        index_time: float | None = None,
        turns: bool = False,
        thinking: float = 0.0,
        index_bytes: int = 1_000_000_000,
        on_effect: Callable[[Effect], None] = lambda _: None,
        on_call: Callable[[World, Conversation], None] = lambda *_: None,
    ) -> None:
        self.label = label
        self.agents: dict[str, Agent] = {}
        self.conversations: dict[str, Conversation] = {}
        self.documents: dict[str, Document] = {}
        self.tools: dict[str, Made] = {}
        self.simulations: dict[str, Made] = {}
        self.tests: dict[str, Made] = {}
        self.runs: dict[str, Made] = {}
        self.effects: list[Effect] = []
        self._rng = rng
        self._epoch = epoch
        self._time_scale = time_scale
        self._index_time = index_time
        self._turns = turns
        self._thinking = thinking
        self.index_bytes = index_bytes
        self._on_effect = on_effect
        self._on_call = on_call
        self._listing: list[Agent] | None = None
        self._begun: list[tuple[float, str]] = []
        """When each conversation began (epoch seconds), and its id, in this order."""

    def at(self, moment: float) -> float:
        """Tell a moment of the world's clock as epoch seconds."""
        return self._epoch + moment

    def scaled(self, seconds: float) -> float:
        """Tell how long something takes that takes so many seconds at the usual pace."""
        return seconds / self._time_scale

    def stamp(self, moment: float) -> str:
        """Write a moment of the world's clock as RFC 3339 in UTC, to the second as the reference shows."""
        return stamp(self._epoch + moment)

    def seed(self, conversations: int, now: float) -> None:
        """Give the key a past: this many conversations, and the agent that held them."""
        if conversations:
            at = self.at(now - 30 * 86_400)
            body = b'{"name":"Seeded Agent","conversation_config":{"agent":{"language":"en"}}}'
            self.agents[SEEDED_AGENT] = Agent(SEEDED_AGENT, "Seeded Agent", body, at, at)
            pace = self._time_scale
            calls = past_calls(SEEDED_AGENT, conversations, now, self._rng, pace, self._thinking)
            self.conversations |= {call.conversation_id: call for call in calls}
            self._begun = sorted(map(self._place, self.conversations.values()))

    def create_agent(
        self, name: str, body: bytes, *, now: float, request: int = 0, kind: str = "agent.create"
    ) -> Agent:
        """Make an agent from the JSON object `body`."""
        at = self.at(now)
        agent = Agent(self._new_id("agent"), name, body, at, at)
        self.agents[agent.agent_id] = agent
        self._listing = None
        self._note(kind, agent.agent_id, name, now, request)
        return agent

    def update_agent(self, agent_id: str, name: str, body: bytes, *, now: float, request: int = 0) -> Agent:
        """Put a new body in place of the old one."""
        agent = replace(self.agents[agent_id], name=name, body=body, updated=self.at(now))
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
        call = place_call(self._new_id("conv"), agent_id, now, self._rng, self._time_scale, self._thinking)
        self.add_conversation(call)
        self._note("conversation.create", call.conversation_id, agent_id, now, request)
        self._on_call(self, call)
        return call

    def add_conversation(self, call: Conversation) -> None:
        """Add a call to those of the key."""
        self.conversations[call.conversation_id] = call
        insort(self._begun, self._place(call))

    def in_order(self, last: tuple[float, str] | None, *, newest_first: bool) -> Iterator[Conversation]:
        """Yield the conversations by their begin (epoch seconds) and id, those that come after `last`.

        A page of a million of them costs no more than one of ten.
        """
        begun = self._begun
        if newest_first:
            at = len(begun) if last is None else bisect_left(begun, last)
            places = range(at - 1, -1, -1)
        else:
            places = range(0 if last is None else bisect_right(begun, last), len(begun))
        for place in places:
            yield self.conversations[begun[place][1]]

    def _place(self, call: Conversation) -> tuple[float, str]:
        return (self.at(call.started), call.conversation_id)

    def transcript(self, call: Conversation, now: float) -> str | list[dict[str, Any]]:
        """Give what has been said in a call until `now`, in the shape that this world tells it."""
        return call.transcript_turns(now) if self._turns else call.transcript(now)

    def delete_conversation(self, conversation_id: str, *, now: float, request: int = 0) -> None:
        """Take a call away."""
        call = self.conversations.pop(conversation_id)
        del self._begun[bisect_left(self._begun, self._place(call))]
        self._note("conversation.delete", conversation_id, call.agent_id, now, request)

    def add_document(
        self,
        name: str,
        size: int,
        sha256: str,
        *,
        now: float,
        request: int = 0,
        kind: str = "document.upload",
        **more: Any,
    ) -> Document:
        """Add a document of `size` bytes with this digest, and with whatever `more` of its fields."""
        at = self.at(now)
        document = Document(self._new_id("doc"), name, size, sha256, created=at, updated=at, **more)
        self.documents[document.document_id] = document
        self._note(kind, document.document_id, name, now, request)
        return document

    def change_document(
        self, document_id: str, kind: str, *, now: float, request: int = 0, **changes: Any
    ) -> Document:
        """Give fields of a document other values."""
        document = replace(self.documents[document_id], updated=self.at(now), **changes)
        self.documents[document_id] = document
        self._note(kind, document_id, document.name, now, request)
        return document

    def delete_document(self, document_id: str, *, now: float, request: int = 0) -> None:
        """Take a document away, and its indexes with it."""
        document = self.documents.pop(document_id)
        self._note("document.delete", document_id, document.name, now, request)

    def compute_index(
        self,
        document_id: str,
        model: str,
        *,
        now: float,
        request: int = 0,
        beside: bool = False,
        fails: str | None = None,
    ) -> Index:
        """Get the index of a document for a model, or begin to compute it, in place of others or `beside` them.

        One that `fails` from the start says at once why.
        """
        document = self.documents[document_id]
        if model in document.indexes:
            return document.indexes[model]
        settles = now if fails else now + self._index_seconds()
        fails = fails or (_UNINDEXABLE if _UNINDEXABLE in document.name else None)
        name = index_id(document_id, model, now)
        index = Index(name, model, self.at(now), begins=now, settles=settles, fails=fails)
        others = document.indexes if beside else {}
        self.documents[document_id] = replace(document, indexes={**others, model: index})
        self._note("document.index", document_id, document.name, now, request)
        return index

    def delete_index(self, document_id: str, model: str, *, now: float, request: int = 0) -> None:
        """Take the index of a document for a model away."""
        document = self.documents[document_id]
        left = {key: index for key, index in document.indexes.items() if key != model}
        self.documents[document_id] = replace(document, indexes=left)
        self._note("document.index_delete", document_id, document.name, now, request)

    def create_tool(self, name: str, *, now: float, request: int = 0, body: bytes = b"{}") -> Made:
        """Make a webhook tool."""
        return self._make("tool.create", self.tools, name, now=now, request=request, body=body)

    def update_tool(self, tool_id: str, name: str, body: bytes, *, now: float, request: int = 0) -> Made:
        """Put a new body in place of a tool's old one."""
        tool = self.tools[tool_id] = replace(self.tools[tool_id], name=name, body=body)
        self._note("tool.update", tool_id, name, now, request)
        return tool

    def delete_tool(self, tool_id: str, *, now: float, request: int = 0) -> None:
        """Take a tool away."""
        tool = self.tools.pop(tool_id)
        self._note("tool.delete", tool_id, tool.name, now, request)

    def simulate(self, scenario: str, *, now: float, request: int = 0) -> Made:
        """Remember that a simulation took place."""
        return self._make("agent.simulate", self.simulations, scenario, now=now, request=request)

    def create_test(self, name: str, body: bytes, *, now: float, request: int = 0) -> Made:
        """Make a test of agents."""
        return self._make("test.create", self.tests, name, now=now, request=request, body=body)

    def delete_test(self, test_id: str, *, now: float, request: int = 0) -> None:
        """Take a test away."""
        test = self.tests.pop(test_id)
        self._note("test.delete", test_id, test.name, now, request)

    def run_tests(self, name: str, body: bytes, *, now: float, request: int = 0) -> Made:
        """Remember which tests were begun with which agent."""
        return self._make("test.run", self.runs, name, now=now, request=request, body=body)

    def signature(self) -> str:
        """Give a new secret for a signed URL."""
        return self._new_id("sig")

    def _make(
        self,
        kind: str,
        shelf: dict[str, Made],
        name: str,
        *,
        now: float,
        request: int,
        body: bytes = b"{}",
    ) -> Made:
        made = Made(self._new_id(_PREFIXES[kind]), name, self.at(now), body)
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
