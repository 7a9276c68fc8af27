"""Texts from the server or the job, made fit for a terminal or a log."""

from __future__ import annotations

import shlex

_BIDI = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_SEPARATORS = (0x2028, 0x2029)
_CONTROLS = (*range(0x20), *range(0x7F, 0xA0))
_NAMED = {0x09: r"\t", 0x0A: r"\n", 0x0D: r"\r"}
_VISIBLE = {
    **{code: f"\\x{code:02x}" for code in _CONTROLS},
    **{code: f"\\u{code:04x}" for code in (*_BIDI, *_SEPARATORS)},
    **_NAMED,
}


def shell_word(word: str) -> str:
    """Return a word quoted for a shell, on one line: bash and its like read `$'…'` back as it was."""
    if word.isprintable():
        return shlex.quote(word)
    return f"$'{''.join(map(_escaped, word))}'"


def _escaped(character: str) -> str:
    if character in "\\'":
        return f"\\{character}"
    if character.isprintable():
        return character
    return f"\\x{ord(character):02x}" if character.isascii() else f"\\U{ord(character):08x}"


def safe_text(text: str, limit: int = 500) -> str:
    """Return a text in one line of at most `limit` characters that no terminal obeys.

    Control characters (C0, C1, DEL), those that turn the direction of writing and separators of lines become
    visible escapes; what is cut off is marked with an ellipsis.
    """
    # Half of a surrogate pair can be in a file name; no terminal's encoding takes it.
    whole = text[: limit + 1].encode("utf-8", "backslashreplace").decode()
    shown = whole.translate(_VISIBLE)
    return shown if len(shown) <= limit else f"{shown[: limit - 1]}…"
