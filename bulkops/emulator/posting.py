"""How an event leaves the server: a POST to the webhook, which has a bounded time and is not led elsewhere."""

from __future__ import annotations

from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import aiohttp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    Post = Callable[[bytes, Mapping[str, str]], Awaitable[int | None]]

_KEEP_ALIVE = 1.0  # seconds, shorter than servers keep idle connections: none is closed under an event
_HEARD = 64 * 1024  # bytes of an answer, of which only the status counts


@asynccontextmanager
async def posting(url: str, timeout: float) -> AsyncIterator[Post]:  # noqa: ASYNC109 - of each POST, not of this
    """Offer a function that posts a body with headers and returns the status; None for no answer in time."""
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE)
    async with aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        timeout=aiohttp.ClientTimeout(total=timeout),
    ) as session:

        async def post(body: bytes, headers: Mapping[str, str]) -> int | None:
            status = None
            with suppress(aiohttp.ClientError, TimeoutError):
                async with session.post(url, data=body, headers=headers, allow_redirects=False) as answer:
                    status = answer.status
                    await answer.content.read(_HEARD)
            return status

        yield post
