"""`bulkops plan JOB`: validate, and say what would happen. Loads no HTTP and no TLS."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

import orjson

from bulkops.checkpoint import open_reader
from bulkops.cli import orders
from bulkops.errors import JobError
from bulkops.foreseeing import USUAL, foresee
from bulkops.jobfile import LISTED, open_job
from bulkops.model import State, value
from bulkops.planning import Selection, deletes_words, edited_words, make_plan, risks
from bulkops.reporting.text import safe_text
from bulkops.reporting.words import duration, number, source_words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulkops.api.profile import Profile
    from bulkops.cli.parsing import Options
    from bulkops.foreseeing import Foreseen
    from bulkops.model import Json
    from bulkops.planning import Plan, Risk
    from bulkops.settings import Account


def run(options: Options) -> int:
    """Print the plan and return the exit code; for programs also what is wrong with a job, beside its telling."""
    try:
        return _run(options)
    except JobError as error:
        if options.json:
            sys.stdout.buffer.write(orjson.dumps({"problems": error.problems}) + b"\n")
        raise


def _run(options: Options) -> int:
    environ = orders.environment()
    place = orders.place_of(options)
    with ExitStack() as held:
        listed = place.folder.path / LISTED
        job = held.enter_context(open_job(place.job, listed=listed))
        base = held.enter_context(open_job(place.base, listed=listed)) if place.base is not None else None
        reader = open_reader(place.folder.checkpoint)
        if reader is not None:
            held.enter_context(reader)
        plan = make_plan(
            job,
            api=orders.profile(options),
            environ=environ,
            reader=reader,
            selection=Selection(changed=options.changed, before=not options.no_before, closely=True),
            base=base,
            given=orders.given(options, environ),
        )
        account, others = orders.find_accounts(options, plan, environ, with_key=False)
        # As the run would that it stands for.
        plan.check_deletes(getattr(options, "max_delete", None))
        view = View(
            plan,
            account,
            orders.profile(options),
            _foreseen(options, plan, account, others),
            others,
        )
        seen = None
        if getattr(options, "online", False):
            from bulkops.cli.online import look

            seen = look(options, plan, environ)
        if options.json:
            online = {} if seen is None else {"online": seen.as_json()}
            sys.stdout.buffer.write(orjson.dumps({**as_json(view), **online}) + b"\n")
        else:
            print("\n".join(as_lines(view) + ([] if seen is None else seen.as_lines())))
    return 0


def _foreseen(
    options: Options, plan: Plan, account: Account, others: Mapping[str, Account]
) -> Foreseen | None:
    return foresee(
        plan,
        account,
        orders.profile(options),
        in_flight=orders.in_flight(options),
        time_scale=getattr(options, "time_scale", 1.0),
        others=others,
    )


@value
class View:
    """A plan, and what it is seen with."""

    plan: Plan
    account: Account
    api: Profile
    foreseen: Foreseen | None
    others: Mapping[str, Account]
    """The accounts that lines name beside the run's own."""

    @property
    def accounts(self) -> dict[str, Account]:
        """All accounts, the run's own first."""
        return {self.account.name: self.account, **self.others}

    @property
    def seconds(self) -> float | None:
        """How long it takes."""
        return None if self.foreseen is None else self.foreseen.seconds

    def risks(self) -> list[Risk]:
        """Return what is to be known besides the numbers."""
        return list(risks(self.plan, self.api, self.account, self.seconds))

    def assumed(self) -> dict[str, float]:
        """Return what the time follows from and nobody has told, in seconds."""
        awaited = {what: self.api.watches[what].usual for what in sorted(self.plan.awaited)}
        return {"answer": USUAL.latency, **awaited}


def as_json(view: View) -> Json:
    """Return the plan for programs."""
    plan, account, foreseen = view.plan, view.account, view.foreseen
    told: dict[str, Json] = {
        "job": plan.job.name,
        "about": plan.header.about,
        "lines": plan.lines,
        "unread": [{"line": unread.line, "listing": str(unread.listing)} for unread in plan.job.unread],
        "operations": {
            "total": plan.total,
            "left": plan.left.total(),
            **{state.value: plan.count(state) for state in State},
        },
        "by_kind": {
            kind: {
                "lines": plan.lines_by_kind[kind],
                "total": count,
                "left": plan.left[kind],
                "requests": plan.requests_by_kind[kind],
            }
            for kind, count in sorted(plan.operations.items())
        },
        "requests": plan.requests,
        "by_endpoint": {name: count for name, count in sorted(plan.requests_by_endpoint.items()) if count},
        "polls": plan.looks if foreseen is None else foreseen.looks,
        "polls_range": None if foreseen is None else [foreseen.fewest_looks, foreseen.most_looks],
        "upload_bytes": plan.upload_bytes,
        "deletes": plan.deletes,
        "depth": plan.depth,
        "limit": {
            "requests": account.usable.limit,
            "seconds": account.tier.period,
            "source": account.tier_source,
        },
        "seconds": None if view.seconds is None else round(view.seconds, 1),
        "seconds_range": None if foreseen is None else [round(foreseen.least, 1), round(foreseen.most, 1)],
        "assumed": view.assumed(),
        "duplicates": {} if plan.duplicates is None else plan.duplicates.counts(),
        "risks": [{"what": risk.what, "count": risk.count, "told": risk.told} for risk in view.risks()],
    }
    if view.others:
        told["accounts"] = {
            name: _of_account(plan, each, account.name) for name, each in view.accounts.items()
        }
    return told


def _of_account(plan: Plan, account: Account, own: str) -> Json:
    load = plan.load(account.name, own)
    seconds = load.seconds(account.usable)
    return {
        "requests": load.requests,
        "polls": load.looks,
        "limit": {
            "requests": account.usable.limit,
            "seconds": account.tier.period,
            "source": account.tier_source,
        },
        "seconds": None if seconds is None else round(seconds, 1),
    }


def as_lines(view: View) -> list[str]:
    """Return the plan for people."""
    plan, foreseen = view.plan, view.foreseen
    lines = [
        f"{plan.job.name}: {number(plan.lines, 'line')}, {number(plan.total, 'operation')}; nothing was sent"
    ]
    if plan.header.about:
        lines.append(f"  {safe_text(plan.header.about)}")
    width = max(map(len, plan.operations), default=0)
    for kind, count in sorted(plan.operations.items()):
        left, of = plan.left[kind], plan.lines_by_kind[kind]
        notes = [f"of {number(of, 'line')}"] if of != count else []
        notes += [f"{left:,} left"] if left != count else []
        requests = plan.requests_by_kind[kind]
        notes += [number(requests, "request")] if requests != left else []
        lines.append(f"  {kind:<{width}}  {count:>9,}" + (f"  ({', '.join(notes)})" if notes else ""))
    standing = [
        f"{state.value.replace('_', ' ')} {plan.count(state):,}"
        for state in State
        if state is not State.NOT_STARTED and plan.count(state)
    ]
    if standing:
        lines.append(f"so far: {', '.join(standing)}")
    if plan.edited:
        lines.append(edited_words(plan.edited))
    lines += [
        f"line {unread.line}: the rows of {unread.listing} are read when it runs; they are not counted here"
        for unread in plan.job.unread
    ]
    bytes_ = f", {_bytes(plan.upload_bytes)} to upload" if plan.upload_bytes else ""
    lines.append(f"to send: {number(plan.requests, 'request')}{_looks(view)}{bytes_}")
    if plan.deletes:
        lines.append(f"to delete: {deletes_words(plan)}; a run asks first, or needs --yes")
    asked = sorted(plan.requests_by_endpoint.items(), key=lambda item: (-item[1], item[0]))
    if set(plan.requests_by_endpoint) - set(plan.operations):
        lines.append("  " + ", ".join(f"{name} {count:,}" for name, count in asked if count))
    if plan.depth > 1:
        lines.append(f"longest chain: {plan.depth:,} lines, each waits for the one before")
    if view.others:
        lines += _by_account(plan, view.accounts)
    if foreseen is not None:
        lines += _time(view, foreseen)
    return lines + [f"note: {risk.told}" for risk in view.risks()]


def _looks(view: View) -> str:
    foreseen = view.foreseen
    if not view.plan.looks:
        return ""
    if foreseen is None:
        return f" and at least {number(view.plan.looks, 'look')} at what is awaited"
    between = f"{foreseen.fewest_looks:,} to {foreseen.most_looks:,}"
    return f" and about {number(foreseen.looks, 'look')} ({between}) at what is awaited"


def _time(view: View, foreseen: Foreseen) -> list[str]:
    about, least, most = map(duration, (foreseen.seconds, foreseen.least, foreseen.most))
    between = f" ({least} to {most})" if least != most else ""
    at = "all accounts at once" if view.others else f"at {_limit(view.account)}"
    lines = [f"{at}: about {about}{between}"]
    if view.plan.awaited:
        words = [
            f"{view.api.watches[what].words[1]} take {view.api.watches[what].usual:g} s, half or twice as long"
            for what in sorted(view.plan.awaited)
        ]
        lines.append(f"  assumed: {', '.join(words)}; nobody else uses the key, and nothing fails")
    return lines


def _by_account(plan: Plan, accounts: Mapping[str, Account]) -> list[str]:
    """Return a line for each account, the run's own first, with the time that it takes at its even pace."""
    own, lines = next(iter(accounts)), []
    for name, account in accounts.items():
        load = plan.load(name, own)
        seconds = load.seconds(account.usable)
        looks = f" and at least {number(load.looks, 'look')}" if load.looks else ""
        takes = "" if seconds is None else f": about {duration(seconds)}"
        lines.append(
            f"  to {safe_text(name)}: {number(load.requests, 'request')}{looks} at {_limit(account)}{takes}"
        )
    return lines


def _limit(account: Account) -> str:
    """Return the limit, and where it comes from; of one with a reserve what is left of it."""
    if account.tier.open:
        return "no known limit per time, only on what is in flight"
    usable, whole, period = account.usable.limit or 0, account.tier.limit or 0, account.tier.period
    of = "" if usable == whole else f"{usable:,} of "
    source = source_words(account.tier_source, account.reserve, period)
    return f"{of}{number(whole, 'request')} in {period:g} s ({source})"


def _bytes(number: int) -> str:
    size = float(number)
    for unit in ("bytes", "KB", "MB", "GB"):
        if size < 1000 or unit == "GB":  # noqa: PLR2004 - decimal units
            break
        size /= 1000
    return f"{size:,.0f} {unit}" if unit == "bytes" else f"{size:,.1f} {unit}"
