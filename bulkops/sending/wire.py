"""A request becomes bytes, and bytes become what was heard: host, key, bodies, bounded answers."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import httpx
import orjson

from bulkops.api.profile import is_entity_id
from bulkops.lifecycle import Answered, Broken, Sent
from bulkops.model import Effect
from bulkops.pace.headers import seconds_to_retry
from bulkops.sending.attempt import Heard
from bulkops.sending.body import GatedBytes, GatedForm
from bulkops.sending.named import Named
from bulkops.sending.wordless import failed, redirected
from bulkops.version import USER_AGENT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bulkops.api.profile import Endpoint, Profile
    from bulkops.model import Json, Request
    from bulkops.sending.attempt import Attempt, Gate, Sink
    from bulkops.settings import Account, Settings

CONNECT_TIMEOUT = 15.0
REFUSED = range(400, 500)
LONGEST_REQUEST_ID = 100
"""Characters of a request's id that are kept: it stands in every message about the request."""
DEEPEST = 200
"""So many opening brackets cannot nest too deep, however they stand."""


@dataclass(frozen=True, slots=True)
class _Body:
    stream: GatedBytes | GatedForm | None
    headers: tuple[tuple[str, str], ...]
    size: int


@dataclass(frozen=True, slots=True)
class _Answer:
    """An answer's body as far as it was read; `trouble` says why it is not whole."""

    content: bytes
    trouble: str = ""
    oversized: bool = False


class Wire:
    """The edge: HTTP to the servers of the accounts, through one transport.

    `named` are the ids that are known already: an answer that names one again was not meant for its request, or
    the one before was not, and its connection is not used any more.
    """

    def __init__(
        self,
        settings: Settings,
        accounts: Mapping[str, Account],
        transport: httpx.AsyncBaseTransport,
        named: Named | None = None,
    ) -> None:
        self._settings = settings
        self._api: Profile = settings.api
        self._endpoints = settings.api.endpoints()
        self._transport = transport
        self._named = Named() if named is None else named
        self._keys = [account.key.reveal() for account in accounts.values() if account.key.reveal()]
        self._bases = {name: account.base_url.rstrip("/") for name, account in accounts.items()}
        self._headers = {
            name: (
                (settings.api.key_header, account.key.reveal()),
                ("accept", "application/json"),
                # No decompression, no bomb: an answer that is encoded all the same counts as unreadable.
                ("accept-encoding", "identity"),
                ("user-agent", USER_AGENT),
            )
            for name, account in accounts.items()
        }

    async def send(self, attempt: Attempt) -> Heard:
        """Send the request once and read its answer.

        Raises OperationFailed when the body cannot be produced (nothing left), and lets cancellation through;
        `attempt.gate` tells in every case how far the body got.
        """
        request, gate = attempt.request, attempt.gate
        body = _body_of(request, gate, self._settings.upload_root)
        message = self._message(attempt, body)
        try:
            response = await self._transport.handle_async_request(message)
        except httpx.TransportError as error:
            return self._broken(attempt, error)
        try:
            if attempt.sink is not None and 200 <= response.status_code < 300:
                return await self._written(attempt, attempt.sink, response)
            answer = await _read(response, request.max_answer)
            if gate.trouble is not None and not 200 <= response.status_code < 300:
                raise gate.trouble
            heard = self._heard(attempt, response, answer)
            if isinstance(heard.end, Answered) and heard.end.repeated:
                response.extensions["discard"]()
        finally:
            await response.aclose()
        return heard

    async def _written(self, attempt: Attempt, sink: Sink, response: httpx.Response) -> Heard:
        """Write an answer that is a file as it comes; what is heard of it is its type and its size."""
        headers = _headers(response)
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        endpoint = self._endpoints[attempt.request.endpoint]
        suffix = (endpoint.download or {}).get(kind)
        size, trouble = 0, ""
        if suffix is None:
            trouble = f"the answer is of the type {kind!r:.80}, which is not taken"
        else:
            await sink.begin(suffix)
            stream = response.stream
            assert isinstance(stream, httpx.AsyncByteStream)
            try:
                async for part in stream:
                    size += len(part)
                    if size > attempt.request.max_answer:
                        trouble = f"the answer is larger than {attempt.request.max_answer} bytes"
                        break
                    await sink.write(part)
            except httpx.TransportError as error:
                trouble = f"the answer was cut: {error}"
            if not size:
                trouble = trouble or "the answer is empty"
        return Heard(
            end=Answered(
                response.status_code,
                readable=not trouble,
                oversized=size > attempt.request.max_answer,
            ),
            life=attempt.life,
            json={"content_type": kind, "bytes": size},
            headers=headers,
            reason=trouble,
            request_id=self._traced(headers),
        )

    def _message(self, attempt: Attempt, body: _Body) -> httpx.Request:
        request = attempt.request
        url = self._bases[attempt.account] + request.path
        if request.query:
            url += f"?{httpx.QueryParams(request.query)}"
        total = self._settings.attempt_deadline + body.size / self._settings.upload_rate
        return httpx.Request(
            request.method,
            _url(url),
            headers=[*self._headers[attempt.account], *body.headers],
            stream=body.stream,
            extensions={"timeout": {"connect": min(CONNECT_TIMEOUT, total), "total": total}},
        )

    def _broken(self, attempt: Attempt, error: httpx.TransportError) -> Heard:
        if attempt.gate.trouble is not None:
            raise attempt.gate.trouble from error
        if isinstance(error, httpx.ConnectError):
            sent = Sent.NOT_CONNECTED
        else:
            sent = Sent.GONE if attempt.gate.passed else Sent.WITHHELD
        reason = self._hidden(str(error) or type(error).__name__)
        return Heard(end=Broken(sent), life=attempt.life, reason=reason)

    def _hidden(self, text: str) -> str:
        """Return a text without the keys: a server may echo what it was sent."""
        for key in self._keys:
            text = text.replace(key, "***")
        return text

    def _words(
        self,
        attempt: Attempt,
        status: int,
        headers: Mapping[str, str],
        answer: _Answer,
        message: str | None,
    ) -> str:
        """Return why a request was refused: in the words of the API, else in ours."""
        if 300 <= status < 400 and "location" in headers:
            return redirected(self._api, self._bases[attempt.account], headers["location"])
        return message or failed(status, headers, answer.content) or f"HTTP {status}"

    def _traced(self, headers: Mapping[str, str], told: str | None = None) -> str | None:
        """Return the request's id: that of the header, or else the one that the body of a refusal tells."""
        found = headers.get(self._api.request_id_header) or told
        return None if found is None else self._hidden(found)[:LONGEST_REQUEST_ID]

    def _heard(self, attempt: Attempt, response: httpx.Response, answer: _Answer) -> Heard:
        headers = _headers(response)
        status = response.status_code
        withheld = not attempt.gate.passed
        if not 200 <= status < 300:
            code, message, told_id, older = self._api.refusal(_loads(answer.content))
            spent = status in self._api.spent_statuses or (
                status in REFUSED and not self._api.spent_codes.isdisjoint((code, older))
            )
            return Heard(
                end=Answered(status, withheld=withheld, spent=spent),
                life=attempt.life,
                headers=headers,
                reason=self._hidden(self._words(attempt, status, headers, answer, message)),
                code=None if code is None else self._hidden(code),
                request_id=self._traced(headers, told_id),
                meaning=self._api.key_words.get(code or "") or self._api.key_words.get(older or "", ""),
                asked=seconds_to_retry(self._api.rate_headers, headers, time.time()) or 0.0,
            )
        json, trouble = _parse(answer, headers, self._endpoints.get(attempt.request.endpoint))
        entity = (
            json.get(attempt.request.entity) if attempt.request.entity and isinstance(json, dict) else None
        )
        named = attempt.request.entity is None or is_entity_id(entity)
        if not named:
            trouble = trouble or f"the answer has no `{attempt.request.entity}`"
        repeated = (
            attempt.request.effect is Effect.CREATE and isinstance(entity, str) and named
        ) and not self._named.add(entity)
        if repeated:
            trouble = f"its answer names {entity}, as the answer to another request did"
        return Heard(
            end=Answered(
                status,
                readable=isinstance(json, dict),
                named=named,
                withheld=withheld,
                oversized=answer.oversized,
                repeated=repeated,
            ),
            life=attempt.life,
            json=json,
            headers=headers,
            reason=trouble,
            request_id=self._traced(headers),
            entity=entity if named else None,
        )


def _headers(response: httpx.Response) -> dict[str, str]:
    return {name.decode("latin-1").lower(): text.decode("latin-1") for name, text in response.headers.raw}


@lru_cache(maxsize=1024)
def _url(text: str) -> httpx.URL:
    # Creates go to the same few paths; parsing one takes as long as all the rest of the request.
    return httpx.URL(text)


def _body_of(request: Request, gate: Gate, upload_root: Path | None) -> _Body:
    if request.form is not None:
        form = GatedForm(request.form, gate, upload_root)
        size = form.content_length
        return _Body(form, (("content-type", form.content_type), ("content-length", str(size))), size)
    if request.body is None:
        # Without a body there is nothing to hold back: the request may be complete at once.
        gate.passed = True
        return _Body(None, (), 0)
    content = orjson.dumps(request.body)
    headers = (("content-type", "application/json"), ("content-length", str(len(content))))
    return _Body(GatedBytes(content, gate), headers, len(content))


async def _read(response: httpx.Response, limit: int) -> _Answer:
    parts: list[bytes] = []
    size = 0
    stream = response.stream
    assert isinstance(stream, httpx.AsyncByteStream)
    try:
        async for part in stream:
            size += len(part)
            if size > limit:
                return _Answer(b"", f"the answer is larger than {limit} bytes", oversized=True)
            parts.append(part)
    except httpx.TransportError as error:
        return _Answer(b"", f"the answer was cut: {error}")
    return _Answer(b"".join(parts))


def _parse(answer: _Answer, headers: Mapping[str, str], endpoint: Endpoint | None) -> tuple[Json, str]:
    if answer.trouble:
        return None, answer.trouble
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        return None, f"the answer is encoded as {encoding}, which was not asked for"
    json = _loads(answer.content)
    if endpoint is not None and (
        isinstance(json, dict) or (endpoint.blank and _is_blank(json, answer.content))
    ):
        json = endpoint.heard(json)
    if not isinstance(json, dict):
        return None, "the answer is not a JSON object"
    if _too_deep(json, answer.content):
        return None, "the answer nests deeper than anything that is kept may"
    return json, ""


def _is_blank(json: Json, content: bytes) -> bool:
    """Tell whether an answer says nothing, or says it in JSON that is no object."""
    return json is not None or content.strip() in (b"", b"null")


def _too_deep(json: Json, content: bytes) -> bool:
    """Tell whether a value could not be written again: orjson reads 1024 levels deep and writes 254."""
    if content.count(b"{") + content.count(b"[") < DEEPEST:
        return False
    try:
        orjson.dumps([[[[[[[[json]]]]]]]])  # a result stands a few levels deep in its row
    except orjson.JSONEncodeError:
        return True
    return False


def _loads(content: bytes) -> Json:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
