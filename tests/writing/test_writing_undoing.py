"""How one agent is taken back: what operations did to it comes in, a line or a reason goes out."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkops.api import REFERENCE
from bulkops.merging import merge_patch, same, unlike
from bulkops.model import Changed
from bulkops.writing.plain import plain
from bulkops.writing.undoing import Left, Touch, taken_back

AGENT = "agent_1"
SOURCE = {"agent_id": AGENT, "name": "A", "note": "old", "created_at": "t", "updated_at": "t"}
MADE = {"agent_id": AGENT, "name": "A", "created_at": "2025-11-03T12:00:00Z"}


def by(op: str, line_id: str | None = "x", **more: Any) -> dict[str, Any]:
    """Return the record of an operation."""
    return {"id": line_id, "line": 7, "op": op, "status": "done", "result": {}, **more}


def made(**result: Any) -> Touch:
    """Return that an operation made the agent."""
    return Touch(by("agent.create", result=MADE | result), made=True)


def updated(before: dict[str, Any] | None, *patches: Any) -> Touch:
    """Return that an operation changed the agent."""
    return Touch(by("agent.update"), before=before, changes=tuple(Changed(AGENT, patch) for patch in patches))


def deleted(before: dict[str, Any]) -> Touch:
    """Return that an operation deleted the agent."""
    return Touch(by("agent.delete"), before=before, changes=(Changed(AGENT),))


def back(*touches: Touch, guarded: bool = True) -> Any:
    """Return what takes the agent back."""
    return taken_back(AGENT, touches, REFERENCE, guarded=guarded)


def test_a_made_agent_is_deleted_unless_it_was_changed_since() -> None:
    """The line says when it was made, and the name it was given; without a guard it does not."""
    assert back(made()) == {
        "id": "undo:agent_1",
        "op": "agent.delete",
        "agent_id": AGENT,
        "unchanged_since": "2025-11-03T12:00:00Z",
        "expected": {"name": "A"},
        "meta": {"undoes": ["x"]},
    }
    assert back(made(), guarded=False).keys() == {"id", "op", "agent_id", "meta"}


def test_a_made_and_changed_agent_is_only_deleted() -> None:
    """It has to read as the last change of the run has left it."""
    line = back(made(), updated(SOURCE, {"name": "B"}))
    assert (line["op"], line["expected"]) == ("agent.delete", {"name": "B", "note": "old"})
    assert "unchanged_since" not in line


@pytest.mark.parametrize("touches", [(made(agent_id="agent_2"),), (made(), updated(None))])
def test_what_nobody_knows_is_left_alone(touches: tuple[Touch, ...]) -> None:
    """An agent of which nobody knows how the run left it is deleted only when that is asked for."""
    assert isinstance(back(*touches), Left)
    assert back(*touches, guarded=False)["op"] == "agent.delete"


def test_an_agent_whose_answer_told_no_time_may_not_have_changed_since_it_was_made() -> None:
    """The line leaves it to the agent to say when that was."""
    assert back(made(created_at=None))["unchanged_since"] == "made"


def test_what_was_made_and_deleted_is_nothing() -> None:
    """An agent that the run made and deleted leaves nothing to take back."""
    assert back(made(), deleted(SOURCE)) is None


def test_several_changes_go_back_to_the_first_image_at_once() -> None:
    """Only what the run has named goes back; what somebody else set in between stays."""
    between = {**SOURCE, "name": "B", "theirs": 1}
    line = back(updated(SOURCE, {"name": "B"}), updated(between, {"note": None, "new": {"deep": 1}}))
    assert line["op"] == "agent.update"
    assert line["body"] == {"name": "A", "note": "old", "new": None}
    assert line["expected"] == {"name": "B", "theirs": 1, "new": {"deep": 1}}


def test_a_change_that_changed_nothing_is_not_taken_back() -> None:
    """No line is written that would send nothing new."""
    assert back(updated(SOURCE, {"name": "A", "missing": None})) is None


def test_a_deleted_agent_is_made_as_it_was_before_the_run() -> None:
    """Changes before the deletion are taken back as well, and what the server assigns is left out."""
    line = back(updated(SOURCE, {"name": "B"}), deleted({**SOURCE, "name": "B"}))
    assert (line["op"], line["body"]) == ("agent.create", {"name": "A", "note": "old"})


@pytest.mark.parametrize("forced", [True, False])
def test_what_was_not_read_before_or_is_in_doubt_is_left(forced: bool) -> None:  # noqa: FBT001 - a column of the table
    """Neither can be taken back by force: it is not known to what."""
    unread = back(updated(None), updated(SOURCE, {"name": "B"}), guarded=not forced)
    assert isinstance(unread, Left)
    assert "--no-before" in unread.why
    assert back(made(), Touch(by("agent.update"), doubt="nobody knows"), guarded=not forced) == Left(
        "nobody knows"
    )


def test_texts_of_agents_are_no_expressions() -> None:
    """What looks like an expression is written so that it means itself."""
    line = back(updated({**SOURCE, "name": "${env:HOME}"}, {"name": "${copy}"}))
    assert line["body"] == {"name": "$${env:HOME}"}
    assert line["expected"]["name"] == "$${copy}"


def test_no_line_names_more_than_ten_operations() -> None:
    """An agent that was changed a hundred times has a line of ordinary length; what has no id goes by its line."""
    changes = (Changed(AGENT, {"name": "B"}),)
    many = [Touch(by("agent.update", f"u{n}"), before=SOURCE, changes=changes) for n in range(100)]
    assert back(*many)["meta"]["undoes"] == [f"u{n}" for n in range(10)]
    nameless = Touch(by("agent.create", None, result=MADE), made=True)
    assert back(nameless)["meta"]["undoes"] == ["line 7"]


values = st.recursive(
    st.integers(0, 2) | st.text(max_size=2),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(st.sampled_from("abc"), values, max_size=3)
patches = st.dictionaries(st.sampled_from("abc"), st.none() | values, max_size=3)


@given(objects, st.lists(patches, min_size=1, max_size=4))
def test_any_changes_are_taken_back(agent: dict[str, Any], changes: list[dict[str, Any]]) -> None:
    """Whatever changes a run makes to an agent, it reads as expected after it, and as before once taken back."""
    now, touches = agent, []
    for patch in changes:
        touches.append(updated(now, patch))
        now = merge_patch(now, patch)
    line = back(*touches)
    if line is None:
        assert same(now, agent)
        return
    assert list(unlike(line["expected"], plain(now))) == []
    assert same(merge_patch(plain(now), line["body"]), plain(agent))
