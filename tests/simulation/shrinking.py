"""The smallest history that still goes wrong, told in words."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tests.simulation.history import history_of
from tests.simulation.oracle import play, violations
from tests.simulation.process import Process
from tests.simulation.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.simulation.history import History

LISTS = ("crashes", "foreign", "before", "lost_pages", "fates", "orders")
PLAIN: dict[str, Any] = {
    "workers": 1, "lag": 0.0, "clock": 0.0, "newest_first": False, "stamps": False, "ages": True, "page": 50
}  # fmt: skip


def smallest(history: History, wrong: Callable[[History], bool]) -> History:
    """Return a history from which nothing can be taken away without it going well."""
    while (smaller := next(filter(wrong, _smaller(history)), None)) is not None:
        history = smaller
    return history


def _smaller(history: History) -> Iterator[History]:
    for name in LISTS:
        parts = getattr(history, name)
        for place in range(len(parts)):
            if name != "orders" or len(parts) > 1:
                yield _mended(replace(history, **{name: parts[:place] + parts[place + 1 :]}))
    for name, plain in PLAIN.items():
        if getattr(history, name) != plain:
            yield replace(history, **{name: plain})


def _mended(history: History) -> History:
    """Return a history that edits no line that is not there."""
    last = len(history.orders)
    crashes = tuple(
        crash if crash.edited is None or crash.edited < last else replace(crash, edited=None)
        for crash in history.crashes
    )
    return replace(history, crashes=crashes)


def explain(
    seed: int, process: type[Process] = Process, prepare: Callable[[World], None] | None = None
) -> str:
    """Return the smallest history of a seed that goes wrong, what happens in it, and what is wrong in the end."""

    def ended(history: History, trace: list[str] | None = None) -> list[str]:
        world = World(history, process)
        world.trace = trace
        if prepare is not None:
            prepare(world)
        try:
            world.run()
            return violations(world)
        except (AssertionError, ValueError, KeyError) as error:
            return [f"{type(error).__name__}: {error}"]

    history = history_of(seed)
    if not violations(play(history, process, prepare)):
        return f"seed {seed}: nothing is wrong"
    history = smallest(history, lambda smaller: bool(ended(smaller)))
    trace: list[str] = []
    wrong = ended(history, trace)
    return "\n".join([str(history), *trace, *wrong])
