"""What has to hold at the end of a history, by the server's own log of effects."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from bulkops.model import State
from tests.simulation.process import Process
from tests.simulation.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.history import History

FEWEST_TRIES = 2
"""So often at least a create is sent before it fails without having been refused."""


def play(
    history: History, process: type[Process] = Process, prepare: Callable[[World], None] | None = None
) -> World:
    """Let a history happen, and return what is left of the world."""
    world = World(history, process)
    if prepare is not None:
        prepare(world)
    world.run()
    return world


def violations(world: World) -> list[str]:
    """Return what is wrong with how a history ended; nothing, if it is well."""
    return [*_in_all(world), *_of_each(world), *_told(world)]


def _in_all(world: World) -> list[str]:
    """Return what does not add up: every operation has ended in one way, on the disk as in the process."""
    found = []
    orders, states = world.history.orders, world.process.states
    reader = world.disk.image.reader()
    for i in range(len(orders)):
        row = reader.row_of(world.process.key(i))
        if row is None or row.state is not states.get(i):
            found.append(f"operation {i} is lost: {states.get(i)}, on the disk {row and row.state}")
    ids = Counter(entity for entity in _entities(world).values())
    found += [f"{entity} is the result of {n} operations" for entity, n in ids.items() if n > 1]
    return found


def _of_each(world: World) -> list[str]:
    """Compare what the operations say with what was made; which of several identical requests made it is no matter."""
    found = []
    entities, states = _entities(world), world.process.states
    bodies = {thing.id: world.what(thing.order, thing.body["variant"]) for thing in world.server.made}
    made = Counter(bodies.values())
    excused = {world.history.orders[i].name for i in world.undated | world.edited}
    for i, entity in entities.items():
        if bodies.get(entity) not in world.asked[i]:
            ours = sorted(name for name, what in bodies.items() if what in world.asked[i])
            found.append(f"operation {i} has the wrong id {entity}; it may have made {ours}")
    for what, count in made.items():
        done = sum(bodies.get(entity) == what for entity in entities.values())
        held = sum(what in world.asked[i] for i, state in states.items() if state is State.IN_DOUBT)
        if count > done + held:
            found.append(f"{count} of {what} were made: {done} operations are done, {held} are held")
    for i, state in states.items():
        order = world.history.orders[i]
        if state is State.IN_DOUBT and order.listed and order.name not in excused:
            found.append(f"operation {i} is held, although the listing could tell")
        if state is State.FAILED and i not in world.refused and world.tries[i] < FEWEST_TRIES:
            found.append(f"operation {i} failed, although nobody refused it")
    return found


def _told(world: World) -> list[str]:
    """Return what was told to be done and is not."""
    entities = _entities(world)
    return [
        f"operation {i} was told to be done with {entity}, and is not"
        for i, entity in world.reported.items()
        if entities.get(i) != entity and (i, entity) not in world.taken_back
    ]


def _entities(world: World) -> dict[int, str]:
    reader = world.disk.image.reader()
    found = {}
    for i in range(len(world.history.orders)):
        row = reader.row_of(world.process.key(i))
        if row is not None and row.state is State.DONE:
            found[i] = row.record.decode()
    return found
