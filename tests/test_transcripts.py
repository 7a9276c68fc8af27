"""What is kept of a conversation, and how its transcript reads as text."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bulkops.api import REFERENCE
from bulkops.transcripts import as_text, at, kept, turns

FIELDS = REFERENCE.conversation
TALK = [
    {"role": "agent", "message": "Hello!", "time_in_call_secs": 0},
    {"role": "user", "message": "Two\nlines", "time_in_call_secs": 65.4},
    {"role": "agent", "message": None, "tool_calls": []},
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


def test_a_structured_transcript_has_a_line_for_each_turn() -> None:
    """A list of turns becomes lines with the moment, who speaks and what is said; a text stays as it is."""
    assert as_text(TALK, FIELDS) == "[0:00] Agent: Hello!\n[1:05] User: Two lines\nAgent:\n"
    assert as_text("Agent: Hi\nUser: Hi", FIELDS) == "Agent: Hi\nUser: Hi"
    assert as_text(None, FIELDS) is None
    assert (turns(TALK), turns("Agent: Hi"), turns(None)) == (3, None, None)


@given(transcript=JSON)
def test_any_transcript_reads_as_text_that_no_terminal_obeys(transcript: Any) -> None:
    """Whatever the API answers, the text has no control character but tabs and line ends."""
    told = as_text(transcript, FIELDS)
    assert told is None or not [c for c in told if c not in "\t\n" and (c < " " or "\x7f" <= c < "\xa0")]


def test_redacted_fields_are_replaced_wherever_their_path_leads() -> None:
    """A path leads into each object of a list; a text becomes `[redacted]`, everything else null."""
    told = {"a": {"b": "secret", "n": 5}, "transcript": TALK, "c": 1}
    found = kept(told, REFERENCE, redact=["a.b", "a.n", "transcript.message", "no.where"])
    assert found["a"] == {"b": "[redacted]", "n": None}
    assert [turn["message"] for turn in found["transcript"]] == ["[redacted]", "[redacted]", None]
    assert found["c"] == 1
    assert "no" not in found


def test_what_is_not_as_a_path_expects_is_redacted_as_well() -> None:
    """A transcript that is a text holds what `transcript.message` names; it does not pass because of its shape."""
    told = {"transcript": "Agent: my number is 5", "c": 1, "d": None}
    found = kept(told, REFERENCE, redact=["transcript.message", "c.d", "d.e"])
    assert found == {"transcript": "[redacted]", "c": None, "d": None}


@given(told=st.dictionaries(st.sampled_from(["transcript", "a", "b"]), JSON), path=st.text(max_size=5))
def test_what_is_kept_never_changes_what_it_was_given(told: dict[str, Any], path: str) -> None:
    """With `drop_text` the transcript is gone, and only that; the conversation itself is as before."""
    before = repr(told)
    found = kept(told, REFERENCE, redact=[path] if path else [], drop_text=True)
    assert repr(told) == before
    assert found.keys() == told.keys() - {"transcript"}


def test_a_path_leads_through_objects_only() -> None:
    """What is no object on the way leads nowhere."""
    assert at({"a": {"b": 1}}, "a.b") == 1
    assert at({"a": [1]}, "a.b") is None
    assert at(None, "a") is None
