"""What the reads tell: about key, API, limits, quota and clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, assert_never

from bulkops.api import PROFILES
from bulkops.diagnosing.finding import Finding, Level, bad, note, ok
from bulkops.ends import Verdict
from bulkops.errors import KeyRefused, Unreachable, UsageError
from bulkops.pace.headers import Told, read, sent_at
from bulkops.reporting.words import duration, per

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bulkops.diagnosing.reads import Looked, Read
    from bulkops.settings import Account, Settings

RESOLUTION: Final = 2.0
"""A Date is cut to whole seconds, and servers make a new one once a second."""
_SUCCESS: Final = range(200, 300)
_NEARLY_FULL: Final = 0.9


def findings(looked: Looked, settings: Settings, uploads: int = 0) -> Iterator[Finding]:
    """Yield what was seen; `uploads` is how many bytes of documents are to be indexed besides."""
    key = _key(looked.best, settings.account)
    yield key
    if looked.best.status is None:
        return
    if looked.best.lists:
        yield _api(looked, settings)
        if looked.speaks in (settings.api, None):
            yield _limit(limits(looked), settings.account)
            yield _in_flight(limits(looked), settings)
        yield from _quota(looked, uploads)
    yield _clock(looked)


def limits(looked: Looked) -> Told:
    """Return what the headers of the last answer that tells of limits say; nothing where none does."""
    told = [
        read(each.api.rate_headers, each.heard.headers, refused=False, wall=each.ended)
        for each in reversed(looked.reads)
    ]
    return next((each for each in told if each != Told()), Told())


def _key(asked: Read, account: Account) -> Finding:
    heard, verdict, place = asked.heard, asked.verdict, account.base_url
    where = f"whether it is that of {place}: each residency has keys of its own"
    match verdict:
        case Verdict.DONE if asked.lists:
            return ok("key", f"{place} accepts it")
        case Verdict.FORBIDDEN:
            seen = f"the server knows the key, or does not care, and lets it list no agents: {asked.said}"
            remedy = "look what the key may do, what the plan of the account has, and whether a proxy stands between"
            return bad("key", seen, remedy, KeyRefused.exit_code)
        case Verdict.KEY_REFUSED:
            words = (api.key_words.get(heard.code or "") for api in PROFILES.values())
            meaning = next(filter(None, words), "the server refuses the key")
            seen = f"{meaning}: {asked.said}"
            return bad(
                "key", seen, f"look which key it is, what it may do, and {where}", KeyRefused.exit_code
            )
        case Verdict.SPENT:
            seen = f"it is good, and the account has nothing left: {asked.said}"
            return bad(
                "key", seen, "raise the account's quota, or wait until it is renewed", Unreachable.exit_code
            )
        case Verdict.POSTPONED:
            seen = f"not known, as the server takes no more requests now: {asked.said}"
            return bad("key", seen, "ask again in a minute", Unreachable.exit_code)
        case Verdict.UNREACHABLE:
            remedy = "check the address (--base-url, --residency, the accounts file) and the network"
            return bad("server", f"{place} cannot be reached: {heard.reason}", remedy, Unreachable.exit_code)
        case Verdict.DONE | Verdict.AGAIN | Verdict.REFUSED | Verdict.DOUBT | Verdict.ID_UNKNOWN:
            return _strange(asked, place)
        case _:
            assert_never(verdict)


def _strange(asked: Read, place: str) -> Finding:
    """Tell of an answer that says nothing of the key."""
    if asked.status is None:
        seen = f"{place} does not answer: {asked.heard.reason}"
        return bad("server", seen, "ask again in a minute", Unreachable.exit_code)
    if asked.verdict is Verdict.AGAIN and asked.status not in _SUCCESS:
        seen = f"{place} has trouble of its own: {asked.said}"
        return bad("server", seen, "ask again in a minute", Unreachable.exit_code)
    said = "HTTP 200 without a listing of agents" if asked.verdict is Verdict.DONE else asked.said
    seen = f"what answers at {place} does not look like the API: {said}"
    remedy = "check the address (--base-url, or the accounts file); it ends with /v1/convai"
    return bad("server", seen, remedy, UsageError.exit_code)


def _api(looked: Looked, settings: Settings) -> Finding:
    told, speaks = settings.api.name, looked.speaks
    if speaks is None:
        seen = f"the listing of agents looks like that of none of {', '.join(PROFILES)}"
        return note("API", seen, f"begin with something small: a run would speak {told}")
    if speaks is settings.api:
        return ok("API", f"the server speaks the {told} API, and so do we")
    seen = f"the server speaks the {speaks.name} API, and we would speak {told}"
    remedy = (
        f'give --api {speaks.name}, or say api = "{speaks.name}" in the accounts file, or set '
        f"BULKOPS_API={speaks.name} in the environment"
    )
    return bad("API", seen, remedy, UsageError.exit_code)


def _limit(told: Told, account: Account) -> Finding:
    tier = account.tier
    ours = (
        "none is assumed"
        if tier.open
        else f"we keep to {tier.limit:,} {per(tier.period)} ({account.tier_source})"
    )
    if told.limit is None:
        seen = f"unknown: the answers tell of no number of requests in a time; {ours}"
        if account.tier_source != "default":
            return ok("limit", seen)
        there = "one" if tier.open else "another one"
        remedy = (
            f'if the account has {there}, say it: rate = "600/min" in the accounts file, or --rate 600/min'
        )
        # Where none is assumed nothing is wrong with that.
        return Finding("limit", Level.OK if tier.open else Level.NOTE, seen, remedy)
    left = "" if told.remaining is None else f", {told.remaining:,} of them left"
    seen = f"the answers tell of {told.limit:,} requests {per(tier.period)}{left}; {ours}"
    if told.limit == tier.limit:
        return ok("limit", seen)
    return note(
        "limit", seen, "a run follows the answers; say it in the accounts file, and plans are right as well"
    )


def _in_flight(told: Told, settings: Settings) -> Finding:
    ours = f"we send {settings.in_flight} at most (-j)"
    if told.most_in_flight is None:
        return ok("in flight", f"unknown: the answers tell of no number of requests at once; {ours}")
    now = "" if told.now_in_flight is None else f", {told.now_in_flight:,} of them taken, by this read too"
    seen = f"the answers tell of {told.most_in_flight:,} requests at once{now}; {ours}"
    if settings.in_flight <= told.most_in_flight:
        return ok("in flight", seen)
    return note(
        "in flight", seen, f"a run follows the answers; -j {told.most_in_flight} says so from the begin"
    )


def _quota(looked: Looked, uploads: int) -> Iterator[Finding]:
    what, asked, api = "quota", looked.quota, looked.speaks
    if api is None:
        return
    if asked is None:
        yield ok(what, f"the {api.name} API does not tell how much may be indexed")
        return
    told = asked.heard.json if isinstance(asked.heard.json, dict) else {}
    used, most = told.get(api.index_used_field), told.get(api.index_most_field)
    if asked.verdict is not Verdict.DONE or not isinstance(used, int) or not isinstance(most, int):
        reason = asked.heard.reason or "the answer tells no numbers"
        yield note(
            what,
            f"how much may be indexed cannot be read: {reason}{asked.heard.trace}",
            "uploads with an index may fail",
        )
        return
    seen = f"indexes take up {_megabytes(used)} of {_megabytes(most)}"
    remedy = "delete indexes that nobody needs, or have the quota raised"
    if uploads > most - used:
        seen += f", and the job files are to upload {_megabytes(uploads)}"
        yield note(what, seen, f"{remedy}; beyond it an index fails")
    elif used >= _NEARLY_FULL * most:
        yield note(what, seen, remedy)
    else:
        yield ok(what, seen)


def _clock(looked: Looked) -> Finding:
    """Tell by how much our clock is off; what the Date leaves open, and the time of the read, is no difference."""
    what = "clock"
    spans = [
        (date - each.ended, date + RESOLUTION - each.begun)
        for each in looked.reads
        if (date := sent_at(each.heard.headers)) is not None
    ]
    remedy = (
        "set it (NTP): moments in reports and windows of exports are ours, signatures of webhooks age by it"
    )
    if not spans:
        return note(what, "unknown: the answers have no Date to compare this machine's with", remedy)
    least, most = max(low for low, _ in spans), min(high for _, high in spans)
    off = round((least + most) / 2)
    if least <= 0 <= most or not off:
        return ok(what, "agrees with the server's, which tells whole seconds")
    seen = f"this clock is {duration(abs(off))} {'behind' if off > 0 else 'ahead of'} the server's"
    return note(what, seen, remedy)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
