"""A job that replaces the documents of a folder which have changed, in every agent that has them, without a gap."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import orjson

from bulkops.accounts import DEFAULT_ACCOUNT
from bulkops.checkpoint.belonging import told_by
from bulkops.checkpoint.deleted import deleted_documents
from bulkops.errors import UsageError
from bulkops.jobfile.problems import shown
from bulkops.jobfile.uploads import content_digest
from bulkops.writing.undone import undoing, undone_by
from bulkops.writing.upload import documents_in, said_once, upload_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet
    from pathlib import Path

    from bulkops.model import Json

_TAG: Final = "replacement"
_UPLOAD: Final = b'"document.upload"'


@dataclass(slots=True)
class Replacement:
    """What is to be done about the documents of a folder; `gone` are names and ids of those without a file."""

    folder: Path
    changed: list[tuple[Path, str]] = field(default_factory=list)
    """Files with the ids of the documents that they replace."""
    new: list[Path] = field(default_factory=list)
    unchanged: int = 0
    outdated: dict[str, str] = field(default_factory=dict)
    """Ids of documents that were replaced before, each with that of the last one under its name."""
    gone: dict[str, str] = field(default_factory=dict)
    removes: bool = False
    undone: dict[Path, Path] = field(default_factory=dict)
    """Run folders of what was taken back, with the jobs that did: their documents count as replaced."""
    renamed: dict[str, str] = field(default_factory=dict)
    """New files with the content of a document that has no file: their names, and that of the document."""
    account: str | None = None
    """That which the documents are of, where the runs tell; those of another one know neither them nor their ids."""

    def __bool__(self) -> bool:
        return bool(self.changed or self.new or (self.removes and self.gone))

    def lines(self, start: Path, model: str | None) -> Iterator[bytes]:
        """Yield the lines of the job, header first, for a job file in the folder `start`."""
        about = (
            f"Uploads what has changed in {self.folder.name}, waits until it can be searched, and only then has each "
            "agent that used an old document use the new one, all in one change. The old documents stay, since the API "
            "cannot delete them; `meta.replaces` in the results names them."
        )
        once = said_once(model, "skip")
        once["defaults"]["document.upload"]["tags"] = [_TAG]
        # The usual account may come from the environment alone; a name would ask for it in the accounts file.
        whose = {} if self.account in (None, DEFAULT_ACCOUNT) else {"account": self.account}
        yield orjson.dumps({"$job": {"name": f"replace {self.folder.name}", "about": about, **whose, **once}})
        ids: dict[str, str | None] = dict.fromkeys(self.gone.values()) if self.removes else {}
        new: dict[str, str] = {}
        for number, (path, old) in enumerate(self.changed, 1):
            line = {
                "id": f"document-{number}",
                **upload_line(path, self.folder, start),
                "meta": {"replaces": old},
            }
            ids[old] = new[old] = f"${{ref:{line['id']}#document_id}}"
            yield orjson.dumps(line)
        for path in self.new:
            line = upload_line(path, self.folder, start)
            was = self.renamed.get(path.relative_to(self.folder).as_posix())
            yield orjson.dumps(line if was is None else {**line, "meta": {"renamed_from": was}})
        if ids:
            # An agent that missed an earlier replacement still has what was replaced then.
            for outdated, last in self.outdated.items():
                ids[outdated] = None if last in ids and ids[last] is None else new.get(last, last)
            line = {
                "op": "agent.update",
                "id": "agent:${row:agent_id}",
                "agent_id": "${row:agent_id}",
                "replace": ids,
            }
            if self.changed or self.new:
                line["needs"] = [f"@{_TAG}"]
            yield orjson.dumps({"$each": {"op": "agent.list"}, "line": line})

    def told_undone(self) -> list[str]:
        """Return which runs do not count, as they were taken back."""
        return [
            f"{run.name} was taken back by {undo.name}: what it uploaded does not count"
            for run, undo in self.undone.items()
        ]

    def told(self) -> list[str]:
        """Return what the user has to know besides."""
        notes = [f"{self.unchanged:,} unchanged"] if self.unchanged else []
        notes += self.told_undone()
        if self.new:
            names = _some([path.relative_to(self.folder).as_posix() for path in self.new])
            notes.append(f"{len(self.new):,} new, uploaded and given to no agent: {names}")
        if self.gone:
            what = (
                "taken out of the agents" if self.removes else "left in the agents (--remove takes them out)"
            )
            notes.append(f"{len(self.gone):,} without a file, {what}: {_some(list(self.gone))}")
        if self.renamed:
            pairs = _some([f"{old} is {new} now" for new, old in self.renamed.items()])
            what = (
                "agents keep what they have, the new one is given to none; name the file as before to keep it"
            )
            notes.append(f"{len(self.renamed):,} renamed with the same content ({pairs}): {what}")
        return notes


def replacement(
    folder: Path, include: Sequence[str], ledgers: Sequence[Path], *, removes: bool
) -> Replacement:
    """Compare a folder with what earlier runs uploaded, whose results are the `ledgers`; the later ones count.

    UsageError when the folder or the results cannot be read, no document of the folder was uploaded by them, or they
    are of several accounts.
    """
    found = Replacement(folder, removes=removes)
    accounts: set[str] = set()
    found.undone = {path.parent: job for path in ledgers if (job := undone_by(path.parent)) is not None}
    deleted = deleted_documents(
        checkpoint
        for folder in dict.fromkeys(path.parent for path in ledgers)
        for checkpoint in undoing(folder)
    )
    known = _documents(ledgers, found.undone, deleted, found.outdated, accounts)
    if len(accounts) > 1:
        raise UsageError(
            f"the runs that --ledger names uploaded into several accounts ({', '.join(map(shown, sorted(accounts)))}); "
            "name those of one account only"
        )
    found.account = next(iter(accounts), None)
    for path in documents_in(folder, include):
        before = known.pop(path.relative_to(folder).as_posix(), None)
        if before is None:
            found.new.append(path)
        elif before[1] == _digest(path):
            found.unchanged += 1
        else:
            found.changed.append((path, before[0]))
    found.gone = {name: entity for name, (entity, _) in known.items()}
    if not found.changed and not found.unchanged:
        but = f" ({', '.join(map(shown, found.told_undone()))})" if found.undone else ""
        raise UsageError(
            f"the runs that --ledger names uploaded no document of {folder} under its path{but}; name the run that did"
        )
    contents = {digest: name for name, (_, digest) in known.items() if digest is not None}
    for path in found.new if contents else ():
        if (was := contents.get(_digest(path))) is not None:
            found.renamed[path.relative_to(folder).as_posix()] = was
    return found


def _documents(
    ledgers: Sequence[Path],
    undone: Mapping[Path, Path],
    deleted: AbstractSet[str],
    outdated: dict[str, str],
    accounts: set[str],
) -> dict[str, tuple[str, str | None]]:
    """Return the documents by name: the last id, and its content where the run has looked at it.

    Note earlier ids, those of runs that were taken back among them, and the accounts that they are of.
    """
    earlier: dict[str, set[str]] = {}
    known: dict[str, tuple[str, str | None]] = {}
    for path in ledgers:
        whose = told_by(path.parent)
        own = whose.get("account") if isinstance(whose, dict) else None
        try:
            with path.open("rb") as file:
                for record in file:
                    if record.find(_UPLOAD) < 0:
                        continue
                    told: Mapping[str, Json] = orjson.loads(record)
                    if told["op"] == "document.upload" and told["status"] == "done":
                        result = told["result"]
                        name, entity = result["name"], result["document_id"]
                        earlier.setdefault(name, set()).add(entity)
                        if isinstance(account := told.get("account") or own, str):
                            accounts.add(account)
                        if path.parent not in undone and entity not in deleted:
                            known[name] = (entity, result.get("sha256"))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(f"--ledger: {path} cannot be read as results of a run: {error}") from None
    for name in known:
        ids, last = earlier[name], known[name][0]
        outdated.update(dict.fromkeys(ids - {last}, last))
    return known


def _digest(path: Path) -> str:
    try:
        return content_digest(os.fspath(path))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None


def _some(names: Sequence[str]) -> str:
    return ", ".join(shown(name) for name in names[:5]) + (", …" if len(names) > 5 else "")  # noqa: PLR2004 - five show which they are
