"""Placeholders in the place of secrets: a job file is read by people, and kept."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from bulkops.model import Json

_PLACEHOLDER: Final = "{{secret__"
_HARMLESS: Final = frozenset({"accept", "accept-language", "cache-control", "content-type", "user-agent"})
"""Headers that hold no secret, whatever stands in them."""
_HEADERS: Final = frozenset({"headers", "request_headers"})
_SECRET: Final = re.compile(r"api[-_]?key|auth|credential|passw|secret|signature|token", re.IGNORECASE)
"""Keys whose texts are secrets, wherever they stand."""
_SCHEME: Final = re.compile(r"(?:bearer|basic|token|apikey)\s+", re.IGNORECASE)
_IN_URL: Final = re.compile(r"([?&;]([^=&;#]+)=)([^&;#]+)")


def without_secrets(body: Json, of: str) -> tuple[Json, list[tuple[str, str]]]:
    """Return a tool's body with `{{secret__NAME}}` in the place of each secret, and their paths and names.

    Secrets are the values of headers, but for those that never are; texts under keys such as `api_key`; and such
    parameters of a URL. `of` names the tool where its body does not.
    """
    name = body.get("name") if isinstance(body, dict) else None
    hiding = _Hiding(_word(name if isinstance(name, str) else of))
    return hiding.hidden(body, "", "", secret=False), hiding.replaced


class _Hiding:
    def __init__(self, of: str) -> None:
        self._of = of
        self.replaced: list[tuple[str, str]] = []

    def hidden(self, value: Json, key: str, path: str, *, secret: bool) -> Json:
        """Return a value without secrets; `secret`: texts in it are, but for what is harmless."""
        if isinstance(value, dict):
            # What the parameters of a tool are called is no secret, nor is what is said of them.
            if key in {"parameters", "properties", "request_body_schema"}:
                return value
            headers = key.lower() in _HEADERS
            return {
                name: self.hidden(part, name, f"{path}.{name}" if path else name, secret=headers or secret)
                for name, part in value.items()
            }
        if isinstance(value, list):
            return [self.hidden(part, key, f"{path}.{n}", secret=secret) for n, part in enumerate(value)]
        if not isinstance(value, str) or _PLACEHOLDER in value:
            return value
        if (secret and key.lower() not in _HARMLESS) or _SECRET.search(key):
            scheme = _SCHEME.match(value)
            return (scheme[0] if scheme else "") + self._placeholder(path, key)
        if "://" in value:
            return _IN_URL.sub(lambda match: self._in_url(match, path), value)
        return value

    def _in_url(self, match: re.Match[str], path: str) -> str:
        if not _SECRET.search(match[2]) and match[2].lower() != "key":
            return match[0]
        return match[1] + self._placeholder(path, match[2])

    def _placeholder(self, path: str, key: str) -> str:
        name = f"{self._of}_{_word(key)}"
        self.replaced.append((path, name))
        return f"{_PLACEHOLDER}{name}}}}}"


def _word(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_") or "tool"
