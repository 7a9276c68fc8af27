"""What is known of job files before they run: whether they are valid, what is a trap in them, keys that stand there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from bulkops.api import PROFILES
from bulkops.diagnosing.finding import bad, note, ok
from bulkops.errors import JobError, UsageError
from bulkops.jobfile import LISTED, open_job
from bulkops.model import value
from bulkops.planning import make_plan
from bulkops.reporting.redacting import HIDDEN, Redacting
from bulkops.reporting.words import number
from bulkops.settings import run_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from bulkops.api.profile import Profile
    from bulkops.diagnosing.finding import Finding
    from bulkops.jobfile import Given
    from bulkops.settings import Secret

MOST_TOLD: Final = 20
"""Places of keys in a file that are told; the others are counted."""
_HEADERS: Final = "|".join(sorted({re.escape(api.key_header) for api in PROFILES.values()}))
_KEY: Final = re.compile(
    rf'\bsk_[0-9a-z]{{24,}}\b|"(?:{_HEADERS})"\s*:\s*"(?!\s*(?:\$\{{|\{{\{{))[^"]+"'.encode(), re.IGNORECASE
)
"""A key as the service writes them, and whatever a line gives in the header of keys that is no expression."""


@value
class Job:
    """A job file that was looked at: what was found, and what it would upload.

    `account` is the one that its header names, `named` are those that its lines name; `unnamed` tells whether it also
    has work for the run's own.
    """

    findings: tuple[Finding, ...]
    account: str | None = None
    upload_bytes: int = 0
    named: tuple[str, ...] = ()
    unnamed: bool = True


def hidden(text: str, secrets: Iterable[Secret]) -> str:
    """Return a text without these secrets, and in which nothing is left that looks like a key."""
    return _KEY.sub(HIDDEN.encode(), Redacting(secrets)(text).encode(errors="replace")).decode()


def look_into(job: Path, api: Profile, given: Given, environ: Mapping[str, str]) -> Job:
    """Look whether a job file is valid, and what in it is a trap."""
    name = str(job)
    try:
        with open_job(job, listed=run_folder(job).path / LISTED) as file:
            plan = make_plan(file, api=api, environ=environ, given=given)
            traps = (note("job", told) for _, told in plan.trap_words())
            words = f"{name}: {number(plan.lines, 'line')}, {number(plan.total, 'operation')}, valid"
            named = tuple(plan.accounts)
            return Job(
                (ok("job", words), *traps),
                plan.header.account,
                plan.upload_bytes,
                named,
                plan.unnamed or not named,
            )
    except (JobError, UsageError) as error:
        problems = error.problems if isinstance(error, JobError) else []
        more = f" (and {len(problems) - 1:,} more)" if len(problems) > 1 else ""
        seen = f"{str(problems[0]) if problems else f'{name}: {error}'}{more}"
        remedy = "`bulkops plan` tells everything that is wrong with it"
        return Job((bad("job", seen, remedy, error.exit_code),))


def keys_in(job: Path, secrets: Iterable[Secret]) -> Iterator[Finding]:
    """Yield where in a file keys stand, and never which: what looks like one, and the secrets in whatever spelling."""
    redact = Redacting(secrets)
    try:
        with job.open("rb") as file:
            places = [
                place
                for place, line in enumerate(file, 1)
                if _KEY.search(line) or redact(text := line.decode(errors="replace")) != text
            ]
    except OSError:
        return  # opening it as a job says why
    remedy = (
        "take it out, and have the service make a new one, as this one may have been read: a key belongs into the "
        "environment or a key file, and what a tool sends into a secret of the workspace"
    )
    for place in places[:MOST_TOLD]:
        yield bad(
            "job",
            f"{job}, line {place}: what looks like an API key stands there",
            remedy,
            UsageError.exit_code,
        )
    if len(places) > MOST_TOLD:
        yield bad(
            "job", f"{job}: and in {len(places) - MOST_TOLD:,} more lines", remedy, UsageError.exit_code
        )
