"""The files that a line sends: found, readable, and really files, before anything is sent."""

from __future__ import annotations

import hashlib
import os
import stat

from bulkops.jobfile.problems import shown

_LONGEST_PATH = 300


def wrong_file(path: str) -> str | None:
    """Return what is wrong with an absolute path that is to be uploaded."""
    name = repr(shown(path, _LONGEST_PATH))
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return f"names {name}, which does not exist; a relative path starts at the job file's folder"
    except (OSError, ValueError) as error:
        return f"names {name}, which cannot be read: {getattr(error, 'strerror', error)}; check it"
    if not stat.S_ISREG(mode):
        return f"names {name}, which is no regular file; name the file itself"
    if not os.access(path, os.R_OK):
        return f"names {name}, which you are not allowed to read; change its permissions"
    return None


def content_digest(path: str) -> str:
    """Return the SHA-256 of a file's bytes, in hex digits; OSError when it cannot be read."""
    # A pipe that has taken the file's place would keep us waiting for ever.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
