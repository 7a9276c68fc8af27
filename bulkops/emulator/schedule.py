"""Schedules of faults, read from JSON: they become rules, or an error that says how to mend them."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from .faults import ENDPOINTS, LIVE_ENDPOINTS, MAY_BE_LATE, OF_EVENTS, WEBHOOK, Fault, FaultKind, Rule

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Schedule:
    """The rules, in order: the first that strikes decides. `Faults` keeps the counts of one server."""

    rules: tuple[Rule, ...] = ()

    @classmethod
    def parse(cls, source: str | bytes | list[Any]) -> Self:
        """Read a JSON list of objects (text or already loaded).

        Keys of an entry: `fault` (a name) or `faults` (names, or objects with `fault` and parameters; the
        rule's seed picks); `endpoint`; `nth` or `times: [first, last]`; `every`; `rate` and `seed`; and the
        parameters `status`, `seconds`, `bytes`, `retry_after`, `late`, `names`. Conditions add up; without any,
        every request is struck. What goes wrong with events of the webhook is given for the endpoint
        `webhook.deliver`.

        Raises ValueError with the number of the entry (from 1) and the remedy.
        """
        try:
            entries = source if isinstance(source, list) else json.loads(source)
        except ValueError as error:
            raise ValueError(f"fault schedule: not JSON ({error}); write a list of objects") from error
        if not isinstance(entries, list):
            raise ValueError('fault schedule: not a list; write [{"every": 7, "fault": "429"}]')  # noqa: TRY004 - what is wrong with a schedule is always a ValueError
        return cls(tuple(_rule(entry, f"fault schedule, entry {n}") for n, entry in enumerate(entries, 1)))


_PLACES = (*ENDPOINTS, *LIVE_ENDPOINTS, WEBHOOK)
_PARAMETERS = {"status": (int, 400, 599), "seconds": (float, 0, 86_400), "bytes": (int, 1, 1 << 40)}
_PARAMETERS |= {"retry_after": (int, 0, 86_400), "late": (float, 0, 86_400)}
_CONDITIONS = {"nth": (int, 1, sys.maxsize), "every": (int, 1, sys.maxsize), "rate": (float, 0, 1)}
_CONDITIONS |= {"seed": (int, 0, sys.maxsize)}
_FAULT_KEYS = {"fault", "names", *_PARAMETERS}
_RULE_KEYS = {"faults", "endpoint", "times", *_CONDITIONS, *_FAULT_KEYS}


def _rule(entry: Any, where: str) -> Rule:
    _check_keys(entry, _RULE_KEYS, where)
    if ("fault" in entry) == ("faults" in entry):
        raise ValueError(f"{where}: give either `fault` (a name) or `faults` (a list)")
    shared = {key: entry[key] for key in (*_PARAMETERS, "names") if key in entry}
    listed = entry.get("faults", [entry.get("fault")])
    if not isinstance(listed, list) or not listed:
        raise ValueError(f"{where}: `faults` is a list with at least one fault")
    given = {key: _number(entry[key], key, _CONDITIONS[key], where) for key in _CONDITIONS if key in entry}
    nth = given.pop("nth", None)
    if nth is not None and "times" in entry:
        raise ValueError(f"{where}: `nth` and `times` exclude each other; keep one")
    first, last = (nth, nth) if nth is not None else _times(entry.get("times"), where)
    endpoint = entry.get("endpoint")
    if endpoint is not None and endpoint not in _PLACES:
        raise ValueError(f"{where}: unknown endpoint {endpoint!r}; one of {', '.join(_PLACES)}")
    faults = tuple(_fault(each, shared, where) for each in listed)
    for fault in faults:
        _check_place(fault.kind, endpoint, where)
    return Rule(faults=faults, endpoint=endpoint, first=first, last=last, **given)


def _fault(entry: Any, shared: Mapping[str, Any], where: str) -> Fault:
    named = {"fault": entry} if isinstance(entry, str) else entry
    _check_keys(named, _FAULT_KEYS, where)
    try:
        kind = FaultKind(str(named.get("fault")))
    except ValueError as error:
        raise ValueError(
            f"{where}: unknown fault {named.get('fault')!r}; one of {', '.join(FaultKind)}"
        ) from error
    # A silent server is silent for longer than any client waits, unless the schedule says otherwise.
    values: dict[str, Any] = {"seconds": 3600.0} if kind is FaultKind.SILENT else {}
    for key, value in {**shared, **{k: v for k, v in named.items() if k != "fault"}}.items():
        values[key] = _names(value, where) if key == "names" else _number(value, key, _PARAMETERS[key], where)
    if "late" in values and kind not in MAY_BE_LATE:
        raise ValueError(f"{where}: {kind} has no `late` effect; these have: {', '.join(MAY_BE_LATE)}")
    if ("names" in values) != (kind is FaultKind.STRANGER):
        raise ValueError(f"{where}: `names` are those of the agents that a `stranger` creates")
    return Fault(kind, **values)


def _check_place(kind: FaultKind, endpoint: str | None, where: str) -> None:
    """Refuse a fault of events for requests, and the other way round."""
    if kind in OF_EVENTS and endpoint != WEBHOOK:
        raise ValueError(f'{where}: {kind} is of events; add "endpoint": "{WEBHOOK}"')
    if kind not in OF_EVENTS and endpoint == WEBHOOK:
        raise ValueError(f"{where}: {kind} is of requests; events have: {', '.join(OF_EVENTS)}")


def _names(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(name, str) and name for name in value):
        raise ValueError(f"{where}: `names` is {value!r}; it takes a list of names")
    return tuple(value)


def _check_keys(entry: Any, known: set[str], where: str) -> None:
    if not isinstance(entry, dict):
        raise ValueError(f'{where}: not an object; write {{"nth": 3, "fault": "429"}}')  # noqa: TRY004 - what is wrong with a schedule is always a ValueError
    if unknown := sorted(entry.keys() - known):
        raise ValueError(f"{where}: unknown key {unknown[0]!r}; known are {', '.join(sorted(known))}")


def _number(value: Any, key: str, kind: tuple[type, float, float], where: str) -> Any:
    wanted, least, most = kind
    allowed = (int,) if wanted is int else (int, float)
    if isinstance(value, bool) or not isinstance(value, allowed) or not least <= value <= most:
        noun = "a whole number" if wanted is int else "a number"
        upper = "" if most == sys.maxsize else f" up to {most}"
        raise ValueError(f"{where}: `{key}` is {value!r}; it takes {noun} from {least}{upper}")
    return wanted(value)


def _times(value: Any, where: str) -> tuple[int, int]:
    if value is None:
        return 1, sys.maxsize
    if not isinstance(value, list) or len(value) != 2:  # noqa: PLR2004 - a range has two ends
        raise ValueError(f"{where}: `times` is {value!r}; it takes [first, last], counted from 1")
    first, last = (_number(each, "times", (int, 1, sys.maxsize), where) for each in value)
    if first > last:
        raise ValueError(f"{where}: `times` ends before it begins; write [{last}, {first}]")
    return first, last
