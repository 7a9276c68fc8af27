"""A job that takes a run back: what it did, from the checkpoint, in reverse."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING

import orjson

from bulkops.checkpoint import run_key
from bulkops.checkpoint.belonging import OWN
from bulkops.checkpoint.changes import changes_of
from bulkops.jobfile.marks import is_plain_name
from bulkops.jobfile.reading import LONGEST_LINE
from bulkops.model import State
from bulkops.operations import KINDS
from bulkops.operations.agent_clone import CloneAgent
from bulkops.operations.agent_create import CreateAgent
from bulkops.operations.agent_delete import DeleteAgent
from bulkops.operations.agent_update import UpdateAgent
from bulkops.writing.remade import Remade
from bulkops.writing.undoing import FOR_GOOD, UNREAD, Left, Touch, removed, taken_back
from bulkops.writing.uses import Uses, tag_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bulkops.api.profile import Profile
    from bulkops.checkpoint import OperationRow, Reader, StepRow
    from bulkops.model import Json

_CHANGING = frozenset({UpdateAgent.kind, DeleteAgent.kind})
_FINDING = frozenset({CreateAgent.kind, CloneAgent.kind})
"""Kinds that may change an agent which is there, in place of making one."""
_LASTING = {"agent.simulate": "simulation", "document.index": "index", "test.run": "run of tests"}
"""What leaves something behind that is told in its result only, and what that is called."""
_NOT_ENDED = 2**62
_ANY = "*"
"""In the place of an account: what has begun and not ended does not say in which."""
LONGEST_NAME = 60
_SORTING_KIB = 8 * 1024
"""Twice so much is held at most: by the table, and by what it is sorted with."""
_CANNOT = "the API cannot delete it"
_IN_DOUBT = "it is in doubt what became of it; settle that first"
_GIVEN_UP = "it was given up while it was in doubt; look at the account"
_TWICE = "it may be there twice; look at the account"
_CIRCLE = "both are made again, and neither can be the first to know the other's new id; update it by hand"
_BEGUN = "the operation has begun and not ended; run the job again first"


def undo_lines(
    reader: Reader, api: Profile, left: Callable[[dict[str, Json]], None], *, guarded: bool = True
) -> Iterator[dict[str, Json]]:
    """Yield the lines that take a run back: of what it did last first, and of each thing one.

    Agents come before what they may use; the folders of the run itself come last. What was used waits for those who
    used it, and is left where those are. `left` hears of everything that the
    lines do not take back, and why. What a run touched is sorted on disk, so memory does not grow with it. The lines
    of what is `guarded` leave alone what was changed since.
    """
    with closing(sqlite3.connect("", isolation_level=None)) as scratch:
        scratch.execute("PRAGMA journal_mode=OFF")
        scratch.execute(f"PRAGMA cache_size={-_SORTING_KIB}")
        scratch.execute(
            "CREATE TABLE touch (kind TEXT, id TEXT, account TEXT, place INTEGER, made INTEGER, gone INTEGER,"
            " PRIMARY KEY (kind, id, account, place)) WITHOUT ROWID"
        )
        scratch.execute("BEGIN")
        uses = Uses(scratch)
        survey = _Survey(reader, api, scratch, left, uses)
        survey.take()
        # What was made later may use what was made before, whatever was changed of that afterwards.
        latest = (
            "SELECT kind, id, account FROM touch GROUP BY kind, id, account"
            " ORDER BY kind <> ?, coalesce(max(CASE WHEN made THEN place END), max(place)) DESC"
        )
        agents, remade = api.agent_list.lists, Remade(scratch, api.agent_id_field)
        for thing, account in survey.made_again():
            remade.add(thing, account, _id_in(account, thing))
        for kind, thing, account in scratch.execute(latest, (agents,)):
            touches = survey.touches_of(kind, thing, account)
            if kind == agents:
                pointed = partial(remade.pointed, agent=thing, account=account)
                line = taken_back(thing, touches, api, guarded=guarded, pointed=pointed)
            else:
                line = removed(kind, thing, touches, api, guarded=guarded)
            by, within = [touch.by for touch in touches], survey.within(touches, account)
            if isinstance(line, dict):
                line = uses.placed(line, by, within)
            if isinstance(line, dict) and _is_too_large(line):
                line = Left("it is larger than a line of a job may be")
            if isinstance(line, Left):
                uses.stays(by, within)
                left(_told(kind, thing, touches[-1].by, line.why))
            elif line is not None:
                for other in remade.kept():
                    left(
                        _told(kind, other, touches[-1].by, f"undo:{thing} names it by its old id: {_CIRCLE}")
                    )
                yield {**line, "id": _id_in(account, thing)}
        yield from survey.folders()


class _Survey:
    """Goes over what has ended, and notes which operations touched which thing."""

    def __init__(
        self,
        reader: Reader,
        api: Profile,
        scratch: sqlite3.Connection,
        left: Callable[[dict[str, Json]], None],
        uses: Uses,
    ) -> None:
        self._uses = uses
        self._has_folders = any(step.entity is not None for step in reader.steps_of_run())
        self._reader = reader
        self._api = api
        self._agents = api.agent_list.lists
        self._scratch = scratch
        self._left = left

    def take(self) -> None:
        """Note all of it; tell of what cannot be taken back, whatever it was."""
        uses = self._uses
        uses.any = self._has_folders
        for place, row in self._reader.in_time():
            record = orjson.loads(row.record)
            uses.any = uses.any or "refers_to" in record
            self._take_made(place, row, record)
            if row.kind in _CHANGING or _has_found(row, record):
                for agent in self._changed_by(row, record):
                    gone = row.kind == DeleteAgent.kind
                    self._note(self._agents, agent, place, record.get("account"), gone=gone)
        for number, (key, steps) in enumerate(groupby(self._reader.open_steps(), key=lambda step: step.key)):
            self._take_begun(_NOT_ENDED + number, key, list(steps))

    def made_again(self) -> Iterator[tuple[str, str]]:
        """Yield the agents that are made again, each with its account."""
        for agent, account in self._scratch.execute("SELECT DISTINCT id, account FROM touch WHERE gone"):
            line = taken_back(agent, self.touches_of(self._agents, agent, account), self._api)
            if isinstance(line, dict) and line["op"] == CreateAgent.kind and not _is_too_large(line):
                yield agent, account

    def folders(self) -> Iterator[dict[str, Json]]:
        """Yield the lines that delete what the run made for itself, once it is empty."""
        own = self._reader.meta(OWN)
        named = self._scratch.execute(
            "SELECT DISTINCT account FROM touch WHERE account NOT IN ('', ?)", (_ANY,)
        )
        accounts = {run_key(name): name for (name,) in named}
        for step in self._reader.steps_of_run():
            if step.entity is None:
                continue
            kind = KINDS[step.endpoint].makes or ""
            account = accounts.get(step.key)
            if account is None and (own is None or step.key != run_key(own)):
                # Nothing tells in which account it is.
                self._left(_told(kind, step.entity, _unended(step.endpoint), _CANNOT))
                continue
            of_account: dict[str, Json] = {} if account is None else {"account": account}
            line: dict[str, Json] = {"id": f"undo:{step.entity}", "op": f"{kind}.delete", **of_account}
            line |= {f"{kind}_id": step.entity, "meta": {"about": "the folder of the run"}}
            placed = self._uses.last(line, _in_folder(account or ""))
            if isinstance(placed, Left):
                self._left(_told(kind, step.entity, _unended(step.endpoint), placed.why))
            else:
                yield placed

    def within(self, touches: list[Touch], account: str) -> list[str]:
        """Return the tag of what may be in the folder of the run of an account, for a thing that may be."""
        made = next((touch.by["op"] for touch in touches if touch.made), None) if self._has_folders else None
        listing = self._api.listing_of(KINDS[made].makes) if made is not None else None
        folder = None if listing is None else listing.folder
        return [_in_folder(account)] if folder is not None and made in folder.endpoints else []

    def _take_made(self, place: int, row: OperationRow, record: Mapping[str, Json]) -> None:
        """Note what an operation has made or left behind, as far as that is known."""
        doubt = _doubt(record)
        for made in record["created"]:
            if self._can_delete(made["kind"]):
                self._note(made["kind"], made["id"], place, record.get("account"), made=True)
            else:
                self._left(_told(made["kind"], made["id"], record, doubt or _CANNOT))
        if doubt is not None and not record["created"] and row.kind not in _CHANGING:
            self._left(_told(row.kind.partition(".")[0], None, record, doubt))
            self._uses.stays([record])
        elif row.state is State.DONE and row.kind in _LASTING:
            kind = _LASTING[row.kind]
            endpoint = self._api.endpoints().get(row.kind)
            field = (endpoint.entity if endpoint is not None else None) or self._api.document_id_field
            self._left(_told(kind, record["result"].get(field), record, _CANNOT))
        elif (
            row.state is State.DONE
            and row.kind not in _CHANGING
            and (lost := _lost(row.kind, record["result"]))
        ):
            if self._can_delete(lost[0]):
                self._note(*lost, place, record.get("account"))
            else:
                self._left(_told(*lost, record, FOR_GOOD if KINDS[row.kind].deletes else UNREAD))

    def _can_delete(self, kind: str) -> bool:
        """Tell whether the API has a way to delete things of a kind."""
        return kind == self._agents or f"{kind}.delete" in self._api.more

    def _take_begun(self, place: int, key: bytes, steps: list[StepRow]) -> None:
        """Note what an operation that has not ended may have done."""
        answers, changes = changes_of(self._reader.pins_of(key))
        touched = {change.id for change in changes} | self._ids(answers)
        kind = steps[-1].endpoint.partition(".")[0]
        made = next((step.entity for step in steps if step.entity is not None), None)
        if kind == self._agents and made is not None:
            touched.add(made)
        if not touched:
            self._left(_told(kind, made, _unended(steps[-1].endpoint), _BEGUN))
        for agent in touched:
            self._note(self._agents, agent, place, _ANY)

    def touches_of(self, kind: str, id: str, account: str) -> list[Touch]:
        """Return what was done to a thing of an account, in the order of time."""
        places = self._scratch.execute(
            "SELECT place FROM touch WHERE kind = ? AND id = ? AND account IN (?, ?) ORDER BY place",
            (kind, id, account, _ANY),
        )
        return [self._touch(kind, id, place) for (place,) in places.fetchall()]

    def _touch(self, kind: str, id: str, place: int) -> Touch:
        if place >= _NOT_ENDED:
            return Touch(_unended("agent"), doubt=_BEGUN)
        row = self._reader.at(place)
        record = orjson.loads(row.record)
        doubt = _doubt(record)
        if {"kind": kind, "id": id} in record["created"]:
            return Touch(record, made=True, doubt=doubt)
        if kind != self._agents:
            return Touch(record, doubt=doubt)
        answers, changes = changes_of(self._reader.pins_of(row.key))
        before = next((answer for answer in answers if self._ids([answer]) == {id}), None)
        of_agent = tuple(change for change in changes if change.id == id) if before is not None else ()
        return Touch(record, before=before, changes=of_agent, doubt=doubt)

    def _changed_by(self, row: OperationRow, record: Mapping[str, Json]) -> set[str]:
        """Return the agents that an operation has changed, or may have."""
        answers, changes = changes_of(self._reader.pins_of(row.key))
        touched = {change.id for change in changes}
        result = record["result"] or {}
        if row.kind not in _CHANGING:
            # What a clone has read is no agent that it changes.
            return touched | {result[self._api.agent_id_field]} if "updated" in result else touched
        if row.state is not State.DONE:
            return touched | (self._ids(answers) if _doubt(record) is not None else set())
        agent = result.get(self._api.agent_id_field)
        return touched if agent is None or result.keys() & {"gone", "unchanged"} else touched | {agent}

    def _ids(self, answers: list[Json]) -> set[str]:
        return {answer[self._api.agent_id_field] for answer in answers if isinstance(answer, dict)}

    def _note(
        self, kind: str, id: str, place: int, account: str | None, *, made: bool = False, gone: bool = False
    ) -> None:
        """Note it; records name no account where it is the run's own. `gone`: it may be an agent's deletion."""
        self._scratch.execute(
            "INSERT OR IGNORE INTO touch VALUES (?, ?, ?, ?, ?, ?)",
            (kind, id, account or "", place, made, gone),
        )


def _in_folder(account: str) -> str:
    """Return the tag of what is deleted before the folder of the run in an account."""
    return tag_of(f"the folder of the run {account}".rstrip())


def _is_too_large(line: dict[str, Json]) -> bool:
    return len(orjson.dumps(line)) > LONGEST_LINE


def _id_in(account: str, id: str) -> str:
    """Return the id of the line for a thing: two accounts may have things with one id, which are two things."""
    if account in ("", _ANY):
        return f"undo:{id}"
    named = account if is_plain_name(account) else account.encode().hex()
    return f"undo:{named[:LONGEST_NAME]}:{id}"


def _has_found(row: OperationRow, record: Mapping[str, Json]) -> bool:
    """Tell whether an operation may have changed an agent that was there, in place of making one."""
    return row.kind in _FINDING and (not record["created"] or "existed" in (record["result"] or {}))


def _lost(op: str, result: Mapping[str, Json]) -> tuple[str, str] | None:
    """Return what an operation has deleted, or changed without having read it before: its kind, and its id."""
    kind = KINDS.get(op)
    field = None if kind is None or "gone" in result else kind.deletes or kind.replaces
    return None if field is None else (field.removesuffix("_id"), result[field])


def _doubt(record: Mapping[str, Json]) -> str | None:
    """Return why nobody knows what an operation did; None when that is known."""
    if record["status"] in (State.IN_DOUBT, State.SKIPPED):
        return _IN_DOUBT if record["status"] == State.IN_DOUBT else _GIVEN_UP
    return _TWICE if record.get("possible_duplicate") else None


def _unended(op: str) -> dict[str, Json]:
    """Return what is known of an operation that has not ended."""
    return {"id": None, "line": None, "op": op, "result": None}


def _told(kind: str, id: str | None, by: Mapping[str, Json], why: str) -> dict[str, Json]:
    """Return what is told of something that is not taken back."""
    return {"kind": kind, "id": id, "custom_id": by["id"], "line": by["line"], "op": by["op"], "why": why}
