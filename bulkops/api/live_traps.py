"""What the service takes without a word and drops, or refuses, though it reads well: told by a plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulkops.api.live_answers import MODELS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bulkops.model import Json

_PROMPT = "conversation_config.agent.prompt"
_OF_PROMPT = frozenset({"llm", "temperature", "max_tokens", "tool_ids", "knowledge_base"})

_FOUND_BY_NAME = frozenset({"agent.duplicate", "document.create_text", "document.create_url"})

_NEEDED = {
    "agent.create": "conversation_config",
    "folder.create": "name",
    "test.create": "name",
    "document.create_text": "text",
    "document.create_url": "url",
    "test.run": "tests",
}
"""Of a kind what its body has to have."""
_OF_AGENT = frozenset({"first_message", "prompt"})
_OF_CONFIG = frozenset({"agent", "asr", "tts", "turn"})


def traps(op: str, fields: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
    """Yield what of a line is likely not to be meant: a field, and why."""
    if op == "agent.simulate":
        yield (
            "op",
            "simulates by an endpoint whose removal was announced for 31 October 2026: it may answer 404",
        )
    if op in _FOUND_BY_NAME and not fields.get("name") and not _at(fields, "body").get("name"):
        yield "op", "gives no `name`, so what it makes could not be found again if its answer were lost"
    yield from (("body", what) for what in _of_needs(op, fields.get("body")))
    where = "set" if op == "agent.clone" else "body"
    body = fields.get(where)
    if op not in ("agent.create", "agent.update", "agent.clone") or not isinstance(body, dict):
        return
    config = _at(body, "conversation_config")
    agent = _at(config, "agent")
    prompt = _at(agent, "prompt")
    yield from ((where, what) for what in _of_knowledge(prompt, made=op == "agent.create"))
    yield from ((where, what) for what in _of_places(body, config))
    if "tools" in prompt:
        yield (
            where,
            f"has `{_PROMPT}.tools`, which the live API refuses; give `tool_ids` and `built_in_tools`",
        )
    for name in sorted(_OF_PROMPT.intersection(agent)):
        yield where, f"has `{name}` in `agent`, where the live API ignores it; it belongs into `{_PROMPT}`"
    if "rag" in agent:
        yield where, f"has `rag` in `agent`, where the live API ignores it; it belongs into `{_PROMPT}`"
    if _at(config, "asr").get("provider") == "deepgram":
        yield where, "has `asr.provider` deepgram, which the live API does not know; leave it out"
    yield from ((where, what) for what in _of_values(config, prompt))
    if "mode" in _at(config, "turn"):
        yield (
            where,
            "has `turn.mode`, which the live API does not have any more; see `turn_timeout`, `turn_eagerness`",
        )


def _of_needs(op: str, body: Json) -> Iterator[str]:
    if not isinstance(body, dict):
        return
    needed = _NEEDED.get(op)
    if needed is not None and needed not in body:
        yield f"has no `{needed}`, without which the live API does not take it"
    if op in ("tool.create", "tool.update"):
        yield from _of_tool(body)


def _of_tool(body: Mapping[str, Json]) -> Iterator[str]:
    if "tool_config" not in body and "url" not in body:
        yield "has neither `tool_config` nor `url`, and the live API does not take it so"
    config = _at(body, "tool_config")
    # What is not known yet may have it.
    schema = config.get("api_schema", {})
    if config.get("type") == "webhook" and isinstance(schema, dict) and "url" not in schema:
        yield "has a webhook without `tool_config.api_schema.url`, which the live API does not take"


def _of_places(body: Mapping[str, Json], config: Mapping[str, Json]) -> Iterator[str]:
    for place, names, above in (
        ("conversation_config", _OF_CONFIG, body),
        ("conversation_config.agent", _OF_AGENT, {**body, **config}),
        (_PROMPT, _OF_PROMPT, {**body, **config}),
    ):
        for name in sorted(names.intersection(above)):
            yield f"has `{name}` too high up, where the live API ignores it; it belongs into `{place}`"


def _of_values(config: Mapping[str, Json], prompt: Mapping[str, Json]) -> Iterator[str]:
    quality = _at(config, "asr").get("quality")
    if isinstance(quality, str) and quality != "high":
        yield f"has `asr.quality` {quality!r}, and the live API takes `high` alone"
    model = _at(prompt, "rag").get("embedding_model")
    if isinstance(model, str) and model in MODELS:
        yield f"has `{_PROMPT}.rag.embedding_model` {model!r}, which the live API calls {MODELS[model]!r}"


def _of_knowledge(prompt: Mapping[str, Json], *, made: bool) -> Iterator[str]:
    rows = prompt.get("knowledge_base")
    if not isinstance(rows, list) or not rows:
        return
    if any(not isinstance(row, dict) or not {"type", "id", "name"} <= row.keys() for row in rows):
        what = f"has a `{_PROMPT}.knowledge_base` of ids; the live API wants objects with type, id and name, such as"
        yield f'{what} {{"type": "file", "id": "doc_456", "name": "Handbook"}}'
    # What is there already may have it on.
    if made and _at(prompt, "rag").get("enabled") is not True:
        yield f"has documents and no `{_PROMPT}.rag.enabled`: they are put into the prompt, not searched"


def _at(value: Json, name: str) -> Mapping[str, Json]:
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}
