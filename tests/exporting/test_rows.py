"""A conversation as a row: typed columns, versions, and an API that changes."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bulkops.api import REFERENCE
from bulkops.exporting.rows import (
    COLUMNS,
    OTHER,
    Facts,
    changed,
    columns,
    content_of,
    created_of,
    extras_of,
    row_of,
)
from tests.test_transcripts import JSON, TALK

ANSWER = REFERENCE.conversation_get.example
EVENT = REFERENCE.webhook.example
DATA = EVENT["data"]
ENDED = 1762171320.0
FACTS = Facts("conv_xyz789", 1, "api", "transcripts/x.json", "00", 5.0)
TYPES = {
    "text": (str,), "whole": (int,), "number": (float,), "moment": (int, float),
    "json": (dict, list, str, int, float, bool),
}  # fmt: skip


def test_the_documented_answer_fills_its_columns() -> None:
    """Of the reference's Get Conversation every field has its column, with its type."""
    row = row_of(ANSWER, REFERENCE, FACTS, frozenset())
    assert row == {
        "conversation_id": "conv_xyz789",
        "version": 1,
        "agent_id": "agent_abc123",
        "status": "completed",
        "created_at": 1762171200.0,
        "ended_at": ENDED,
        "duration_seconds": 120.0,
        "turns": None,
        "transcript": "...",
        "analysis": None,
        "source": "api",
        "file": "transcripts/x.json",
        "sha256": "00",
        "exported_at": 5.0,
        OTHER: None,
    }


def test_the_documented_event_tells_the_same_and_its_analysis() -> None:
    """Of the reference's webhook, when the call began and ended, and that it did, are worked out from the event."""
    facts = Facts("conv_xyz789", 1, "webhook", "x", "00", 5.0, ENDED - 120, over=True)
    row = row_of(DATA, REFERENCE, facts, frozenset())
    answer = row_of(ANSWER, REFERENCE, FACTS, frozenset())
    same = ("agent_id", "status", "created_at", "ended_at", "duration_seconds", "transcript")
    assert {name: row[name] for name in same} == {name: answer[name] for name in same}
    assert row["analysis"] == DATA["analysis"]
    assert created_of(DATA, REFERENCE, ENDED) == 1762171200.0
    assert created_of({**DATA, "duration_seconds": 0}, REFERENCE, ENDED) == ENDED
    assert created_of({**DATA, "duration_seconds": None}, REFERENCE, ENDED) is None


@given(told=st.dictionaries(st.sampled_from([*ANSWER, "analysis", "version", "x", "y"]), JSON))
def test_any_answer_becomes_a_row_that_loses_nothing(told: dict[str, Any]) -> None:
    """Each value is of its column's type, and every field that is not null stands in a column of the row."""
    extras = frozenset(name for name in extras_of(told, REFERENCE) if name != "y")
    row = row_of(told, REFERENCE, FACTS, extras)
    types = {column.name: column.type for column in columns(extras, drop_text=False)}
    for name, value in row.items():
        assert value is None or isinstance(value, TYPES[types[name]]), name
    shown = {**(row[OTHER] or {}), **{name: row[name] for name in extras}}
    for name, value in extras_of(told, REFERENCE).items():
        assert shown[name] == value
    for name in ("agent_id", "status", "created_at", "duration_seconds"):
        assert told.get(name) is None or row[name] is not None or row[OTHER][name] == told[name]


def test_a_field_with_a_name_of_ours_keeps_apart() -> None:
    """A field of the API that is called like a column of ours has a column with `conversation.` in front."""
    assert extras_of({"version": 3, "source": "phone", "mood": "good"}, REFERENCE) == {
        "conversation.version": 3,
        "conversation.source": "phone",
        "mood": "good",
    }


def test_columns_stay_and_new_ones_follow() -> None:
    """The usual columns come first and in order; without transcripts that column is missing."""
    names = [column.name for column in columns(["mood"], drop_text=False)]
    assert names == [*(column.name for column in COLUMNS), "mood", OTHER]
    assert "transcript" not in [column.name for column in columns([], drop_text=True)]


def test_a_version_is_new_when_a_reading_adds_or_changes_something() -> None:
    """An answer without an analysis is no change after an event with one; another analysis, or a first one, is."""
    answer, event = content_of(ANSWER, REFERENCE), content_of(DATA, REFERENCE)
    assert changed([], answer) == answer
    assert changed([answer], answer) is None
    assert changed([event], answer) is None
    with_analysis = changed([answer], event)
    assert with_analysis == event
    again = content_of({**DATA, "analysis": {"sentiment": "negative"}}, REFERENCE)
    assert changed([event], again) == again
    other_words = content_of({**ANSWER, "transcript": TALK}, REFERENCE)
    merged = changed([event], other_words)
    assert merged is not None
    assert merged not in {event, other_words}
    assert changed([event, merged], event) is None


def test_the_order_of_keys_is_no_change() -> None:
    """An analysis with its keys in another order is the same."""
    one = content_of({"analysis": {"a": 1, "b": 2}}, REFERENCE)
    assert one == content_of({"analysis": {"b": 2, "a": 1}}, REFERENCE)
