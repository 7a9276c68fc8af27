"""Agents of the live API, as the vendor's SDK finds them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import pytest
from elevenlabs import types
from elevenlabs.core import ApiError
from pydantic import BaseModel

from bulkops.emulator.live import configs

if TYPE_CHECKING:
    from .conftest import Witness

CONFIG: dict[str, Any] = {
    "agent": {
        "prompt": {"prompt": "Be kind.", "llm": "gpt-4o", "temperature": 0.7},
        "first_message": "Hello!",
        "language": "de",
    },
    "tts": {"voice_id": "v1", "stability": 0.4},
}


def test_a_made_agent_is_told_whole(live: Witness) -> None:
    """Create answers the id alone; get tells what was sent, with the moments of its making and changing."""
    made = live.whole(live.api.agents.create(name="Ada", tags=["a", "b"], conversation_config=CONFIG))
    assert list(live.heard[-1].json()) == ["agent_id"]
    got = live.whole(live.api.agents.get(made.agent_id))
    assert (got.name, got.tags) == ("Ada", ["a", "b"])
    assert got.conversation_config.agent.prompt.llm == "gpt-4o"
    assert got.conversation_config.agent.prompt.rag.enabled is False
    assert isinstance(got.metadata.created_at_unix_secs, int)
    assert got.metadata.updated_at_unix_secs == got.metadata.created_at_unix_secs


def test_a_patch_merges_objects_and_replaces_lists(live: Witness) -> None:
    """What a patch does not name stays; a list in it takes the place of the old one."""
    agent = live.api.agents.create(name="Ada", tags=["a"], conversation_config=CONFIG).agent_id
    config = {"agent": {"prompt": {"tool_ids": ["t1", "t2"]}}}
    live.api.agents.update(agent, conversation_config=config)
    config["agent"]["prompt"]["tool_ids"] = ["t3"]
    got = live.whole(live.api.agents.update(agent, conversation_config=config, tags=["b"]))
    assert got.conversation_config.agent.prompt.tool_ids == ["t3"]
    assert (got.conversation_config.agent.prompt.prompt, got.name, got.tags) == ("Be kind.", "Ada", ["b"])


def test_a_deleted_agent_is_gone_and_nothing_is_said(live: Witness) -> None:
    """Delete answers no body; a second one finds nothing."""
    agent = live.api.agents.create(conversation_config={}).agent_id
    live.api.agents.delete(agent)
    assert live.heard[-1].content == b""
    with pytest.raises(ApiError) as caught:
        live.api.agents.delete(agent)
    assert caught.value.status_code == 404


def test_a_duplicate_is_another_agent(live: Witness) -> None:
    """A duplicate has the same config and the name that is asked for."""
    agent = live.api.agents.create(name="Ada", conversation_config=CONFIG).agent_id
    twin = live.whole(live.api.agents.duplicate(agent, name="Eve")).agent_id
    got, model = live.api.agents.get(twin), live.api.agents.get(agent)
    assert (twin != agent, got.name) == (True, "Eve")
    assert got.conversation_config == model.conversation_config
    live.api.agents.duplicate(agent)


def test_agents_are_told_in_pages_that_never_say_how_many(live: Witness) -> None:
    """Every agent is told once, newest first, even if one is made and one deleted between two pages."""
    made = [live.api.agents.create(name=f"n{n}", conversation_config={}).agent_id for n in range(7)]
    page = live.whole(live.api.agents.list(page_size=3))
    seen = [agent.agent_id for agent in page.agents]
    live.api.agents.create(name="late", conversation_config={})
    live.api.agents.delete(made[5])
    while page.has_more:
        page = live.whole(live.api.agents.list(page_size=3, cursor=page.next_cursor))
        seen += [agent.agent_id for agent in page.agents]
    assert seen[:7] == made[::-1]
    assert page.next_cursor is not None  # only has_more tells the end
    assert set(live.heard[-1].json()) == {"agents", "next_cursor", "has_more"}


def test_agents_are_found_by_name_and_by_any_of_several_tags(live: Witness) -> None:
    """A search looks into names; of several tags one is enough."""
    for name, tags in (("Red fox", ["a"]), ("Red hen", ["b"]), ("Owl", ["c"])):
        live.api.agents.create(name=name, tags=tags, conversation_config={})

    def names(**query: Any) -> list[str]:
        return [agent.name for agent in live.api.agents.list(**query).agents]

    assert names(search="red", sort_by="name") == ["Red fox", "Red hen"]
    assert names(tags=["a", "c"], sort_by="name") == ["Owl", "Red fox"]
    assert names(search="red", tags=["c"]) == []


@pytest.mark.parametrize("size", [0, 101, "x"])
def test_a_page_has_1_to_100(live: Witness, size: Any) -> None:
    """Another size is refused, with its place in the query."""
    reply = live.raw.get("/agents", params={"page_size": size})
    assert (reply.status_code, reply.json()["detail"][0]["loc"]) == (422, ["query", "page_size"])


def _wrong(path: str, value: Any) -> dict[str, Any]:
    body: Any = value
    for key in reversed(path.split(".")):
        body = {key: body}
    return {"conversation_config": body}


@pytest.mark.parametrize(
    ("body", "loc"),
    [
        ({}, ["conversation_config"]),
        ({"conversation_config": []}, ["conversation_config"]),
        ({"conversation_config": {}, "name": 3}, ["name"]),
        ({"conversation_config": {}, "tags": ["a", 3]}, ["tags", 1]),
        (_wrong("asr.provider", "deepgram"), ["conversation_config", "asr", "provider"]),
        (_wrong("tts.model_id", "tts-1"), ["conversation_config", "tts", "model_id"]),
        (_wrong("agent.prompt", "Be kind."), ["conversation_config", "agent", "prompt"]),
        (
            _wrong("agent.prompt.knowledge_base", ["doc_456"]),
            ["conversation_config", "agent", "prompt", "knowledge_base", 0],
        ),
        (
            _wrong("agent.prompt.knowledge_base", [{"type": "file", "id": "d"}]),
            ["conversation_config", "agent", "prompt", "knowledge_base", 0, "name"],
        ),
    ],
)
def test_what_is_not_valid_is_told_with_its_place(
    live: Witness, body: dict[str, Any], loc: list[Any]
) -> None:
    """Validation answers 422 with a list of places, messages and types, and nothing is made."""
    reply = live.raw.post("/agents/create", json=body)
    (only,) = reply.json()["detail"]
    assert (reply.status_code, only["loc"]) == (422, ["body", *loc])
    assert set(only) == {"loc", "msg", "type"}
    assert live.emulator.effects == []


def test_tools_and_their_ids_together_are_refused(live: Witness) -> None:
    """What get tells of an agent with tools cannot be sent back as it is."""
    config = {"type": "client", "name": "t", "description": "d"}
    tool = live.raw.post("/tools", json={"tool_config": config}).json()["id"]
    agent = live.raw.post("/agents/create", json=_wrong("agent.prompt.tool_ids", [tool])).json()["agent_id"]
    told = live.whole(live.api.agents.get(agent))
    assert [each.name for each in told.conversation_config.agent.prompt.tools] == ["t"]
    body = {"conversation_config": live.heard[-1].json()["conversation_config"]}
    assert live.raw.post("/agents/create", json=body).status_code == 400
    del body["conversation_config"]["agent"]["prompt"]["tools"]
    assert live.raw.post("/agents/create", json=body).status_code == 200


def test_a_misplaced_key_is_dropped_without_a_word(live: Witness) -> None:
    """A model that is named one level too high is not taken, and nobody says so."""
    body = {"name": "x", "conversation_config": {"agent": {"llm": "gpt-4o"}}, "surprise": 1}
    reply = live.raw.post("/agents/create", json=body)
    got = live.raw.get(f"/agents/{reply.json()['agent_id']}").json()
    assert (reply.status_code, "surprise" in got, "llm" in got["conversation_config"]["agent"]) == (
        200,
        False,
        False,
    )
    assert got["conversation_config"]["agent"]["prompt"]["llm"] != "gpt-4o"


def _model_of(annotation: Any) -> type[BaseModel] | None:
    found = [
        each
        for each in (annotation, *get_args(annotation))
        if isinstance(each, type) and issubclass(each, BaseModel)
    ]
    return found[0] if found else None


def test_the_known_keys_are_those_of_the_sdk() -> None:
    """At every level that is looked into, exactly the keys are known that the SDK knows."""

    def compare(model: type[BaseModel], known: dict[str, Any]) -> None:
        assert set(known) == set(model.model_fields), model
        for key, inner in known.items():
            if inner is not None:
                deeper = _model_of(model.model_fields[key].annotation)
                assert deeper is not None
                compare(deeper, inner)

    compare(types.ConversationalConfig, configs.CONFIG)
