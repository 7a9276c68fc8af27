"""Create a webhook tool."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from bulkops.asked import Asked
from bulkops.operation import json_object

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulkops.model import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateTool(Asked):
    """Create a webhook tool from `body`, which is sent as it stands (API reference, Create Webhook Tool)."""

    kind: ClassVar[str] = "tool.create"
    makes: ClassVar[str | None] = "tool"
    example: ClassVar[Mapping[str, Json]] = {
        "op": "tool.create",
        "body": {
            "name": "get_weather",
            "description": "Fetch current weather for a city",
            "url": "https://api.weather.com/v1/current",
            "method": "GET",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            },
            "headers": {"Authorization": "Bearer {{secret__weather_api_key}}"},
        },
    }

    body: Json = json_object("the tool, as the API wants it", required=True)
