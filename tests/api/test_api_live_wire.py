"""The vendor's own SDK as the witness on the wire: a server records both, and the JSON requests are the same there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import orjson
import pytest

from bulkops.api import LIVE
from tests.api.test_api_live_sdk import FORMS, INTENTS, STAMPED, elevenlabs
from tests.sending.sending_doubles import KEY, answer, attempt, raw_server, run, wired

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulkops.model import Request
    from tests.sending.sending_doubles import Arrival, Talk

PREFIX = "/v1/convai"


def parsed(arrival: Arrival) -> dict[str, Any]:
    """Return what of a request on the wire has a meaning: what is asked of which thing, with what, by whom."""
    method, target, version = arrival.line.split(" ")
    assert arrival.complete
    body = bytes(arrival.body)
    return {
        "version": version,
        "method": method,
        "path": urlsplit(target).path,
        "query": sorted(parse_qsl(urlsplit(target).query, keep_blank_values=True)),
        "body": orjson.loads(body) if body else None,
        # A GET of the SDK says that its body, which it has not, is JSON.
        "type": arrival.values("content-type") if body else [],
        "chunked": arrival.values("transfer-encoding"),
        "key": arrival.values(LIVE.key_header),
        "authorization": arrival.values("authorization"),
    }


@pytest.mark.parametrize(
    ("call", "ours"),
    [pytest.param(*INTENTS[name], id=name) for name in INTENTS if name not in FORMS]
    + [pytest.param(*pair, id=way) for way, pair in STAMPED.items()],
)
def test_the_same_bytes_mean_the_same(call: Callable[[Any], Any], ours: Request) -> None:
    """For the same intent a server receives the same request from the SDK and from us, read from the bytes."""
    told = orjson.dumps(LIVE.endpoints()[ours.endpoint].example)

    async def answers(talk: Talk) -> None:
        while True:
            await talk.request()
            await talk.say(answer(told, content_type="application/json"))

    async def main() -> list[Arrival]:
        async with raw_server(answers) as server:
            origin = f"http://localhost:{server.port}"

            def theirs() -> None:
                with httpx.Client(trust_env=False) as client:
                    sdk = elevenlabs.ElevenLabs(api_key=KEY, base_url=origin, httpx_client=client)
                    call(sdk.conversational_ai)

            await asyncio.to_thread(theirs)
            async with wired(f"{origin}{PREFIX}", api=LIVE) as wire:
                await wire.send(attempt(ours))
            return server.arrivals

    sent, received = map(parsed, run(main()))
    assert sent == received
    assert received["key"] == [KEY]
    assert received["path"] == f"{PREFIX}{ours.path}"
