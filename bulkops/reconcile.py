"""What became of the operations in doubt: a generator of steps, like a kind. Asks the API, never guesses.

Whoever drives it reads no clock into it: each doubt says whether it is settled, that is, whether so much time has
passed that what it sent is either in the listing by now or will never be there.
"""

from __future__ import annotations

from base64 import b32encode
from collections.abc import Generator
from hashlib import blake2b
from typing import TYPE_CHECKING, TypeAlias

from bulkops.api.stamping import STAMP_LENGTH
from bulkops.errors import OperationFailed
from bulkops.model import Absent, Evidence, Found, Held, Reply, Request, value
from bulkops.youngest import created_at, read_youngest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bulkops.api.profile import Listing, Profile
    from bulkops.model import Finding, Json
    from bulkops.youngest import Young

SETTLE = 60.0
"""Seconds after which what was sent is in the listing or will never be there; longer than the server's longest tail."""
SLACK = 5.0
"""Seconds by which ages may lie outside of the time in which a doubt arose: both clocks tell whole seconds."""


@value
class Doubt:
    """A create of which nobody knows what became. Times are epoch seconds of the server's clock.

    `name` and `body` are what was sent, as far as the thing shows it afterwards; what it does not show is `hidden`. It
    was sent after `since` and can have taken effect until `until`; what is not `dated` was sent before anything was
    heard of the server's clock, so that `since` is only how early it may have been. `sure`: it did take effect. `stamp`
    is the token that the thing bears, where it bears one.
    """

    key: bytes
    number: int
    name: str | None
    body: Json
    since: float
    until: float
    settled: bool
    sure: bool = False
    stamp: str | None = None
    dated: bool = True
    hidden: Json = None


@value
class Claims:
    """A step that asks the run which of these ids it knows, and which names are claimed by what is under way.

    `by_name`: some of them can only be told by their names. The run answers when it has heard of all that it is making
    at this moment: one of those answers may name an id that was told to another operation, so that what that one has
    really made is nobody's.
    """

    lists: str
    ids: tuple[str, ...]
    by_name: bool


@value
class Claimed:
    """The run's answer: ids that operations own or that were there before the job, and names under way.

    A name is under way when a request with it is being sent, or came to be in doubt after the doubts at hand.
    `others`: there are operations in doubt of which it is not known any more what they sent, or that are held.
    `moving`: an operation that had ended was just taken back and is not in doubt yet: what it made is nobody's.
    `unknown`: why it is not known what was there before the job, where the listing tells no ages.
    """

    owned: frozenset[str] = frozenset()
    busy: frozenset[str] = frozenset()
    others: bool = False
    moving: bool = False
    unknown: str | None = None


@value
class Findings:
    """What one pass came to: a finding for each doubt that is decided, by its key and number.

    `newest_first` is the order of the listing, for the next pass.
    """

    of: Mapping[tuple[bytes, int], Finding]
    newest_first: bool | None = None


_Found: TypeAlias = "dict[tuple[bytes, int], Finding]"
Reconciling: TypeAlias = Generator[Request | Claims, Reply | Claimed, Findings]


def is_settled(born: float, now: float, settle: float) -> bool:
    """Tell whether a listing that starts now can show that something is absent.

    `born` is when the doubt arose in this process, or when the process began; both are seconds of its monotonic
    clock. A wall clock would do it too early after it was set forward.
    """
    return now - born >= settle


def stamp_of(checkpoint_id: str, key: bytes, number: int) -> str:
    """Return the token of one request of one operation: the same for all its attempts, and for no other's."""
    digest = blake2b(
        key + number.to_bytes(4), digest_size=10, key=checkpoint_id.encode(), person=b"bulkops stamp"
    )
    return b32encode(digest.digest()).decode().lower()[:STAMP_LENGTH]


def unlisted(doubts: Iterable[Doubt], what: str) -> Findings:
    """Return what can be found of things that the API does not list: nothing."""
    reason = f"the API has no listing of {what}s, so it cannot be asked what became of it"
    return Findings({_of(doubt): Held(reason, Evidence("no listing")) for doubt in doubts})


def reconcile(
    api: Profile, listing: Listing, doubts: Sequence[Doubt], *, newest_first: bool | None = None
) -> Reconciling:
    """Yield the steps that find out what became of creates of one kind of thing.

    What is there is found at once; that something is absent is concluded only for doubts that are settled, and
    only from a listing that was read whole. What cannot be decided yet has no finding.
    """
    since = min(doubt.since for doubt in doubts) - SLACK if listing.created_field is not None else None
    young = yield from _asked(read_youngest(api, listing, since, newest_first=newest_first))
    wanted = _Wanted(listing, doubts)
    rows = [row for row in young.rows if wanted.stamps_on(row) or wanted.has_name_of(row)]
    by_name = any(wanted.has_name_of(row) for row in rows)
    claimed = yield Claims(listing.lists, tuple(row[listing.id_field] for row in rows), by_name)
    assert isinstance(claimed, Claimed)
    if claimed.moving:
        return Findings({}, young.newest_first)
    # The oldest first, so that the same listing always comes to the same findings.
    rows = sorted(
        (row for row in rows if row[listing.id_field] not in claimed.owned),
        key=lambda row: (created_at(row, listing) or 0.0, row[listing.id_field]),
    )
    found: _Found = {}
    bearers = wanted.bearers(rows)
    for stamp, doubt in wanted.by_stamp.items():
        found |= _judge_stamp(doubt, bearers.get(stamp, {}), young)
    for name, namesakes in wanted.by_name.items():
        if name is None:
            reason = "it has no name by which it could be found"
            found |= {_of(doubt): Held(reason, Evidence("no name")) for doubt in namesakes}
        elif name not in claimed.busy:
            called = [
                row for row in rows if row.get(listing.name_field) == name and not wanted.stamps_on(row)
            ]
            for group, candidates in (yield from _told_apart(listing, namesakes, called, claimed)):
                if candidates and claimed.unknown is not None:
                    reason = f"it may have been there before the job, and nobody knows: {claimed.unknown}"
                    found |= _judge_untold(group, candidates, young, "no baseline", reason)
                elif candidates and not all(equal(doubt.hidden, group[0].hidden) for doubt in group):
                    found |= _judge_untold(group, candidates, young, "alike", _ALIKE)
                else:
                    found |= _judge(group, candidates, young)
    return Findings(found, young.newest_first)


class _Wanted:
    """The doubts, by what they can be known by."""

    def __init__(self, listing: Listing, doubts: Iterable[Doubt]) -> None:
        self._listing = listing
        self.by_stamp: dict[str, Doubt] = {}
        self.by_name: dict[str | None, list[Doubt]] = {}
        for doubt in doubts:
            if doubt.stamp is not None:
                self.by_stamp[doubt.stamp] = doubt
            else:
                self.by_name.setdefault(doubt.name, []).append(doubt)

    def stamps_on(self, row: Json) -> tuple[str, ...]:
        """Return the stamps of doubts that a row bears."""
        if not self.by_stamp:
            return ()
        return tuple(token for token in self._listing.tokens_of(row) if token in self.by_stamp)

    def bearers(self, rows: Iterable[Json]) -> Mapping[str, dict[str, Json]]:
        """Return the rows that bear the stamp of a doubt, by stamp and id."""
        found: dict[str, dict[str, Json]] = {}
        for row in rows:
            for stamp in self.stamps_on(row):
                found.setdefault(stamp, {})[row[self._listing.id_field]] = row
        return found

    def has_name_of(self, row: Json) -> bool:
        """Tell whether a row has the name of a doubt that can only be told by it."""
        name = row.get(self._listing.name_field)
        return isinstance(name, str) and name in self.by_name


def _asked(reading: Generator[Request, Reply, Young]) -> Generator[Request | Claims, Reply | Claimed, Young]:
    """Yield a reading's requests as steps of ours."""
    try:
        request = next(reading)
        while True:
            try:
                reply = yield request
            except OperationFailed as failure:
                request = reading.throw(failure)
            else:
                assert isinstance(reply, Reply)
                request = reading.send(reply)
    except StopIteration as end:
        young: Young = end.value
        return young


def _told_apart(
    listing: Listing, namesakes: Sequence[Doubt], rows: Sequence[Json], claimed: Claimed
) -> Generator[Request | Claims, Reply | Claimed, list[tuple[list[Doubt], list[_Candidate]]]]:
    """Return the doubts of one name in groups of equal bodies, with what could be theirs.

    Only where there are several bodies, things of the name can be those of others, or nothing tells how old they are,
    is each thing looked at; it
    belongs to the body that says the most of it.
    """
    groups: list[tuple[list[Doubt], list[_Candidate]]] = []
    for doubt in namesakes:
        same = next((group for group, _ in groups if equal(group[0].body, doubt.body)), None)
        if same is None:
            groups.append(([doubt], []))
        else:
            same.append(doubt)
    groups.sort(key=lambda place: -_leaves(place[0][0].body))
    for row in rows:
        candidate = _Candidate(row[listing.id_field], created_at(row, listing), row)
        fitting = [place for place in groups if not is_before(place[0], candidate.made)]
        if fitting and (len(groups) > 1 or claimed.others or listing.created_field is None):
            whole = yield from _looked_at(listing, candidate.id)
            fitting = [place for place in fitting if carries(whole, place[0][0].body)]
        if fitting:
            fitting[0][1].append(candidate)
    return groups


@value
class _Candidate:
    """Something that could be what a doubt made, and when it was made where the listing tells."""

    id: str
    made: float | None
    row: Json = None


def is_before(group: Sequence[Doubt], made: float | None) -> bool:
    """Tell whether something was made before any of these doubts was sent."""
    return made is not None and made < min(doubt.since for doubt in group) - SLACK


def is_meanwhile(doubt: Doubt, made: float | None) -> bool:
    """Tell whether something was made after a doubt was sent, and not later than that can have taken effect."""
    return made is None or (doubt.dated and doubt.since - SLACK <= made <= doubt.until + SLACK)


def _looked_at(listing: Listing, row_id: str) -> Generator[Request | Claims, Reply | Claimed, Json]:
    """Return one thing whole; None when it is gone."""
    try:
        reply = yield listing.look(row_id)
    except OperationFailed as failure:
        if failure.status == 404:  # noqa: PLR2004 - known by its number
            return None
        raise
    assert isinstance(reply, Reply)
    return reply.json


def _judge_stamp(doubt: Doubt, bearing: Mapping[str, Json], young: Young) -> _Found:
    """Decide about a doubt whose stamp says exactly whose it is."""
    evidence = _evidence("stamp", young, list(bearing))
    if len(bearing) > 1:
        return {_of(doubt): Held("it was made more than once: all of these bear its stamp", evidence)}
    for entity, row in bearing.items():
        return {_of(doubt): Found(entity, evidence, row)}
    return _judge_missing([doubt], [], evidence) if may_be_absent(doubt, young) else {}


def _judge(group: Sequence[Doubt], candidates: Sequence[_Candidate], young: Young) -> _Found:
    """Decide about doubts that sent the very same: which of them made what is of no account, only how many did.

    Before all of them are settled that is known only if each has something that could be its own.
    """
    theirs = _matched(group, candidates)
    taken = {candidate.id for candidate in theirs.values()}
    left = [candidate for candidate in candidates if candidate.id not in taken]
    evidence = _evidence("count", young, [candidate.id for candidate in candidates])
    found: _Found = {of: Found(candidate.id, evidence, candidate.row) for of, candidate in theirs.items()}
    if not left and len(theirs) == len(group):
        return found
    if not all(may_be_absent(doubt, young) for doubt in group):
        return {}
    if any(is_meanwhile(doubt, candidate.made) for doubt in group for candidate in left):
        reason = (
            f"{len(candidates)} of this name were made meanwhile and only {len(theirs)} can be ours: "
            "somebody else makes them too"
        )
        return {_of(doubt): Held(reason, evidence) for doubt in group}
    missing = [doubt for doubt in group if _of(doubt) not in theirs]
    return found | _judge_missing(missing, left, evidence)


_ALIKE = "several lines make different things of this name, and the API does not show which of them this is"


def _judge_untold(
    group: Sequence[Doubt], candidates: Sequence[_Candidate], young: Young, rule: str, reason: str
) -> _Found:
    """Decide about doubts of whose candidates nothing tells who made them, and which."""
    if not all(may_be_absent(doubt, young) for doubt in group):
        return {}
    evidence = _evidence(rule, young, [candidate.id for candidate in candidates])
    return {_of(doubt): Held(reason, evidence) for doubt in group}


def _matched(group: Iterable[Doubt], candidates: Iterable[_Candidate]) -> dict[tuple[bytes, int], _Candidate]:
    """Return a candidate for as many doubts as possible, each of the time in which it was sent.

    What did take effect comes first; candidates come oldest first, to the doubt whose time ends first.
    """
    theirs: dict[tuple[bytes, int], _Candidate] = {}
    left = list(candidates)
    ordered = sorted(group, key=lambda doubt: doubt.until)
    for sure in (True, False):
        for candidate in tuple(left):
            for doubt in ordered:
                if doubt.sure is sure and _of(doubt) not in theirs and is_meanwhile(doubt, candidate.made):
                    theirs[_of(doubt)] = candidate
                    left.remove(candidate)
                    break
    return theirs


def _judge_missing(doubts: Iterable[Doubt], unclear: Sequence[_Candidate], evidence: Evidence) -> _Found:
    """Decide about settled doubts whose effect is not in the listing, as far as it tells."""
    found: _Found = {}
    for doubt in doubts:
        if doubt.sure:
            found[_of(doubt)] = Held("it did take effect, and it is not in the listing", evidence)
        elif unclear:
            found[_of(doubt)] = Held("what is there was made at another time than this was sent", evidence)
        else:
            found[_of(doubt)] = Absent(evidence)
    return found


def may_be_absent(doubt: Doubt, young: Young) -> bool:
    """Tell whether it means anything that a doubt's effect is not in a listing."""
    return doubt.settled and young.whole


def carries(whole: Json, sent: Json) -> bool:
    """Tell whether a thing has everything that was sent; servers add defaults, and write numbers as they like."""
    if isinstance(sent, dict):
        if not isinstance(whole, dict):
            return False
        return all(carries(whole.get(key), part) for key, part in sent.items())
    if isinstance(sent, list):
        if not isinstance(whole, list) or len(whole) != len(sent):
            return False
        return all(carries(one, part) for one, part in zip(whole, sent, strict=True))
    if isinstance(sent, bool) or isinstance(whole, bool):
        return whole is sent
    return bool(whole == sent)


def equal(one: Json, other: Json) -> bool:
    """Tell whether two bodies are the same, numbers by value."""
    return carries(one, other) and carries(other, one)


def _leaves(body: Json) -> int:
    if isinstance(body, dict):
        return sum(map(_leaves, body.values()))
    return sum(map(_leaves, body)) if isinstance(body, list) else 1


def _of(doubt: Doubt) -> tuple[bytes, int]:
    return (doubt.key, doubt.number)


def _evidence(rule: str, young: Young, candidates: Sequence[str]) -> Evidence:
    return Evidence(rule, young.listed_at, young.pages, young.total, tuple(candidates))
