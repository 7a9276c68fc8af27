"""`bulkops plan JOB`: validate, and say what would happen. Loads no HTTP and no TLS."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

import orjson

from bulkops.accounts import find_account
from bulkops.checkpoint import open_reader
from bulkops.cli import orders
from bulkops.jobfile import LISTED, open_job
from bulkops.model import State
from bulkops.planning import Selection, deletes_words, edited_words, make_plan
from bulkops.reporting.text import safe_text
from bulkops.reporting.words import duration, number, source_words

if TYPE_CHECKING:
    from bulkops.cli.parsing import Options
    from bulkops.model import Json
    from bulkops.planning import Plan
    from bulkops.settings import Account


def run(options: Options) -> int:
    """Print the plan and return the exit code."""
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
            selection=Selection(changed=options.changed, before=not options.no_before),
            base=base,
            given=orders.given(options),
        )
        account = find_account(
            orders.profile(options),
            orders.wanted(options),
            environ,
            header_account=plan.header.account,
            with_key=False,
        )
        if options.json:
            sys.stdout.buffer.write(orjson.dumps(as_json(plan, account)) + b"\n")
        else:
            print("\n".join(as_lines(plan, account)))
    return 0


def as_json(plan: Plan, account: Account) -> Json:
    """Return the plan for programs."""
    seconds = plan.seconds(account.usable)
    return {
        "job": plan.job.name,
        "about": plan.header.about,
        "lines": plan.lines,
        "unread": [{"line": at, "listing": listing} for at, listing in plan.job.unread],
        "operations": {
            "total": plan.total,
            "left": plan.left.total(),
            **{state.value: plan.count(state) for state in State},
        },
        "by_kind": {
            kind: {"total": count, "left": plan.left[kind]} for kind, count in sorted(plan.operations.items())
        },
        "requests": plan.requests,
        "polls": plan.looks,
        "upload_bytes": plan.upload_bytes,
        "deletes": plan.deletes,
        "limit": {
            "requests": account.usable.limit,
            "seconds": account.tier.period,
            "source": account.tier_source,
        },
        "seconds": None if seconds is None else round(seconds, 1),
        "at_once_if_told": plan.goes_at_once(account.usable),
    }


def as_lines(plan: Plan, account: Account) -> list[str]:
    """Return the plan for people."""
    lines = [
        f"{plan.job.name}: {number(plan.lines, 'line')}, {number(plan.total, 'operation')}; nothing was sent"
    ]
    if plan.header.about:
        lines.append(f"  {safe_text(plan.header.about)}")
    width = max(map(len, plan.operations), default=0)
    for kind, count in sorted(plan.operations.items()):
        left = plan.left[kind]
        lines.append(f"  {kind:<{width}}  {count:>9,}" + ("" if left == count else f"  ({left:,} left)"))
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
        f"line {at}: the rows of {listing} are read when it runs; they are not counted here"
        for at, listing in plan.job.unread
    ]
    bytes_ = f", {_bytes(plan.upload_bytes)} to upload" if plan.upload_bytes else ""
    looks = f" and at least {number(plan.looks, 'look')} at what is awaited" if plan.looks else ""
    lines.append(f"to send: {number(plan.requests, 'request')}{looks}{bytes_}")
    if plan.deletes:
        lines.append(f"to delete: {deletes_words(plan)}; a run asks first, or needs --yes")
    seconds = plan.seconds(account.usable)
    if seconds is not None:
        limit = _limit(account)
        sooner = seconds and plan.goes_at_once(account.usable)
        told = ", or at once where the server tells that it takes so many" if sooner else ""
        lines.append(f"at {limit}: about {duration(seconds)}{told}")
    return lines


def _limit(account: Account) -> str:
    """Return the limit, and where it comes from; of one with a reserve what is left of it."""
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
