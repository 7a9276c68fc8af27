"""One request in service: what is asked, what goes wrong, what takes effect when, what is said."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING

import orjson
from starlette.datastructures import QueryParams

from .answers import Refusal
from .delivery import before_effect, deliver, deliver_before_effect, with_ids_of
from .endpoints import Call
from .faults import FaultKind
from .journal import Received
from .routes import find_endpoint
from .upload import Upload

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from .account import Account
    from .answers import Answer
    from .delivery import Exchange
    from .faults import Fault
    from .routes import Endpoint
    from .service import Service

_NO_QUERY = QueryParams()
_TRUE_ANSWERS = (None, FaultKind.SLOW, FaultKind.STRANGER)


async def handle(
    service: Service, exchange: Exchange, request: Request, account: Account, path: str, ordinal: int
) -> None:
    """Answer a request that was let in; raises Refusal for one that is about nothing there is."""
    endpoint, entity = find_endpoint(request.method, path, service.spelling.routes)
    service.tally.endpoints[endpoint.name] += 1
    fault = service.faults.next(endpoint.name)
    if fault is not None and fault.kind is FaultKind.RESET_EARLY:
        await exchange.reset()
        return
    payload = await endpoint.read(request)
    query = request.query_params if request.scope["query_string"] else _NO_QUERY
    received = None
    if service.journal is not None:
        received = _received(ordinal, request, endpoint, account, payload)
        service.journal.received(received, service.epoch + service.now())

    def act() -> Answer:
        call = Call(account.world, entity, payload, query, service.now(), ordinal, service.foreign)
        if fault is not None:
            _let_stranger(call, fault.names)
        service.acting = received
        try:
            return endpoint.act(call)
        finally:
            service.acting = None

    place = (account.world.label, endpoint.name)
    struck = await _answer(service, exchange, act, fault, place)
    if service.journal is not None and received is not None:
        kind = struck.kind if struck is not None else None
        service.journal.over(
            received,
            service.epoch + service.now(),
            status=exchange.status,
            delivered=exchange.whole and kind in _TRUE_ANSWERS,
            fault=kind,
        )


async def _answer(
    service: Service,
    exchange: Exchange,
    act: Callable[[], Answer],
    fault: Fault | None,
    place: tuple[str, str],
) -> Fault | None:
    """Act and answer, or do what the fault wants; the fault that did strike. `place`: which world's endpoint it is."""
    if fault is not None and fault.late is not None:
        await deliver_before_effect(exchange, fault)
        service.later(fault.late, act)
        return fault
    if await before_effect(exchange, fault):
        return fault
    latency = service.rng.uniform(*service.settings.latency_range)
    if latency:
        await asyncio.sleep(latency / 2)
    try:
        answer = act()
    except Refusal as refusal:
        # Without an effect there is nothing for a later fault to hide.
        answer, fault = exchange.refused(refusal), None
    if latency:
        await asyncio.sleep(latency / 2)
    if fault is not None and fault.kind is FaultKind.REPEATED:
        answer = with_ids_of(service.last.get(place, answer), answer)
    service.last[place] = answer
    await deliver(exchange, answer, fault)
    return fault


def _received(
    ordinal: int, request: Request, endpoint: Endpoint, account: Account, payload: bytes | Upload
) -> Received:
    digest = payload.sha256 if isinstance(payload, Upload) else hashlib.sha256(payload).hexdigest()
    path = request.scope["path"]
    return Received(ordinal, request.method, path, endpoint.name, account.world.label, digest)


def _let_stranger(call: Call, names: tuple[str, ...]) -> None:
    """Let somebody else create agents, like the one that is asked for here if one is."""
    for name in names:
        call.world.create_agent(name, _renamed(call.payload, name), now=call.now)


def _renamed(payload: bytes | Upload, name: str) -> bytes:
    with suppress(ValueError):
        asked = orjson.loads(payload) if isinstance(payload, bytes) else None
        if isinstance(asked, dict) and isinstance(asked.get("conversation_config"), dict):
            return orjson.dumps({**asked, "name": name})
    return orjson.dumps({"name": name, "conversation_config": {}})
