"""Whether a delivery comes from somebody who knows the secret: over its raw body, compared in constant time."""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bulkops.api import Webhook
    from bulkops.settings import Secret

BARE = "bare"
TIMESTAMPED = "timestamped"
_LONGEST = 4096
_MOST_DIGESTS = 16
"""More secrets than that are not in use at once; each costs a comparison."""
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_MOMENT = re.compile(r"\d{1,12}", re.ASCII)


class Flaw(Enum):
    """What is wrong with a signature, in words for people."""

    MISSING = "the signature is missing"
    MALFORMED = "the signature has no known form"
    NOT_ACCEPTED = "the signature has a form that is not accepted"
    OLD = "the signature is too old"
    EARLY = "the signature is from the future"
    WRONG = "the signature is wrong"


@dataclass(frozen=True, slots=True)
class Claim:
    """What a signature says: the digests, any of which may hold, and the second that is signed with the body."""

    digests: tuple[bytes, ...]
    moment: str | None = None

    @property
    def form(self) -> str:
        """Which form it has."""
        return BARE if self.moment is None else TIMESTAMPED


def claimed(
    header: str | None, webhook: Webhook, *, forms: Iterable[str], now: float, tolerance: float
) -> Claim | Flaw:
    """Return what a signature claims, or what is wrong with it before the body is looked at.

    One that has a moment holds for `tolerance` seconds before and after it.
    """
    if not header:
        return Flaw.MISSING
    claim = _parsed(header, webhook)
    if claim is None:
        return Flaw.MALFORMED
    if claim.form not in forms:
        return Flaw.NOT_ACCEPTED
    if claim.moment is not None and now - int(claim.moment) > tolerance:
        return Flaw.OLD
    if claim.moment is not None and int(claim.moment) - now > tolerance:
        return Flaw.EARLY
    return claim


def proves(claim: Claim, body: bytes, secrets: Sequence[Secret]) -> bool:
    """Tell whether a claim holds for a body, by any of the secrets.

    The time that it takes depends on how many digests and secrets there are, and on nothing in them.
    """
    holds = False
    for secret in secrets:
        right = digest(secret, claim.moment, body)
        for given in claim.digests:
            holds |= hmac.compare_digest(right, given)
    return holds


def digest(secret: Secret, moment: str | None, body: bytes) -> bytes:
    """Return the right digest of a body, in lower-case hex: with the second that is signed with it, or bare."""
    made = hmac.new(secret.reveal().encode(), digestmod="sha256")
    if moment is not None:
        made.update(f"{moment}.".encode())
    made.update(body)
    return made.hexdigest().encode()


def _parsed(header: str, webhook: Webhook) -> Claim | None:
    if len(header) > _LONGEST:
        return None
    if _DIGEST.fullmatch(header):
        return Claim((header.encode(),))
    parts = [part.strip().partition("=") for part in header.split(",")]
    moments = [value for name, _, value in parts if name == webhook.moment_part]
    digests = [value for name, _, value in parts if name == webhook.digest_part and _DIGEST.fullmatch(value)]
    if len(moments) != 1 or not _MOMENT.fullmatch(moments[0]) or not 0 < len(digests) <= _MOST_DIGESTS:
        return None
    return Claim(tuple(value.encode() for value in digests), moments[0])
