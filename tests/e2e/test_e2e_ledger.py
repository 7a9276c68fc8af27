"""Documents that were uploaded before are not uploaded again."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from tests.e2e.e2e_accounts import EU, US, two_accounts, world
from tests.e2e.e2e_commands import KEY, table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.e2e_commands import Desk

SKIP = {"$job": {"defaults": {"document.upload": {"if_exists": "skip", "index": {"model": "e5_mistral_7b"}}}}}


def uploads(desk: Desk, *names: str, **more: Any) -> list[dict[str, Any]]:
    """Return lines that upload files of these names."""
    return [SKIP, *[{"op": "document.upload", "id": name, "file": name, **more} for name in names]]


def write(desk: Desk, **files: str) -> None:
    """Write files, by their names without the end."""
    for name, text in files.items():
        (desk.folder / f"{name}.md").write_text(text)


def made(desk: Desk) -> Counter[str]:
    """Return how often a document of each name was made."""
    assert desk.server is not None
    return Counter(effect.name for effect in desk.server.effects if effect.kind == "document.upload")


def results(desk: Desk, job: Path) -> dict[str, Any]:
    """Return the results by id."""
    lines = (desk.folder / f"{job.stem}.run" / "results.jsonl").read_bytes().splitlines()
    return {row["id"]: row["result"] for row in map(orjson.loads, lines)}


def test_unchanged_files_cost_nothing(desk: Desk) -> None:
    """With --ledger a file whose content and name were uploaded by an earlier run is not, nor indexed: no request."""
    write(desk, a="one", b="two")
    first = desk.job(uploads(desk, "a.md", "b.md"), "first.jsonl")
    assert desk.bulkops("run", first, *desk.target).code == 0
    write(desk, b="changed")
    second = desk.job(uploads(desk, "a.md", "b.md"), "second.jsonl")
    ended = desk.bulkops("run", second, *desk.target, "--ledger", "first.run")
    assert ended.code == 0, ended.err
    assert made(desk) == {"a.md": 1, "b.md": 2}
    before, after = results(desk, first), results(desk, second)
    known = ("document_id", "name", "sha256", "status", "embedding_model")
    assert after["a.md"] == {**{key: before["a.md"][key] for key in known}, "existed": True}
    assert after["b.md"]["document_id"] != before["b.md"]["document_id"]
    third = desk.job(uploads(desk, "a.md"), "third.jsonl")
    ended = desk.bulkops("run", third, *desk.target, "--ledger", "second.run/results.jsonl", "--json")
    assert not any(ended.rows[0]["requests"].values()), ended.rows[0]["requests"]


def test_lines_with_one_content_make_one(desk: Desk) -> None:
    """Of lines with the same content and name one uploads it; another name is another document."""
    write(desk, a="same", b="same")
    lines = [
        {"op": "document.upload", "id": f"n{n}", "file": "ab"[n % 2] + ".md", "name": "Same"}
        for n in range(8)
    ]
    job = desk.job([SKIP, *lines, {"op": "document.upload", "id": "other", "file": "a.md", "name": "Other"}])
    assert desk.bulkops("run", job, *desk.target).code == 0
    assert made(desk) == {"Same": 1, "Other": 1}
    assert sum("existed" in result for result in results(desk, job).values()) == 7


def test_without_if_exists_everything_is_uploaded(desk: Desk) -> None:
    """The ledger counts for lines that say so."""
    write(desk, a="one")
    first = desk.job(uploads(desk, "a.md"), "first.jsonl")
    desk.bulkops("run", first, *desk.target)
    second = desk.job(uploads(desk, "a.md", if_exists=None), "second.jsonl")
    assert desk.bulkops("run", second, *desk.target, "--ledger", "first.run").code == 0
    assert made(desk) == {"a.md": 2}


@pytest.mark.parametrize("named", ["nothing", "."])
def test_a_ledger_that_is_not_there_is_told(desk: Desk, named: str) -> None:
    """Nothing is sent."""
    write(desk, a="one")
    ended = desk.bulkops("run", desk.job(uploads(desk, "a.md")), *desk.target, "--ledger", named)
    assert ended.code == 2
    assert f"--ledger: {named} is no run folder and no results.jsonl" in ended.err
    assert not made(desk)


def test_a_document_of_another_account_is_none(desk: Desk) -> None:
    """A document is known to the account that it was uploaded to: in the same run, later on, and from a ledger."""
    two_accounts(desk)
    write(desk, a="one")
    here, there = ({"op": "document.upload", "file": "a.md", "account": name} for name in ("us", "eu"))
    lines = [SKIP, {**here, "id": "us"}, {**there, "id": "eu", "needs": ["us"]}]
    job = desk.job(lines)
    assert desk.bulkops("run", job, *desk.target).code == 0
    lines += [
        {**here, "id": "us again"},
        {**there, "id": "eu again"},
        {"op": "document.upload", "id": "own", "file": "a.md"},
    ]
    assert desk.bulkops("run", desk.job(lines), *desk.target).code == 0
    ended = results(desk, job)
    assert [name for name in ended if "existed" in ended[name]] == ["us again", "eu again"]
    later = desk.job([SKIP, {**here, "id": "us"}, {**there, "id": "eu"}], "later.jsonl")
    assert desk.bulkops("run", later, *desk.target, "--ledger", "job.run").code == 0
    for name, key in (("us", US), ("eu", EU)):
        [document] = world(desk, key).documents
        assert {ended[name]["document_id"], results(desk, later)[name]["document_id"]} == {document}


def test_a_ledger_belongs_to_its_accounts(desk: Desk) -> None:
    """A run with another key is refused as a ledger; which account a document is of does not hang on its name."""
    two_accounts(desk)
    write(desk, a="one")
    upload: dict[str, Any] = {"op": "document.upload", "id": "a", "file": "a.md"}
    lines = [SKIP, upload]
    first = desk.job(lines, "first.jsonl")
    assert desk.bulkops("run", first, *desk.target, "--account", "us").code == 0
    second, sent = desk.job(lines, "second.jsonl"), desk.sent
    words = ("run", second, *desk.target, "--ledger", "first.run")
    refused = desk.bulkops(*words, "--account", "eu")
    assert (refused.code, desk.sent) == (2, sent)
    assert "--ledger: first.run is a run with another key or server (us)" in refused.err
    # The line names the account that the earlier run was all for.
    desk.job([SKIP, {**upload, "account": "us"}, {**upload, "id": "eu", "account": "eu"}], "second.jsonl")
    ended = desk.bulkops(*words, "--account", "eu")
    assert ended.code == 0, ended.err
    assert {name: "existed" in told for name, told in results(desk, second).items()} == {
        "a": True,
        "eu": False,
    }
    assert [len(world(desk, key).documents) for key in (US, EU)] == [1, 1]
    third = desk.job(lines, "third.jsonl")
    allowed = ("run", third, *desk.target, "--ledger", "first.run", "--account", "eu", "--another-key")
    assert desk.bulkops(*allowed).code == 0
    assert "existed" not in results(desk, third)["a"]


def test_what_an_undo_has_deleted_is_uploaded_again(desk_at: Callable[..., Desk]) -> None:
    """By the earlier run that was undone, or a later one that took its documents; what the undo left is not."""
    desk = desk_at(api="live")
    write(desk, a="one " * 500, b="two " * 500)
    lines = uploads(desk, "a.md", "b.md")
    words = (*desk.target, "--api", "live")
    first = desk.job(lines, "first.jsonl")
    assert desk.bulkops("run", first, *words).code == 0
    before = results(desk, first)
    assert desk.bulkops("run", desk.job(lines, "second.jsonl"), *words, "--ledger", "first.run").code == 0
    undo = desk.bulkops("undo", "first.jsonl", "--out", "undo.jsonl")
    assert undo.code == 0, undo.err
    taken_back = table(desk.folder / "undo.jsonl")
    kept = before["b.md"]["document_id"]
    desk.job([line for line in taken_back if line.get("document_id") != kept], "undo.jsonl")
    assert len(taken_back) == 3
    assert desk.bulkops("run", "undo.jsonl", *words, "--yes").code == 0
    third = desk.job(lines, "third.jsonl")
    ended = desk.bulkops("run", third, *words, "--ledger", "first.run", "--ledger", "second.run")
    assert ended.code == 0, ended.err
    after = results(desk, third)
    assert (after["b.md"]["document_id"], after["b.md"]["existed"]) == (kept, True)
    assert "existed" not in after["a.md"]
    assert desk.server is not None
    assert set(desk.server.world(KEY).documents) == {after[name]["document_id"] for name in ("a.md", "b.md")}
    # The run that was undone does not take it either, where lines are added to it.
    again = {"op": "document.upload", "id": "again", "file": "a.md"}
    assert desk.bulkops("run", desk.job([*lines, again], "first.jsonl"), *words).code == 0
    assert "existed" not in results(desk, first)["again"]
