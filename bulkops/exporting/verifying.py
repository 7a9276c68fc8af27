"""Whether a data set is what its manifests say: every part, every row, every file."""

from __future__ import annotations

import csv
import hashlib
import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bulkops.errors import CheckpointError, UsageError
from bulkops.exporting.catalogue import CATALOGUE, STATE, parts_known
from bulkops.exporting.manifests import NAME, entries, read_summary
from bulkops.exporting.partitions import FILES, ROWS

if TYPE_CHECKING:
    from pathlib import Path

    from bulkops.exporting.manifests import Part, Summary
    from bulkops.model import Json

_TEXTS = frozenset({".json", ".txt"})


@dataclass(slots=True)
class Verified:
    """What was found: how much there is, and what is wrong with it, in words."""

    days: int = 0
    parts: int = 0
    rows: int = 0
    conversations: int = 0
    problems: list[str] = field(default_factory=list)

    def told(self) -> dict[str, Json]:
        """Return it for programs."""
        return {name: getattr(self, name) for name in ("days", "parts", "rows", "conversations", "problems")}


def verify(out: Path) -> Verified:
    """Read everything once; UsageError where there are no exports. Memory grows with the files of one day."""
    rows = out / ROWS
    if not rows.is_dir():
        raise UsageError(f"{out} holds no exports: there is no {ROWS} in it")
    found = Verified()
    for folder in sorted(rows.iterdir()):
        if not folder.name.startswith("day=") or not folder.is_dir():
            found.problems.append(f"{folder}: no manifest knows it")
            continue
        found.days += 1
        try:
            told = read_summary(folder / NAME)
            if told is None:
                found.problems.append(f"{folder / NAME} is missing")
            else:
                _day(out, folder, told, found)
        except CheckpointError as damaged:
            found.problems.append(str(damaged))
    there = {folder.name for folder in rows.iterdir()}
    for folder in sorted((out / FILES).glob("day=*")):
        if folder.name not in there:
            found.problems.append(f"{folder} has files, and {rows / folder.name} is missing")
    found.problems += [
        f"{rows / f'day={day}'} is missing, with {parts:,} parts"
        if not (rows / f"day={day}").exists()
        else f"{rows / f'day={day}' / NAME} tells of fewer parts than there were"
        for day, parts in parts_known(out / STATE / CATALOGUE)
        if parts > _parts_in(rows / f"day={day}" / NAME)
    ]
    return found


def _parts_in(manifest: Path) -> int:
    try:
        told = read_summary(manifest)
    except CheckpointError:
        return sys.maxsize  # told already
    return 0 if told is None else len(told.parts)


def _day(out: Path, folder: Path, told: Summary, found: Verified) -> None:
    counted: Counter[str] = Counter()
    versions: dict[str, int] = {}
    known = set()
    for entry in entries(folder / NAME):
        counted[entry.part] += 1
        if versions.get(entry.conversation_id, 0) != entry.version - 1:
            found.problems.append(
                f"{folder / NAME}: {entry.conversation_id} has version {entry.version} after "
                f"{versions.get(entry.conversation_id, 0)}"
            )
        versions[entry.conversation_id] = entry.version
        known.add(entry.file.rpartition("/")[2].removesuffix(".json"))
        path = out / entry.file
        if not path.is_file():
            found.problems.append(f"{path} is missing ({entry.conversation_id}, version {entry.version})")
        elif path.stat().st_size != entry.bytes or _digest(path) != entry.sha256:
            found.problems.append(f"{path} was changed ({entry.conversation_id}, version {entry.version})")
        text = path.with_suffix(".txt")
        if entry.text is not None and (not text.is_file() or _digest(text) != entry.text):
            found.problems.append(f"{text} {'was changed' if text.is_file() else 'is missing'}")
    found.conversations += len(versions)
    for part in told.parts:
        found.parts += 1
        found.rows += part.rows
        _part(folder, part, counted[part.name], found)
    if sum(counted.values()) != told.rows:
        found.problems.append(f"{folder / NAME}: {sum(counted.values()):,} entries, {told.rows:,} expected")
    parts = {part.name for part in told.parts}
    found.problems += [
        f"{path}: no manifest knows it"
        for path in sorted(folder.iterdir())
        if path.name != NAME and path.name not in parts and not path.name.startswith(".")
    ]
    files = out / FILES / folder.name
    found.problems += [
        f"{path}: no manifest knows it"
        for path in (sorted(files.iterdir()) if files.is_dir() else ())
        if path.suffix in _TEXTS and path.name.removesuffix(path.suffix) not in known
    ]


def _part(folder: Path, part: Part, entries: int, found: Verified) -> None:
    path = folder / part.name
    if not path.is_file():
        found.problems.append(f"{path} is missing, with {part.rows:,} rows")
    elif path.stat().st_size != part.bytes or _digest(path) != part.sha256:
        found.problems.append(f"{path} was changed: its digest is another one")
    elif entries != part.rows or _rows_in(path) not in (part.rows, None):
        found.problems.append(f"{path} has another number of rows than the manifest")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _rows_in(path: Path) -> int | None:
    """Return how many rows a part has; None where that cannot be told here."""
    match path.suffix:
        case ".jsonl":
            with path.open("rb") as file:
                return sum(1 for _ in file)
        case ".csv":
            csv.field_size_limit(sys.maxsize)
            with path.open(encoding="utf-8", newline="") as text:
                return sum(1 for _ in csv.reader(text)) - 1
        case _:
            try:
                from pyarrow import parquet
            except ModuleNotFoundError:
                return None
            return int(parquet.read_metadata(path).num_rows)
