"""What a receiver is told: where it listens, whom it believes, and what it takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

    from bulkops.api import Webhook
    from bulkops.settings import Secret

MAX_BODY = 25 * 2**20
ROTATE = 64 * 2**20
TOLERANCE = 1800.0
"""As the vendor's own check has it (api/live.md, section 4)."""
DEADLINE = 30.0
MOST_CONNECTIONS = 512
LINGER = 1.0
"""Seconds for which what nobody wants is read: who closes at once may cut off the own answer."""
HEALTH = "/healthz"


@dataclass(frozen=True, slots=True)
class ReceiverSettings:
    """How to receive. A `port` of 0 is a free one; `forms` are those of a signature that are accepted.

    A request has to be whole `deadline` seconds after it was begun.
    """

    spool: Path
    secrets: tuple[Secret, ...]
    webhook: Webhook
    forms: frozenset[str]
    host: str = "127.0.0.1"
    port: int = 8787
    path: str = "/webhook"
    tolerance: float = TOLERANCE
    max_body: int = MAX_BODY
    rotate: int = ROTATE
    deadline: float = DEADLINE
    most_connections: int = MOST_CONNECTIONS
    tls: ssl.SSLContext | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot work; ValueError says why."""
        if not self.path.startswith("/") or not self.path.isascii() or not self.path.isprintable():
            raise ValueError(
                f"--path {self.path!r} has to begin with / and to be plain ASCII, such as /webhook"
            )
        if self.path == HEALTH:
            raise ValueError(
                f"--path {HEALTH} is where the receiver tells whether it is well; give another one"
            )
        if not self.secrets:
            raise ValueError("a receiver without a secret would believe anybody")
