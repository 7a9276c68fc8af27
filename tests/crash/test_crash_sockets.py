"""Everything that can happen on a socket, with the class it has to get: plain, over TLS, and through a relay."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from bulkops.lifecycle import Broken, Sent, Verdict
from bulkops.model import Effect
from bulkops.sending.body import GatedBytes
from tests.crash.crash_links import Link
from tests.crash.crash_sizes import note, share
from tests.sending.sending_doubles import (
    EIGHT_MIB,
    Talk,
    answer,
    answers,
    attempt,
    create,
    raw_server,
    run,
    verdict,
    wired,
)
from tests.sending.sending_scripts import (
    BEFORE_THE_END,
    CHUNKED,
    CUT,
    closes_after,
    closes_at_once,
    drips,
    floods,
    is_silent,
    resets_after,
    resets_at_once,
    says,
    says_early,
    stalls,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.sending.sending_scripts import Script
    from tests.sending.sending_tls import Tls

SHORT = 0.4
LARGE = EIGHT_MIB


@dataclass(frozen=True, slots=True)
class Case:
    """What a server does with a create of so many bytes, and what may be made of it."""

    script: Script
    expected: tuple[Verdict, ...]
    size: int = 10
    deadline: float = 10.0


def _cases() -> dict[str, Case]:
    doubt, unknown, again = (Verdict.DOUBT,), (Verdict.ID_UNKNOWN,), (Verdict.AGAIN,)
    cases: dict[str, Case] = {}
    for script in BEFORE_THE_END:
        name = script.__name__.replace("_", " ")
        cases[f"small: {name}"] = Case(script, doubt)
        cases[f"large: {name}"] = Case(script, again, LARGE)
    for script in (closes_after, resets_after):
        name = script.__name__.replace("_", " ")
        cases[f"small: {name} the request"] = Case(script, doubt)
        cases[f"large: {name} the request"] = Case(script, doubt, LARGE)
    cases["small: silence"] = Case(is_silent, doubt, deadline=SHORT)
    cases["large: the receiver stalls"] = Case(stalls, again, LARGE, SHORT)
    unreadable: dict[str, Script] = {
        "cut": says(CUT),
        "stalled": says(CUT, is_silent),
        "cut between chunks": says(CHUNKED + b"5\r\nabcde\r\n"),
        "a byte now and then": says(answer(content_length="1000"), drips),
        "HTML": says(answer(b"<html>")),
        "a list": says(answer(b'["agent_1"]')),
        "no id": says(answer(b"{}")),
        "no usable id": says(answer(b'{"agent_id": "../x"}')),
        "a number for an id": says(answer(b'{"agent_id": 7}')),
        "too large": says(answer(b'{"agent_id": "' + b"a" * 5000 + b'"}')),
        "encoded": says(answer(content_encoding="gzip")),
        "broken gzip": says(answer(b"\x1f\x8b\x08\x00broken", content_encoding="gzip")),
        "empty": says(b"HTTP/1.1 204 No Content\r\n\r\n"),
        "endless": says(b"HTTP/1.1 200 OK\r\n\r\n", floods),
    }
    for name, answering in unreadable.items():
        cases[f"200: {name}"] = Case(answering, unknown, deadline=2 * SHORT)
    for name, text in {
        "another protocol": b"SSH-2.0-OpenSSH_9\r\n",
        "noise": b"\x00\xff" * 100,
        "a head without measure": answer(x="a" * 20_000),
        "a negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\naaaaaa",
        "only 100": b"HTTP/1.1 100 Continue\r\n\r\n",
        "101": b"HTTP/1.1 101 Upgrade\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        "no status": answer(status="99999 Odd"),
    }.items():
        cases[f"garbage: {name}"] = Case(says(text), doubt)
    for status, expected in (
        ("413 Too Large", Verdict.REFUSED),
        ("503 Busy", Verdict.AGAIN),
        ("429 Slow", Verdict.POSTPONED),
    ):
        for then in (is_silent, Talk.until_closed):
            early = says_early(answer(b"{}", status), then)
            cases[f"early {status}, then {then.__name__}"] = Case(early, (expected,), LARGE)
        lost = says_early(answer(b"{}", status), closes_at_once)
        cases[f"early {status}, then it closes"] = Case(lost, (expected, Verdict.AGAIN), LARGE)
    # A reset may overtake the head on a relay. Held either way.
    cases["200: reset"] = Case(says(CUT, resets_at_once), (Verdict.ID_UNKNOWN, Verdict.DOUBT))
    # A server that closes may lose its own answer (RFC 9112, 9.6): then it is the gate's proof.
    closing = says_early(answer(b"{}", "413 Too Large"), resets_at_once)
    cases["early 413, lost"] = Case(closing, (Verdict.REFUSED, Verdict.AGAIN), LARGE)
    return cases


CASES = _cases()
WAYS = {
    "http": (False, False),
    "https": (True, False),
    "http relayed": (False, True),
    "https relayed": (True, True),
}
if not share():
    del WAYS["http relayed"], WAYS["https relayed"]


@pytest.fixture(params=WAYS)
def link(request: pytest.FixtureRequest, tls: Tls) -> Link:
    """Give each way from here to a server; relayed ones only in the long sizes."""
    secure, relayed = WAYS[request.param]
    return Link(tls if secure else None, relayed=relayed)


@pytest.fixture(scope="module", autouse=True)
def counted() -> Iterator[Counter[str]]:
    """Count the cases by way, for the figures."""
    counts: Counter[str] = Counter()
    yield counts
    note("cases on a socket", **counts)


def check(link: Link, case: Case) -> None:
    """Send once; check the class of what is heard, and that what counts as without effect never arrived whole.

    What leaves a create in doubt has a read sent again.
    """

    async def main() -> None:
        async with link(case.script, attempt_deadline=case.deadline) as (server, wire):
            one = attempt(create(case.size, max_answer=1000))
            heard = await wire.send(one)
            assert verdict(heard) in case.expected
            await server.end()
            match verdict(heard):
                case Verdict.AGAIN | Verdict.POSTPONED | Verdict.REFUSED:
                    assert not one.gate.passed
                    assert not any(arrival.complete for arrival in server.arrivals)
                case Verdict.DOUBT:
                    assert one.gate.passed
                    assert verdict(heard, Effect.READ) is Verdict.AGAIN
                case Verdict.ID_UNKNOWN:
                    assert heard.entity is None
                    assert heard.reason

    run(main())


@pytest.mark.parametrize("name", CASES)
def test_each_case_has_its_class(link: Link, counted: Counter[str], name: str) -> None:
    """Held, repeated or refused as its row says; and what counts as without effect never arrived whole."""
    check(link, CASES[name])
    counted[str(link)] += 1


def test_a_client_that_trusts_exceptions_is_found_out(tls: Tls, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a broken connection is taken for proof, as without the gate, small requests get the wrong class."""

    async def ungated(body: GatedBytes) -> AsyncIterator[bytes]:
        yield body._content

    monkeypatch.setattr(GatedBytes, "__aiter__", ungated)
    for name in ("small: closes after the request", "small: resets after the request", "small: silence"):
        with pytest.raises(AssertionError):
            check(Link(tls), CASES[name])


def test_a_kept_connection_that_closes_leaves_the_next_request_in_doubt(link: Link) -> None:
    """The second request meets the end of a kept connection: it went out once, and nobody can know."""

    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.say(answer())
        if talk.number == 1:
            await talk.request()  # and closes

    async def main() -> None:
        async with link(script) as (server, wire):
            await wire.send(attempt(create()))
            assert verdict(await wire.send(attempt(create()))) is Verdict.DOUBT
            assert (server.connections, len(server.arrivals)) == (1, 2)

    run(main())


SURPLUS = answer(b'{"agent_id": "surplus"}')


@pytest.mark.parametrize("surplus", [SURPLUS, SURPLUS[:-3], SURPLUS[:20], b"abc\r\n\r\n"])
@pytest.mark.parametrize("late", [False, True], ids=["with the answer", "after it"])
def test_what_comes_unasked_answers_nothing(link: Link, surplus: bytes, *, late: bool) -> None:
    """Bytes beyond an answer never become the next request's answer."""

    async def main() -> None:
        heard_first = asyncio.Event()

        async def script(talk: Talk) -> None:
            await talk.request()
            if talk.number > 1:
                await talk.say(answer(b'{"agent_id": "right"}'))
                return
            await talk.say(answer() + (b"" if late else surplus))
            if late:
                await heard_first.wait()
                await talk.say(surplus)
            await talk.request()
            await talk.say(answer(b'{"agent_id": "right"}'))

        async with link(script) as (_server, wire):
            await wire.send(attempt(create()))
            heard_first.set()
            await asyncio.sleep(0.1)  # longer than what the kernel holds small pieces back for (40 ms)
            assert (await wire.send(attempt(create()))).entity == "right"

    run(main())


@pytest.mark.parametrize("phase", ["sending", "waiting", "reading"])
def test_a_cancelled_request_tells_by_its_gate(link: Link, phase: str) -> None:
    """Cancelled while it is sent: no effect, proven. Cancelled later: nobody can know."""
    reached = asyncio.Event()

    async def script(talk: Talk) -> None:
        if phase == "sending":
            await talk.head()
        else:
            await talk.request()
        if phase == "reading":
            await talk.say(CUT)
        reached.set()
        await talk.silence()

    async def main() -> None:
        async with link(script) as (server, wire):
            one = attempt(create(LARGE if phase == "sending" else 10))
            task = asyncio.create_task(wire.send(one))
            await reached.wait()
            await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert one.gate.passed == (phase != "sending")
            await server.end()
            assert one.gate.passed or not server.arrivals[0].complete

    run(main())


def test_a_reset_in_the_handshake_is_no_connection(tls: Tls) -> None:
    """TLS that is broken off before it stands: nothing was sent."""

    async def main() -> None:
        async with raw_server(resets_at_once) as server:
            async with wired(f"https://localhost:{server.port}", verify=tls.trusting()) as wire:
                one = attempt(create())
                assert (await wire.send(one)).end == Broken(Sent.NOT_CONNECTED)
            assert (server.arrivals, one.gate.passed) == ([], False)

    run(main())


def test_a_name_that_does_not_exist_is_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """The resolver says no: nothing was sent."""

    async def main() -> None:
        async def unknown(*_: object, **__: object) -> None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", unknown)
        async with wired("https://nobody.invalid") as wire:
            assert (await wire.send(attempt(create()))).end == Broken(Sent.NOT_CONNECTED)

    run(main())


def test_an_address_that_does_not_answer_is_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first packet stays without an answer until the time for connecting is over: nothing was sent."""
    monkeypatch.setattr("bulkops.sending.wire.CONNECT_TIMEOUT", SHORT)

    async def main() -> None:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(0)
            port = listener.getsockname()[1]
            waiting = [socket.socket() for _ in range(4)]
            try:
                for each in waiting:  # a queue that is full lets further packets fall
                    each.setblocking(False)  # noqa: FBT003 - its parameter has no public name
                    each.connect_ex(("127.0.0.1", port))
                async with wired(f"http://127.0.0.1:{port}") as wire:
                    one = attempt(create())
                    heard = await wire.send(one)
            finally:
                for each in waiting:
                    each.close()
        assert heard.end == Broken(Sent.NOT_CONNECTED)
        assert not one.gate.passed

    run(main())


@pytest.mark.parametrize("size", [10, LARGE])
def test_a_server_that_wants_a_certificate_of_ours_leaves_it_in_doubt(tls: Tls, size: int) -> None:
    """With TLS 1.3 the refusal may come after the request has left; it is never called done or refused."""

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        serving = tls.serving()
        serving.verify_mode = ssl.CERT_REQUIRED
        serving.load_verify_locations(tls.authority / "cert.pem")
        async with (
            raw_server(answers, tls=serving) as server,
            wired(server.base_url, verify=tls.trusting()) as wire,
        ):
            one = attempt(create(size))
            heard = await wire.send(one)
            assert isinstance(heard.end, Broken)
            assert server.arrivals == []
            assert (heard.end.sent is Sent.GONE) == one.gate.passed

    run(main())
