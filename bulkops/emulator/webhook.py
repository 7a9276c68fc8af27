"""The webhook of a server: where its events go, how they are signed, and what one of them says. Pure."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

import orjson

if TYPE_CHECKING:
    from .calls import Conversation
    from .world import World

HEADER = "ElevenLabs-Signature"


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Where events go; valid once it exists (ValueError with the remedy otherwise).

    - `url`: only on this machine: a rehearsal never reaches anybody's production.
    - `secret`: what they are signed with. `signature`: `bare`, the hex digest of the body, or `timestamped`, that of a
      moment and the body.
    - `retries`: whether a delivery that fails is tried again as the service does; otherwise each is tried once.
    - `seeded`: whether the conversations that a key starts with are delivered too.
    - `timeout`: real seconds until a delivery without an answer has failed.
    """

    url: str
    secret: bytes = field(repr=False)
    signature: Literal["bare", "timestamped"] = "bare"
    retries: bool = False
    seeded: bool = False
    timeout: float = 10.0

    def __post_init__(self) -> None:
        if not _on_this_machine(self.url):
            raise ValueError(
                f"the webhook {self.url!r} is not on this machine; events of a rehearsal go no further: "
                "give an address such as http://127.0.0.1:8787/webhook"
            )
        if not self.secret:
            raise ValueError("the secret of the webhook is empty")
        if self.signature not in ("bare", "timestamped"):
            raise ValueError(f"unknown signature {self.signature!r}; one of bare, timestamped")
        if self.timeout <= 0:
            raise ValueError("a delivery has more than 0 seconds")

    def sign(self, body: bytes, at: float) -> str:
        """Return what stands in the header for a body that is sent at `at` (epoch seconds)."""
        return (
            _bare(body, self.secret) if self.signature == "bare" else _timestamped(body, self.secret, int(at))
        )

    def forge(self, body: bytes, at: float) -> str:
        """Return the same as somebody would sign it who does not know the secret."""
        return Webhook(url=self.url, secret=self.secret + b"?", signature=self.signature).sign(body, at)


def post_call(world: World, call: Conversation, version: int, at: float) -> bytes:
    """Write the event of a call whose `version`-th analysis was done at `at` (API reference, Webhook Events).

    Compact JSON, so that the digest over the body is also that over the body read and written again.
    """
    event = {
        "type": "post_call_transcription",
        "data": {
            "conversation_id": call.conversation_id,
            "agent_id": call.agent_id,
            "transcript": world.transcript(call, call.ends),
            "duration_seconds": call.seconds(call.ends),
            "analysis": call.analysis(version),
        },
        "event_timestamp": world.stamp(at),
    }
    return orjson.dumps(event)


def _bare(body: bytes, secret: bytes) -> str:
    return hmac.new(secret, body, hashlib.sha256).hexdigest()


def _timestamped(body: bytes, secret: bytes, at: int) -> str:
    return f"t={at},v0={_bare(b'%d.%b' % (at, body), secret)}"


def _on_this_machine(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host = parts.hostname
        if parts.scheme not in ("http", "https") or host is None:
            return False
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
