"""The receiver over real sockets: what it keeps and what it answers."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import TYPE_CHECKING

import pytest

from bulkops.settings import Secret
from bulkops.webhook.spool import OTHER, POST_CALL, files
from tests.sending.sending_tls import Tls, make_authority
from tests.webhook.test_webhook_writer import file_limit
from tests.webhook.webhook_doubles import (
    SAID,
    SECRET,
    bare,
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
    from collections.abc import Callable
    from pathlib import Path

SMALL = 100_000
"""The largest body, in tests of it."""


def test_a_delivery_is_kept_and_then_answered(tmp_path: Path) -> None:
    """In either form of signature and in pieces; when the answer comes, it is in the spool as it was sent."""

    async def main() -> None:
        async with serving(tmp_path) as (receiver, at), connected(*at) as client:
            forms: list[Callable[[bytes], str]] = [timestamped, bare]
            for number, sign in enumerate(forms):
                body = event(number)
                assert await client.ask(request(body, sign(body))) == (200, b"kept\n")
                assert spooled(tmp_path)[-1].event == json.loads(body)
            body = event(2)
            parts = chunked([body[:10], body[10:11], body[11:]], timestamped(body))
            assert await client.ask(*parts) == (200, b"kept\n")
            assert conversations(tmp_path) == ["conv_0", "conv_1", "conv_2"]
            assert await client.ask(*parts) == (200, b"known already\n")
            assert (receiver.tally.kept, receiver.tally.known) == (3, 1)
        assert len(spooled(tmp_path, POST_CALL)) == 3

    run(main)


def test_a_restarted_receiver_knows_what_came(tmp_path: Path) -> None:
    """What was kept before is acknowledged again, and not kept again; a new version of it is."""

    async def main() -> None:
        for _ in range(2):
            async with serving(tmp_path) as (_, at), connected(*at) as client:
                assert (await client.ask(request(event(1))))[0] == 200
        async with serving(tmp_path) as (_, at), connected(*at) as client:
            again = event(1, analysis={"resolution": True})
            assert await client.ask(request(again)) == (200, b"kept\n")
        assert conversations(tmp_path) == ["conv_1", "conv_1"]

    run(main)


def test_other_types_are_kept_apart(tmp_path: Path) -> None:
    """An event of a type that nobody knows is acknowledged, and stands where no export looks."""

    async def main() -> None:
        async with serving(tmp_path) as (_, at), connected(*at) as client:
            body = b'{"type": "of_2030", "data": [1]}'
            assert (await client.ask(request(body)))[0] == 200
        assert [line.event["type"] for line in spooled(tmp_path, OTHER)] == ["of_2030"]
        assert spooled(tmp_path, POST_CALL) == []

    run(main)


def test_secrets_are_exchanged_without_a_gap(tmp_path: Path) -> None:
    """While two are known, both prove; any other does not."""

    async def main() -> None:
        secrets = (Secret("old"), Secret("new"))
        async with serving(tmp_path, secrets=secrets) as (_, at), connected(*at) as client:
            for number, (secret, status) in enumerate([("old", 200), ("new", 200), ("other", 401)]):
                body = event(number)
                assert (await client.ask(request(body, timestamped(body, secret=secret))))[0] == status

    run(main)


BODY = event(1)


@pytest.mark.parametrize(
    ("sent", "status", "why"),
    [
        (request(BODY, ""), 401, "the signature is missing"),
        (request(BODY, "nonsense"), 401, "the signature has no known form"),
        (request(BODY, timestamped(BODY, 1e9)), 401, "the signature is too old"),
        (request(BODY, timestamped(BODY, 9e9)), 401, "the signature is from the future"),
        (request(BODY, timestamped(b"{}")), 401, "the signature is wrong"),
        (
            request(BODY, f"{timestamped(BODY)}\r\nElevenLabs-Signature: {timestamped(BODY)}"),
            401,
            "no known form",
        ),
        # What is no JSON is told only to those who have the secret.
        (request(b"nonsense", timestamped(b"{}")), 401, "the signature is wrong"),
        (request(b"nonsense"), 400, "the body is no JSON"),
        (request(b""), 400, "the body is no JSON"),
        (request(gzip.compress(BODY), Content_Encoding="gzip"), 400, "the body is no JSON"),
        (request(b"[]"), 400, "the body is no JSON object"),
        (request(b'{"data": {}}'), 400, "the event names no type"),
        (request(BODY, path="/"), 404, "not a path"),
        (request(BODY, path="/webhook/"), 404, "not a path"),
        (request(BODY, method="PUT"), 405, "not a POST"),
        (request(b"", "", method="GET"), 405, "not a POST"),
        (request(b"", "", method="DELETE", path="/healthz"), 405, "not a GET"),
        (request(b"x" * (SMALL + 1)), 413, "larger than 100,000 bytes"),
        (
            b"POST /webhook HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999\r\n\r\n",
            400,
            "Invalid HTTP",
        ),
        (b"nonsense\r\n\r\n", 400, "Invalid HTTP"),
        (b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", 404, "not a path"),
        (b"CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n", 400, "Invalid HTTP"),
        (
            b"POST /webhook HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
            "Invalid HTTP",
        ),
    ],
)
def test_what_is_refused(tmp_path: Path, sent: bytes, status: int, why: str) -> None:
    """With the status of its reason; nothing is kept, nothing of it is told, and the next one is taken."""

    async def main() -> None:
        told: list[str] = []
        async with serving(tmp_path, told.append, max_body=SMALL) as (receiver, at):
            async with connected(*at) as client:
                answered, text = await client.ask(sent)
                assert (answered, why in text.decode()) == (status, True), text
            assert "Invalid HTTP" in why or sum(receiver.tally.refused.values()) == 1
            async with connected(*at) as client:
                assert (await client.ask(request(event(2))))[0] == 200
        assert conversations(tmp_path) == ["conv_2"]
        assert SAID not in str(told)
        assert SECRET not in str(told)

    run(main)


def test_health(tmp_path: Path) -> None:
    """Who watches hears that it is well."""

    async def main() -> None:
        async with serving(tmp_path) as (_, at), connected(*at) as client:
            assert await client.ask(request(b"", "", method="GET", path="/healthz")) == (200, b"ok\n")

    run(main)


def test_a_full_disk_is_never_an_acknowledgement(tmp_path: Path) -> None:
    """Deliveries are answered with 503 while nothing can be written, health too, and with 200 when it can again."""

    async def main() -> None:
        told: list[str] = []
        async with serving(tmp_path, told.append) as (_, at), connected(*at) as client:
            assert (await client.ask(request(event(1))))[0] == 200
            size = files(tmp_path)[0].path.stat().st_size
            with file_limit(size):
                assert (await client.ask(request(event(2))))[0] == 503
                assert (await client.ask(request(b"", "", method="GET", path="/healthz")))[0] == 503
        assert "refused: 503 the disk refuses deliveries: File too large" in told
        async with serving(tmp_path) as (_, at), connected(*at) as client:
            assert (await client.ask(request(event(2))))[0] == 200
        assert conversations(tmp_path) == ["conv_1", "conv_2"]

    run(main)


def test_a_mistake_of_ours_is_told_without_what_was_delivered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is answered with 500, others go on, and the traceback has neither body nor secret."""

    def broken(body: bytes, *_: object) -> None:
        raise ValueError(body)

    async def main() -> None:
        told: list[str] = []
        async with serving(tmp_path, told.append) as (_, at), connected(*at) as client:
            with monkeypatch.context() as patch:
                patch.setattr("bulkops.webhook.app.delivery_of", broken)
                assert (await client.ask(request(event(1))))[0] == 500
            assert (await client.ask(request(event(1))))[0] == 200
        assert "ValueError" in told[0]
        assert "in broken" in told[0]
        assert SAID not in str(told)

    run(main)


def test_over_tls(tmp_path: Path) -> None:
    """With a certificate, deliveries come encrypted; who does not speak TLS gets nothing."""
    tls = Tls(make_authority(tmp_path))

    async def main() -> None:
        async with serving(tmp_path / "spool", tls=tls.serving(), deadline=0.5) as (receiver, at):
            assert receiver.url.startswith("https://")
            async with connected(*at, tls=tls.trusting()) as client:
                assert (await client.ask(request(event(1))))[0] == 200
            async with connected(*at, tls=tls.trusting()) as client:
                await client.send(request(event(2))[:-1])
                assert (await client.ended()).startswith(b"HTTP/1.1 408")
            async with connected(*at) as client:
                await client.send(request(event(3)))
                assert b"200" not in await client.ended()
        assert conversations(tmp_path / "spool") == ["conv_1"]

    run(main)


def test_the_end_finishes_what_was_begun(tmp_path: Path) -> None:
    """Told to end while deliveries are being written, each that was whole is written and answered."""

    async def main() -> None:
        clients = []
        async with serving(tmp_path) as (receiver, at):
            for number in range(30):
                reader, writer = await asyncio.open_connection(*at)
                writer.write(request(event(number)))
                clients.append((reader, writer))
            idle = await asyncio.open_connection(*at)
            while not receiver.tally.kept:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0)
        told = [await reader.read() for reader, _ in clients]
        answered = [n for n, text in enumerate(told) if text.startswith(b"HTTP/1.1 200")]
        assert [f"conv_{n}" for n in answered] == sorted(conversations(tmp_path), key=lambda c: int(c[5:]))
        assert await idle[0].read() == b""
        for _, writer in [*clients, idle]:
            writer.transport.abort()

    run(main)
