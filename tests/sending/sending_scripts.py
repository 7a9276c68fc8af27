"""What a server may do with a request, byte by byte: scripts for `raw_server`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.sending.sending_doubles import answer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.sending.sending_doubles import Talk

    Script = Callable[[Talk], Awaitable[None]]

CUT = answer()[:-4]
"""An answer without its end."""
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


async def closes_at_once(talk: Talk) -> None:
    """Close before a byte is read."""


async def resets_at_once(talk: Talk) -> None:
    """Reset before a byte is read."""
    talk.reset()


async def closes_after_head(talk: Talk) -> None:
    """Close before the body."""
    await talk.head()


async def resets_after_head(talk: Talk) -> None:
    """Reset before the body."""
    await talk.head()
    talk.reset()


async def closes_within(talk: Talk) -> None:
    """Close within the body."""
    await talk.body(await talk.head(), 5)


async def resets_within(talk: Talk) -> None:
    """Reset within the body."""
    await talk.body(await talk.head(), 5)
    talk.reset()


async def closes_after(talk: Talk) -> None:
    """Read the whole request, then close."""
    await talk.request()


async def resets_after(talk: Talk) -> None:
    """Read the whole request, then reset."""
    await talk.request()
    talk.reset()


async def is_silent(talk: Talk) -> None:
    """Read the whole request, then say nothing."""
    await talk.request()
    await talk.silence()


async def stalls(talk: Talk) -> None:
    """Stop reading after the head."""
    await talk.head()
    await talk.silence()


BEFORE_THE_END = [
    closes_at_once,
    resets_at_once,
    closes_after_head,
    resets_after_head,
    closes_within,
    resets_within,
]


def says(text: bytes, then: Script = closes_at_once) -> Script:
    """Return a script that reads a request and says this."""

    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.say(text)
        await then(talk)

    return script


def says_early(text: bytes, then: Script) -> Script:
    """Return a script that says this before it reads the body."""

    async def script(talk: Talk) -> None:
        await talk.head()
        await talk.say(text)
        await then(talk)

    return script


async def drips(talk: Talk) -> None:
    """Send one byte after the other for ever."""
    while True:
        await talk.say(b" ")
        await asyncio.sleep(0.02)


async def floods(talk: Talk) -> None:
    """Send without end."""
    while True:
        await talk.say(b"a" * 2**16)
