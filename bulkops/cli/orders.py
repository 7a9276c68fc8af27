"""What the options come to: where a job is, settings, thresholds."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, cast

from bulkops.accounts import DEFAULT_ACCOUNT, Wanted, account_names, entry_of, find_account, find_others
from bulkops.api import DEFAULT_API, PROFILES
from bulkops.checkpoint import open_reader
from bulkops.checkpoint.belonging import of_earlier
from bulkops.cli.parsing import near
from bulkops.errors import JobError, UsageError
from bulkops.jobfile import Given, JobFile, said_once
from bulkops.operations import KINDS
from bulkops.settings import USUAL_IN_FLIGHT, Halt, Policies, Policy, RunFolder, Secret, Settings, run_folder
from bulkops.writing.undone import undoing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bulkops.api.profile import Profile
    from bulkops.checkpoint.reader import CheckpointReader
    from bulkops.cli.parsing import Options
    from bulkops.model import Json
    from bulkops.planning import Plan
    from bulkops.settings import Account

FAILED_FILE = "failed.jsonl"
NO_STAMP = "none"
RESULTS = "results.jsonl"


_STAMPS = {NO_STAMP, *(word for api in PROFILES.values() for word in api.stamps())}


@dataclass(frozen=True, slots=True)
class JobPlace:
    """Where a job is and where its run lives; `base` is the job that a failed.jsonl is a part of."""

    job: Path
    folder: RunFolder
    base: Path | None


def place_of(options: Options) -> JobPlace:
    """Return the place of the job that the options name."""
    job = Path(options.job)
    emulated = bool(getattr(options, "emulate", False))
    given = Path(options.run_dir) if options.run_dir else None
    base = _base_of(job)
    if base is not None and emulated:
        raise UsageError(f"a rehearsal begins anew, so it has no use for a part of a job; give it {base}")
    if base is not None and given is None:
        return JobPlace(job, RunFolder(job.parent), base)
    return JobPlace(job, run_folder(job, emulated=emulated, given=given), base)


def _base_of(job: Path) -> Path | None:
    """Return the job whose `JOB.run/failed.jsonl` this is, None for any other file."""
    folder = job.absolute().parent
    reader = open_reader(folder / "checkpoint.db") if job.name == FAILED_FILE else None
    if reader is None:
        return None
    with reader:
        recorded = Path(reader.meta("job") or folder.with_suffix(".jsonl"))
    # The folder may have been moved together with its job.
    for base in (folder.parent / recorded.name, recorded):
        if base.exists():
            return base
    raise UsageError(f"{job} is a part of {recorded}, which is not there any more; put it back")


def reader_of(place: JobPlace) -> CheckpointReader:
    """Return the checkpoint of a job for reading; UsageError when there is none."""
    reader = open_reader(place.folder.checkpoint)
    if reader is not None:
        return reader
    if not place.job.exists():
        raise UsageError(f"{place.job}: there is no such file; check the path")
    raise UsageError(f"{place.job} was not run yet: there is no checkpoint in {place.folder.path}")


def given(options: Options, environ: Mapping[str, str]) -> Given:
    """Return what the options give the job beside its file; of one var given twice, the last.

    And the accounts that lines may name: those of the accounts file, and the run's own. A rehearsal takes any.
    """
    named = (text.partition("=") for text in options.var or ())
    header = Path(options.header) if options.header else None
    accounts = None
    if not getattr(options, "emulate", False):
        accounts = frozenset({options.account or DEFAULT_ACCOUNT, *account_names(environ)})
    return Given({name: value for name, _, value in named}, header, accounts)


def ledgers(options: Options) -> tuple[Path, ...]:
    """Return the results of the earlier runs that the options name; UsageError where there are none."""
    found = []
    for named in options.ledger or ():
        path = Path(named)
        path = path / RESULTS if path.is_dir() else path
        if not path.is_file():
            raise UsageError(
                f"--ledger: {named} is no run folder and no {RESULTS}; name one of an earlier run"
            )
        found.append(path)
    return tuple(found)


def wanted(options: Options) -> Wanted:
    """Return what the options say about the account."""
    rehearsal = getattr(options, "emulate", False)
    return Wanted(
        account=None if rehearsal else options.account,
        base_url=base_url(options),
        tier=options.tier,
        rate=options.rate,
        reserve=options.reserve,
        exclusive=options.exclusive,
        api_key_file=None if rehearsal else getattr(options, "api_key_file", None),
        poll_share=getattr(options, "poll_share", None),
    )


def profile(options: Options) -> Profile:
    """Return the API profile that the options name, else that of the job's accounts in the accounts file."""
    word = options.api or _word_of(options, environment()) or DEFAULT_API
    if word not in PROFILES:
        raise UsageError(f"there is no API {word!r}; there is: {', '.join(PROFILES)}")
    return PROFILES[word]


def _word_of(options: Options, environ: Mapping[str, str]) -> str | None:
    """Return what the run's own account speaks; where nothing says that, what those of the header's `accounts` do."""
    own, others = _accounts_of(options)
    if word := api_of(own, environ):
        return word
    words = {word for name in others if (word := api_of(name, environ))}
    return words.pop() if len(words) == 1 else None


def api_of(name: str, environ: Mapping[str, str]) -> str | None:
    """Return what the accounts file says that an account speaks; None where it does not."""
    return entry_of(name, environ).get("api")


def _accounts_of(options: Options) -> tuple[str, list[str]]:
    """Return the names of the run's own account and of the others, as far as options and the job's header say them."""
    named = getattr(options, "account", None) or getattr(options, "from", None)
    said: Mapping[str, Json] = {}
    if isinstance(getattr(options, "job", None), str):
        place = place_of(options)
        try:
            with JobFile.open(place.base or place.job) as file:
                said = said_once(file, Path(options.header) if options.header else None)
        except JobError:
            pass  # whoever reads the job says everything that is wrong with it
    others = [name for name in (said.get("accounts") or {}).values() if name]
    return named or said.get("account") or DEFAULT_ACCOUNT, others


def check_one_api(api: Profile, options: Options, names: Iterable[str], environ: Mapping[str, str]) -> None:
    """Refuse accounts of which the accounts file says that they speak another API, unless the options name one."""
    for name in names:
        word = api_of(name, environ)
        if options.api is None and word not in (None, api.name):
            raise UsageError(
                f"account {name!r} speaks the {word} API, and the others, or the run's own account, speak the "
                f"{api.name} API; a job speaks one: give --api for all of them, or make it two jobs"
            )


def in_flight(options: Options) -> int:
    """Return how many requests may be in flight: what the user says, or what is usual with the API."""
    given: int | None = getattr(options, "jobs", None)
    return given if given is not None else profile(options).in_flight or USUAL_IN_FLIGHT


def base_url(options: Options) -> str | None:
    """Return the base URL that the options name or mean; UsageError where they name two, or a place there is not."""
    place, given = getattr(options, "residency", None), cast("str | None", options.base_url)
    if place is None:
        return given
    hosts = profile(options).hosts
    if given:
        raise UsageError("--residency and --base-url both say where the API is; give one of them")
    if place not in hosts:
        there = ", ".join(hosts) or "none with this API; give --api live"
        raise UsageError(f"there is no residency {place!r}; there is: {there}")
    return hosts[place]


def find_accounts(
    options: Options, plan: Plan, environ: dict[str, str], *, with_key: bool = True
) -> tuple[Account, dict[str, Account]]:
    """Return the run's own account and the others that its lines name, by name.

    Where all lines name others, the key of the run's own is not asked for.
    """
    api, scale = profile(options), getattr(options, "time_scale", 1.0)
    said = wanted(options)
    own_name = said.account or plan.header.account or DEFAULT_ACCOUNT
    own = find_account(
        api,
        said,
        environ,
        header_account=plan.header.account,
        time_scale=scale,
        with_key=with_key and (plan.unnamed or own_name in plan.accounts or not plan.accounts),
    )
    if not plan.accounts.keys() - {own.name}:
        return own, {}
    plan.check_accounts({own.name, *account_names(environ)})
    check_one_api(api, options, plan.accounts, environ)
    others = find_others(
        api, own, plan.accounts, environ, base_url=base_url(options), time_scale=scale, with_key=with_key
    )
    return own, others


def rehearsed_accounts(
    options: Options, plan: Plan, environ: dict[str, str]
) -> tuple[Account, dict[str, Account]]:
    """Return the accounts of a rehearsal: made up, since no real key may reach it, each with a world of its own."""
    own = find_account(profile(options), wanted(options), environ, time_scale=options.time_scale)
    own = replace(own, name=options.account or plan.header.account or own.name)
    # By the name alone, so that it is the same world for the small job that reads a listing.
    keys = {
        name: f"{own.key.reveal()}-{blake2b(name.encode(), digest_size=6).hexdigest()}"
        for name in plan.accounts.keys() - {own.name}
    }
    return own, {name: replace(own, name=name, key=Secret(key)) for name, key in keys.items()}


def make_settings(options: Options, plan: Plan, *, environ: dict[str, str]) -> Settings:
    """Return the settings of a run."""
    api = profile(options)
    find = rehearsed_accounts if getattr(options, "emulate", False) else find_accounts
    own, others = find(options, plan, environ)
    settings = Settings(
        api=api,
        account=own,
        others=others,
        in_flight=in_flight(options),
        halt=parse_halt(options.halt) if options.halt else None,
        max_requests=options.max_requests,
        max_duration=options.max_duration,
        drain=options.drain,
        attempt_deadline=options.timeout,
        give_up_after=options.give_up_after,
        time_scale=options.time_scale,
        upload_root=Path(options.upload_root).absolute() if options.upload_root else None,
        in_doubt=parse_policies(options.in_doubt),
        settle=options.settle,
        stamps=parse_stamps(api, options.stamp),
    )
    earlier = [of_earlier(path, settings, another_key=options.another_key) for path in ledgers(options)]
    folders = dict.fromkeys([place_of(options).folder.path, *(run.results.parent for run in earlier)])
    return replace(
        settings,
        earlier=tuple(earlier),
        undoing=tuple(path for folder in folders for path in undoing(folder)),
    )


def parse_policies(text: str) -> Policies:
    """Return the policies that `retry` or `reconcile,conversation.create=retry` spells; UsageError for others."""
    default, of_kind = Policy.RECONCILE, dict[str, Policy]()
    for part in text.split(","):
        kind, equals, word = part.strip().rpartition("=")
        if word not in {policy.value for policy in Policy}:
            known = ", ".join(policy.value for policy in Policy)
            raise UsageError(f"--in-doubt: there is no policy {word!r}; there are: {known}")
        if equals and kind not in KINDS:
            raise UsageError(f"--in-doubt: there is no kind {kind!r}{near(kind, KINDS)}")
        if equals:
            of_kind[kind] = Policy(word)
        else:
            default = Policy(word)
    return Policies(default, of_kind)


def parse_stamps(api: Profile, text: str | None) -> frozenset[str]:
    """Return the ways that `none`, `suffix` or `tag,folder` spells; without a word, those that people do not see.

    UsageError for what the API has no place for, and for what cannot be together.
    """
    ways = api.stamps()
    if text is None:
        return frozenset(word for word, seen in ways.items() if not seen)
    words = [word.strip() for word in text.split(",")]
    for word in words:
        if word in _STAMPS - ways.keys() - {NO_STAMP}:
            raise UsageError(
                f"--stamp {word}: the API that is spoken (--api {api.name}) has no place for it; there is: "
                f"{', '.join([NO_STAMP, *ways])}"
            )
        if word not in _STAMPS:
            known = ", ".join([NO_STAMP, *ways])
            raise UsageError(f"--stamp: there is no {word!r}{near(word, _STAMPS) or f'; there are: {known}'}")
    if NO_STAMP in words and len(words) > 1:
        raise UsageError(f"--stamp {text}: give {NO_STAMP} alone, or leave it out")
    if {"suffix", "tag"} <= set(words):
        raise UsageError(f"--stamp {text}: both mark agents; give one of suffix and tag")
    return frozenset(words) - {NO_STAMP}


def taken_up(api: Profile, policies: Policies) -> frozenset[str]:
    """Return the kinds whose operations in doubt a run takes up: where something can be done about them."""
    return frozenset(
        name
        for name, kind in KINDS.items()
        if policies.of(name) is not Policy.RECONCILE or api.listing_of(kind.makes) is not None
    )


def parse_halt(text: str) -> Halt:
    """Return the threshold that `fail=3%`, `fail=10`, `3%` or `10` spells; UsageError for anything else."""
    number = text.removeprefix("fail=")
    try:
        if number.endswith("%"):
            share = float(number[:-1]) / 100
            if 0 < share <= 1:
                return Halt(share=share)
        elif int(number) > 0:
            return Halt(count=int(number))
    except ValueError:
        pass
    raise UsageError(
        f"--halt {text!r} is not a threshold; give a number or a share, such as fail=10 or fail=3%"
    )


def environment() -> dict[str, str]:
    """Return the environment that `${env:…}` and the settings read."""
    return dict(os.environ)
