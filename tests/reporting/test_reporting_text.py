from __future__ import annotations

import subprocess
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from bulkops.reporting.text import safe_text, shell_word

TURNING = {"\u061c", "\u200e", "\u200f", *map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A))}
DANGEROUS = st.text(alphabet=st.characters(categories=["Cc", "Cf", "Zl", "Zp", "Cs", "L"]))


@given(st.text() | DANGEROUS, st.integers(1, 30))
def test_no_terminal_obeys(text: str, limit: int) -> None:
    """No control character, no separator of lines and nothing that turns the writing is left."""
    shown = safe_text(text, limit)
    assert not {unicodedata.category(char) for char in shown} & {"Cc", "Zl", "Zp", "Cs"}
    assert not TURNING & set(shown)
    assert len(shown) <= limit


def test_escapes_are_visible() -> None:
    """What was taken out is shown as an escape."""
    assert safe_text("a\x1b[2J\n\u202eb\u2028\x9b\ud800") == r"a\x1b[2J\n\u202eb\u2028\x9b\ud800"


@given(st.text(alphabet="abc äöü漢字🙂👩‍🔬\\'\"", max_size=50))
def test_ordinary_text_stays(text: str) -> None:
    """Text of any script stays as it is, also where signs are joined."""
    assert safe_text(text) == text


def test_a_long_text_is_cut_visibly() -> None:
    """A text that is cut ends with an ellipsis; one that just fits does not."""
    assert safe_text("x" * 501) == "x" * 499 + "…"
    assert safe_text("x" * 500) == "x" * 500


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20))
def test_a_shell_reads_back_what_was_quoted(word: str) -> None:
    """A word quoted for a shell is one line without control characters, and bash reads the same word from it."""
    quoted = shell_word(word)
    assert quoted.isprintable()
    command = f"printf %s {quoted}"
    said = subprocess.run(["bash", "-c", command], capture_output=True, check=True, env={"LC_ALL": "C.UTF-8"})
    assert said.stdout.decode() == word
