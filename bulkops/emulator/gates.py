"""What a request passes before anybody looks at what it asks: its key, the limit, a place to be served at."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from .answers import Refusal

if TYPE_CHECKING:
    from starlette.requests import Request

    from .account import Account
    from .delivery import Exchange
    from .limits import Verdict
    from .places import Places
    from .service import Service


def authenticate(service: Service, request: Request) -> Account:
    """Find the account of the key in the header xi-api-key (API reference, Authentication)."""
    key = request.headers.get("xi-api-key", "")
    account = service.account(key)
    if account is None:
        code, message = (
            ("invalid_api_key", "the API key is not known")
            if key
            else ("missing_api_key", "xi-api-key is missing")
        )
        raise Refusal(401, code, message)
    return account


def admit(service: Service, account: Account, exchange: Exchange) -> None:
    """Count the request, whatever becomes of it, and refuse one too many (API reference, Rate Limits)."""
    settings, tally, now = service.settings, service.tally, service.now()
    if account.admission is not None:
        verdict = account.admission.admit(now)
        if settings.rate_headers:
            exchange.headers.extend(_rate_headers(verdict, service.epoch))
        if not verdict.admitted:
            tally.refused["limit"] += 1
            raise too_many(max(1, math.ceil(verdict.opens - now)) if settings.retry_after else None)
    tally.admitted(account.world.label, now)


async def take_place(service: Service, places: Places, exchange: Exchange) -> None:
    """Wait for a place to be served at, or refuse; who has one leaves it in the end.

    The live service limits what is in service at once: a request too many waits for a moment and is then
    refused, which says nothing about how soon to come again. Its headers tell the numbers.
    """
    entered = await places.enter()
    if service.settings.concurrency_headers:
        exchange.headers.append((b"maximum-concurrent-requests", b"%d" % places.most))
        exchange.headers.append((b"current-concurrent-requests", b"%d" % places.taken))
    if not entered:
        service.tally.refused["concurrency"] += 1
        message = f"too many requests at once: {places.most} of this key may be in service"
        raise Refusal(429, "too_many_concurrent_requests", message)


def too_many(retry_after: int | None) -> Refusal:
    """Make the 429 of the API reference, with its Retry-After in seconds or without one."""
    if retry_after is None:
        return Refusal(429, "too_many_requests", "too many requests; try again later")
    message = f"too many requests; try again in {retry_after} s"
    return Refusal(429, "too_many_requests", message, {"Retry-After": str(retry_after)})


def _rate_headers(verdict: Verdict, epoch: float) -> list[tuple[bytes, bytes]]:
    return [
        (b"x-ratelimit-limit", b"%d" % verdict.limit),
        (b"x-ratelimit-remaining", b"%d" % verdict.remaining),
        (b"x-ratelimit-reset", b"%d" % math.ceil(epoch + verdict.reset)),
    ]
