"""One key's world in given time: indexes, calls, ids and the log of effects."""

from __future__ import annotations

import re
from datetime import datetime
from random import Random
from statistics import median
from typing import TYPE_CHECKING, Any

from bulkops.emulator import World

if TYPE_CHECKING:
    from bulkops.emulator import Effect

EPOCH = 1_762_171_200.0  # 2025-11-03T12:00:00Z


def make_world(**given: Any) -> World:
    """Make a world that begins at noon, always the same."""
    return World(label="w", rng=Random(7), epoch=EPOCH, **given)


def test_moments_are_written_as_the_reference_writes_them() -> None:
    """Moments are RFC 3339 in UTC, with Z, to the second."""
    assert make_world().stamp(0.9) == "2025-11-03T12:00:00Z"


def test_ids_are_unguessable_and_repeat_with_the_seed() -> None:
    """Ids are twenty base62 characters, all different, and the same again for the same seed."""
    worlds = make_world(), make_world()
    ids = [[world.create_agent("a", b"{}", now=0.0).agent_id for _ in range(50)] for world in worlds]
    assert ids[0] == ids[1]
    assert len({*ids[0]}) == 50
    assert all(re.fullmatch(r"agent_[A-Za-z0-9]{20}", each) for each in ids[0])


def test_an_index_computes_and_then_is_ready() -> None:
    """An index is computing until its time has passed, scaled, and ready from then on."""
    world = make_world(index_time=20.0, time_scale=10.0)
    document = world.add_document("d", 1, "", now=100.0)
    index = world.compute_index(document.document_id, "m", now=100.0)
    assert [index.status(now) for now in (100.0, 101.9, 102.0)] == ["computing", "computing", "ready"]


def test_another_model_begins_anew() -> None:
    """An index for another model takes the place of the first; for the same model it stays."""
    world = make_world(index_time=20.0)
    document = world.add_document("d", 1, "", now=0.0)
    first, same, other = (
        world.compute_index(document.document_id, m, now=t) for m, t in (("a", 0), ("a", 30), ("b", 30))
    )
    assert same is first
    assert (other.model, other.status(30.0)) == ("b", "computing")


def test_index_times_have_a_median_of_twenty_seconds() -> None:
    """Without a fixed index time they are drawn around twenty seconds, some much longer."""
    world = make_world()
    documents = [world.add_document("d", 1, "", now=0.0) for _ in range(2000)]
    times = [world.compute_index(each.document_id, "m", now=0.0).settles for each in documents]
    assert 18 < median(times) < 22
    assert max(times) > 60


def test_a_call_goes_on_in_time() -> None:
    """A call is initiated, in progress with part of its transcript, completed with all of it."""
    call = make_world().start_conversation("agent", now=0.0)
    half = (call.answered + call.ends) / 2
    assert [call.status(now) for now in (0.0, half, call.ends)] == ["initiated", "in_progress", "completed"]
    parts = [len(call.transcript(now)) for now in (0.0, half, call.ends)]
    assert parts[0] == 0 < parts[1] < parts[2]
    assert [call.seconds(now) for now in (0.0, call.ends + 99)] == [0, round(call.ends)]


def test_seeded_calls_are_the_same_every_time() -> None:
    """Keys start with the asked number of calls, numbered, of the last two weeks, nearly all completed."""
    worlds = make_world(), make_world()
    for world in worlds:
        world.seed(200, 0.0)
    calls = list(worlds[0].conversations.values())
    assert worlds[0].conversations == worlds[1].conversations
    assert [call.conversation_id for call in (calls[0], calls[-2])] == ["conv_seed_0001", "conv_seed_0199"]
    assert sum(call.status(0.0) == "completed" for call in calls) == 192
    assert all(call.status(60.0) == "completed" for call in calls)
    assert all(call.transcript(60.0).count("\n") >= 4 for call in calls)
    days = {datetime.fromisoformat(worlds[0].stamp(call.started)).date() for call in calls}
    assert len(days) >= 14


def test_seeding_is_no_effect() -> None:
    """What was there from the start is not in the log."""
    world = make_world()
    world.seed(5, 0.0)
    assert world.effects == []


def test_every_lasting_change_is_logged_once() -> None:
    """Each change stands in the log with its kind, entity, name, time and request, and is told at once."""
    heard: list[Effect] = []
    world = make_world(on_effect=heard.append)
    agent = world.create_agent("a", b"{}", now=1.0, request=1).agent_id
    world.update_agent(agent, "b", b"{}", now=2.0, request=2)
    world.start_conversation(agent, now=3.0, request=3)
    document = world.add_document("d", 1, "", now=4.0, request=4).document_id
    for request in (5, 6):
        world.compute_index(document, "m", now=5.0, request=request)
    world.create_tool("t", now=7.0, request=7)
    world.simulate("s", now=8.0, request=8)
    world.delete_agent(agent, now=9.0, request=9)
    told = [(effect.kind, effect.name, effect.at - EPOCH, effect.request) for effect in world.effects]
    assert told == [
        ("agent.create", "a", 1.0, 1),
        ("agent.update", "b", 2.0, 2),
        ("conversation.create", agent, 3.0, 3),
        ("document.upload", "d", 4.0, 4),
        ("document.index", "d", 5.0, 5),
        ("tool.create", "t", 7.0, 7),
        ("agent.simulate", "s", 8.0, 8),
        ("agent.delete", "b", 9.0, 9),
    ]
    assert heard == world.effects
