"""Answers that say nothing in words of the API: redirects, and what stands before the service. In plain words; pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulkops.api.profile import Profile

_HOST = re.compile(
    r"(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?|\[[0-9a-f:]{2,39}\])(?::[0-9]{1,5})?", re.ASCII
)
_FAILURES = {
    502: "a gateway before the service had no good answer from it",
    503: "the service, or a gateway before it, takes no requests now",
    504: "a gateway before the service waited in vain for its answer",
}
_PAGE = "the answer is a page of HTML, as proxies, firewalls and gateways send it"


def redirected(api: Profile, base_url: str, location: str) -> str:
    """Return what a redirect from a base URL means; of where it points to, the host alone is told."""
    host = _host(base_url, location)
    if host is None:
        return "it points elsewhere, and is not followed; check the address (--base-url)"
    if host == _host(base_url):
        return (
            "it points to another path of the same server, and is not followed; check the address (--base-url): it "
            "ends with /v1/convai"
        )
    place = next((name for name, url in api.hosts.items() if _host(url) == host), None)
    remedy = (
        f"if the workspace is there, give --residency {place}"
        if place is not None
        else "if you know that the API is there, and that your key may go there, give it as --base-url"
    )
    return f"it points to {host}, and is not followed; {remedy}"


def failed(status: int, headers: Mapping[str, str], content: bytes) -> str | None:
    """Return what a refusal means that tells nothing; None where nothing is known."""
    kind = headers.get("content-type", "").lower()
    page = _PAGE if kind.startswith("text/html") or content[:1] == b"<" else None
    meaning = _FAILURES.get(status)
    if meaning is None:
        return page
    hint = f"{page}; check the address (--base-url) if it stays" if page else "try again later"
    return f"{meaning} ({hint})"


def _host(url: str, location: str = "") -> str | None:
    """Return host and port of what an address points to, where they look like any."""
    try:
        found = urlsplit(urljoin(url, location)).netloc.rpartition("@")[2].lower()
    except ValueError:
        return None
    return found if _HOST.fullmatch(found) else None
