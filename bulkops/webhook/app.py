"""The receiver as an ASGI application: a delivery is proven, checked, kept, and only then answered with 200."""

from __future__ import annotations

import time
import traceback
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import anyio
from anyio import to_thread

from bulkops.webhook.checking import NoEvent, delivery_of
from bulkops.webhook.settings import HEALTH, LINGER
from bulkops.webhook.signature import Flaw, claimed, proves
from bulkops.webhook.store import NotKept
from bulkops.webhook.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, MutableMapping
    from typing import TypeAlias

    from bulkops.webhook.settings import ReceiverSettings
    from bulkops.webhook.signature import Claim
    from bulkops.webhook.store import Store
    from bulkops.webhook.writer import Delivery

    Message: TypeAlias = MutableMapping[str, Any]
    Receive: TypeAlias = Callable[[], Awaitable[Message]]
    Send: TypeAlias = Callable[[Message], Awaitable[None]]

LARGE = 2**18
"""From so many bytes on, a body is looked at in a thread: others are not to wait for it."""
SMALL = 2**16
"""So many bytes of a body are always taken, however much others hold: most transcripts are no larger."""
ROOM = 8
"""So many of the largest bodies are held at once."""


class Refused(Exception):
    """A delivery is answered with another status than 200."""

    def __init__(self, status: int, why: str, *headers: tuple[bytes, bytes], detail: str = "") -> None:
        super().__init__(why)
        self.status = status
        self.why = why
        self.headers = headers
        self.detail = detail


class _Inbox:
    """What comes of one request, and whether all of it has come."""

    __slots__ = ("_receive", "whole")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.whole = False

    async def next(self) -> bytes:
        """Return the next piece of the body; raise Gone when there will be none."""
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise Gone
        self.whole = not message.get("more_body", False)
        piece: bytes = message.get("body", b"")
        return piece


class Gone(Exception):
    """Whoever sent this is not there any more."""


_LATER: Final = (b"retry-after", b"5")


@dataclass(slots=True)
class Receiver:
    """The application. `told` hears, for people, of each reason for a refusal when it comes up first."""

    settings: ReceiverSettings
    store: Store
    told: Callable[[str], None]
    tally: Tally = field(default_factory=Tally)
    _held: int = 0

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        inbox = _Inbox(receive)
        try:
            why = await self._answered(scope, inbox)
        except Gone:
            self._count(0, "cut off before the end")
            return
        except Refused as refused:
            self._count(refused.status, refused.why, refused.detail)
            await _refuse(inbox, send, refused)
            return
        except Exception as mistake:  # noqa: BLE001 - one request is answered, the others go on
            # Without its text, which may hold what was delivered.
            places = "".join(traceback.format_tb(mistake.__traceback__))
            self.told(f"a mistake in bulkops, please report it: {type(mistake).__name__}\n{places}")
            self._count(500, "a mistake in bulkops")
            await _refuse(inbox, send, Refused(500, "a mistake of the receiver", _LATER))
            return
        await _send(send, 200, why)

    async def _answered(self, scope: MutableMapping[str, Any], inbox: _Inbox) -> str:
        path, method = scope["path"], scope["method"]
        if path == HEALTH:
            return self._health(method)
        if path != self.settings.path:
            raise Refused(404, "not a path of the receiver")
        if method != "POST":
            raise Refused(405, "not a POST", (b"allow", b"POST"))
        headers = _headers(scope)
        # What can be refused without the body is.
        claim = self._claim(headers)
        length = headers.get(b"content-length", b"")
        if length.isdigit() and int(length[:20]) > self.settings.max_body:
            raise self._too_large()
        with self._holding() as hold:
            body = await self._body(inbox, hold)
            at = time.time()
            if len(body) < LARGE:
                delivery = self._checked(claim, body, at)
            else:
                delivery = await to_thread.run_sync(self._checked, claim, body, at)
            del body
            return await self._kept(delivery)

    def _health(self, method: str) -> str:
        if method not in ("GET", "HEAD"):
            raise Refused(405, "not a GET", (b"allow", b"GET, HEAD"))
        if self.store.trouble is not None:
            raise self._no_room()
        return "ok"

    def _claim(self, headers: dict[bytes, bytes]) -> Claim:
        settings = self.settings
        given = headers.get(settings.webhook.signature_header.encode(), b"").decode("latin-1")
        claim = claimed(
            given, settings.webhook, forms=settings.forms, now=time.time(), tolerance=settings.tolerance
        )
        if isinstance(claim, Flaw):
            raise Refused(401, claim.value)
        return claim

    def _too_large(self) -> Refused:
        return Refused(413, f"the body is larger than {self.settings.max_body:,} bytes")

    def _no_room(self) -> Refused:
        # What the disk says is for who runs this, not for who delivers.
        return Refused(503, "the disk refuses deliveries", _LATER, detail=f": {self.store.trouble}")

    async def _body(self, inbox: _Inbox, hold: Callable[[int], None]) -> bytes:
        pieces: list[bytes] = []
        size = 0
        while not inbox.whole:
            pieces.append(await inbox.next())
            size += len(pieces[-1])
            if size > self.settings.max_body:
                raise self._too_large()
            hold(size)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    @contextmanager
    def _holding(self) -> Iterator[Callable[[int], None]]:
        """Count what a body takes of the room for all, until it is answered."""
        mine = 0

        def hold(size: int) -> None:
            nonlocal mine
            self._held += size - mine
            mine = size
            if size > SMALL and self._held > ROOM * self.settings.max_body:
                raise Refused(503, "too many large bodies at once", _LATER)

        try:
            yield hold
        finally:
            self._held -= mine

    def _checked(self, claim: Claim, body: bytes, at: float) -> Delivery:
        if not proves(claim, body, self.settings.secrets):
            raise Refused(401, Flaw.WRONG.value)
        try:
            return delivery_of(body, at, self.settings.webhook)
        except NoEvent as flaw:
            raise Refused(400, str(flaw)) from None

    async def _kept(self, delivery: Delivery) -> str:
        try:
            new = await self.store.keep(delivery)
        except NotKept:
            raise self._no_room() from None
        if new:
            self.tally.kept += 1
            return "kept"
        self.tally.known += 1
        return "known already"

    def _count(self, status: int, why: str, detail: str = "") -> None:
        if (status, why) not in self.tally.refused:
            self.told(f"refused: {f'{status} ' * bool(status)}{why}{detail}")
        self.tally.refused[status, why] += 1


def _headers(scope: MutableMapping[str, Any]) -> dict[bytes, bytes]:
    """Return the headers by their names; what stands twice is one text, as HTTP has it."""
    found: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        found[name] = value if name not in found else b"%b,%b" % (found[name], value)
    return found


async def _send(send: Send, status: int, why: str, *headers: tuple[bytes, bytes], more: bool = False) -> None:
    text = f"{why}\n".encode()
    ours = ((b"content-type", b"text/plain"), (b"content-length", b"%d" % len(text)))
    await send({"type": "http.response.start", "status": status, "headers": [*ours, *headers]})
    await send({"type": "http.response.body", "body": text, "more_body": more})


async def _refuse(inbox: _Inbox, send: Send, refused: Refused) -> None:
    """Answer; where not all has come, read on for a moment and end the connection."""
    if inbox.whole:
        await _send(send, refused.status, refused.why, *refused.headers)
        return
    await _send(send, refused.status, refused.why, *refused.headers, (b"connection", b"close"), more=True)
    with anyio.move_on_after(LINGER), suppress(Gone):
        while not inbox.whole:
            await inbox.next()
    await send({"type": "http.response.body", "body": b"", "more_body": False})
