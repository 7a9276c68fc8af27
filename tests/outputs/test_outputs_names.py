from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from bulkops.outputs.names import safe_name


@given(st.text() | st.from_regex(r"[A-Za-z0-9_./\\-]{1,130}", fullmatch=True))
def test_a_name_is_never_a_path(text: str) -> None:
    """Whatever a server calls a thing, its file name is letters, digits, `_` and `-`, not too long."""
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,119}", safe_name(text))


@given(st.from_regex(r"(?i)(con|prn|aux|nul|com[0-9]|lpt[0-9])", fullmatch=True))
def test_a_name_is_never_a_device(text: str) -> None:
    """A device name of Windows, in whatever case, is replaced."""
    assert safe_name(text).startswith("x-")


@given(st.from_regex(r"conv_[A-Za-z0-9_-]{0,100}", fullmatch=True))
def test_an_ordinary_id_stays(text: str) -> None:
    """An id as the API gives it is its own file name."""
    assert safe_name(text) == text


@given(st.text(alphabet="./\\ab\n", max_size=6), st.text(alphabet="./\\ab\n", max_size=6))
def test_two_names_stay_two(one: str, other: str) -> None:
    """Different texts have different file names."""
    assert (safe_name(one) == safe_name(other)) == (one == other)


def test_half_a_character_has_a_name() -> None:
    """A text that is no valid Unicode has a file name, too."""
    assert safe_name("\ud800").startswith("x-")
