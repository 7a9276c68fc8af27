"""What stands behind httpx's transport interface: CPU per POST of the candidates at 16, 64 and 256 in flight.

Each sends POSTs of 400 bytes and reads the answers of a server without delay, in a process of its own; slopes
between two numbers of requests. Why bulkops has its own transport over aiohttp:

- httpx's stock pool walks through all its connections for every request: it collapses from about 64 in flight on.
- One stock pool of one connection per worker stays flat, at several times the price.
- The package httpx-aiohttp is the same idea at about the same price (it hands bodies that are in memory over in one
  piece). It has no deadline for a whole attempt, keeps cookies, and leaves aiohttp's own repetition of GET, PUT and
  DELETE switched on, which would pass neither the pace nor the record.
- aiohttp alone is the floor of the chosen road; what lies above it is the price of httpx's types.

Packages that are not installed (httpx-aiohttp is none of our dependencies) are reported as such.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
from contextlib import AsyncExitStack
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeAlias

from harness import (
    Figure,
    argument_parser,
    in_turn,
    prepared,
    print_rows,
    serving,
    slope,
    spend,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from harness import (
        Options,
        Used,
    )

    Post: TypeAlias = Callable[[], Awaitable[None]]

BODY = b'{"name":"Support Agent","prompt":"%b"}' % (b"x" * 360)
HEADERS = {
    "xi-api-key": "key-of-a-benchmark",
    "content-type": "application/json",
    "content-length": str(len(BODY)),
}
AT = (16, 64, 256)
COLLAPSES = "httpx.AsyncClient"


async def ours(stack: AsyncExitStack, url: str, in_flight: int) -> list[Post]:
    """Return one way to post per worker: through our transport, called directly as the wire does."""
    from bulkops.sending.transport import AiohttpTransport

    transport = await stack.enter_async_context(AiohttpTransport())
    return [_directly(transport, url)] * in_flight


async def httpx_aiohttp(stack: AsyncExitStack, url: str, in_flight: int) -> list[Post]:
    """Through the transport of the package httpx-aiohttp, called directly."""
    import httpx

    limits = httpx.Limits(max_connections=in_flight, max_keepalive_connections=in_flight)
    make = import_module("httpx_aiohttp").AiohttpTransport
    transport = await stack.enter_async_context(make(limits=limits, trust_env=False))
    return [_directly(transport, url)] * in_flight


async def stock_per_worker(stack: AsyncExitStack, url: str, in_flight: int) -> list[Post]:
    """Through one stock transport of one connection per worker."""
    import httpx

    limits = httpx.Limits(max_connections=1, max_keepalive_connections=1)
    verify = httpx.create_ssl_context()
    transports = [
        await stack.enter_async_context(
            httpx.AsyncHTTPTransport(limits=limits, verify=verify, trust_env=False)
        )
        for _ in range(in_flight)
    ]
    return [_directly(transport, url) for transport in transports]


async def httpx_client(stack: AsyncExitStack, url: str, in_flight: int) -> list[Post]:
    """Through httpx as everybody uses it, its limits raised to what is in flight."""
    import httpx

    limits = httpx.Limits(max_connections=in_flight, max_keepalive_connections=in_flight)
    client = await stack.enter_async_context(httpx.AsyncClient(limits=limits, trust_env=False))

    async def post() -> None:
        (await client.post(url, headers=HEADERS, content=BODY)).raise_for_status()

    return [post] * in_flight


async def aiohttp_alone(stack: AsyncExitStack, url: str, in_flight: int) -> list[Post]:
    """Through aiohttp, without anything of httpx."""
    import aiohttp

    connector = aiohttp.TCPConnector(limit=in_flight)
    session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))

    async def post() -> None:
        async with session.post(url, headers=HEADERS, data=BODY) as answer:
            await answer.read()
            answer.raise_for_status()

    return [post] * in_flight


def _directly(transport: Any, url: str) -> Post:
    import httpx

    async def post() -> None:
        request = httpx.Request("POST", url, headers=HEADERS, content=BODY)
        answer = await transport.handle_async_request(request)
        async for _ in answer.stream:
            pass
        await answer.aclose()
        assert answer.status_code == 200

    return post


CANDIDATES = {
    "bulkops": ours,
    "httpx-aiohttp": httpx_aiohttp,
    "one httpx pool each": stock_per_worker,
    COLLAPSES: httpx_client,
    "aiohttp alone": aiohttp_alone,
}


async def post_all(name: str, url: str, in_flight: int, number: int) -> None:
    """Post so many times with so many workers."""
    async with AsyncExitStack() as stack:
        posts = await CANDIDATES[name](stack, url, in_flight)
        left = iter(range(number))

        async def work(post: Post) -> None:
            for _ in left:
                await post()

        await asyncio.gather(*map(work, posts))


def measure(options: Options) -> list[Figure]:
    """Measure all candidates in turn at each number in flight, and print them as a table of their own."""
    cells: dict[tuple[str, int], str] = {}
    figures = []
    with serving() as url:
        for in_flight in AT:
            names = [name for name in CANDIDATES if _installed(name) and _bearable(name, in_flight)]
            acts = {name: _act(name, f"{url}/agents/create", in_flight, options) for name in names}
            rounds = in_turn(options.repeats, acts)
            cells |= {(name, in_flight): _cell(rounds[name]) for name in names}
            if COLLAPSES in names:
                ratio = rounds.ratio("bulkops", COLLAPSES)
                figures.append(Figure(f"transport: CPU / httpx's at {in_flight}", ratio))
    head = ("µs of CPU per POST", *(f"{in_flight} in flight" for in_flight in AT))
    rows = [(name, *(cells.get((name, at), _absent(name)) for at in AT)) for name in CANDIDATES]
    print_rows([head, *rows])
    return figures


def _act(name: str, url: str, in_flight: int, options: Options) -> Callable[[], float]:
    sizes = (300, 1_000) if name == COLLAPSES else (2_000, 8_000)
    sizes = (sizes[0] // 2, sizes[1] // 4) if options.quick else sizes

    def run(number: int) -> Used:
        return spend([sys.executable, __file__, "post", name, url, str(in_flight), str(number)])

    return lambda: slope(run, sizes) * 1e6


def _installed(name: str) -> bool:
    return name != "httpx-aiohttp" or find_spec("httpx_aiohttp") is not None


def _bearable(name: str, in_flight: int) -> bool:
    return name != COLLAPSES or in_flight <= 64


def _absent(name: str) -> str:
    return "not run" if _installed(name) else "not installed"


def _cell(values: list[float]) -> str:
    return f"{statistics.median(values):,.0f} [{min(values):,.0f} to {max(values):,.0f}]"


if __name__ == "__main__":
    if sys.argv[1:2] == ["post"]:
        asyncio.run(post_all(sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])))
    else:
        with prepared(argument_parser().parse_args()) as chosen:
            measure(chosen)
