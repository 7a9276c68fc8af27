"""Copy an agent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from bulkops.errors import OperationFailed
from bulkops.existing import if_exists, make_agent
from bulkops.mapping import agents_at, ids_at, mapped, sendable, without
from bulkops.merging import merge_patch
from bulkops.model import Load, Pinned
from bulkops.operation import (
    TEXT,
    Operation,
    account,
    checked,
    entity,
    id_map,
    json_file,
    json_object,
    text,
    whole,
)
from bulkops.readback import as_expected, expectation, read_back

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bulkops.api.profile import Profile
    from bulkops.model import Json
    from bulkops.operation import Steps

MOST_PATHS_TOLD = 10


def _are_paths(value: Any) -> str | None:
    if isinstance(value, list) and all(
        isinstance(path, str) and all(key for key in path.split(".")) for path in value
    ):
        return None
    return 'has to be a list of dotted paths, such as ["conversation_config.tts.voice_id"]'


@dataclass(frozen=True, slots=True, kw_only=True)
class CloneAgent(Operation):
    """Read an agent once, drop what the server assigns, apply `unset`, `map`, `set` and `name`, create the copies.

    The agent is `agent_id`, of the account `from` where it is another one, or stands in a `file` as `agent.get` gives
    it. All copies of a line come from one snapshot of the source, also over a crash, and so do the rows of an `$each`.
    A copy for another account has no ids of the first one's tools, documents, voices and other agents: each has to
    stand in `map`, or in the header's `id_map`; one that is the same there is mapped to itself.
    `${copy}` in a text of the line is the number of the copy, from 1.
    """

    kind: ClassVar[str] = "agent.clone"
    makes: ClassVar[str | None] = "agent"
    example: ClassVar[Mapping[str, Json]] = {
        "op": "agent.clone",
        "agent_id": "agent_abc123",
        "name": "Support Agent ${copy}",
        "set": {"conversation_config": {"agent": {"language": "de"}}},
        "copies": 2,
    }
    many: ClassVar[str | None] = "copies"
    snapshot: ClassVar[str | None] = "agent_id"

    agent_id: str | None = entity("the agent to copy", required=False)
    file: str | None = json_file("in place of `agent_id`: the file of an exported agent")
    from_: str | None = account("the account in which the agent is, where that is not the line's")
    name: str | None = text("the name of the copy; without it the copy keeps the source's")
    set: Json = json_object("a merge patch (RFC 7396) over the source's configuration")
    unset: Json = checked(
        "a list of dotted paths that are left out of the copy", _are_paths, {"type": "array", "items": TEXT}
    )
    map: Json = id_map(
        "ids of the source, and those that take their places wherever they stand as a whole text"
    )
    if_exists: str | None = if_exists()
    copies: int = whole("how many copies to make", default=1)
    expect: Json = expectation()

    @classmethod
    def wrong_together(cls, given: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
        """See `Operation.wrong_together`."""
        if given.get("file") is None:
            if given.get("agent_id") is None:
                yield "agent_id", "is missing; agent.clone needs it, or `file` with an exported agent"
        elif given.get("agent_id") is not None:
            yield "file", "stands beside `agent_id`; give one of them"
        elif given.get("from") is not None:
            yield "from", "says in which account an agent is, and this one is in a file; take one of them out"

    def steps(self, api: Profile) -> Steps:
        """See `Operation.steps`."""
        if self.agent_id is not None:
            read = yield api.agent_get.request(agent_id=self.agent_id, pinned=Pinned.LINE, account=self.from_)
        else:
            assert self.file is not None
            read = yield Load(self.file)
        body = self._copy(api, read.json)
        made = yield from make_agent(api, body, self.if_exists)
        source = {api.agent_id_field: self.agent_id or read.json.get(api.agent_id_field)}
        if self.from_ is not None:
            source["account"] = self.from_
        result = {**made, "source": source}
        if self.expect is None:
            return result
        back = yield from read_back(api, made[api.agent_id_field], body)
        return {**result, **back}

    def passed(self, api: Profile, result: Mapping[str, Json]) -> bool | None:  # noqa: ARG002 - as all kinds
        """See `Operation.passed`."""
        return as_expected(result) if self.expect is not None else None

    def _copy(self, api: Profile, source: Json) -> dict[str, Json]:
        kept = sendable(api, source)
        kept = without(kept, self.unset or ())
        ids = self.map or {}
        body: dict[str, Json] = merge_patch(mapped(kept, ids), self.set or {})
        if self.from_ is not None or (self.file is not None and ids):
            self._check_mapped(api, kept, body)
        if self.name is not None:
            body[api.name_field] = self.name
        return body

    def _check_mapped(self, api: Profile, kept: Json, body: Json) -> None:
        """Fail when the copy still has an id of the source's account."""
        ids = self.map or {}
        foreign = {found for _, _, found in _ids_in(api, kept) if found not in ids}
        left = [f"{path}: {kind} {found}" for path, kind, found in _ids_in(api, body) if found in foreign]
        if left:
            told = ", ".join(left[:MOST_PATHS_TOLD]) + (", …" if len(left) > MOST_PATHS_TOLD else "")
            raise OperationFailed(
                "unmapped",
                f"ids of the source's account are not in `map` or the header's `id_map` ({told}); map each one, to "
                "itself where it is the same there, or leave it out with `unset`",
            )


def _ids_in(api: Profile, configuration: Json) -> Iterator[tuple[str, str, str]]:
    yield from ids_at(api.agent_ids, configuration)
    yield from agents_at(api.agent_id_field, configuration)
