"""`bulkops doctor [JOB…]`: are key, server, limits, clock and job files as they should be? It changes nothing."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from bulkops.accounts import (
    DEFAULT_ACCOUNT,
    account_names,
    accounts_path,
    entry_of,
    find_account,
    find_others,
)
from bulkops.cli import orders
from bulkops.cli.parsing import Options
from bulkops.diagnosing.finding import bad, note, ok, worst
from bulkops.diagnosing.jobs import hidden, keys_in, look_into
from bulkops.errors import UsageError
from bulkops.jobfile import Given
from bulkops.reporting.text import safe_text
from bulkops.settings import Account, Secret

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bulkops.api.profile import Profile
    from bulkops.diagnosing.finding import Finding
    from bulkops.diagnosing.jobs import Job

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
    accounts: list[Account] = []
    try:
        names = frozenset({*(options.account or (DEFAULT_ACCOUNT,)), *account_names(environ)})
        jobs = [look_into(path, _profile(options, path), Given(accounts=names), environ) for path in paths]
    except UsageError as error:
        found.append(_unusable(error))
    else:
        wanted = _wanted(options, paths, jobs)
        for name, (own, api) in wanted.items():
            seen = list(_seen(_only(options, name, api=api), jobs, environ, accounts, own=own))
            whose = (name or DEFAULT_ACCOUNT) if len(wanted) > 1 else None
            found += (replace(each, account=whose) for each in seen)
        for path, job in zip(paths, jobs, strict=True):
            found += _apis(options, path, job, environ)
    secrets = [account.key for account in accounts]
    found += (finding for job in jobs for finding in job.findings)
    found += (finding for path in paths for finding in keys_in(path, secrets))
    found = [_shown(each, secrets) for each in found]
    if options.json:
        told = {
            "findings": [each.as_json() for each in found],
            "accounts_file": [line for each in found for line in each.lines],
            "exit_code": worst(found),
        }
        sys.stdout.buffer.write(orjson.dumps(told) + b"\n")
    else:
        _print(found)
    return worst(found)


def _only(options: Options, name: str | None, job: Path | None = None, *, api: str | None = None) -> Options:
    """Return the options as a run with one account has them, or one of a job."""
    return Options(**{
        **options.__dict__,
        "account": name,
        "api": options.api or api,
        "job": None if job is None else str(job),
        "run_dir": None,
        "header": None,
    })  # fmt: skip


def _profile(options: Options, job: Path) -> Profile:
    """Return the API that a job would speak."""
    return orders.profile(_only(options, options.account[0] if options.account else None, job))


def _wanted(
    options: Options, paths: Sequence[Path], jobs: Sequence[Job]
) -> dict[str | None, tuple[bool, str | None]]:
    """Return the accounts to look at: those that are named, or those of the jobs, with the API that a job speaks.

    None is the one of a run that names none. The first of the two tells whether it is a run's own: one that only lines
    name has the key of its entry, and no other.
    """
    if options.account:
        return dict.fromkeys(options.account, (True, None))
    wanted: dict[str | None, tuple[bool, str | None]] = {}
    apis = [_profile(options, path).name for path in paths]
    for job, api in zip(jobs, apis, strict=True):
        if job.unnamed:
            wanted.setdefault(job.account, (True, api))
    for job, api in zip(jobs, apis, strict=True):
        for name in job.named:
            wanted.setdefault(name, (False, api))
    return wanted or {None: (True, None)}


def _seen(
    options: Options, jobs: Sequence[Job], environ: Mapping[str, str], accounts: list[Account], *, own: bool
) -> Iterator[Finding]:
    """Yield what is seen of the account that the options name, which is added to the others."""
    try:
        account = _account(options, environ, own=own)
    except UsageError as error:
        yield _unusable(error)
        return
    accounts.append(account)
    # Where lines name accounts, which of them the files are for is not known here.
    uploads = sum(job.upload_bytes for job in jobs if not job.named and own)
    yield from _look(options, account, uploads, environ)


def _account(options: Options, environ: Mapping[str, str], *, own: bool) -> Account:
    """Return the account that the options name; one that is no run's own is found as that of a line."""
    api, wanted = orders.profile(options), orders.wanted(options)
    if own:
        return find_account(api, wanted, environ)
    nobody = Account("", api.base_url, Secret(""), next(iter(api.tiers.values())))
    return find_others(api, nobody, [options.account], environ, base_url=wanted.base_url)[options.account]


def _apis(options: Options, path: Path, job: Job, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Yield that the accounts of a job speak several APIs, where they do."""
    ours = _only(options, options.account[0] if options.account else None, path)
    try:
        orders.check_one_api(orders.profile(ours), ours, job.named, environ)
    except UsageError as error:
        yield bad(
            "job", f"{path}: {error}", "let the accounts file say the same of all of them", error.exit_code
        )


def _unusable(error: UsageError) -> Finding:
    return bad("account", str(error), "mend that first: nothing was read", error.exit_code)


def _look(options: Options, account: Account, uploads: int, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Read what there is to read, and yield what that tells."""
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
    yield from found
    if worst(found):
        # Of a server that does not know the key, or is another one, nothing is to be written down.
        return
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
    yield replace(told, lines=tuple(lines))


def _shown(each: Finding, secrets: Sequence[Secret]) -> Finding:
    """Return a finding that can be shown: texts come from the server and from job files."""

    def safe(text: str) -> str:
        return safe_text(hidden(text, secrets), _LONGEST_TEXT)

    return replace(each, seen=safe(each.seen), remedy=None if each.remedy is None else safe(each.remedy))


def _print(found: Sequence[Finding]) -> None:
    indent = " " * (_WIDTH + 6)
    account = None
    for each in found:
        if each.account is not None and each.account != account:
            print(f"account {safe_text(each.account)}:")
        account = each.account
        print(f"{each.level:<4}  {each.what:<{_WIDTH}}{each.seen}")
        if each.remedy is not None:
            print(f"{indent}→ {each.remedy}")
        for line in each.lines:
            print(f"{indent}  {line}")
