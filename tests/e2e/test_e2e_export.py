"""Conversations are exported from cron: each once, nothing missing, and the data set proves it."""

from __future__ import annotations

import csv
import hashlib
import random
import shutil
import signal
import time
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from pyarrow import parquet

from bulkops.checkpoint.locking import run_lock
from bulkops.webhook.spool import line_of
from tests.crash.crash_sizes import size
from tests.e2e.e2e_commands import end_of, table
from tests.exporting.exporting_spool import deliver, event

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.e2e_commands import Desk, Ended

SEEDED = [f"conv_seed_{number:04d}" for number in range(1, 31)]
UNFINISHED = "conv_seed_0025"
"""The emulator's seeded call that is still going on."""


def export(desk: Desk, *words: object, **more: Any) -> Ended:
    """Export into `ex`."""
    return desk.bulkops(
        "export", "conversations", "--out", "ex", *desk.target, "--wait", "0s", *words, **more
    )


def ids(desk: Desk, *named: str) -> Path:
    """Write a file of ids."""
    path = desk.folder / "ids.txt"
    path.write_text("".join(f"{one}\n" for one in named))
    return path


def rows(desk: Desk, out: str = "ex") -> list[dict[str, Any]]:
    """Return the rows of a data set of JSON lines, in order of their parts."""
    parts = sorted((desk.folder / out / "conversations").glob("day=*/part-*.jsonl"))
    return [row for part in parts for row in table(part)]


def versions(desk: Desk) -> list[tuple[str, int]]:
    """Return which versions the data set has."""
    return sorted((row["conversation_id"], row["version"]) for row in rows(desk))


def summary(desk: Desk) -> dict[str, Any]:
    """Return what the last export says of itself."""
    found: dict[str, Any] = orjson.loads((desk.folder / "ex" / "summary.json").read_bytes())
    return found


def whole(desk: Desk) -> bool:
    """Tell whether the data set is what its manifests say."""
    ended = desk.bulkops("export", "verify", "ex")
    assert ended.code == 0, ended.err
    return True


@pytest.fixture
def seeded(desk_at: Callable[..., Desk]) -> Desk:
    """Set up a desk whose account has thirty conversations, one of them unfinished."""
    return desk_at(conversations=30)


def test_ids_of_a_file_are_exported_once(seeded: Desk) -> None:
    """Each has a row, a file and an entry; the unfinished is pending; a second time only that one is asked for."""
    named = ids(seeded, *SEEDED)
    first = export(seeded, "--ids-from", named, "--text")
    assert first.code == 0, first.err
    assert "exported 29 conversations (31 requests); pending 1, missing 0" in first.last
    told = rows(seeded)
    assert sorted(row["conversation_id"] for row in told) == sorted({*SEEDED} - {UNFINISHED})
    row = told[0]
    file = seeded.folder / "ex" / row["file"]
    conversation = orjson.loads(file.read_bytes())
    assert conversation["transcript"] == row["transcript"]
    assert conversation == orjson.loads(
        orjson.dumps(conversation | {"conversation_id": row["conversation_id"]})
    )
    assert file.with_suffix(".txt").read_text() == row["transcript"]
    assert f"day={row['created_at'][:10]}" in row["file"]
    [pending] = table(seeded.folder / "ex" / "pending.jsonl")
    assert (pending["conversation_id"], pending["reason"]) == (UNFINISHED, "not over: 'in_progress'")
    before = seeded.sent
    second = export(seeded, "--ids-from", named, "--lookback", "0s")
    assert "exported 0 conversations" in second.last
    assert second.code == 0
    assert seeded.sent - before == 2  # the answer, and a last look
    assert whole(seeded)


def test_what_a_webhook_brought_whole_needs_no_request(seeded: Desk) -> None:
    """Delivered conversations come from the spool, without a key even; only what it misses is asked for."""
    spool = seeded.folder / "spool"
    deliver(spool, *(event(one) for one in SEEDED[:20]), torn=b'{"received_at": "2025')
    offline = seeded.bulkops(
        "export", "conversations", "--out", "ex", "--ids-from", "spool", env={"ELEVENLABS_API_KEY": ""}
    )
    assert offline.code == 0, offline.err
    assert "exported 20 conversations (0 requests); pending 0, missing 0" in offline.last
    assert seeded.sent == 0
    row = rows(seeded)[0]
    assert (row["source"], row["status"], row["created_at"], row["ended_at"]) == (
        "webhook", "completed", "2025-11-03T12:00:00.000Z", "2025-11-03T12:02:00.000Z",
    )  # fmt: skip
    assert row["analysis"]["sentiment"] == "positive"
    ended = export(seeded, "--ids-from", "spool", "--ids-from", ids(seeded, *SEEDED[:24]), "--lookback", "0s")
    assert "exported 4 conversations (4 requests)" in ended.last
    assert whole(seeded)


def test_a_new_analysis_is_a_new_version(seeded: Desk) -> None:
    """A repeated delivery is nothing new; one with another analysis is version 2, with a file of its own."""
    spool = seeded.folder / "spool"
    deliver(spool, event("conv_1"), event("conv_1"), event("conv_2"))
    assert export(seeded, "--ids-from", "spool").code == 0
    anew = event("conv_1", "2025-11-05T00:00:00Z", analysis={"sentiment": "negative"})
    deliver(spool, event("conv_1"), anew, name="b.jsonl")
    ended = export(seeded, "--ids-from", "spool")
    assert "exported 0 conversations and 1 new version (0 requests)" in ended.last
    assert versions(seeded) == [("conv_1", 1), ("conv_1", 2), ("conv_2", 1)]
    one, two = (row for row in rows(seeded) if row["conversation_id"] == "conv_1")
    assert two["analysis"] == {"sentiment": "negative"}
    assert [two[name] for name in ("created_at", "ended_at")] == [one["created_at"], one["ended_at"]]
    assert (seeded.folder / "ex/transcripts/day=2025-11-03/conv_1.v2.json").exists()
    assert whole(seeded)


def test_an_answer_of_the_api_without_an_analysis_is_no_new_version(seeded: Desk) -> None:
    """What the webhook brought and the API tells as well, but for the analysis, stays one version."""
    answer = seeded_answer(seeded, SEEDED[0])
    deliver(
        seeded.folder / "spool",
        event(SEEDED[0], answer["ended_at"], answer["duration_seconds"], transcript=answer["transcript"]),
    )
    assert export(seeded, "--ids-from", "spool").code == 0
    again = export(seeded, "--ids-from", ids(seeded, SEEDED[0]), "--lookback", "60d")
    assert "exported 0 conversations (1 request)" in again.last
    assert versions(seeded) == [(SEEDED[0], 1)]


def seeded_answer(desk: Desk, conversation: str) -> dict[str, Any]:
    """Return what the API tells of a conversation, by a job of its own."""
    job = desk.job([{"op": "conversation.export", "conversation_id": conversation}], "one.jsonl")
    assert desk.run(job).code == 0
    found: dict[str, Any] = orjson.loads(
        (desk.folder / "one.run" / "transcripts" / f"{conversation}.json").read_bytes()
    )
    return found


def test_what_the_api_does_not_have_is_missing_until_it_is_given_up(seeded: Desk) -> None:
    """Exit 3 and a list, each time it is asked for; given up, it is asked for no more."""
    named = ids(seeded, SEEDED[0], "conv_gone")
    for _ in range(2):
        ended = export(seeded, "--ids-from", named, "--lookback", "0s")
        assert ended.code == 3
        assert ended.last == "missing: see ex/missing.jsonl"
        [missing] = table(seeded.folder / "ex" / "missing.jsonl")
        assert missing["conversation_id"] == "conv_gone"
        assert "HTTP 404" in missing["reason"]
    ended = export(seeded, "--ids-from", named, "--lookback", "0s", "--accept-missing")
    assert ended.code == 0
    before = seeded.sent
    assert export(seeded, "--ids-from", named, "--lookback", "0s").code == 0
    assert seeded.sent == before


def test_the_watermark_moves_last_and_not_past_what_is_not_over(desk_at: Callable[..., Desk]) -> None:
    """It stands at the begin of the oldest that is pending, moves on once that is exported, and never moves back."""
    desk = desk_at(conversations=30, time_scale=20)
    named = ids(desk, *SEEDED)
    words = ("--ids-from", named, "--since", "watermark:nightly", "--time-scale", 20)
    assert export(desk, *words).code == 0
    [pending] = table(desk.folder / "ex" / "pending.jsonl")
    assert summary(desk)["watermark"] == {"name": "nightly", "at": pending["created_at"]}
    ended = export(desk, *words, "--wait", "5m", "--lookback", "0s")
    assert "pending 0" in ended.err
    after = summary(desk)["watermark"]["at"]
    assert after > pending["created_at"]
    late = export(desk, "--until", "2026-01-01", "--since", "watermark:nightly", "--time-scale", 20)
    assert late.code == 0
    assert summary(desk)["watermark"] is None


def test_a_late_delivery_is_exported_however_far_the_watermark_is(seeded: Desk) -> None:
    """A conversation of last year that is delivered today comes into the data set of its day."""
    spool = seeded.folder / "spool"
    words = ("--ids-from", "spool", "--since", "watermark:nightly")
    deliver(spool, event("conv_1"))
    assert export(seeded, *words).code == 0
    deliver(spool, event("conv_2", "2024-01-05T00:01:00Z"), name="b.jsonl")
    assert "exported 1 conversation (0 requests)" in export(seeded, *words).err
    assert (seeded.folder / "ex/conversations/day=2024-01-04/part-00001.jsonl").exists()


def test_a_window_is_half_open_and_what_is_outside_waits(seeded: Desk) -> None:
    """Of three days only the middle one is exported; the others come when they are asked for."""
    deliver(
        seeded.folder / "spool",
        *(event(f"conv_{day}", f"2025-11-0{day}T00:00:00Z", 1) for day in (3, 4, 5)),
        event("conv_begin", "2025-11-03T00:00:10Z", 10),
        event("conv_end", "2025-11-04T00:00:10Z", 10),
    )
    words = ("--ids-from", "spool", "--since", "2025-11-03", "--until", "2025-11-04")
    assert "exported 2 conversations" in export(seeded, *words).last
    assert [name for name, _ in versions(seeded)] == ["conv_4", "conv_begin"]
    assert "exported 3 conversations" in export(seeded).last


@pytest.mark.parametrize("format", ["csv", "parquet"])
def test_every_format_holds_the_same(seeded: Desk, format: str) -> None:
    """CSV and Parquet have the rows that JSON lines have; a data set keeps its format."""
    named = ids(seeded, *SEEDED[:5])
    assert export(seeded, "--ids-from", named).code == 0
    other = seeded.bulkops(
        "export", "conversations", "--out", "other", "--format", format, *seeded.target, "--ids-from", named
    )
    assert other.code == 0, other.err
    parts = sorted((seeded.folder / "other" / "conversations").glob(f"day=*/part-*.{format}"))
    found: list[Any] = []
    for part in parts:
        if format == "parquet":
            found += parquet.read_table(part).to_pylist()
        else:
            with part.open(encoding="utf-8", newline="") as file:
                found += csv.DictReader(file)
    compared = ("conversation_id", "transcript", "sha256", "source")
    assert [{name: row[name] for name in compared} for row in found] == [
        {name: row[name] for name in compared} for row in rows(seeded)
    ]
    refused = export(seeded, "--format", format)
    assert refused.code == 2
    assert "ex holds jsonl; give --format jsonl, or another folder with --out" in refused.err
    assert desk_verifies(seeded, "other")


def desk_verifies(desk: Desk, out: str) -> bool:
    """Tell whether a data set is whole."""
    return desk.bulkops("export", "verify", out).code == 0


def test_verify_names_what_was_changed_removed_or_added(seeded: Desk) -> None:
    """A changed row, a changed file, one that is gone and one that nobody knows: each is told, with exit 3."""
    assert export(seeded, "--ids-from", ids(seeded, *SEEDED[:6])).code == 0
    folder = seeded.folder / "ex"
    files = sorted(folder.glob("transcripts/day=*/*.json"))
    parts = sorted(folder.glob("conversations/day=*/part-*"))
    files[0].write_bytes(files[0].read_bytes().replace(b"Agent", b"Angel", 1))
    files[1].unlink()
    parts[-1].write_bytes(parts[-1].read_bytes() + b"{}\n")
    (parts[-1].parent / "part-9.jsonl").touch()
    ended = seeded.bulkops("export", "verify", "ex", "--json")
    assert ended.code == 3
    said = "\n".join(ended.rows[0]["problems"])
    for name, words in (
        (files[0], "was changed"), (files[1], "is missing"), (parts[-1], "was changed"),
        (parts[-1].parent / "part-9.jsonl", "no manifest knows it"),
    ):  # fmt: skip
        assert f"{name.relative_to(seeded.folder)} {words}" in said.replace(":", "")
    assert ended.last.endswith("DAMAGED")


def test_nothing_of_a_transcript_is_stored_that_is_not_to_be(seeded: Desk) -> None:
    """With --drop-text and --redact neither rows, files nor anything else in the folder holds the words."""
    deliver(
        seeded.folder / "spool", event("conv_1", transcript="the secret word", analysis={"who": "Jane Doe"})
    )
    words = ("--ids-from", "spool", "--drop-text", "--text", "--redact", "analysis.who")
    named = ids(seeded, SEEDED[0])
    assert export(seeded, *words, "--ids-from", named).code == 0
    kept = b"".join(path.read_bytes() for path in (seeded.folder / "ex").rglob("*") if path.is_file())
    assert b"secret word" not in kept
    assert b"Jane" not in kept
    assert b"refund" not in kept
    assert b"[redacted]" in kept
    assert all("transcript" not in row for row in rows(seeded))
    assert {path.stat().st_mode & 0o777 for path in (seeded.folder / "ex").rglob("*") if path.is_file()} == {
        0o600
    }


def test_a_run_is_a_source(seeded: Desk) -> None:
    """What a job has exported is taken from its run folder; conversations that it made are asked for."""
    job = seeded.job(
        [{"op": "conversation.export", "id": one, "conversation_id": one} for one in SEEDED[:3]]
        + [{"op": "conversation.create", "id": "new", "body": {"agent_id": "agent_seed_0001"}}]
    )
    assert seeded.run(job).code == 0
    before = seeded.sent
    ended = export(seeded, "--ids-from", "job.run")
    assert ended.code == 0, ended.err
    assert "exported 3 conversations (2 requests); pending 1, missing 0" in ended.last
    assert seeded.sent - before == 2
    assert {row["source"] for row in rows(seeded)} == {"run"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--ids-from", "no.txt"), "there is no no.txt; name a file of ids, a spool or a run folder"),
        (
            ("--ids-from", "listing"),
            "--ids-from listing: the API 'reference' has no listing of conversations",
        ),
        (
            ("--ids-from", "bad.txt"),
            "bad.txt, line 2: 'conv/../1' is no id of a conversation; write one on each",
        ),
        (("--ids-from", "."), ". is neither the run folder of a job nor a spool"),
        (("--since", "soon"), "--since: 'soon' is no moment"),
        (("--wait", "long"), "--wait: 'long' is no duration"),
        (("--redact", "a..b"), "--redact: 'a..b' is no dotted path"),
    ],
)
def test_wrong_words_are_refused_before_anything_is_sent(
    seeded: Desk, words: tuple[str, ...], said: str
) -> None:
    """Exit 2 and the remedy; nothing is sent, and nothing is remembered of the file."""
    (seeded.folder / "bad.txt").write_text("conv_1\nconv/../1\n")
    ended = export(seeded, *words)
    assert ended.code == 2
    assert said in ended.err
    assert seeded.sent == 0
    assert export(seeded).code == 0
    assert seeded.sent == 0


def test_a_damaged_line_of_a_spool_is_told_and_passed_over(seeded: Desk) -> None:
    """A line that is no event, and an event that names no conversation, are told; the others are exported."""
    path = deliver(seeded.folder / "spool", event("conv_1"))
    with path.open("ab") as file:
        file.write(b'{"received_at": 5}\n')
    deliver(seeded.folder / "spool", event("../etc/passwd"), event("conv_2"))
    ended = export(seeded, "--ids-from", "spool")
    assert ended.code == 3
    assert summary(seeded)["damaged"] == 2
    assert "holds no event" in ended.err
    assert "names no conversation; it is left out" in ended.err
    assert [name for name, _ in versions(seeded)] == ["conv_1", "conv_2"]


def test_a_spool_that_was_cleared_away_is_asked_of_the_api(seeded: Desk) -> None:
    """Delivered, not exported, and its file removed: the API is asked for it."""
    path = deliver(seeded.folder / "spool", event(SEEDED[0], "2030-01-01T00:00:00Z"))
    assert export(seeded, "--ids-from", "spool", "--until", "2029-01-01").code == 0
    path.unlink()
    assert "exported 1 conversation (1 request)" in export(seeded).last
    assert versions(seeded) == [(SEEDED[0], 1)]


def test_a_lost_catalogue_is_made_again_from_the_manifests(seeded: Desk) -> None:
    """Without it nothing is exported twice: what manifests tell is known."""
    named = ids(seeded, *SEEDED[:6])
    deliver(seeded.folder / "spool", *(event(one) for one in SEEDED[:3]))
    sources = ("--ids-from", named, "--ids-from", "spool")
    assert export(seeded, *sources).code == 0
    days = summary(seeded)["days"]
    for path in (seeded.folder / "ex" / ".bulkops").glob("catalogue.db*"):
        path.unlink()
    before = seeded.sent
    ended = export(seeded, "--lookback", "0s")
    assert "exported 0 conversations (0 requests)" in ended.last
    assert seeded.sent == before
    assert summary(seeded)["days"] == days


def test_a_manifest_tells_who_named_each_conversation(seeded: Desk) -> None:
    """Beside where its content came from stands who has named it: a delivery, a file or a run."""
    named = ids(seeded, *SEEDED[2:6])
    deliver(seeded.folder / "spool", *(event(one) for one in SEEDED[:3]))
    assert export(seeded, "--ids-from", named, "--ids-from", "spool").code == 0
    manifests = (seeded.folder / "ex" / "conversations").glob("day=*/_manifest.jsonl")
    entries = {row["conversation_id"]: row for path in manifests for row in table(path) if "part" in row}
    seen = {entity: (row["source"], row["seen"]) for entity, row in entries.items()}
    assert seen == {
        **dict.fromkeys(SEEDED[:2], ("webhook", ["webhook"])),
        SEEDED[2]: ("webhook", ["webhook", "named"]),
        **dict.fromkeys(SEEDED[3:6], ("api", ["named"])),
    }


def test_a_folder_is_of_one_account(seeded: Desk) -> None:
    """With another key nothing is asked, and what is there stays; that it is meant has to be said once."""
    assert export(seeded, "--ids-from", ids(seeded, *SEEDED[:2])).code == 0
    more = ("--ids-from", ids(seeded, *SEEDED[:4]))
    before = seeded.sent
    other = export(seeded, *more, env={"ELEVENLABS_API_KEY": "sk_another"})
    assert other.code == 2
    assert "another key" in other.err
    assert "--another-key" in other.err
    assert seeded.sent == before
    assert export(seeded, *more, "--another-key", env={"ELEVENLABS_API_KEY": "sk_another"}).code == 0
    assert len(versions(seeded)) == 4
    third = ("--ids-from", ids(seeded, *SEEDED[:5]))
    assert export(seeded, *third, env={"ELEVENLABS_API_KEY": "sk_another"}).code == 0
    assert export(seeded, "--ids-from", ids(seeded, *SEEDED[:6])).code == 2


def test_verify_tells_of_an_export_at_work(seeded: Desk) -> None:
    """What an export is just writing is no damage: verify says that one is at it."""
    assert export(seeded, "--ids-from", ids(seeded, SEEDED[0])).code == 0
    assert "at work" not in seeded.bulkops("export", "verify", "ex").err
    with run_lock(seeded.folder / "ex" / ".bulkops", seeded.folder / "ids.txt"):
        ended = seeded.bulkops("export", "verify", "ex")
    assert "an export is at work there" in ended.err
    assert ended.code == 0


def test_limits_hold_for_a_whole_export_and_the_next_goes_on(seeded: Desk) -> None:
    """After so many requests it ends with 7, with what it has in the data set; then only the rest is asked for."""
    named = ids(seeded, *SEEDED[:24])
    first = export(seeded, "--ids-from", named, "--max-requests", 10)
    assert first.code == 7, first.err
    assert summary(seeded)["exported"] == 10
    before = seeded.sent
    assert export(seeded, "--ids-from", named, "--lookback", "0s").code == 0
    assert seeded.sent - before == 14
    assert len(versions(seeded)) == 24
    assert whole(seeded)


@pytest.mark.parametrize("seed", range(size(1, 30)))
def test_kills_lose_nothing_and_double_nothing(desk_at: Callable[..., Desk], seed: int) -> None:
    """Killed again and again, an export from spool and API ends with the data set of an undisturbed one."""
    rng = random.Random(seed)
    desk = desk_at(conversations=400)
    everything = [f"conv_seed_{number:04d}" for number in range(1, 401) if number % 25]
    named = ids(desk, *everything)
    delivered = [f"conv_{number}" for number in range(2000)]
    deliver(
        desk.folder / "spool",
        *(event(one, f"2025-11-{1 + n % 28:02}T12:00:00Z") for n, one in enumerate(delivered)),
    )
    words = ("--ids-from", "spool", "--ids-from", named, "--lookback", "0s", "-q")
    for _ in range(4):
        process = desk.start("export", "conversations", "--out", "ex", *desk.target, *words)
        with process:
            time.sleep(rng.uniform(0.3, 1.6))
            process.send_signal(signal.SIGKILL)
            end_of(process)
    ended = export(desk, *words)
    assert ended.code == 0, ended.err
    assert versions(desk) == sorted((one, 1) for one in [*everything, *delivered])
    assert whole(desk)
    # What was answered shortly before a kill is asked for again.
    assert desk.sent < 2 * len(everything)


def test_a_damaged_catalogue_is_told_with_the_remedy(seeded: Desk) -> None:
    """Exit 74, what to remove, and that it is made again."""
    assert export(seeded, "--ids-from", ids(seeded, *SEEDED[:2])).code == 0
    path = seeded.folder / "ex" / ".bulkops" / "catalogue.db"
    path.write_bytes(b"no database" * 100)
    ended = export(seeded)
    assert ended.code == 74
    assert "catalogue.db cannot be used" in ended.err
    assert "remove it to have it made again from the manifests" in ended.err
    path.unlink()
    assert export(seeded, "--ids-from", ids(seeded, *SEEDED[:2]), "--lookback", "0s").code == 0
    assert len(versions(seeded)) == 2


HOSTILE: list[dict[str, Any]] = [
    {"created_at": "0000-00-00T00:00:00Z"},
    {"created_at": 1762171200000},
    {"created_at": "2026-13-01T00:00:00Z"},
    {"duration_seconds": -1e12},
    {"duration_seconds": 1e308},
    {"status": 5, "agent_id": ["x"], "day": {"a": 1}, "File": 2},
]


@pytest.mark.parametrize("format", ["jsonl", "parquet"])
def test_no_answer_stops_an_export(seeded: Desk, format: str) -> None:
    """Moments that are none, numbers without end, odd types and JSON that nests too deep: the others are exported."""
    body = event("conv_deep", analysis=None)
    odd = [event(f"conv_{n}", **more) for n, more in enumerate(HOSTILE)]
    late = {**event("conv_late"), "event_timestamp": "9" * 30}
    path = deliver(seeded.folder / "spool", *odd, late, event("conv_good"))
    raw = orjson.dumps(body).replace(b'"analysis":null', b'"analysis":' + b"[" * 300 + b"]" * 300)
    with path.open("ab") as file:
        file.write(line_of(time.time(), hashlib.sha256(raw).hexdigest(), raw))
    ended = export(seeded, "--ids-from", "spool", "--format", format)
    assert ended.code == 3, ended.err
    [missing] = table(seeded.folder / "ex" / "missing.jsonl")
    assert missing["conversation_id"] == "conv_deep"
    assert "HTTP 404" in missing["reason"]  # what cannot be written is asked of the API
    assert f"exported {len(HOSTILE) + 2} conversations" in ended.err
    assert whole(seeded)


def test_old_versions_are_known_however_often_they_come(seeded: Desk) -> None:
    """The spool moved elsewhere, the catalogue removed: a conversation that was analysed twice has two versions."""
    anew = event("conv_1", analysis={"sentiment": "negative"})
    deliver(seeded.folder / "spool", event("conv_1"), anew, event("conv_1"))
    assert export(seeded, "--ids-from", "spool").code == 0
    assert versions(seeded) == [("conv_1", 1), ("conv_1", 2)]
    (seeded.folder / "spool").rename(seeded.folder / "moved")
    assert export(seeded, "--ids-from", "moved").code == 0
    for path in (seeded.folder / "ex" / ".bulkops").glob("catalogue.db*"):
        path.unlink()
    assert export(seeded, "--ids-from", "moved").code == 0
    assert versions(seeded) == [("conv_1", 1), ("conv_1", 2)]
    assert whole(seeded)


def test_an_older_catalogue_that_is_put_back_loses_no_rows(seeded: Desk) -> None:
    """What manifests tell beyond it is taken up before another part is written."""
    deliver(seeded.folder / "spool", event("conv_1"))
    assert export(seeded, "--ids-from", "spool").code == 0
    state = seeded.folder / "ex" / ".bulkops"
    shutil.copytree(state, seeded.folder / "saved")
    deliver(seeded.folder / "spool", event("conv_2"), name="b.jsonl")
    assert export(seeded, "--ids-from", "spool").code == 0
    shutil.rmtree(state)
    (seeded.folder / "saved").rename(state)
    deliver(seeded.folder / "spool", event("conv_3"), name="c.jsonl")
    assert export(seeded, "--ids-from", "spool").code == 0
    assert [name for name, _ in versions(seeded)] == ["conv_1", "conv_2", "conv_3"]
    assert whole(seeded)


def test_only_what_the_api_does_not_have_is_given_up(desk_at: Callable[..., Desk]) -> None:
    """A conversation that could not be had for an error of the service is asked for again after --accept-missing."""
    faults = [{"endpoint": "conversation.get", "times": [1, 8], "fault": "error_before", "status": 500}]
    desk = desk_at(faults, conversations=3)
    ended = export(desk, "--ids-from", ids(desk, "conv_seed_0001"), "--accept-missing")
    assert ended.code == 3
    assert summary(desk)["missing"] == 1
    until_exported = export(desk)
    for _ in range(5):
        if until_exported.code == 0:
            break
        until_exported = export(desk)
    assert versions(desk) == [("conv_seed_0001", 1)]


def test_what_a_run_failed_to_export_is_known(seeded: Desk) -> None:
    """A line that failed names its conversation: the export asks for it, and tells it as missing."""
    job = seeded.job([{"op": "conversation.export", "id": "x", "conversation_id": "conv_gone"}])
    assert seeded.run(job).code == 3
    ended = export(seeded, "--ids-from", "job.run")
    assert ended.code == 3
    [missing] = table(seeded.folder / "ex" / "missing.jsonl")
    assert missing["conversation_id"] == "conv_gone"


def test_a_spool_that_was_replaced_is_read_from_its_begin(seeded: Desk) -> None:
    """A shorter file under the same name is told, and read as a whole."""
    path = deliver(seeded.folder / "spool", event("conv_1"), event("conv_2"))
    assert export(seeded, "--ids-from", "spool").code == 0
    path.unlink()
    deliver(seeded.folder / "spool", event("conv_3"))
    ended = export(seeded, "--ids-from", "spool")
    assert "is shorter than it was" in ended.err
    assert [name for name, _ in versions(seeded)] == ["conv_1", "conv_2", "conv_3"]


def test_verify_sees_a_day_and_a_text_that_are_gone(seeded: Desk) -> None:
    """A whole day that was removed is told by the catalogue, a text by its entry."""
    deliver(seeded.folder / "spool", event("conv_1"), event("conv_2", "2025-11-05T12:00:00Z"))
    assert export(seeded, "--ids-from", "spool", "--text").code == 0
    folder = seeded.folder / "ex"
    shutil.rmtree(folder / "conversations" / "day=2025-11-05")
    shutil.rmtree(folder / "transcripts" / "day=2025-11-05")
    (folder / "transcripts" / "day=2025-11-03" / "conv_1.txt").write_text("changed")
    ended = seeded.bulkops("export", "verify", "ex")
    assert ended.code == 3
    assert "conversations/day=2025-11-05 is missing, with 1 parts" in ended.err
    assert "conv_1.txt was changed" in ended.err
