"""What people are told while a run goes on."""

from __future__ import annotations

import pytest

from bulkops.observing import settling


@pytest.mark.parametrize(
    ("sure", "then"),
    [
        (0, "is sent again"),
        (1, "is sent again, but for the 1 that did take effect"),
        (3, "is held, as it did take effect"),
    ],
)
def test_what_did_take_effect_is_not_said_to_be_sent_again(sure: int, then: str) -> None:
    """The line about doubts says what will become of those that the API does not list."""
    said = settling(3, sure, 42.0)
    assert said.startswith("3 in doubt: asking the API what became of them; what is not there by ")
    assert said.endswith(f"(in 42 s, --settle) {then}")
