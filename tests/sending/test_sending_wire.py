"""What is made of everything that can happen on a socket: real ones, byte by byte."""

from __future__ import annotations

import asyncio
import logging
import random
import socket
import ssl
import traceback
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import httpx
import pytest

from bulkops.errors import OperationFailed
from bulkops.lifecycle import Answered, Broken, Sent, Verdict
from bulkops.model import Effect
from bulkops.sending.transport import AiohttpTransport
from tests.sending.sending_doubles import (
    EIGHT_MIB,
    KEY,
    Talk,
    answer,
    answers,
    attempt,
    create,
    raw_server,
    read,
    run,
    upload,
    verdict,
    wired,
)
from tests.sending.sending_scripts import (
    CUT,
    closes_after,
    drips,
    floods,
    is_silent,
    says,
)
from tests.sending.sending_tls import Tls, make_authority

if TYPE_CHECKING:
    from pathlib import Path

    from bulkops.model import Request
    from bulkops.sending import Heard
    from tests.sending.sending_doubles import RawServer
    from tests.sending.sending_scripts import Script

SMALL_BUFFER = 4096
SHORT = 0.5
"""Seconds of a deadline that is meant to pass."""


async def told(script: Script, request: Request, *, buffer: int = 0, **more: Any) -> tuple[Heard, bool]:
    """Send one request to a server and return what was heard and whether the gate was passed."""
    async with raw_server(script, buffer=buffer) as server, wired(server.base_url, **more) as wire:
        one = attempt(request)
        return await wire.send(one), one.gate.passed


def unused_port() -> int:
    """Return a port at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def test_a_refused_connection_is_unreachable() -> None:
    """Nobody listens: nothing was sent, and the server is what could not be reached."""

    async def main() -> None:
        async with wired(f"http://127.0.0.1:{unused_port()}") as wire:
            heard = await wire.send(attempt(create()))
        assert heard.end == Broken(Sent.NOT_CONNECTED)

    run(main())


def test_a_name_that_is_not_resolved_in_time_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking a name up counts as connecting, also towards the time for it."""
    monkeypatch.setattr("bulkops.sending.wire.CONNECT_TIMEOUT", 0.05)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        never: asyncio.Future[Any] = loop.create_future()
        monkeypatch.setattr(loop, "getaddrinfo", lambda *_args, **_more: asyncio.shield(never))
        async with wired("http://somewhere.invalid") as wire:
            heard = await wire.send(attempt(create()))
        assert heard.end == Broken(Sent.NOT_CONNECTED)
        never.cancel()

    run(main())


def test_an_answer_beyond_its_limit_fails_a_read() -> None:
    """It would be too large again."""

    async def main() -> None:
        heard, _passed = await told(says(b"HTTP/1.1 200 OK\r\n\r\n", floods), read(max_answer=1000))
        assert isinstance(heard.end, Answered)
        assert heard.end.oversized
        assert verdict(heard, Effect.READ) is Verdict.REFUSED

    run(main())


def test_the_deadline_counts_the_whole_attempt() -> None:
    """A head that comes byte by byte for ever ends with the deadline."""

    async def main() -> None:
        heard, _passed = await told(says(b"HTTP/1.1 200 OK\r\nX: ", drips), read(), attempt_deadline=SHORT)
        assert heard.end == Broken(Sent.GONE)

    run(main())


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST"])
def test_a_kept_connection_that_closes_is_not_tried_again_by_itself(method: str) -> None:
    """A request arrives exactly once, whatever its method: a repetition would pass neither pace nor record."""

    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.say(answer())
        if talk.number == 1:
            await talk.request()  # and closes

    async def main() -> None:
        async with raw_server(script) as server, wired(server.base_url) as wire:
            await wire.send(attempt(read()))
            heard = await wire.send(attempt(read(method=method)))
            assert heard.end == Broken(Sent.GONE)
            assert (server.connections, len(server.arrivals)) == (1, 2)

    run(main())


SURPLUS = answer(b'{"agent_id": "surplus"}')


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(
    "surplus",
    [
        pytest.param(SURPLUS, id="an answer"),
        pytest.param(SURPLUS[:-3], id="most of an answer"),
        pytest.param(SURPLUS[:20], id="part of a head"),
        pytest.param(b"abc\r\n\r\n", id="garbage"),
    ],
)
def test_surplus_bytes_never_answer_the_next_request(surplus: bytes, *, late: bool) -> None:
    """What comes unasked, with the answer or after it, is not taken for the answer to what is asked next."""

    async def main() -> None:
        heard_first = asyncio.Event()

        async def script(talk: Talk) -> None:
            await talk.request()
            if talk.number == 1 and late:
                await talk.say(answer())
                await heard_first.wait()
                await talk.say(surplus)
            elif talk.number == 1:
                await talk.say(answer() + surplus)
            else:
                await talk.say(answer(b'{"agent_id": "right"}'))
            await talk.request()
            await talk.say(answer(b'{"agent_id": "right"}'))

        async with raw_server(script) as server, wired(server.base_url) as wire:
            await wire.send(attempt(create()))
            heard_first.set()
            for _ in range(20):  # turns of the loop in which the surplus arrives
                await asyncio.sleep(0)
            assert (await wire.send(attempt(create()))).entity == "right"

    run(main())


def test_connections_are_used_again() -> None:
    """Ten requests one after the other need one connection."""

    async def main() -> None:
        async with raw_server(answers) as server, wired(server.base_url) as wire:
            for number in range(1, 11):
                assert (await wire.send(attempt(create()))).entity == f"agent_{number}"
            assert server.connections == 1

    run(main())


@pytest.mark.parametrize("whole", [True, False])
def test_a_connection_whose_answer_names_an_id_again_is_not_used_again(*, whole: bool) -> None:
    """One of two answers that name the same id was not meant for its request: held, and the next goes elsewhere."""

    async def main() -> None:
        async def script(talk: Talk) -> None:
            while True:
                await talk.request()
                text = answer(b'{"agent_id": "agent_%d"}' % min(talk.count(), 2 if talk.count() < 4 else 9))
                if not whole:
                    await talk.say(text[:-3])
                    await asyncio.sleep(0.01)  # the end comes in a turn of its own
                await talk.say(text if whole else text[-3:])

        async with raw_server(script) as server, wired(server.base_url) as wire:
            heard = [await wire.send(attempt(create())) for _ in range(3)]
            assert [verdict(one) for one in heard] == [Verdict.DONE, Verdict.DONE, Verdict.ID_UNKNOWN]
            assert (heard[2].entity, "as the answer to another request did" in heard[2].reason) == (
                "agent_2",
                True,
            )
            assert server.connections == 1
            assert verdict(await wire.send(attempt(create()))) is Verdict.DONE
            assert server.connections == 2

    run(main())


def test_no_other_request_gets_a_connection_before_its_answer_was_looked_at() -> None:
    """Whoever asks for a connection in the very turn in which an answer ends gets another one."""

    async def main() -> None:
        on_the_first = 0
        end = asyncio.Event()

        async def script(talk: Talk) -> None:
            nonlocal on_the_first
            while True:
                await talk.request()
                on_the_first += talk.number == 1
                await talk.say(answer()[:-3])
                if on_the_first > 1:
                    await end.wait()
                await talk.say(answer()[-3:])

        async with raw_server(script) as server, wired(server.base_url) as wire:
            await wire.send(attempt(create()))
            again = asyncio.create_task(wire.send(attempt(create())))
            while on_the_first < 2:  # noqa: ASYNC110 - a turn of the loop at a time
                await asyncio.sleep(0)
            end.set()
            others = []
            while not again.done():
                others.append(asyncio.create_task(wire.send(attempt(read()))))
                await asyncio.sleep(0)
            assert (await again).end == Answered(200, repeated=True)
            await asyncio.gather(*others)
            assert (len(others) > 1, on_the_first) == (True, 2)

    run(main())


@pytest.mark.parametrize("request_", [read(), create(effect=Effect.IDEMPOTENT)])
def test_only_what_is_made_has_an_id_of_its_own(request_: Request) -> None:
    """A read or an update names the same id each time."""

    async def main() -> None:
        async with raw_server(says_again) as server, wired(server.base_url) as wire:
            for _ in range(3):
                assert verdict(await wire.send(attempt(request_)), request_.effect) is Verdict.DONE
            assert server.connections == 1

    run(main())


async def says_again(talk: Talk) -> None:
    """Give every request the same answer."""
    while True:
        await talk.request()
        await talk.say(answer())


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("301 Moved", Verdict.DOUBT),
        ("302 Found", Verdict.DOUBT),
        ("303 See Other", Verdict.DOUBT),
        ("307 Temporary", Verdict.REFUSED),
        ("308 Permanent", Verdict.REFUSED),
    ],
)
@pytest.mark.parametrize("request_", [create(), read()])
def test_redirects_are_never_followed(status: str, expected: Verdict, request_: Request) -> None:
    """Nothing, and above all no key, goes where an answer points to."""

    async def main() -> None:
        async with raw_server(answers) as elsewhere:
            script = says(answer(b"", status, location=f"{elsewhere.base_url}/agents"))
            heard, _passed = await told(script, request_)
            assert verdict(heard) is expected
            assert elsewhere.connections == 0

    run(main())


def test_the_environment_is_not_heard(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No proxy and no password of the environment's gets into a request."""
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password else\n")
    netrc.chmod(0o600)

    async def main() -> None:
        async with raw_server(answers) as proxy, raw_server(answers) as server:
            for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
                monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
                monkeypatch.setenv(name.lower(), f"http://127.0.0.1:{proxy.port}")
            monkeypatch.setenv("NETRC", str(netrc))
            async with wired(server.base_url) as wire:
                assert (await wire.send(attempt(create()))).entity == "agent_1"
            assert (proxy.connections, server.connections) == (0, 1)
            assert server.arrivals[0].values("authorization") == []

    run(main())


def test_cookies_are_not_kept() -> None:
    """What one answer sets, no later request carries."""

    async def main() -> None:
        script = says(answer(set_cookie="a=b; Path=/"), answers)
        async with raw_server(script) as server, wired(server.base_url) as wire:
            await wire.send(attempt(create()))
            await wire.send(attempt(create()))
            assert [arrival.values("cookie") for arrival in server.arrivals] == [[], []]

    run(main())


def test_the_head_says_what_it_should_and_no_more(tmp_path: Path) -> None:
    """One length, never chunked, no encodings asked for, one key; nothing that a library adds."""
    (tmp_path / "a.txt").write_text("content")

    async def main() -> None:
        async with raw_server(answers) as server, wired(server.base_url) as wire:
            for request in (create(), create(200_000), upload(tmp_path / "a.txt"), read()):
                await wire.send(attempt(request))
            for arrival in server.arrivals:
                names = sorted(name for name, _text in arrival.fields)
                usual = ["accept", "accept-encoding", "host", "user-agent", "xi-api-key"]
                body = [] if arrival.line.startswith("GET") else ["content-length", "content-type"]
                assert names == sorted([*usual, *body])
                assert arrival.values("accept-encoding") == ["identity"]
                assert arrival.values("xi-api-key") == [KEY]
                assert arrival.complete

    run(main())


def test_the_path_and_the_query_arrive_as_they_were_asked_for() -> None:
    """Nothing on the way spells an encoded path or a query anew in another sense."""

    async def main() -> None:
        async with raw_server(answers) as server, wired(server.base_url) as wire:
            await wire.send(
                attempt(read(path="/agents/a%2Fb", query=(("cursor", "a+b&c=d/ä"), ("page", "2"))))
            )
            assert server.arrivals[0].line.split()[1].startswith("/v1/agents/a%2Fb?")
            _path, _, query = server.arrivals[0].line.split()[1].partition("?")
            assert parse_qsl(query) == [("cursor", "a+b&c=d/ä"), ("page", "2")]

    run(main())


def test_a_refusal_tells_code_message_and_request_id() -> None:
    """What the server says about it, people get to read."""
    text = answer(
        b'{"detail": {"status": "bad_name", "message": "No such name"}}', "422 No", request_id="req_1"
    )

    async def main() -> None:
        heard, _passed = await told(says(text), create())
        assert (heard.code, heard.reason, heard.request_id) == ("bad_name", "No such name", "req_1")
        assert heard.end == Answered(422)

    run(main())


# aiofiles drops a file whose opening is cancelled; the collector closes it at once.
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.parametrize("kind", ["json", "form"])
def test_the_gate_of_a_cancelled_request_tells_the_truth(tmp_path: Path, kind: str) -> None:
    """Cancelled in any phase: a gate that is closed means that the server never has the whole request."""
    size = 600_000
    (tmp_path / "a.bin").write_bytes(bytes(size))
    chance = random.Random(7)
    seen = {True: 0, False: 0}

    async def race(server: RawServer, request: Request, until: int) -> None:
        async with wired(server.base_url) as wire:
            one = attempt(request)
            server.arrivals.clear()
            task = asyncio.create_task(wire.send(one))
            while not task.done() and sum(len(arrival.body) for arrival in server.arrivals) < until:
                server.moved.clear()
                moved = asyncio.create_task(server.moved.wait())
                await asyncio.wait({task, moved}, timeout=0.02, return_when=asyncio.FIRST_COMPLETED)
                moved.cancel()
                if not server.arrivals and until < 0:
                    break
            task.cancel()
            await asyncio.wait({task})
            passed = one.gate.passed
        await server.rest()
        complete = any(arrival.complete for arrival in server.arrivals)
        assert passed or not complete
        assert one.gate.passed == passed, "the gate was passed after the end of the attempt"
        seen[passed] += 1

    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.until_closed()

    async def main() -> None:
        request = create(size) if kind == "json" else upload(tmp_path / "a.bin")
        async with raw_server(script, buffer=SMALL_BUFFER) as server:
            for _ in range(50):
                await race(server, request, chance.randrange(-size // 10, size))

    run(main())
    assert all(seen.values()), "both kinds of end have to be raced for"


@pytest.mark.parametrize("phase", ["connecting", "sending", "waiting", "reading"])
def test_a_request_can_be_cancelled_in_every_phase(phase: str) -> None:
    """It ends at once, the gate is right, and the connection is not used again."""

    async def main() -> None:
        reached = asyncio.Event()

        async def script(talk: Talk) -> None:
            if talk.number > 1:
                await answers(talk)
            if phase == "sending":
                await talk.head()
            else:
                await talk.request()
            if phase == "reading":
                await talk.say(CUT)
            reached.set()
            await talk.silence()

        async with raw_server(script, buffer=SMALL_BUFFER) as server, wired(server.base_url) as wire:
            one = attempt(create(EIGHT_MIB if phase == "sending" else 10))
            task = asyncio.create_task(wire.send(one))
            if phase == "connecting":
                await asyncio.sleep(0)
            else:
                await reached.wait()
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert one.gate.passed == (phase in ("waiting", "reading"))
            if phase != "connecting":
                assert (await wire.send(attempt(create()))).entity == "agent_2"
                assert server.connections == 2

    run(main())


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a certificate of our own for localhost, which is its own authority."""
    return make_authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def serving(authority: Path) -> ssl.SSLContext:
    """Return the server's side of TLS."""
    return Tls(authority).serving()


@pytest.fixture
def trusting(authority: Path) -> ssl.SSLContext:
    """Return the client's side, trusting our own authority."""
    return Tls(authority).trusting()


@pytest.mark.parametrize("size", [10, EIGHT_MIB])
def test_https_makes_no_difference(serving: ssl.SSLContext, trusting: ssl.SSLContext, size: int) -> None:
    """Small and large, a request is done over TLS as well; `tests/crash/test_crash_sockets.py` has what fails."""

    async def main() -> None:
        async with (
            raw_server(answers, tls=serving, buffer=SMALL_BUFFER) as server,
            wired(server.base_url, verify=trusting) as wire,
        ):
            assert verdict(await wire.send(attempt(create(size)))) is Verdict.DONE

    run(main())


@pytest.mark.parametrize("trouble", ["unknown authority", "another name", "no TLS", "stalled handshake"])
def test_no_tls_no_request(
    monkeypatch: pytest.MonkeyPatch, serving: ssl.SSLContext, trusting: ssl.SSLContext, trouble: str
) -> None:
    """Without a server that proves who it is, nothing is sent."""
    monkeypatch.setattr("bulkops.sending.wire.CONNECT_TIMEOUT", SHORT)

    async def says_no_tls(talk: Talk) -> None:
        await talk.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async def main() -> None:
        plain = {"no TLS": says_no_tls, "stalled handshake": Talk.silence}
        async with raw_server(
            plain.get(trouble, answers), tls=None if trouble in plain else serving
        ) as server:
            host = "127.0.0.1" if trouble == "another name" else "localhost"
            verify = None if trouble == "unknown authority" else trusting
            async with wired(f"https://{host}:{server.port}", verify=verify) as wire:
                one = attempt(create())
                heard = await wire.send(one)
            assert heard.end == Broken(Sent.NOT_CONNECTED)
            assert (server.arrivals, one.gate.passed) == ([], False)

    run(main())


def test_a_server_that_wants_a_client_certificate_leaves_it_in_doubt(
    serving: ssl.SSLContext, trusting: ssl.SSLContext, authority: Path
) -> None:
    """With TLS 1.3 the refusal comes after the request has left."""
    serving.verify_mode = ssl.CERT_REQUIRED
    serving.load_verify_locations(authority / "cert.pem")

    async def main() -> None:
        async with raw_server(answers, tls=serving) as server:
            asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # the server's own complaint
            async with wired(server.base_url, verify=trusting) as wire:
                heard = await wire.send(attempt(create()))
            assert heard.end in (Broken(Sent.GONE), Broken(Sent.NOT_CONNECTED))
            assert server.arrivals == []

    run(main())


def whole(error: BaseException) -> str:
    """Return all that is ever shown of an error: its trace, and the repr of each in its chain."""
    text = "".join(traceback.format_exception(error))
    link: BaseException | None = error
    for _ in range(20):
        if link is None:
            return text
        text += repr(link) + str(link) + repr(link.args)
        link = link.__cause__ or link.__context__
    raise AssertionError("the chain of causes has no end")


def test_the_key_is_in_no_error_and_no_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Not even at DEBUG, whatever goes wrong: refused, garbage, cancelled, a header that cannot be sent."""
    caplog.set_level(logging.DEBUG)
    shown: list[str] = []

    async def shows(script: Script, request: Request, key: str = KEY, **more: Any) -> None:
        async with (
            raw_server(script, buffer=SMALL_BUFFER) as server,
            wired(server.base_url, key=key, **more) as wire,
        ):
            try:
                async with asyncio.timeout(1):
                    heard = await wire.send(attempt(request))
                shown.append(repr(heard))
            except (TimeoutError, ValueError, OperationFailed) as error:
                shown.append(whole(error))
            shown.append(repr(wire))

    async def main() -> None:
        await shows(answers, create())
        await shows(closes_after, create())
        await shows(says(b"garbage\r\n\r\n"), create())
        await shows(is_silent, create())  # cancelled
        await shows(answers, create(), key=f"{KEY}\nx")
        growing = tmp_path / "growing"
        growing.write_bytes(bytes(3 * 2**20))

        async def garbage_while_it_grows(talk: Talk) -> None:
            await talk.head()
            with growing.open("ab") as file:
                file.write(b"more")
            await talk.until_closed()

        await shows(garbage_while_it_grows, upload(growing))
        async with wired(f"http://127.0.0.1:{unused_port()}") as wire:
            shown.append(repr(await wire.send(attempt(create()))))

    run(main())
    assert len(shown) == 13
    assert any("control character" in text for text in shown)
    assert KEY not in "".join(shown)
    assert KEY not in caplog.text


def test_garbage_is_not_kept_as_the_cause_of_an_error() -> None:
    """The HTTP library's own error for it shows the head of the request, key included."""

    async def main() -> None:
        async with (
            raw_server(says(b"garbage\r\n\r\n")) as server,
            AiohttpTransport(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)) as transport,
        ):
            message = httpx.Request("GET", server.base_url, headers={"xi-api-key": KEY})
            with pytest.raises(httpx.TransportError) as caught:
                await transport.handle_async_request(message)
        assert KEY not in "".join(traceback.format_exception(caught.value))
        assert caught.value.__cause__ is None

    run(main())
