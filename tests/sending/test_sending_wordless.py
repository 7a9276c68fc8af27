"""Redirects, and answers of what stands before the service, in plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bulkops.api import LIVE, REFERENCE
from bulkops.sending.wordless import redirected
from tests.sending.sending_doubles import KEY, answer, attempt, raw_server, read, run, wired
from tests.sending.sending_scripts import says

if TYPE_CHECKING:
    from bulkops.sending import Heard

HOME = LIVE.base_url
PAGE = b"<html><h1>Bad</h1></html>"


def heard(status: str, body: bytes = b"", **fields: str) -> Heard:
    """Return what is heard of an answer of this kind."""

    async def main() -> Heard:
        async with raw_server(says(answer(body, status, **fields))) as server, wired(server.base_url) as wire:
            return await wire.send(attempt(read()))

    return run(main())


@pytest.mark.parametrize(
    ("location", "words"),
    [
        (f"{LIVE.hosts['eu']}/agents", "to api.eu.residency.elevenlabs.io, and is not followed"),
        (f"{LIVE.hosts['eu']}/agents", "if the workspace is there, give --residency eu"),
        ("//evil.example:8443/?key=1", "to evil.example:8443, and is not followed; if you know"),
        ("https://user:word@evil.example/x", "to evil.example, and is not followed"),
        ("/v2/agents", "another path of the same server"),
        ("", "another path of the same server"),
        ("https://\x1b]0;owned\x07.example/", "it points elsewhere"),
        (f"https://{'a' * 300}.example/", "it points elsewhere"),
        ("https://[::1", "it points elsewhere"),
        ("https://b\u00fccher.example/", "it points elsewhere"),
    ],
)  # fmt: skip
def test_a_redirect_tells_the_host_alone(location: str, words: str) -> None:
    """Where an answer points to is told as far as it is a host, with the option that says so."""
    told = redirected(LIVE, HOME, location)
    assert words in told
    assert not any(sign in told for sign in ("owned", "word", "key=1", "\x1b"))


def test_a_redirect_is_told_on_the_wire() -> None:
    """What is heard of a redirect is in these words, whatever else it says; the key that it echoes is no host."""
    said = heard(
        "307 Temporary", b'{"detail": "moved"}', location="https://other.example/v1/convai/agents"
    ).reason
    assert said.startswith("it points to other.example, and is not followed")
    assert KEY not in heard("301 Moved", location=f"https://{KEY}.example/").reason
    assert heard("304 Not Modified").reason == "HTTP 304"


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        ("502 Bad Gateway", PAGE, "a gateway before the service had no good answer from it (the answer is a page"),
        ("503 Unavailable", b"", "takes no requests now (try again later)"),
        ("504 Timeout", PAGE, "waited in vain"),
        ("500 Error", PAGE, "the answer is a page of HTML"),
        ("403 Forbidden", PAGE, "the answer is a page of HTML"),
        ("503 Unavailable", b'{"detail": {"message": "back at noon"}}', "back at noon"),
        ("500 Error", b"", "HTTP 500"),
    ],
)  # fmt: skip
def test_a_gateway_is_told_as_one(status: str, body: bytes, words: str) -> None:
    """What tells nothing by itself is told by its status, and as the page that it is; what the API says goes first."""
    assert words in heard(status, body).reason


def test_the_reference_has_no_residencies() -> None:
    """Where the API that is spoken has no places, --base-url is named."""
    assert "--base-url" in redirected(REFERENCE, HOME, LIVE.hosts["eu"])
