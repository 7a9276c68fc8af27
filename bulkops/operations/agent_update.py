"""Change an agent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from bulkops.api.profile import is_entity_id
from bulkops.guarding import read_before, wrong_moment
from bulkops.mapping import replaced, sendable
from bulkops.merging import added_to, adds, merge_patch, patch_between
from bulkops.model import Changed
from bulkops.operation import TEXT, Operation, checked, entity, json_object
from bulkops.readback import as_expected, expectation, read_back

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bulkops.api.profile import Profile
    from bulkops.model import Json
    from bulkops.operation import Steps


def _wrong_replacement(value: Json) -> str | None:
    if not isinstance(value, dict) or not value:
        return 'has to be an object of ids by ids, such as {"doc_123": "doc_456"}'
    for old, new in value.items():
        if new is not None and not is_entity_id(new):
            return f"says what is no id for {old!r:.80}; write another id, or null to take it out"
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateAgent(Operation):
    """Change the fields of an agent that `body` names, and ids in it (API reference, Update Agent).

    With `replace` ids take the places of others wherever they stand in it; one that has none of them is left as it is.
    The agent is read once before that, for `bulkops undo`. When it does not read as expected, it is left alone and the
    operation fails with the code `changed_since`.
    """

    kind: ClassVar[str] = "agent.update"
    adds: ClassVar[bool] = True
    may_tell: ClassVar[frozenset[str]] = frozenset({"unchanged"})
    example: ClassVar[Mapping[str, Json]] = {
        "op": "agent.update",
        "agent_id": "agent_abc123",
        "body": {"conversation_config": {"agent": {"language": "de"}}},
    }

    agent_id: str = entity("the agent to change")
    body: Json = json_object("what to change, as the API wants it")
    replace: Json = checked(
        "ids that take the places of others, such as documents; null takes one out of its list",
        _wrong_replacement,
        {"type": "object", "additionalProperties": {"type": ["string", "null"]}},
    )
    expected: Json = json_object("how it has to read before that: of objects, the keys that are named here")
    unchanged_since: str | None = checked(
        "when it has to have been changed last, or earlier; `made` for when it was made", wrong_moment, TEXT
    )
    expect: Json = expectation()

    @classmethod
    def wrong_together(cls, given: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
        """See `Operation.wrong_together`."""
        if given.get("body") is None and given.get("replace") is None:
            yield "body", "is missing; agent.update needs it, or `replace` with ids"

    def steps(self, api: Profile) -> Steps:
        """See `Operation.steps`."""
        made_of_it = adds(self.body) or self.replace is not None
        read = read_before(api, self.agent_id, self.expected, self.unchanged_since, needed=made_of_it)
        before = yield read
        body = self.patch(api, before.json) if made_of_it else self.body
        if not body and self.body is None:
            return {api.agent_id_field: self.agent_id, "unchanged": True}
        updated = yield api.agent_update.request(body, agent_id=self.agent_id)
        if before.json is not None:
            yield Changed(self.agent_id, body)
        result = {api.agent_id_field: self.agent_id, **(updated.json or {})}
        if self.expect is None:
            return result
        return {**result, **(yield from read_back(api, self.agent_id, body))}

    def patch(self, api: Profile, agent: Json) -> Json:
        """Return what is to be sent, made of the agent as it is."""
        body = {} if self.body is None else added_to(self.body, agent)
        if self.replace is None:
            return body
        whole = sendable(api, agent)
        return patch_between(whole, merge_patch(replaced(whole, self.replace), body))

    def passed(self, api: Profile, result: Mapping[str, Json]) -> bool | None:  # noqa: ARG002 - as all kinds
        """See `Operation.passed`."""
        return as_expected(result) if self.expect is not None else None
