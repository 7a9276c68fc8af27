"""The example jobs under both APIs: what they end as is the same, but for what the APIs themselves force apart."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bulkops.moments import moment
from tests.e2e.e2e_commands import Desk, end_of, table

if TYPE_CHECKING:
    from tests.e2e.e2e_commands import Ended

JOBS = Path(__file__).resolve().parents[2] / "jobs"
NOT_SAYABLE = {"contacts.jsonl": "`dynamic_variables`", "conversations.jsonl": "`overrides`"}
"""Jobs that create conversations with what the live API takes only over the URL: refused before anything is sent."""
APART = {"handbook.jsonl": {"agent": "failed", "attach": "blocked", "check": "blocked"}}
"""Operations that end otherwise with the live API: bodies of agents go as they stand, and this one has bare ids."""
RENAMED = {
    ("ready", "succeeded"),
    ("completed", "done"),
    ("e5_mistral_7b", "e5_mistral_7b_instruct"),
}
"""Words of the service that stand in results as it says them."""


def rehearsed(folder: Path, job: str) -> dict[str, tuple[Ended, Path]]:
    """Rehearse a job with both APIs at once, each in a folder of its own; return how it ended and where its run is."""
    desk, started = Desk(folder), {}
    for api in ("reference", "live"):
        place = shutil.copytree(JOBS, folder / api, ignore=shutil.ignore_patterns("*.run", "__pycache__"))
        started[api] = desk.start("run", job, "--emulate", "--time-scale", 300, "--api", api, cwd=place)
    run = Path(job).with_suffix(".emulated.run")
    return {api: (end_of(process), folder / api / run) for api, process in started.items()}


def is_alike(a: Any, b: Any, key: str = "") -> bool:
    """Tell whether two results say the same, as far as both say something; the live API has defaults of its own."""
    if isinstance(a, dict) and isinstance(b, dict):
        return all(is_alike(a[name], b[name], name) for name in a.keys() & b.keys())
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(is_alike(x, y, key) for x, y in zip(a, b, strict=True))
    if key.endswith("_id") or key == "tool_ids":
        return str(a).partition("_")[0] == str(b).partition("_")[0]
    if key.endswith("_at"):
        return moment(a) is not None and moment(b) is not None
    # By its number: the live API answers with ids of criteria.
    return a == b or (a, b) in RENAMED or (key == "criterion" and b.startswith("criterion_"))


def ending(row: dict[str, Any], forced: dict[str, str]) -> dict[str, Any]:
    """Return of a row what has to be the same with both APIs."""
    apart = row["id"] in forced
    return {
        "operation": [row["id"], row["line"], row.get("copy"), row["op"], row.get("account")],
        "status": forced.get(row["id"], row["status"]),
        "error": None if apart else row["error"] and row["error"]["code"],
        "passed": row.get("passed"),
        "created": [] if apart else [made["kind"] for made in row["created"]],
        "files": [file["path"].partition("/")[0] for file in row["files"]],
        "meta": row["meta"],
    }


@pytest.mark.parametrize("job", sorted(path.name for path in JOBS.glob("*.jsonl")))
def test_an_example_ends_the_same_with_both_apis(job: str, tmp_path: Path) -> None:
    """Exit code, ends, error codes, checks, kinds of what was made and the fields that both answer are the same."""
    (reference, our_run), (live, their_run) = rehearsed(tmp_path, job).values()
    if job in NOT_SAYABLE:
        assert (reference.code, live.code) == (0, 2)
        assert NOT_SAYABLE[job] in live.err
        assert "nothing was sent" in live.err
        return
    forced = APART.get(job, {})
    assert live.code == (3 if forced else reference.code), live.err
    ours, theirs = table(our_run / "results.jsonl"), table(their_run / "results.jsonl")
    assert [ending(row, forced) for row in ours] == [ending(row, forced) for row in theirs]
    for one, other in zip(ours, theirs, strict=True):
        if one["id"] not in forced:
            assert is_alike(one["result"], other["result"]), json.dumps([one["result"], other["result"]])
