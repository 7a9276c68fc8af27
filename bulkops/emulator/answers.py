"""What an endpoint says: an answer, or a refusal in the API's own shape."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, a JSON body, and headers beyond those that every answer carries.

    Bytes are a body of another `kind`, sent as they are.
    """

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)
    kind: bytes = b"application/json"

    @property
    def content(self) -> bytes:
        """The body as it is sent."""
        return self.body if isinstance(self.body, bytes) else orjson.dumps(self.body)


class Refusal(Exception):
    """A request that is answered with an error status; `code` is for programs, `message` for people.

    `detail` is what the answer says instead of the two, where a request deserves another shape.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        headers: Mapping[str, str] | None = None,
        *,
        detail: Any = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}
        self.detail = detail

    @property
    def answer(self) -> Answer:
        """The answer in the plain shape, which tells the code and the message."""
        return Answer(self.status, {"detail": {"status": self.code, "message": self.message}}, self.headers)


def bad(message: str) -> Refusal:
    """Refuse what is asked wrongly (API reference, Error Codes: 400, check request body format)."""
    return Refusal(400, "invalid_request", message)
