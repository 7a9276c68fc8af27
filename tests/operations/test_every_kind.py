"""What holds for every kind there is, also for those that are added later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest

from bulkops.api import LIVE, REFERENCE
from bulkops.jobfile import Header, RawLine, parse_line
from bulkops.model import Effect, Request
from bulkops.operation import fields_of
from bulkops.operations import KINDS
from tests.operations.steps_doubles import example_of

if TYPE_CHECKING:
    from pathlib import Path

    from bulkops.api import Profile
    from bulkops.model import Reply, Step
    from bulkops.operation import Operation

THE_REFERENCE = {
    "agent.create", "agent.update", "agent.get", "agent.list", "agent.delete", "agent.clone",
    "agent.simulate", "conversation.create", "conversation.get", "conversation.export", "document.upload",
    "document.index", "document.index_status", "tool.create",
}  # fmt: skip

THE_LIVE_API = THE_REFERENCE | {
    "agent.duplicate", "conversation.audio", "conversation.delete", "conversation.list", "document.create_text",
    "document.create_url", "document.delete", "document.get", "document.index_delete", "document.index_quota",
    "document.list", "document.update_file", "folder.create", "test.create", "test.delete", "test.get", "test.list",
    "test.run", "tool.delete", "tool.get", "tool.list", "tool.update",
}  # fmt: skip

every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
SPOKEN = [
    (api, KINDS[op]) for api, ops in ((REFERENCE, THE_REFERENCE), (LIVE, THE_LIVE_API)) for op in sorted(ops)
]
every_kind_of_each_api = pytest.mark.parametrize(
    ("api", "kind"), SPOKEN, ids=[f"{kind.kind}-{api.name}" for api, kind in SPOKEN]
)


@pytest.fixture(autouse=True)
def handbook(tmp_path: Path) -> None:
    """Have the file that the example of an upload sends."""
    (tmp_path / "handbook.md").write_text("Refunds take 3 to 5 working days.")


SAID_OTHERWISE: dict[tuple[str, str], Any] = {
    # Its example has variables, which are refused: see tests/api/test_api_live.py.
    ("live", "conversation.create"): {"body": {"agent_id": "agent_abc123"}}
}


def operation_of(kind: type[Operation], folder: Path, api: Profile) -> Operation:
    """Return the first operation of a kind's example line."""
    raw = RawLine(1, 0, orjson.dumps({**kind.example, **SAID_OTHERWISE.get((api.name, kind.kind), {})}))
    return parse_line(raw, Header(), {}, folder).operation(lambda _ref: None, 1)


def test_the_folder_holds_the_kinds_of_each_api() -> None:
    """Every kind that can be done with the API reference, or the live API, is there under its name."""
    assert set(KINDS) == THE_LIVE_API


@every_kind
def test_an_api_refuses_what_it_does_not_have(kind: type[Operation]) -> None:
    """What the reference has no endpoint for is refused by its plan, and the reason names the API that has one."""
    fields = {key: value for key, value in kind.example.items() if key != "op"}
    refused = [why for field, why in REFERENCE.refuses(kind.kind, fields) if field == "op"]
    assert bool(refused) == (kind.kind not in THE_REFERENCE)
    assert all("--api live" in why for why in refused)
    assert not any(field == "op" for field, _ in LIVE.refuses(kind.kind, fields))


@every_kind
def test_it_explains_itself(kind: type[Operation]) -> None:
    """A kind has a docstring of its own, and every field says what it is about."""
    assert kind.__doc__
    assert not kind.__doc__.startswith(f"{kind.__name__}(")
    assert all(field.about for field in fields_of(kind).values())


@every_kind
def test_its_example_is_a_line(kind: type[Operation], tmp_path: Path) -> None:
    """The example of a kind can be written into a job file as it stands."""
    raw = RawLine(1, 0, orjson.dumps(kind.example))
    line = parse_line(raw, Header(), {}, tmp_path)
    assert line.kind is kind
    assert isinstance(line.operation(lambda _ref: None, 1), kind)


def rehearsed(
    operation: Operation, api: Profile, remembered: list[Reply]
) -> tuple[list[Step], list[Reply], Any]:
    """Drive an operation with remembered replies first and documented answers after them."""
    generator = operation.steps(api)
    steps: list[Step] = []
    replies: list[Reply] = []
    try:
        step = next(generator)
        while True:
            steps.append(step)
            place = len(replies)
            replies.append(remembered[place] if place < len(remembered) else example_of(step, api))
            step = generator.send(replies[-1])
    except StopIteration as end:
        return steps, replies, end.value


@every_kind_of_each_api
def test_the_documented_answers_carry_it_to_its_end(
    kind: type[Operation], api: Profile, tmp_path: Path
) -> None:
    """With the documented answers a kind raises nothing, and its result is a JSON object."""
    operation = operation_of(kind, tmp_path, api)
    steps, _, result = rehearsed(operation, api, [])
    assert isinstance(result, dict)
    assert orjson.loads(orjson.dumps(result)) == result
    assert operation.passed(api, result) in (None, True)
    assert {step.endpoint for step in steps if isinstance(step, Request)} <= set(api.endpoints())


@every_kind_of_each_api
def test_any_number_of_remembered_replies_leads_to_the_same_end(
    kind: type[Operation], api: Profile, tmp_path: Path
) -> None:
    """Stopped after any number of steps and resumed with its replies, it takes the same steps to the same end."""
    steps, replies, result = rehearsed(operation_of(kind, tmp_path, api), api, [])
    for stop in range(len(replies) + 1):
        assert rehearsed(operation_of(kind, tmp_path, api), api, replies[:stop]) == (steps, replies, result)


@every_kind_of_each_api
def test_it_makes_one_thing_before_all_else_that_has_an_effect(
    kind: type[Operation], api: Profile, tmp_path: Path
) -> None:
    """What a kind that is done has made is put in doubt again as its first request with an effect."""
    steps, _, _ = rehearsed(operation_of(kind, tmp_path, api), api, [])
    effects = [step for step in steps if isinstance(step, Request) and step.effect is not Effect.READ]
    assert not any(step.effect in (Effect.CREATE, Effect.SPEND) for step in effects[1:])
