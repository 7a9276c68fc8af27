"""A job that uploads the documents of a folder."""

from __future__ import annotations

import os
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from bulkops.errors import UsageError
from bulkops.writing.places import seen_from
from bulkops.writing.plain import plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bulkops.model import Json

LONGEST_ID = 200


def upload_lines(
    folder: Path, *, start: Path, model: str | None, include: Sequence[str], if_exists: str | None = None
) -> Iterator[bytes]:
    """Yield the lines of the job, header first, in the order of the paths.

    Paths are relative to `start`, the folder of the job file, where they lie below it. Hidden files, empty ones
    and what is no regular file are left out. Raises UsageError when the folder cannot be read or nothing is left.
    """
    files = documents_in(folder, include)
    yield orjson.dumps({"$job": {"name": f"upload {folder.resolve().name}", **said_once(model, if_exists)}})
    for path in files:
        yield orjson.dumps(upload_line(path, folder, start))


def documents_in(folder: Path, include: Sequence[str]) -> list[Path]:
    """Return the files of a folder that are wanted; UsageError where there are none."""
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder; name the folder with the documents")
    files = [path for path in _walk(folder) if _wanted(path, folder, include)]
    if not files:
        raise UsageError(f"{folder} has no documents that match {', '.join(include)}")
    return files


def said_once(model: str | None, if_exists: str | None) -> dict[str, Json]:
    """Return what the header says of all uploads."""
    fields: dict[str, Json] = {} if model is None else {"index": {"model": model}}
    if if_exists is not None:
        fields["if_exists"] = if_exists
    return {"defaults": {"document.upload": fields}} if fields else {}


def upload_line(path: Path, folder: Path, start: Path) -> dict[str, Json]:
    """Return the line that uploads a file of a folder, under its path there."""
    below = path.relative_to(folder).as_posix()
    line: dict[str, Json] = {
        "op": "document.upload",
        "file": plain(seen_from(start, path)),
        "name": plain(below),
    }
    if _may_be_id(below):
        line = {"id": below, **line}
    return line


def _may_be_id(text: str) -> bool:
    plain = text.isprintable() and text == text.strip() and not set("#[]{}") & set(text)
    return plain and text[0] not in "@~" and len(text) <= LONGEST_ID


def _walk(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            yield Path(place, name)


def _wanted(path: Path, folder: Path, include: Sequence[str]) -> bool:
    if path.name.startswith(".") or not path.is_file() or path.stat().st_size == 0:
        return False
    below = path.relative_to(folder).as_posix()
    return any(fnmatch(path.name, pattern) or fnmatch(below, pattern) for pattern in include)
