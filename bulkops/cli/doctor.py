"""`bulkops doctor [JOB…]`: are key, server, limits, clock and job files as they should be? It changes nothing."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from bulkops.accounts import DEFAULT_ACCOUNT, account_names, accounts_path, entry_of, find_account
from bulkops.cli import orders
from bulkops.diagnosing.finding import bad, note, ok, worst
from bulkops.diagnosing.jobs import hidden, keys_in, look_into
from bulkops.errors import UsageError
from bulkops.jobfile import Given
from bulkops.reporting.text import safe_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bulkops.cli.parsing import Options
    from bulkops.diagnosing.finding import Finding
    from bulkops.diagnosing.jobs import Job
    from bulkops.settings import Account, Secret

LONGEST_READ = 30.0
"""Seconds for one read: somebody waits for it."""
_LONGEST_TEXT = 1000
_WIDTH = 10


def run(options: Options) -> int:
    """Print what was found, and return the exit code that a run would have because of it."""
    environ = orders.environment()
    paths = [Path(name) for name in options.job]
    found: list[Finding] = []
    jobs: list[Job] = []
    lines: list[str] = []
    account = None
    try:
        names = frozenset({options.account or DEFAULT_ACCOUNT, *account_names(environ)})
        jobs = [look_into(path, orders.profile(options), Given(accounts=names), environ) for path in paths]
        account = _account(options, jobs, environ)
    except UsageError as error:
        found.append(bad("account", str(error), "mend that first: nothing was read", error.exit_code))
    else:
        seen, lines = _look(options, account, sum(job.upload_bytes for job in jobs), environ)
        found += seen
    found += (finding for job in jobs for finding in job.findings)
    secrets = [] if account is None else [account.key]
    found += (finding for path in paths for finding in keys_in(path, secrets))
    found = [_shown(each, secrets) for each in found]
    if options.json:
        told = {
            "findings": [each.as_json() for each in found],
            "accounts_file": lines,
            "exit_code": worst(found),
        }
        sys.stdout.buffer.write(orjson.dumps(told) + b"\n")
    else:
        _print(found, lines)
    return worst(found)


def _account(options: Options, jobs: Sequence[Job], environ: Mapping[str, str]) -> Account:
    """Return the account that the options name, or else the header of a job."""
    named = next((job.account for job in jobs if job.account is not None), None)
    return find_account(orders.profile(options), orders.wanted(options), environ, header_account=named)


def _look(
    options: Options, account: Account, uploads: int, environ: Mapping[str, str]
) -> tuple[list[Finding], list[str]]:
    """Read what there is to read; return what that tells, and the lines for the accounts file."""
    from bulkops.bounding import places
    from bulkops.diagnosing.entry import entry_lines
    from bulkops.diagnosing.reads import look
    from bulkops.diagnosing.seen import findings, limits
    from bulkops.pace.places import state_folder
    from bulkops.settings import Settings
    from bulkops.told import silent

    api = orders.profile(options)
    settings = Settings(
        api=api, account=account, in_flight=orders.in_flight(options), attempt_deadline=LONGEST_READ
    )
    looked = look(settings, places(state_folder(environ), [account], silent))
    found = list(findings(looked, settings, uploads))
    if worst(found):
        # Of a server that does not know the key, or is another one, nothing is to be written down.
        return found, []
    lines = entry_lines(account, api, limits(looked), entry_of(account.name, environ))
    path = accounts_path(environ)
    told = ok("accounts", f"{path} says of {account.name} what was seen")
    if lines:
        told = (
            note(
                "accounts",
                f"{path} does not say all of {account.name} that was seen",
                "let it say, beside what stands there:",
            )
            if path.exists()
            else note("accounts", f"there is no {path}", "it need not be; it could say what was seen:")
        )
    return [*found, told], lines


def _shown(each: Finding, secrets: Sequence[Secret]) -> Finding:
    """Return a finding that can be shown: texts come from the server and from job files."""

    def safe(text: str) -> str:
        return safe_text(hidden(text, secrets), _LONGEST_TEXT)

    return replace(each, seen=safe(each.seen), remedy=None if each.remedy is None else safe(each.remedy))


def _print(found: Sequence[Finding], lines: Sequence[str]) -> None:
    indent = " " * (_WIDTH + 6)
    for each in found:
        print(f"{each.level:<4}  {each.what:<{_WIDTH}}{each.seen}")
        if each.remedy is not None:
            print(f"{indent}→ {each.remedy}")
        if each.what == "accounts":
            for line in lines:
                print(f"{indent}  {line}")
