"""What an endpoint says: an answer, or a refusal in the API's own shape."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, a JSON body, and headers beyond those that every answer carries."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)


class Refusal(Exception):
    """A request that is answered with an error status; `code` is for programs, `message` for people."""

    def __init__(
        self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.answer = Answer(status, {"detail": {"status": code, "message": message}}, headers or {})


def bad(message: str) -> Refusal:
    """Refuse what is asked wrongly (API reference, Error Codes: 400, check request body format)."""
    return Refusal(400, "invalid_request", message)
