"""The ASGI app: who is asking, may it go, what is asked, what goes wrong, what is said."""

from __future__ import annotations

import ipaddress
import logging
from functools import partial
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect, Request

from .answers import Answer, Refusal, bad
from .checks import number
from .delivery import Exchange
from .gates import admit, authenticate, take_place
from .handling import handle
from .tally import Tally

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import Receive, Scope, Send

    from .service import Service

PREFIX = "/v1/convai"
_CONTROL = "/_emulator/"
_log = logging.getLogger(__name__)


class EmulatorApp:
    """Speaks the API of `service` under /v1/convai, and shows its state under /_emulator."""

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
        ordinal = tally.arrived(self._service.now())
        request_id = f"req_{ordinal:010d}"
        refused = partial(self._service.spelling.refused, request_id)
        headers = [(b"request-id", request_id.encode())]
        exchange = Exchange(scope, receive, send, headers, tally, refused)
        try:
            await self._serve(exchange, path.removeprefix(PREFIX + "/"), ordinal)
        except Refusal as refusal:
            await exchange.refuse(refusal)
        except ClientDisconnect:
            tally.unanswered += 1
        except Exception:  # noqa: BLE001 - a mistake of ours is answered 500, and logged
            _log.exception("the emulator failed at %s %s", scope["method"], path)
            await exchange.refuse(Refusal(500, "bug", "the emulator made a mistake; see its log"))

    async def _serve(self, exchange: Exchange, path: str, ordinal: int) -> None:
        service, request = self._service, Request(exchange.scope, exchange.receive)
        account = authenticate(service, request)
        admit(service, account, exchange)
        if account.places is None:
            await handle(service, exchange, request, account, path, ordinal)
            return
        await take_place(service, account.places, exchange)
        try:
            await handle(service, exchange, request, account, path, ordinal)
        finally:
            account.places.leave()

    def _control(self, scope: Scope, path: str) -> Answer:
        """Answer what stands beside the API; only to this machine, whatever the server listens on."""
        client = scope.get("client")
        if path.startswith(_CONTROL) and client is not None and ipaddress.ip_address(client[0]).is_loopback:
            query = Request(scope).query_params
            if path == _CONTROL + "state":
                return Answer(200, self._service.state())
            if path == _CONTROL + "effects":
                return Answer(200, self._service.history(query.get("key")))
            if path == _CONTROL + "deliveries":
                return Answer(200, self._service.deliveries_told())
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
