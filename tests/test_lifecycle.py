"""The failure classes and the machine that acts on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkops.lifecycle import (
    FIRST_BACKOFF,
    LONGEST_BACKOFF,
    MOST_ABSENCES,
    MOST_FAILURES,
    MOST_POSTPONEMENTS,
    Absent,
    Adopt,
    Answered,
    Broken,
    Choice,
    Chosen,
    Deliver,
    Durable,
    Ended,
    Found,
    Granted,
    Held,
    Hold,
    Keep,
    Life,
    Phase,
    Refuse,
    Remembered,
    Repeated,
    RetryAfter,
    SendAgain,
    SendNow,
    Sent,
    Skip,
    StopRun,
    Verdict,
    WriteIntent,
    advance,
    backoff,
    begin,
    classify,
)
from bulkops.model import Effect, Evidence

if TYPE_CHECKING:
    from bulkops.lifecycle import (
        Command,
        End,
        Event,
    )

CREATE, SPEND, READ, IDEMPOTENT = Effect.CREATE, Effect.SPEND, Effect.READ, Effect.IDEMPOTENT
ONCE = (CREATE, SPEND)
FREE = (READ, IDEMPOTENT)
EVERY = tuple(Effect)
UNREACHABLE, AGAIN, DOUBT, DONE = Verdict.UNREACHABLE, Verdict.AGAIN, Verdict.DOUBT, Verdict.DONE
REFUSED, POSTPONED, ID_UNKNOWN = Verdict.REFUSED, Verdict.POSTPONED, Verdict.ID_UNKNOWN

TABLE: list[tuple[End, tuple[Effect, ...], Verdict]] = [
    (Broken(Sent.NOT_CONNECTED), EVERY, UNREACHABLE),
    (Broken(Sent.WITHHELD), EVERY, AGAIN),
    (Broken(Sent.GONE), ONCE, DOUBT),
    (Broken(Sent.GONE), FREE, AGAIN),
    *[(Answered(status), EVERY, DONE) for status in (200, 201, 202, 204)],
    (Answered(200, readable=False, named=False), ONCE, ID_UNKNOWN),
    (Answered(200, named=False), ONCE, ID_UNKNOWN),
    (Answered(200, repeated=True), ONCE, ID_UNKNOWN),
    (Answered(200, repeated=True), (IDEMPOTENT,), DONE),
    (Answered(200, readable=False, named=False, withheld=True), ONCE, ID_UNKNOWN),
    (Answered(200, readable=False), (IDEMPOTENT,), DONE),
    (Answered(200, readable=False), (READ,), AGAIN),
    (Answered(200, readable=False, oversized=True), (READ,), REFUSED),
    (Answered(200, readable=False, named=False, oversized=True), ONCE, ID_UNKNOWN),
    *[(Answered(s), EVERY, REFUSED) for s in (400, 404, 405, 406, 409, 410, 413, 414, 415, 418, 422)],
    *[(Answered(status), EVERY, POSTPONED) for status in (408, 425, 429)],
    *[(Answered(status), EVERY, Verdict.KEY_REFUSED) for status in (401, 402)],
    (Answered(403), EVERY, Verdict.FORBIDDEN),
    *[(Answered(status), EVERY, REFUSED) for status in (307, 308)],
    *[(Answered(status), ONCE, DOUBT) for status in (101, 300, 301, 302, 303, 304)],
    *[(Answered(status), FREE, REFUSED) for status in (301, 302, 303)],
    *[(Answered(status), ONCE, DOUBT) for status in (500, 501, 502, 503, 504, 520, 524, 599, 999)],
    *[(Answered(status), FREE, AGAIN) for status in (500, 501, 502, 503, 504, 520, 524, 599, 999)],
    *[(Answered(status, withheld=True), EVERY, AGAIN) for status in (302, 500, 503)],
    (Answered(413, withheld=True), EVERY, REFUSED),
    (Answered(429, withheld=True), EVERY, POSTPONED),
]


@pytest.mark.parametrize(
    ("end", "effect", "expected"),
    [(end, effect, expected) for end, effects, expected in TABLE for effect in effects],
    ids=str,
)
def test_every_end_has_its_class(end: End, effect: Effect, expected: Verdict) -> None:
    """The tables of the research, row by row."""
    assert classify(effect, end) is expected


@pytest.mark.parametrize(
    ("deletes", "repeated", "expected"),
    [(True, True, DONE), (True, False, REFUSED), (False, True, REFUSED)],
)
def test_a_deletion_that_is_repeated_and_finds_nothing_is_done(
    expected: Verdict, *, deletes: bool, repeated: bool
) -> None:
    """404 is success only for a DELETE that was asked for before."""
    assert classify(IDEMPOTENT, Answered(404), deletes=deletes, repeated=repeated) is expected


ENDS = st.one_of(
    st.builds(Broken, st.sampled_from(Sent)),
    st.builds(
        Answered,
        st.sampled_from([200, 204, 302, 307, 400, 401, 403, 404, 408, 413, 429, 500, 503]),
        readable=st.booleans(),
        named=st.booleans(),
        withheld=st.booleans(),
        oversized=st.booleans(),
        repeated=st.booleans(),
    ),
)
EVENTS = st.one_of(
    st.just(Granted()), st.just(Durable()), st.builds(Ended, ENDS, st.floats(0, 1, exclude_max=True))
)


def without_effect(end: End) -> bool:
    """Tell whether an end proves that nothing happened: the research's words, not the machine's."""
    match end:
        case Broken(sent):
            return sent is not Sent.GONE
        case Answered(status=status, withheld=withheld):
            return 400 <= status < 500 or status in (307, 308) or (withheld and not 200 <= status < 300)
        case _:
            assert_never(end)


@given(st.sampled_from(Effect), st.lists(EVENTS, max_size=60))
def test_nothing_is_sent_too_early_and_no_create_twice_without_proof(
    effect: Effect, events: list[Event]
) -> None:
    """Whatever comes: turn, then intent, then bytes; a create goes out again only after proof of no effect."""
    life = Life(effect)
    granted = durable = False
    proven = True
    for event in events:
        possible = {
            Phase.READY: (Granted,),
            Phase.INTENDED: (Durable, Ended),
            Phase.SENT: (Ended,),
            Phase.DOUBT: (),
            Phase.HELD: (),
            Phase.ENDED: (),
        }[life.phase]
        if not isinstance(event, possible):
            with pytest.raises(ValueError, match="cannot happen"):
                advance(life, event)
            continue
        life, command = advance(life, event)
        granted |= isinstance(event, Granted)
        durable |= isinstance(event, Durable)
        if isinstance(event, Ended):
            granted = durable = False
            proven = without_effect(event.end)
        match command:
            case SendNow():
                assert granted
                assert durable or effect is READ
                assert proven or effect in FREE
            case WriteIntent():
                assert effect is not READ
            case RetryAfter(no_effect=no_effect):
                assert proven or effect in FREE
                assert not no_effect or proven
                assert life.phase is Phase.READY
            case Deliver() | Refuse() | StopRun():
                assert life.phase is Phase.ENDED
            case Hold():
                assert life.phase is Phase.DOUBT


@given(st.sampled_from(Effect), st.data())
def test_attempts_are_bounded_while_the_server_is_there(effect: Effect, data: st.DataObject) -> None:
    """A request ends after so many passing failures and postponements; only an unreachable server is waited for."""
    life = Life(effect)
    reached = ENDS.filter(lambda end: end != Broken(Sent.NOT_CONNECTED))
    for _attempt in range(MOST_FAILURES + MOST_POSTPONEMENTS):
        life, command = advance(life, Granted())
        if isinstance(command, WriteIntent):
            life, command = advance(life, Durable())
        end = data.draw(reached) if data.draw(st.integers(0, 20)) == 0 else Broken(Sent.WITHHELD)
        life, command = advance(life, Ended(end))
        if life.phase in (Phase.ENDED, Phase.DOUBT):
            return
    raise AssertionError("it never ended")


@pytest.mark.parametrize(("status", "most"), [(429, MOST_POSTPONEMENTS), (400, 1)])
def test_a_refusal_is_repeated_as_often_as_it_may_be(status: int, most: int) -> None:
    """429 a hundred times at most, 400 never."""
    life, sent = Life(READ), 0
    while life.phase is not Phase.ENDED:
        life, _command = advance(life, Granted())
        life, command = advance(life, Ended(Answered(status)))
        sent += 1
    assert (sent, type(command)) == (most, Refuse)


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        (Answered(500), Deliver),
        (Broken(Sent.GONE), Deliver),
        (Answered(429), Refuse),
        (Broken(Sent.WITHHELD), Refuse),
        (Broken(Sent.NOT_CONNECTED), Refuse),
    ],
    ids=str,
)
def test_a_deletion_that_finds_nothing_is_done_only_if_it_may_have_been_ours(
    first: End, expected: type
) -> None:
    """404 after an attempt that proves to have done nothing is a failure, such as a wrong id."""
    life = Life(IDEMPOTENT, deletes=True)
    for end in (first, Answered(404)):
        life, _command = advance(advance(life, Granted())[0], Durable())
        life, command = advance(life, Ended(end))
    assert type(command) is expected


def test_an_unreachable_server_costs_a_request_none_of_its_failures() -> None:
    """After a long time without a connection a passing failure is repeated as ever."""
    life = Life(CREATE)
    for _attempt in range(50):
        life, _command = advance(advance(life, Granted())[0], Durable())
        life, command = advance(life, Ended(Broken(Sent.NOT_CONNECTED)))
        assert isinstance(command, RetryAfter)
    life, _command = advance(advance(life, Granted())[0], Durable())
    assert isinstance(advance(life, Ended(Broken(Sent.WITHHELD)))[1], RetryAfter)


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_the_wait_doubles_up_to_its_bound(failures: int, chance: float) -> None:
    """Between half and whole of a ceiling that doubles, never more than the longest."""
    ceiling = min(LONGEST_BACKOFF, FIRST_BACKOFF * 2 ** min(failures - 1, 20))
    assert ceiling / 2 <= backoff(failures, chance) <= ceiling


@pytest.mark.parametrize("effect", EVERY)
@pytest.mark.parametrize("intent", [False, True])
def test_a_later_run_begins_where_the_earlier_one_ended(effect: Effect, *, intent: bool) -> None:
    """An intent without an outcome holds a create; everything else goes on counting its attempts."""
    begun = begin(effect, remembered=Remembered(3, intent=intent))
    phase = Phase.DOUBT if intent and effect in ONCE else Phase.READY
    assert begun == Life(effect, phase=phase, attempt=3, perhaps=intent)
    assert begin(effect, deletes=True) == Life(effect, deletes=True)


def test_the_wait_that_a_server_asks_for_is_kept() -> None:
    """A server that fails and says when to come back is asked again then, yet not later than in two minutes."""
    sent = Life(Effect.READ, phase=Phase.SENT, attempt=1)
    waits = [advance(sent, Ended(Answered(503), 0.0, asked))[1] for asked in (0.0, 20.0, 1e9)]

    assert [wait.seconds for wait in waits if isinstance(wait, RetryAfter)] == [0.25, 20.0, 120.0]


PROOF = Evidence("count")
SURE = Life(CREATE, phase=Phase.DOUBT, attempt=2, perhaps=True, sure=True)
UNSURE = Life(CREATE, phase=Phase.DOUBT, attempt=2, perhaps=True)
HELD = Life(CREATE, phase=Phase.HELD, attempt=2, perhaps=True)


@pytest.mark.parametrize(
    ("life", "event", "phase", "command"),
    [
        (UNSURE, Found("agent_1", PROOF), Phase.ENDED, Adopt("agent_1")),
        (UNSURE, Absent(PROOF), Phase.READY, SendAgain(possible_duplicate=False)),
        (UNSURE, Held("why", PROOF), Phase.HELD, Keep("why")),
        (HELD, Found("agent_1", PROOF), Phase.ENDED, Adopt("agent_1")),
        (HELD, Chosen(Choice.ADOPT, "agent_2"), Phase.ENDED, Adopt("agent_2")),
        (HELD, Chosen(Choice.RETRY), Phase.READY, SendAgain(possible_duplicate=True)),
        (HELD, Chosen(Choice.SKIP), Phase.ENDED, Skip()),
        (SURE, Found("agent_1", PROOF), Phase.ENDED, Adopt("agent_1")),
        (SURE, Chosen(Choice.RETRY), Phase.READY, SendAgain(possible_duplicate=True)),
    ],
    ids=str,
)
def test_a_doubt_is_settled_by_what_is_found_or_chosen(
    life: Life, event: Event, phase: Phase, command: Command
) -> None:
    """Found or adopted: over. Absent: again as if never sent. Neither: held until the user decides."""
    after, told = advance(life, event)
    assert (after.phase, told, after.attempt) == (phase, command, 2)


@pytest.mark.parametrize("event", [Absent(PROOF), Chosen(Choice.ADOPT)], ids=str)
def test_what_did_take_effect_is_not_found_to_be_absent(event: Event) -> None:
    """A 2xx that could not be read is an effect for sure; and nothing is adopted without its id."""
    with pytest.raises(ValueError, match="cannot happen"):
        advance(SURE, event)


def test_an_id_that_comes_again_opens_what_had_ended() -> None:
    """It did take effect, and what it made is not known any more; so it is never found to be absent."""
    done = Life(CREATE, phase=Phase.ENDED, attempt=2)
    after, told = advance(done, Repeated())
    assert (after, told) == (SURE, Hold(ID_UNKNOWN))
    with pytest.raises(ValueError, match="cannot happen"):
        advance(SURE, Repeated())


@pytest.mark.parametrize(
    "life", [Life(CREATE), Life(CREATE, phase=Phase.SENT), Life(CREATE, phase=Phase.ENDED)]
)
@pytest.mark.parametrize("event", [Found("a", PROOF), Absent(PROOF), Held("", PROOF), Chosen(Choice.SKIP)])
def test_only_a_doubt_can_be_settled(life: Life, event: Event) -> None:
    """Nothing that is found or chosen touches a request that is not in doubt."""
    with pytest.raises(ValueError, match="cannot happen"):
        advance(life, event)


def test_a_create_that_is_absent_each_time_fails_in_the_end() -> None:
    """A server that answers 500 for ever is not asked for ever; nothing was made, so the operation failed."""
    life, sent = UNSURE, 0
    while True:
        life, command = advance(life, Absent(PROOF))
        if not isinstance(command, SendAgain):
            break
        life, _command = advance(advance(life, Granted())[0], Durable())
        life, _command = advance(life, Ended(Answered(500)))
        sent += 1
    assert (sent, command, life.phase) == (MOST_ABSENCES - 1, Refuse(AGAIN), Phase.ENDED)


def test_a_later_run_remembers_that_it_took_effect() -> None:
    """What could not be read is not sent again by a later run either."""
    begun = begin(CREATE, remembered=Remembered(1, intent=True, sure=True))
    assert (begun.phase, begun.sure) == (Phase.DOUBT, True)
