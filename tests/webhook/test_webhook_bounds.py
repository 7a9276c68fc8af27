"""Clients that hold on, or send without end: over real sockets, they are let go, and deliveries come through."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from bulkops.webhook.spool import OTHER
from tests.webhook.webhook_doubles import (
    chunked,
    connected,
    conversations,
    event,
    request,
    run,
    serving,
    spooled,
    timestamped,
)

if TYPE_CHECKING:
    from pathlib import Path

SMALL = 100_000
"""The largest body, in tests of it."""


BODY = event(1)


def test_a_length_that_is_too_large_is_refused_before_the_body(tmp_path: Path) -> None:
    """Nobody has to send 100 GB to hear that it is too much."""

    async def main() -> None:
        async with serving(tmp_path) as (_, at), connected(*at) as client:
            head = request(b"", timestamped(b"")).replace(
                b"Content-Length: 0", b"Content-Length: 100000000000"
            )
            assert (await client.ask(head))[0] == 413
            # Who is still sending is not cut off at once, and so can read the answer.
            for _ in range(5):
                await client.send(b"x" * 100_000)
                await asyncio.sleep(0.02)
            assert await client.ended() == b""

    run(main)


def test_a_body_without_a_length_is_counted_as_it_comes(tmp_path: Path) -> None:
    """An endless one is refused when it is too large, and the answer arrives although more is being sent."""

    async def main() -> None:
        async with serving(tmp_path, max_body=SMALL) as (_, at), connected(*at) as client:
            head, *_ = chunked([], timestamped(b""))
            await client.send(head)

            async def endlessly() -> None:
                while True:
                    await client.send(b"2710\r\n%b\r\n" % (b"x" * 10_000))

            sending = asyncio.create_task(endlessly())
            assert (await client.answer())[0] == 413
            with pytest.raises(ConnectionError):
                await sending

    run(main)


def test_what_just_fits_is_taken(tmp_path: Path) -> None:
    """A body of the largest size is kept, in one piece or many; one byte more is refused either way."""

    async def main() -> None:
        async with serving(tmp_path, max_body=SMALL) as (_, at):
            frame = len(event(1, more=""))
            for over, status in ((0, 200), (1, 413)):
                body = event(1, more="x" * (SMALL - frame + over))
                pieces = [body[n : n + 1000] for n in range(0, len(body), 1000)]
                async with connected(*at) as client:
                    assert (await client.ask(request(body)))[0] == status
                async with connected(*at) as client:
                    assert (await client.ask(*chunked(pieces, timestamped(body))))[0] == status

    run(main)


def test_a_large_body_is_kept(tmp_path: Path) -> None:
    """Audio events have megabytes."""

    async def main() -> None:
        async with serving(tmp_path) as (_, at), connected(*at) as client:
            body = json.dumps({"type": "post_call_audio", "data": {"full_audio": "A" * 20_000_000}}).encode()
            assert (await client.ask(request(body)))[0] == 200
        (line,) = spooled(tmp_path, OTHER)
        assert line.event == json.loads(body)

    run(main)


@pytest.mark.parametrize(
    ("begin", "answer"),
    [
        (b"", b""),
        (b"POST /web", b"408"),
        (b"POST /webhook HTTP/1.1\r\nHost: h\r\nX-Slow: ", b"408"),
        (request(BODY)[:-10], b"408"),
        (chunked([BODY], timestamped(BODY))[0] + b"100\r\nab", b"408"),
    ],
)
def test_who_is_slow_is_let_go(tmp_path: Path, begin: bytes, answer: bytes) -> None:
    """Nothing, half a head or half a body: at the deadline the connection ends, also when bytes keep coming."""

    async def main() -> None:
        async with serving(tmp_path, deadline=0.3) as (_, at), connected(*at) as client:
            await client.send(begin)

            async def dripping() -> None:
                while begin:
                    await client.send(b"a")
                    await asyncio.sleep(0.05)

            drip = asyncio.create_task(dripping())
            began = asyncio.get_running_loop().time()
            said = await client.ended()
            assert asyncio.get_running_loop().time() - began < 5
            assert answer in said.partition(b"\r\n")[0]
            drip.cancel()
            await asyncio.wait({drip})
        assert spooled(tmp_path) == []

    run(main)


def test_the_deadline_is_that_of_each_request(tmp_path: Path) -> None:
    """A connection that is used again has it anew, and one that rests between requests is not ended by it."""

    async def main() -> None:
        async with serving(tmp_path, deadline=0.4) as (_, at), connected(*at) as client:
            for number in range(4):
                await client.send(request(event(number))[:50])
                await asyncio.sleep(0.2)
                assert (await client.ask(request(event(number))[50:]))[0] == 200
            await asyncio.sleep(0.6)
            assert (await client.ask(request(event(4))))[0] == 200
            await client.send(request(event(5))[:50])
            assert (await client.ended()).startswith(b"HTTP/1.1 408")

    run(main)


@pytest.mark.parametrize(
    "begin",
    [
        b"GET /" + b"a" * 100_000,
        b"GET / HTTP/1.1\r\n" + b"X: %b\r\n" % (b"a" * 100) * 1000,
        b"GET / HTTP/1.1\r\nX: " + b"a" * 100_000,
        chunked([], timestamped(b""))[0] + b"1;%b\r\nx\r\n" % (b"e" * 1000) * 100,
        chunked([], timestamped(b""))[0] + b"0\r\n" + b"T: %b\r\n" % (b"t" * 100) * 1000,
    ],
)
def test_heads_without_end_are_refused(tmp_path: Path, begin: bytes) -> None:
    """Request line, headers, extensions of chunks and trailers are bounded, so that nobody fills the memory."""

    async def main() -> None:
        async with serving(tmp_path, max_body=SMALL) as (_, at), connected(*at) as client:
            await client.send(begin)
            assert (await client.ended()).startswith(b"HTTP/1.1 431")

    run(main)


def test_pipelined_requests_are_answered_in_order(tmp_path: Path) -> None:
    """Sent at once on one connection, each is kept before its own answer; also when all heads are more than one may."""

    async def main() -> None:
        async with serving(tmp_path, max_body=SMALL) as (_, at), connected(*at) as client:
            await client.send(b"".join(request(event(number)) for number in range(600)))
            for number in range(600):
                assert await client.answer() == (200, b"kept\n")
                if number % 50 == 0:
                    assert f"conv_{number}" in conversations(tmp_path)

    run(main)


def test_who_only_holds_a_connection_makes_room(tmp_path: Path) -> None:
    """With all connections taken by clients that say nothing, or half of something, deliveries still come through."""

    async def main() -> None:
        async with serving(tmp_path, most_connections=20) as (_, at):
            holders = [await asyncio.open_connection(*at) for _ in range(60)]
            for _, writer in holders:
                writer.write(b"POST /webhook HTTP/1.1\r\nX: ")
            async with connected(*at) as client:
                assert (await client.ask(request(event(1))))[0] == 200
            ends = await asyncio.gather(*(_is_ended(reader) for reader, _ in holders))
            assert sum(ends) >= 40
            for _, writer in holders:
                writer.transport.abort()

    run(main)


async def _is_ended(reader: asyncio.StreamReader) -> bool:
    try:
        async with asyncio.timeout(0.2):
            await reader.read()
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True


def test_too_many_large_bodies_at_once_are_put_off(tmp_path: Path) -> None:
    """What is held of bodies is bounded: one too many is to come again, small ones are taken, and room comes back."""

    async def main() -> None:
        body = event(1, more="x" * 99_000)
        async with serving(tmp_path, max_body=SMALL) as (_, at):
            async with asyncio.TaskGroup() as tasks:
                for _ in range(12):
                    tasks.create_task(hold(at, request(body)[:-1000]))
                await asyncio.sleep(0.1)
                async with connected(*at) as client:
                    assert (await client.ask(request(body)))[0] == 503
                async with connected(*at) as client:
                    assert (await client.ask(request(event(2))))[0] == 200
            async with connected(*at) as client:
                assert (await client.ask(request(body)))[0] == 200

    async def hold(at: tuple[str, int], begin: bytes) -> None:
        async with connected(*at) as client:
            await client.send(begin)
            await asyncio.sleep(0.4)

    run(main)
