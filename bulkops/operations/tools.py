"""What is done with the tools that are there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from bulkops.asked import Asked, Deletion, Listed
from bulkops.operation import entity, json_object, query

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulkops.model import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class GetTool(Asked):
    """Read a tool with its whole configuration (live API: `/tools/:id`)."""

    kind: ClassVar[str] = "tool.get"
    example: ClassVar[Mapping[str, Json]] = {"op": "tool.get", "tool_id": "tool_123"}

    tool_id: str = entity("the tool to read")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListTools(Listed):
    """Write one row per tool to `lists/ID.jsonl` in the run folder (live API: `/tools`)."""

    kind: ClassVar[str] = "tool.list"
    example: ClassVar[Mapping[str, Json]] = {"id": "tools", "op": "tool.list"}


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateTool(Asked):
    """Put another configuration in the place of a tool's (live API: `/tools/:id`): the whole of it, not a patch.

    `body` may be written as for `tool.create`.
    """

    kind: ClassVar[str] = "tool.update"
    replaces: ClassVar[str | None] = "tool_id"
    example: ClassVar[Mapping[str, Json]] = {
        "op": "tool.update",
        "tool_id": "tool_123",
        "body": {
            "name": "get_weather",
            "description": "Fetch current weather for a city",
            "url": "https://api.weather.com/v2/current",
            "method": "GET",
        },
    }

    tool_id: str = entity("the tool to change")
    body: Json = json_object("the tool, as the API wants it", required=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteTool(Deletion):
    """Delete a tool (live API: `/tools/:id`); `bulkops undo` cannot make it again.

    Refused by the API while an agent uses it, unless `query` has `force`. With `expected` it is read once before that,
    and left alone with the code `changed_since` when it does not read so. One that is gone already counts as deleted;
    its result says `gone`.
    """

    kind: ClassVar[str] = "tool.delete"
    deletes: ClassVar[str | None] = "tool_id"
    example: ClassVar[Mapping[str, Json]] = {"op": "tool.delete", "tool_id": "tool_123"}

    tool_id: str = entity("the tool to delete")
    query: Json = query(
        'what else is asked for, as the API wants it, such as {"force": true} for what is in use'
    )
    expected: Json = json_object("how it has to read before that: of objects, the keys that are named here")
