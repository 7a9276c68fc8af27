"""What is made only where there is none of its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bulkops.errors import OperationFailed
from bulkops.guarding import read_before
from bulkops.model import Changed, Find
from bulkops.operation import checked

if TYPE_CHECKING:
    from bulkops.api.profile import Profile
    from bulkops.model import Json
    from bulkops.operation import Steps

WAYS = ("create", "skip", "update", "error")


def _wrong_way(value: Any) -> str | None:
    return None if value in WAYS else f"has to be one of {', '.join(WAYS)}"


def if_exists() -> Any:
    """Declare the field that says what is done where there is an agent of the name already."""
    return checked(
        "what is done where an agent has the name already: create (default: another one), skip, update, error",
        _wrong_way,
        {"enum": list(WAYS)},
    )


def make_agent(api: Profile, body: dict[str, Json], way: str | None) -> Steps:
    """Yield the steps that create an agent, or do what `if_exists` says about the one that has its name.

    The result of one that was there says `existed`, and of one that was changed `updated`. OperationFailed with the
    code `exists` for `error`, `ambiguous` where several have the name, `no_name` where the body has none.
    """
    if way in (None, "create"):
        created = yield api.agent_create.request(body)
        return dict(created.json)
    name = body.get(api.name_field)
    if not isinstance(name, str) or not name:
        raise OperationFailed("no_name", "`if_exists` goes by the name, and this agent has none")
    found = yield Find(api.agent_list.lists, name, api.agent_create.name)
    ids = [each["id"] for each in found.json["found"]] if found.json else []
    if not ids:
        created = yield api.agent_create.request(body)
        return dict(created.json)
    if way == "error":
        raise OperationFailed("exists", f"there is an agent named {name!r} already: {ids[0]}")
    if len(ids) > 1:
        which = ", ".join(ids[:3]) + (", …" if len(ids) > 3 else "")  # noqa: PLR2004 - three show what is meant
        raise OperationFailed(
            "ambiguous", f"there are {len(ids)} agents named {name!r} ({which}); rename all but one of them"
        )
    if way == "update":
        before = yield read_before(api, ids[0], None, None)
        yield api.agent_update.request(body, agent_id=ids[0])
        if before.json is not None:
            yield Changed(ids[0], body)
    updated = {"updated": True} if way == "update" else {}
    return {api.agent_id_field: ids[0], api.name_field: name, "existed": True, **updated}
