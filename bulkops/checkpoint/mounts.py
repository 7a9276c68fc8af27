"""Which file system a folder is on, and whether locks and flushes can be relied on there."""

from __future__ import annotations

import re
from pathlib import Path

NETWORK = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "ncpfs", "lustre", "gfs2"})
"""Kinds that lie on another machine. What FUSE mounts counts as well when its name says so."""
_NETWORK_FUSE = re.compile(r"fuse\.(?:sshfs|glusterfs|rclone|s3fs|davfs2?|curlftpfs|gcsfuse|goofys)")
_ESCAPED = re.compile(r"\\([0-7]{3})")
_MOUNTS = Path("/proc/self/mountinfo")


def network_file_system(path: Path, mounts: Path = _MOUNTS) -> str | None:
    """Return the kind of the network file system that a path is on, or will be; None for any other.

    Where the system has no list of mounts (macOS), every file system counts as a local one.
    """
    try:
        lines = mounts.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return None
    place = path.resolve()
    kinds = {}
    for line in lines:
        fields = line.split()
        # A later mount on the same place hides the earlier one.
        kinds[Path(_unescaped(fields[4]))] = fields[fields.index("-") + 1]
    kind = next((kinds[folder] for folder in (place, *place.parents) if folder in kinds), "")
    return kind if kind in NETWORK or _NETWORK_FUSE.fullmatch(kind) else None


def _unescaped(text: str) -> str:
    """Return a path as mountinfo means it, where a blank stands as a backslash and 040."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 8)), text)
