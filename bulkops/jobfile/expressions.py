"""`${…}` in texts, read once into texts with holes; what is filled in later is never read again."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from bulkops.jobfile.collecting import COLLECT, collect_of
from bulkops.jobfile.holes import Collect, Copy, Holed, Ref, Text, as_text, is_collected
from bulkops.jobfile.marks import TAG_MARK, read_need
from bulkops.jobfile.problems import LineError, LineProblems, nearest, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulkops.jobfile.holes import LookedUp, Part
    from bulkops.model import Json

KEY_VARIABLE = "ELEVENLABS_API_KEY"

_EXPRESSION = re.compile(r"\$\$\{|\$\{(?:([^{}]*)\})?")
_ALONE = re.compile(r"\$\{var:([^{}]*)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_KNOWN = (
    "known are ${ref:ID#path}, ${var:NAME}, ${env:NAME}, ${file:PATH} and ${copy} (write $${ for a plain ${)"
)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A value whose expressions have been read: a text with holes stands where some are left."""

    value: Json
    refs: frozenset[LookedUp]
    copies: bool
    """Does `${copy}` occur?"""

    @property
    def dynamic(self) -> bool:
        """Tell whether something is left to fill in."""
        return self.copies or bool(self.refs)

    @property
    def adds(self) -> bool:
        """Tell whether a list is added to what is there."""
        return any(isinstance(ref, Collect) and ref.union for ref in self.refs)


def may_hold_expressions(raw: bytes) -> bool:
    """Tell, from its JSON, whether a value may hold expressions; never wrongly no."""
    # `in` would try the needle as a number first, and raise and drop an error inside: ten times the price.
    return raw.find(b"$") >= 0 or (raw.find(b"\\") >= 0 and raw.find(b"\\u00") >= 0)


def is_name(text: str) -> bool:
    """Tell whether a var, or a variable of the environment, may have this name."""
    return _NAME.fullmatch(text) is not None


def prepare(
    value: Json, environ: Mapping[str, str], field: str, vars: Mapping[str, Json] | None = None
) -> Prepared:
    """Read the expressions in all texts of a value; LineProblems with everything that is wrong.

    Variables of the environment are filled in, and so are `vars`; None where none may stand, which is in vars
    themselves. Keys of objects are left as they are.
    """
    reader = _Reader(environ, vars)
    read = reader.read(value, ((), field))
    if reader.problems:
        raise LineProblems(reader.problems)
    holes = frozenset(reader.holes)
    return Prepared(
        value=read,
        refs=frozenset(hole for hole in holes if not isinstance(hole, Copy)),
        copies=Copy() in holes,
    )


# Where a value stands: the place of what holds it, and its key there. Put into words only in errors.
_Place: TypeAlias = "tuple[()] | tuple[_Place, str | int]"


class _Reader:
    def __init__(self, environ: Mapping[str, str], vars: Mapping[str, Json] | None) -> None:
        self._environ = environ
        self._vars = vars
        self.holes: set[LookedUp | Copy] = set()
        self.problems: list[LineError] = []

    def read(self, value: Json, place: _Place) -> Json:
        if isinstance(value, str):
            return self._text(value, place) if "${" in value else value
        if isinstance(value, dict):
            if COLLECT in value:
                return self._collect(value, place)
            return {key: self.read(item, (place, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self._item(item, (place, index)) for index, item in enumerate(value)]
        return value

    def _item(self, item: Json, place: _Place) -> Json:
        read = self.read(item, place)
        if is_collected(read) and read.parts[0].union:
            self._note(
                place, 'stands within a list, and `"merge": "union"` means the whole list; take it out'
            )
        return read

    def _collect(self, value: dict[str, Json], place: _Place) -> Json:
        problems: list[LineError] = []
        collect = collect_of(value, self._vars, problems)
        for error in problems:
            self._note((place, error.field) if error.field else place, error.message)
        if collect is None:
            return value
        self.holes.add(collect)
        return Holed((collect,))

    def _text(self, text: str, place: _Place) -> Json:
        try:
            if alone := _ALONE.fullmatch(text):
                return _value_of(alone[1], self._vars)
            parts = self._parts(text)
        except LineError as error:
            self._note(place, error.message)
            return text
        holes = [part for part in parts if not isinstance(part, str)]
        self.holes.update(holes)
        return Holed(tuple(parts)) if holes else "".join(map(str, parts))

    def _note(self, place: _Place, message: str) -> None:
        keys = []
        while place:
            place, key = place
            keys.append(str(key))
        self.problems.append(LineError(".".join(reversed(keys)), message))

    def _parts(self, text: str) -> list[Part]:
        parts: list[Part] = []
        end = 0
        for match in _EXPRESSION.finditer(text):
            if end < match.start():
                parts.append(text[end : match.start()])
            parts.append(self._part(match))
            end = match.end()
        if end < len(text):
            parts.append(text[end:])
        return parts

    def _part(self, match: re.Match[str]) -> Part:
        if match[0] == "$${":
            return "${"
        if match[1] is None:
            raise LineError(None, "holds `${` without its `}`; write $${ for a plain ${")
        return _expression(match[1], self._environ, self._vars)


def _expression(inside: str, environ: Mapping[str, str], vars: Mapping[str, Json] | None) -> Part:
    if inside == "copy":
        return Copy()
    prefix, colon, rest = inside.partition(":")
    if colon and prefix == "ref":
        return _reference(rest)
    if colon and prefix == "env":
        return _variable(rest, environ)
    if colon and prefix == "var":
        return as_text(_value_of(rest, vars))
    if colon and prefix == "file":
        return _file(rest)
    written = shown(f"${{{inside}}}")
    if prefix == "row":
        raise LineError(None, f"holds {written}; only the `line` of an `$each` has rows")
    raise LineError(None, f"holds {written}; {_KNOWN}")


def _file(path: str) -> Text:
    if not path or "\0" in path:
        raise LineError(
            None, f"holds {shown(f'${{file:{path}}}')}; write the path of a file, such as ${{file:prompt.md}}"
        )
    return Text(path)


def _reference(written: str) -> Ref:
    source, hash_sign, dotted = written.partition("#")
    path = tuple(dotted.split("."))
    need = read_need(source)
    if need is None or source.startswith(TAG_MARK) or not hash_sign or not all(path):
        raise LineError(
            None,
            f"holds {shown(f'${{ref:{written}}}')}; write ${{ref:ID#path}}, or ID[N] for one copy",
        )
    return Ref(*need, path)


def _value_of(name: str, vars: Mapping[str, Json] | None) -> Json:
    written = shown(f"${{var:{name}}}")
    if vars is None:
        raise LineError(None, f"holds {written}, and a var cannot hold another; write the value itself")
    if name not in vars:
        hint = f" ({nearest(name, vars)})" if vars else ""
        raise LineError(
            None,
            f"holds {written}, which the header does not declare{hint}; add it to `vars` there, with a value, or "
            "with null for one that --var has to give",
        )
    return vars[name]


def _variable(name: str, environ: Mapping[str, str]) -> str:
    if not is_name(name):
        raise LineError(
            None, f"holds {shown(f'${{env:{name}}}')}; a variable's name has letters, digits and _ only"
        )
    if name == KEY_VARIABLE:
        raise LineError(None, f"asks for {name}; the API key never becomes part of a job, so take it out")
    value = environ.get(name)
    if value is None:
        raise LineError(
            None,
            f"needs the variable {shown(name)}, which is not set; set it in the environment and start again",
        )
    try:
        value.encode()
    except UnicodeEncodeError:
        raise LineError(
            None, f"needs the variable {shown(name)}, whose value is not UTF-8; correct it"
        ) from None
    return value
