"""What somebody would want to know of a job before it starts, beyond its numbers: a line each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulkops.model import Effect, value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bulkops.api.profile import Profile
    from bulkops.planning.plan import Plan
    from bulkops.settings import Account

LARGE = 25_000_000
"""Bytes of a file that takes minutes over a slow line, and that a server may refuse."""
LONG = 600.0
"""Seconds of a job for which it is worth saying what the limit really is."""


@value
class Risk:
    """One of them: a word for programs, how many are concerned, a sentence for people."""

    what: str
    count: int
    told: str


def risks(plan: Plan, api: Profile, account: Account, seconds: float | None) -> Iterator[Risk]:
    """Yield what is to be known of the rest of a job that is expected to take so many seconds."""
    yield from _duplicates(plan)
    yield from (Risk("undocumented_field", 1, str(problem)) for problem in plan.undocumented)
    yield from (Risk("trap", count, told) for count, told in plan.trap_words())
    if untold := _untold(plan, api):
        kinds = ", ".join(f"{name} {count:,}" for name, count in untold.items())
        told = f"an operation whose answer is lost is held in doubt, as the API has no listing to look in: {kinds}"
        yield Risk("not_listed", sum(untold.values()), told)
    if plan.largest_upload > LARGE:
        megabytes = plan.largest_upload / 1e6
        yield Risk("large_upload", plan.largest_upload, f"the largest file has {megabytes:,.0f} MB")
    if account.tier_source == "default" and seconds is not None and seconds > LONG:
        told = "the limit is only the default: if the account has another one, give --tier or --rate"
        yield Risk("default_limit", account.tier.limit or 0, told)


def _untold(plan: Plan, api: Profile) -> dict[str, int]:
    """Return by endpoint how many requests make or spend something of which the API has no listing."""
    endpoints = api.endpoints()
    found = {}
    for name, count in sorted(plan.requests_by_endpoint.items(), key=lambda item: (-item[1], item[0])):
        endpoint = endpoints.get(name)
        if endpoint is None or endpoint.effect not in (Effect.CREATE, Effect.SPEND):
            continue
        if count and api.listing_of(endpoint.makes) is None:
            found[name] = count
    return found


def _duplicates(plan: Plan) -> Iterator[Risk]:
    counts = plan.duplicates.counts() if plan.duplicates is not None else {}
    for word, told in (
        ("lines", "stand there more than once, but for their ids"),
        ("names", "are given to more than one of the agents to be made"),
        ("files", "are uploaded more than once"),
    ):
        if count := counts.get(word, 0):
            one = told.replace("stand ", "stands ").replace("are ", "is ").replace("their ids", "its id")
            thing = _number(count, word.removesuffix("s"))
            yield Risk(f"equal_{word}", count, f"{thing} {one if count == 1 else told}")


def _number(count: int, thing: str) -> str:
    return f"{count:,} {thing}{'' if count == 1 or '.' in thing else 's'}"
