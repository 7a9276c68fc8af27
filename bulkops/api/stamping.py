"""How what is made bears a token that says whose it is, and how to tell it from what the user asked for."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from bulkops.model import Json, Request

STAMP_LENGTH = 12
_TOKEN = rf"[a-z2-7]{{{STAMP_LENGTH}}}"
_AT_THE_END = re.compile(rf" \[({_TOKEN})\]$")
_AS_TAG = re.compile(rf"bulkops:({_TOKEN})")


def stamped(name: str, token: str) -> str:
    """Return a name with a token at its end."""
    return f"{name} [{token}]"


def unstamped(name: str) -> str:
    """Return a name without the token at its end, if it has one."""
    return _AT_THE_END.sub("", name)


class Stamp(Protocol):
    """A place of a thing where a token can stand. Good for any JSON: what has no such place bears none."""

    @property
    def word(self) -> str:
        """What `--stamp` calls it."""

    @property
    def seen(self) -> bool:
        """Whether people meet it wherever they meet the thing: then it has to be asked for."""

    def on(self, request: Request, token: str) -> Request | None:
        """Return the request whose thing will bear a token; None where it has no place for that."""

    def of(self, thing: Json) -> tuple[str, ...]:
        """Return the tokens that a thing bears, as a request or an answer tells it."""

    def off(self, thing: Json) -> Json:
        """Return a thing as it is without tokens."""


@dataclass(frozen=True, slots=True)
class Suffix:
    """A token at the end of the name."""

    field: str
    word: str = "suffix"
    seen: bool = True

    def on(self, request: Request, token: str) -> Request | None:
        """See `Stamp.on`."""
        name = self._name(request.body)
        return None if name is None else _with(request, self.field, stamped(name, token))

    def of(self, thing: Json) -> tuple[str, ...]:
        """See `Stamp.of`."""
        found = _AT_THE_END.search(self._name(thing) or "")
        return () if found is None else (found[1],)

    def off(self, thing: Json) -> Json:
        """See `Stamp.off`."""
        name = self._name(thing)
        return thing if name is None else {**thing, self.field: unstamped(name)}

    def _name(self, thing: Json) -> str | None:
        name = thing.get(self.field) if isinstance(thing, dict) else None
        return name if isinstance(name, str) else None


@dataclass(frozen=True, slots=True)
class Tag:
    """A token among the tags; only requests of these endpoints may give some."""

    field: str
    endpoints: frozenset[str]
    word: str = "tag"
    seen: bool = False

    def on(self, request: Request, token: str) -> Request | None:
        """See `Stamp.on`."""
        if request.endpoint not in self.endpoints or not isinstance(request.body, dict):
            return None
        tags = request.body.get(self.field)
        # Anything else is for the API to refuse.
        return (
            _with(request, self.field, [*(tags or ()), f"bulkops:{token}"])
            if isinstance(tags, list | None)
            else None
        )

    def of(self, thing: Json) -> tuple[str, ...]:
        """See `Stamp.of`."""
        return tuple(found[1] for tag in self._tags(thing) if (found := _stamp_in(tag)) is not None)

    def off(self, thing: Json) -> Json:
        """See `Stamp.off`."""
        tags = self._tags(thing)
        left = [tag for tag in tags if _stamp_in(tag) is None]
        return thing if len(left) == len(tags) else {**thing, self.field: left}

    def _tags(self, thing: Json) -> list[Json]:
        tags = thing.get(self.field) if isinstance(thing, dict) else None
        return tags if isinstance(tags, list) else []


def _stamp_in(tag: Json) -> re.Match[str] | None:
    return _AS_TAG.fullmatch(tag) if isinstance(tag, str) else None


def _with(request: Request, field: str, part: Json) -> Request:
    return replace(request, body={**request.body, field: part})


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of the run, in which what it makes is looked for: what others make elsewhere cannot be meant.

    `endpoint` makes one, requests of `endpoints` may put something into it, and `field` says which one: of a form or a
    body, and of the query of a listing. `query` makes the listing one of folders alone.
    """

    endpoint: str
    field: str
    endpoints: frozenset[str]
    query: tuple[tuple[str, str], ...]
    word: str = "folder"
    seen: bool = True

    def takes(self, request: Request) -> bool:
        """Tell whether what a request makes may be put into one: the request says nothing of folders itself."""
        if request.endpoint not in self.endpoints:
            return False
        if request.form is not None:
            return all(name != self.field for name, _ in request.form.fields)
        return isinstance(request.body, dict) and self.field not in request.body

    def into(self, request: Request, folder: str) -> Request:
        """Return the request that makes the same in a folder."""
        if request.form is None:
            return _with(request, self.field, folder)
        fields = (*request.form.fields, (self.field, folder))
        return replace(request, form=replace(request.form, fields=fields))

    def of(self, request: Request) -> Json:
        """Return the folder that a request names; None where it names none."""
        said = dict(request.form.fields) if request.form is not None else request.body
        return said.get(self.field) if isinstance(said, dict) else None
