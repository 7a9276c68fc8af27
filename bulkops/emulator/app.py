"""The ASGI app: who is asking, may it go, what is asked, what goes wrong, what is said."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import math
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect, Request

from .answers import Answer, Refusal, bad
from .checks import number
from .delivery import Exchange, before_effect, deliver, too_many
from .endpoints import Call
from .faults import FaultKind
from .routes import find_endpoint
from .tally import Tally

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import Receive, Scope, Send

    from .account import Account
    from .limits import Verdict
    from .service import Service

PREFIX = "/v1/convai"
_CONTROL = "/_emulator/"
_log = logging.getLogger(__name__)


class EmulatorApp:
    """Speaks the API reference under /v1/convai, and shows the state of `service` under /_emulator."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        path: str = scope["path"]
        if not path.startswith(PREFIX + "/"):
            # What stands beside the API is not counted.
            await Exchange(scope, receive, send, [], Tally(1.0)).answer(self._control(scope, path))
            return
        tally = self._service.tally
        ordinal = tally.arrived()
        exchange = Exchange(scope, receive, send, [(b"request-id", b"req_%010d" % ordinal)], tally)
        try:
            await self._serve(exchange, path.removeprefix(PREFIX + "/"), ordinal)
        except Refusal as refusal:
            await exchange.answer(refusal.answer)
        except ClientDisconnect:
            tally.unanswered += 1
        except Exception:  # noqa: BLE001 - a mistake of ours is answered 500, and logged
            _log.exception("the emulator failed at %s %s", scope["method"], path)
            await exchange.answer(Refusal(500, "bug", "the emulator made a mistake; see its log").answer)

    async def _serve(self, exchange: Exchange, path: str, ordinal: int) -> None:
        service, request = self._service, Request(exchange.scope, exchange.receive)
        account = self._authenticate(request)
        self._admit(account, exchange)
        endpoint, entity = find_endpoint(request.method, path)
        service.tally.endpoints[endpoint.name] += 1
        fault = service.faults.next(endpoint.name)
        if fault is not None and fault.kind is FaultKind.RESET_EARLY:
            await exchange.reset()
            return
        payload = await endpoint.read(request)
        if await before_effect(exchange, fault):
            return
        latency = service.rng.uniform(*service.settings.latency_range)
        if latency:
            await asyncio.sleep(latency / 2)
        query = request.query_params if request.scope["query_string"] else {}
        call = Call(account.world, entity, payload, query, service.now(), ordinal, service.foreign)
        try:
            answer = endpoint.act(call)
        except Refusal as refusal:
            # Without an effect there is nothing for a later fault to hide.
            answer, fault = refusal.answer, None
        if latency:
            await asyncio.sleep(latency / 2)
        await deliver(exchange, answer, fault)

    def _authenticate(self, request: Request) -> Account:
        """Find the account of the key in the header xi-api-key (API reference, Authentication)."""
        key = request.headers.get("xi-api-key", "")
        account = self._service.account(key)
        if account is None:
            code, message = (
                ("invalid_api_key", "the API key is not known")
                if key
                else ("missing_api_key", "xi-api-key is missing")
            )
            raise Refusal(401, code, message)
        return account

    def _admit(self, account: Account, exchange: Exchange) -> None:
        """Count the request, whatever becomes of it, and refuse one too many (API reference, Rate Limits)."""
        service, now = self._service, self._service.now()
        if account.admission is None:
            service.tally.admitted(account.world.label, now)
            return
        verdict = account.admission.admit(now)
        if service.settings.rate_headers:
            exchange.headers.extend(_rate_headers(verdict, service.epoch))
        if not verdict.admitted:
            raise too_many(max(1, math.ceil(verdict.opens - now)) if service.settings.retry_after else None)
        service.tally.admitted(account.world.label, now)

    def _control(self, scope: Scope, path: str) -> Answer:
        """Answer what stands beside the API; only to this machine, whatever the server listens on."""
        client = scope.get("client")
        if path.startswith(_CONTROL) and client is not None and ipaddress.ip_address(client[0]).is_loopback:
            query = Request(scope).query_params
            if path == _CONTROL + "state":
                return Answer(200, self._service.state())
            if path == _CONTROL + "effects":
                return Answer(200, self._service.history(query.get("key")))
            if path == _CONTROL + "limit" and scope["method"] == "POST":
                return self._change_limit(query)
        return Refusal(404, "not_found", f"the API is under {PREFIX}").answer

    def _change_limit(self, query: Mapping[str, str]) -> Answer:
        try:
            self._service.change_limit(number(query, "requests", default=0))
        except ValueError as error:
            return bad(str(error)).answer
        except Refusal as refusal:
            return refusal.answer
        return Answer(200, self._service.state()["limit"])


def _rate_headers(verdict: Verdict, epoch: float) -> list[tuple[bytes, bytes]]:
    return [
        (b"x-ratelimit-limit", b"%d" % verdict.limit),
        (b"x-ratelimit-remaining", b"%d" % verdict.remaining),
        (b"x-ratelimit-reset", b"%d" % math.ceil(epoch + verdict.reset)),
    ]
