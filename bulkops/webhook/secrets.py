"""The secrets by which deliveries are known: from files, or from the environment; never from the command line."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import TYPE_CHECKING

from bulkops.errors import UsageError
from bulkops.settings import Secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

SECRET_VARIABLE = "ELEVENLABS_WEBHOOK_SECRET"  # noqa: S105 - its name


def find_secrets(files: Sequence[str], environ: Mapping[str, str]) -> tuple[Secret, ...]:
    """Return the secrets of the files, one on each line, or else of the environment; UsageError without any.

    Several are for the time in which one takes the place of another.
    """
    if files:
        return tuple(secret for file in files for secret in _from_file(Path(file)))
    if environ.get(SECRET_VARIABLE):
        return tuple(_usable(environ[SECRET_VARIABLE].splitlines(), SECRET_VARIABLE))
    raise UsageError(
        "there is no webhook secret, without which anybody could deliver anything: give --secret-file FILE, or set "
        f"{SECRET_VARIABLE}. The service shows it once, when the webhook is made"
    )


def _from_file(path: Path) -> list[Secret]:
    try:
        mode = path.stat().st_mode
        lines = path.read_text("utf-8").splitlines()
    except OSError as error:
        raise UsageError(f"the secret file {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"the secret file {path} cannot be read: it is no text") from None
    if stat.S_IMODE(mode) & 0o077:
        raise UsageError(f"the secret file {path} can be read by others; run: chmod 600 {path}")
    return _usable(lines, str(path))


def _usable(lines: Iterable[str], source: str) -> list[Secret]:
    """Return the secrets of lines; one that cannot be a secret is refused, unshown."""
    found = [line for line in lines if line]
    if not found:
        raise UsageError(f"there is no webhook secret in {source}; it is one on each line")
    for number, line in enumerate(found, 1):
        if not all("!" <= character <= "~" for character in line):
            raise UsageError(
                f"secret {number} in {source} has characters that no secret has (such as blanks)"
            )
    return [Secret(line) for line in found]
