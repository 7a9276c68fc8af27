"""`bulkops status JOB`: where it stands, also while it runs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import orjson

from bulkops.cli import orders
from bulkops.model import State
from bulkops.reporting.words import number

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bulkops.cli.parsing import Options
    from bulkops.model import Json


def run(options: Options) -> int:
    """Print where the job stands; 0 also when something failed, since that is told."""
    place = orders.place_of(options)
    with orders.reader_of(place) as reader:
        kinds = reader.counts_by_kind()
        under_way = sum(1 for _ in reader.open_steps())
    status = {
        "job": options.job,
        "run_folder": str(place.folder.path),
        "ended": _totals(kinds),
        "by_kind": _named(kinds),
    }
    last = _last_summary(place.folder.path)
    status["steps_under_way"] = under_way
    status["last_run"] = last
    if options.json:
        sys.stdout.buffer.write(orjson.dumps(status) + b"\n")
    else:
        print("\n".join(_lines(status)))
    return 0


def _totals(kinds: Mapping[str, Mapping[State, int]]) -> dict[str, int]:
    return {
        state.value: sum(counts.get(state, 0) for counts in kinds.values())
        for state in State
        if state is not State.NOT_STARTED
    }


def _named(kinds: Mapping[str, Mapping[State, int]]) -> dict[str, dict[str, int]]:
    return {
        kind: {state.value: count for state, count in counts.items()}
        for kind, counts in sorted(kinds.items())
    }


def _last_summary(folder: Path) -> Json:
    try:
        return orjson.loads((folder / "summary.json").read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return None


def _lines(status: Mapping[str, Json]) -> list[str]:
    told = ", ".join(
        f"{state.replace('_', ' ')} {count:,}" for state, count in status["ended"].items() if count
    )
    lines = [f"{status['job']}: {told or 'nothing has ended yet'}"]
    for kind, counts in status["by_kind"].items():
        lines.append(
            f"  {kind}: "
            + ", ".join(f"{state.replace('_', ' ')} {count:,}" for state, count in counts.items())
        )
    if status["steps_under_way"]:
        steps = status["steps_under_way"]
        belong = "belongs to an operation that has" if steps == 1 else "belong to operations that have"
        lines.append(f"{number(steps, 'request')} {belong} not ended")
    last = status["last_run"]
    if last is None:
        lines.append("no run has come to its end yet (one may be going on)")
    else:
        left = last["operations"]["not_started"]
        lines.append(
            f"the last run ended {last['ended_at']} with exit code {last['exit_code']}, {left:,} not started"
        )
        if last["next"]:
            lines.append(f"continue: {last['next']}")
    return lines
