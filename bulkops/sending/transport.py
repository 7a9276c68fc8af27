"""What stands behind httpx's transport interface: aiohttp's connections.

httpx's own pool scans all its connections for each request: at 64 in flight it takes some ten times the CPU of this
one (benchmarks/transports.py). Of httpx we keep the types and the interface, so another transport can take its place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import aiohttp
import httpx

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

    from aiohttp.client_reqrep import ConnectionKey
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

KEEP_ALIVE = 4.0
"""Seconds an idle connection is kept: below the 5 s after which common servers close theirs, since a request
that meets a closing connection may be in doubt."""


class _Connections(aiohttp.TCPConnector):
    """Connections of which none is used again on which something came unasked.

    aiohttp would take it for the answer to the next request. There is no public place to look; tests hold this
    one in place.
    """

    async def _get(self, key: ConnectionKey, traces: list[Trace]) -> Connection | None:
        while (connection := await super()._get(key, traces)) is not None:
            if connection.protocol is not None and not connection.protocol.should_close:
                return connection
            connection.close()
        return None


class _Held(aiohttp.ClientResponse):
    """An answer that keeps its connection until it is told to give it back.

    aiohttp gives it back with the last byte: the next request could be on its way before the answer was looked at.
    There is no public switch; a test holds this one in place.
    """

    def _response_eof(self) -> None:
        self._cleanup_writer()


class AiohttpTransport(httpx.AsyncBaseTransport):
    """HTTP/1.1 over aiohttp: no redirects, no proxies or keys from the environment, no retries, no decoding.

    The extension `timeout` of a request gives `connect` and `total` seconds: `connect` until there is a connection,
    name and TLS included, `total` from the first attempt to connect to the last byte of the answer. The connection is
    used again once the answer is closed; the extension `discard` of an answer, called before, closes it instead.
    """

    def __init__(self, *, verify: ssl.SSLContext | None = None) -> None:
        self._verify = verify
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = _Connections(
            limit=0,
            keepalive_timeout=KEEP_ALIVE,
            ssl=self._verify if self._verify is not None else True,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            response_class=_Held,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        )
        # aiohttp repeats GET, PUT and DELETE by itself when a kept connection turns out closed: such a repetition
        # would pass neither the pace nor the record. There is no public switch; a test holds this one in place.
        self._session._retry_connection = False  # noqa: SLF001 - there is no public switch
        return self

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """See `httpx.AsyncBaseTransport`. Raises httpx's TransportErrors."""
        assert self._session is not None, "the transport is not open"
        timeout = request.extensions.get("timeout", {})
        try:
            answer = await self._session.request(
                request.method,
                str(request.url),
                headers=request.headers,
                data=request.stream if "content-length" in request.headers else None,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=timeout.get("total"), connect=timeout.get("connect")),
            )
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise httpx.ConnectError(str(error), request=request) from error
        except TimeoutError as error:
            raise httpx.ReadTimeout("no answer in time", request=request) from error
        except aiohttp.ClientResponseError as error:
            # Garbage instead of an answer. That error carries the request's headers, key included: it stays here.
            raise httpx.RemoteProtocolError(f"no HTTP answer: {error.message}", request=request) from None
        except aiohttp.ClientError as error:
            raise httpx.ReadError(str(error) or type(error).__name__, request=request) from error
        return httpx.Response(
            answer.status,
            headers=answer.raw_headers,
            stream=_Answer(answer, request),
            request=request,
            extensions={"discard": answer.close},
        )

    async def aclose(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None


class _Answer(httpx.AsyncByteStream):
    def __init__(self, answer: aiohttp.ClientResponse, request: httpx.Request) -> None:
        self._answer = answer
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._answer.content.iter_any():
                yield chunk
        except TimeoutError as error:
            raise httpx.ReadTimeout("the answer did not end in time", request=self._request) from error
        except (aiohttp.ClientError, OSError) as error:
            raise httpx.ReadError(str(error) or type(error).__name__, request=self._request) from error

    async def aclose(self) -> None:
        # An answer that was not read to its end leaves its connection unusable: closed, not kept.
        if self._answer.content.at_eof():
            self._answer.release()
        else:
            self._answer.close()
