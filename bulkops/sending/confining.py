"""Opening the files that are sent or read: never waiting for a pipe, and only below one folder where that is wanted."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from bulkops.errors import OperationFailed
from bulkops.jobfile.uploads import LARGEST_READ

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulkops.model import Json

_FILE = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
"""Without O_NONBLOCK, opening a pipe that nobody writes to would wait for ever."""


def open_upload(path: str, root: Path | None) -> int:
    """Open a file to be sent and return its descriptor; it may turn out to be no regular file.

    With a `root` the file has to lie below it, and no link may lead there: each part is opened from the folder before
    it, so that nobody can exchange one in between. Raises OperationFailed for a file elsewhere, and OSError.
    """
    if root is None:
        return os.open(path, _FILE)
    parts = Path(os.path.relpath(path, root)).parts or (os.curdir,)
    if parts[0] in (os.pardir, os.curdir):
        raise OperationFailed("outside", f"{path} is not below {root} (--upload-root); nothing was uploaded")
    with ExitStack() as opened:
        folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        opened.callback(os.close, folder)
        for part in parts[:-1]:
            folder = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            opened.callback(os.close, folder)
        return os.open(parts[-1], _FILE | os.O_NOFOLLOW, dir_fd=folder)


def read_file(path: str, root: Path | None, read: Callable[[bytes], Json]) -> Json:
    """Return what a file holds, as `read` tells or raises ValueError; OperationFailed where it cannot be read."""
    try:
        with os.fdopen(open_upload(path, root), "rb") as file:
            return read(file.read(LARGEST_READ + 1))
    except OSError as error:
        raise OperationFailed("no_file", f"{path} cannot be read: {error.strerror}") from error
    except ValueError as wrong:
        raise OperationFailed("bad_file", f"{path} {wrong}") from wrong
