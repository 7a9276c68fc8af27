"""A client that delivers webhooks: `delivering.py CORE URL NUMBER CONNECTIONS BYTES RATE`.

It does as little as a client can, on a core of its own, so that what is measured is the receiver: every request is
made and signed before the first is sent. With a rate, each is due at its time, and waits from then on, whether a
connection was free or not; with a rate of 0, each connection sends when it has heard. Prints seconds, and the waits
for an answer in milliseconds (median, p99), as JSON; ends with 1 when an answer is not 200.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import statistics
import sys
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = b"wsec_of_a_benchmark"


def requests(url: str, number: int, size: int) -> list[bytes]:
    """Return whole requests, each with another event of about so many bytes."""
    parts = urlsplit(url)
    now = str(int(time.time()))
    text = "A word of a transcript, and another. " * (size // 37 + 1)
    made = []
    for n in range(number):
        data = {"conversation_id": f"conv_{n:08d}", "transcript": text[: size - 140]}
        event = {"type": "post_call_transcription", "event_timestamp": 1762171320, "data": data}
        body = json.dumps(event).encode()
        signature = hmac.new(SECRET, f"{now}.".encode() + body, hashlib.sha256).hexdigest()
        head = (
            f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
            f"ElevenLabs-Signature: t={now},v0={signature}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        made.append(head.encode() + body)
    return made


async def deliver(url: str, made: Iterator[tuple[float, bytes]], waits: list[float]) -> None:
    """Send one request after the other on one connection, none before it is due."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    for due, request in made:
        began = time.perf_counter()
        if due:
            await asyncio.sleep(due - began)
            began = due
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        waits.append(time.perf_counter() - began)
        if not head.startswith(b"HTTP/1.1 200 "):
            sys.exit(f"answered with {head!r}")
    writer.close()


async def main(url: str, number: int, connections: int, size: int, rate: int) -> None:
    """Deliver all."""
    made = requests(url, number, size)
    waits: list[float] = []
    began = time.perf_counter()
    due = ((began + 0.1 + n / rate if rate else 0.0, request) for n, request in enumerate(made))
    await asyncio.gather(*(deliver(url, due, waits) for _ in range(connections)))
    seconds = time.perf_counter() - began
    p99 = statistics.quantiles(waits, n=100)[98]
    print(json.dumps({"seconds": seconds, "p50": statistics.median(waits) * 1e3, "p99": p99 * 1e3}))


if __name__ == "__main__":
    os.sched_setaffinity(0, {int(sys.argv[1])})
    asyncio.run(main(sys.argv[2], *map(int, sys.argv[3:])))
