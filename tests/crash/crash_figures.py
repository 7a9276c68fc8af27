"""The figures that the harnesses wrote down, as a table: `python -m tests.crash.crash_figures [FILE]`.

With a file, the table takes the place of what stands in it between two marks.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from tests.crash.crash_sizes import FIGURES

BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"
WRONG = frozenset(
    {"duplicates", "lost", "wrong_ids", "false_no_effect", "lost_or_half", "wrong_after", "violations"}
)
"""What a harness counts that must be zero."""
ABOUT = frozenset({"name", "soak", "run"})


def lines() -> list[dict[str, Any]]:
    """Return all that was written down."""
    try:
        return [json.loads(line) for line in FIGURES.read_text("utf-8").splitlines()]
    except FileNotFoundError:
        return []


def best(noted: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the last of the largest runs of each harness, in the order of their names.

    What several processes of one run counted is added up.
    """
    kept: dict[str, dict[str, Any]] = {}
    for line in noted:
        before = kept.get(line["name"])
        if before is not None and line.get("run") and line["run"] == before.get("run"):
            total = Counter(figures_of(before)) + Counter(figures_of(line))
            kept[line["name"]] = {**before, **{key: total[key] for key in [*figures_of(before), *total]}}
        elif before is None or line["soak"] >= before["soak"]:
            kept[line["name"]] = line
    return [kept[name] for name in sorted(kept)]


def figures_of(line: dict[str, Any]) -> dict[str, int]:
    """Return what a line counts."""
    return {key: value for key, value in line.items() if key not in ABOUT}


def table(noted: list[dict[str, Any]]) -> str:
    """Return the table in Markdown."""
    rows = ["| Test | Size | Done | Wrong |", "| --- | --- | --- | --- |"]
    for line in best(noted):
        figures = figures_of(line)
        done = [_told(key, value) for key, value in figures.items() if key not in WRONG]
        wrong = [_told(key, value) for key, value in figures.items() if key in WRONG]
        rows.append(f"| {line['name']} | {_size(line['soak'])} | {', '.join(done)} | {', '.join(wrong)} |")
    return "\n".join(rows)


def put_into(text: str, new: str) -> str:
    """Return a text with a table between its marks."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{new}\n{END}{after}"


def _told(key: str, value: float) -> str:
    return f"{value:,} {key.replace('_', ' ')}"


def _size(share: float) -> str:
    if not share:
        return "`make test`"
    return "`make soak`" if share >= 1 else f"{share:.0%} of `make soak`"


def main() -> None:
    """Print the table, or put it into a file."""
    if not (noted := lines()):
        sys.exit(f"there is nothing in {FIGURES}: run make test or make soak first")
    new = table(noted)
    if len(sys.argv) == 1:
        print(new)  # noqa: T201 - what it is for
        return
    path = Path(sys.argv[1])
    path.write_text(put_into(path.read_text("utf-8"), new), "utf-8")


if __name__ == "__main__":
    main()
