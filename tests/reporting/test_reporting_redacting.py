from __future__ import annotations

import base64
import io
import json
import logging
import sys
import threading
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkops.reporting.redacting import Redacting, RedactingFilter, install_excepthook
from bulkops.settings import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "sk_0123+456/789=abc"
KEYS = st.text(alphabet=st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=12, max_size=60)


@pytest.fixture
def _hooks() -> Iterator[None]:
    before = sys.excepthook, threading.excepthook, sys.unraisablehook
    yield
    sys.excepthook, threading.excepthook, sys.unraisablehook = before


@given(KEYS, st.text(max_size=5), st.text(max_size=5))
def test_a_secret_is_hidden_in_every_form(key: str, before: str, after: str) -> None:
    """A secret is replaced as it is, in base64, URL-encoded and as JSON."""
    redact = Redacting([Secret(key)])
    forms = [key, base64.b64encode(key.encode()).decode(), quote(key, safe=""), quote_plus(key).lower()]
    for form in [*forms[:3], json.dumps(key)[1:-1]]:
        assert form not in redact(before + form + after)


@given(KEYS, st.binary(max_size=8), st.binary(max_size=8))
def test_a_secret_inside_of_base64_is_hidden(key: str, before: bytes, after: bytes) -> None:
    """Base64 of something that contains a secret does not give it away, as in `Basic` credentials."""
    encoded = base64.b64encode(before + key.encode() + after).decode()
    assert "***" in Redacting([Secret(key)])(encoded)


def test_other_text_stays() -> None:
    """Nothing else is replaced, and without a secret nothing at all."""
    assert Redacting([Secret(KEY)])("an ordinary sentence") == "an ordinary sentence"
    assert Redacting([])("x") == "x"
    assert Redacting([Secret("")])("x") == "x"


def test_the_longer_of_two_secrets_is_hidden_whole() -> None:
    """Of two secrets, one the begin of the other, no tail is left."""
    assert Redacting([Secret("sk_abc"), Secret("sk_abc_def")])("sk_abc_def") == "***"


def test_log_records_are_redacted() -> None:
    """A log shows no secret in its message, its arguments or its traceback."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.addFilter(RedactingFilter(Redacting([Secret(KEY)])))
    logger = logging.getLogger("here")
    logger.addHandler(handler)
    logger.error("with %s", KEY, stack_info=True, exc_info=ValueError(KEY))
    assert KEY not in out.getvalue()
    assert "with ***" in out.getvalue()
    assert "ValueError: ***" in out.getvalue()


@pytest.mark.usefixtures("_hooks")
def test_a_traceback_is_redacted() -> None:
    """An exception nobody handles is shown without the secret, of the main thread as of others."""
    out = io.StringIO()
    install_excepthook(Redacting([Secret(KEY)]), out)
    error = ValueError(f"Illegal header value {KEY}")
    sys.excepthook(ValueError, error, None)

    def fail() -> None:
        raise error

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    assert KEY not in out.getvalue()
    assert out.getvalue().count("Illegal header value ***") == 2
