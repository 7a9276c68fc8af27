"""The server's own account of what happened, for whoever wants to compare it with what a client believes.

A JSON line for each request that was received completely, for each effect at the moment it takes effect, for each
request that is over, and for each attempt to deliver an event; a line is with the operating system before anything
else happens, so that it is there whatever becomes of the client or of this process.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from .things import Effect

if TYPE_CHECKING:
    from pathlib import Path

    from .deliveries import Delivery


class Received(NamedTuple):
    """A request that was received completely; `digest` is the SHA-256 of its body, of an upload that of the file."""

    request: int
    method: str
    path: str
    endpoint: str
    world: str
    digest: str


class Journal:
    """The file, appended to. Moments are epoch seconds; requests are counted from 1 since `started`.

    Raises OSError, with the path in its message, when the file cannot be opened.
    """

    def __init__(self, path: Path, at: float) -> None:
        try:
            # Without a buffer: each line is handed to the operating system as it is written.
            self._file = path.open("ab", buffering=0)
        except OSError as error:
            message = f"the effects cannot be written to {path}: {error.strerror}"
            raise OSError(error.errno, message) from error
        self._write({"event": "started", "at": at})

    def received(self, request: Received, at: float) -> None:
        """Note that a request has come in whole."""
        self._write({"event": "received", "at": at, **request._asdict()})

    def effect(self, effect: Effect, request: Received | None) -> None:
        """Note an effect, and the request that had it (None: somebody else's doing)."""
        method, path, digest = (request.method, request.path, request.digest) if request else (None,) * 3
        told = {name: getattr(effect, name) for name in Effect.__slots__}
        self._write({"event": "effect", **told, "method": method, "path": path, "digest": digest})

    def over(
        self, request: Received, at: float, *, status: int | None, delivered: bool, fault: str | None
    ) -> None:
        """Note how a request ended: the status that was said, if any, and what went wrong on purpose.

        `delivered` tells whether the true answer was handed whole to a connection that was open; whether the
        client lived to read it, a server cannot know.
        """
        told = {"request": request.request, "status": status, "delivered": delivered, "fault": fault}
        self._write({"event": "over", "at": at, **told})

    def delivery(self, delivery: Delivery) -> None:
        """Note what came of an attempt to deliver an event."""
        self._write({"event": "delivery", **asdict(delivery)})

    def close(self) -> None:
        """Close the file; what happens later is not noted."""
        self._file.close()

    def _write(self, line: dict[str, Any]) -> None:
        if not self._file.closed:
            self._file.write(orjson.dumps(line) + b"\n")
