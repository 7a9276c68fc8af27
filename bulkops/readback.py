"""Reading back what was made or changed, and comparing it with what was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from bulkops.operation import checked

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

    from bulkops.api.profile import Profile
    from bulkops.model import Json, Reply, Request

EQUAL = {"readback": "equal"}
DIFFERENCES = "differences"
"""The field of a result that tells them."""
MOST_TOLD = 100
LONGEST_TOLD = 200


def expectation() -> Any:
    """Declare the field that asks for it."""
    return checked(
        '`{"readback": "equal"}` reads the agent afterwards and compares: a check, which differences fail',
        lambda value: None if value == EQUAL else 'has to be {"readback": "equal"}',
        {
            "type": "object",
            "properties": {"readback": {"const": "equal"}},
            "required": ["readback"],
            "additionalProperties": False,
        },
    )


def read_back(api: Profile, agent_id: str, asked: Json) -> Generator[Request, Reply, dict[str, Json]]:
    """Read an agent and return what its result tells of it: what was expected, and each difference.

    A stamp that it bears is none.
    """
    whole = (yield api.agent_get.request(agent_id=agent_id)).json
    found = list(differences(whole, asked))
    if found:
        bare = api.agent_list.unstamped
        found = list(differences(bare(whole), bare(asked)))
    return {"expect": EQUAL, DIFFERENCES: found[:MOST_TOLD]}


def as_expected(result: Mapping[str, Json]) -> bool | None:
    """Tell whether a result's readback found no difference; None where nothing was read back."""
    return not result[DIFFERENCES] if DIFFERENCES in result else None


def differences(whole: Json, asked: Json, path: str = "") -> Iterator[dict[str, Json]]:
    """Yield where a thing is not as a merge patch wants it (RFC 7396): its path, what was asked, what is there.

    What the patch does not speak of does not count; null asks that something is not there. Lists are compared whole.
    """
    if isinstance(asked, dict) and (isinstance(whole, dict) or (whole is None and not _says(asked))):
        have = whole or {}
        for key, part in asked.items():
            yield from differences(have.get(key), part, f"{path}.{key}" if path else key)
    elif not _same(whole, asked):
        yield {"path": path, "asked": _told(asked), "found": _told(whole)}


def _says(asked: Mapping[str, Json]) -> bool:
    """Tell whether a patch asks that something is there."""
    return any(_says(part) if isinstance(part, dict) else part is not None for part in asked.values())


def _same(one: Json, other: Json) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(
            not [*differences(a, b)] for a, b in zip(one, other, strict=True)
        )
    return bool(one == other)


def _told(value: Json) -> Json:
    raw = orjson.dumps(value)
    return value if len(raw) <= LONGEST_TOLD else f"{len(raw):,} bytes"
