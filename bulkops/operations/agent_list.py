"""List the account's agents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from bulkops.asked import Listed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulkops.model import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class ListAgents(Listed):
    """Write one row per agent to `lists/ID.jsonl` in the run folder (API reference, List Agents).

    ID is the id of the line; without one, the file is named after the line's number.
    """

    kind: ClassVar[str] = "agent.list"
    example: ClassVar[Mapping[str, Json]] = {"id": "all", "op": "agent.list"}
