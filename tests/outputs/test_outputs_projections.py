from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkops.model import Created, Failure, State
from bulkops.outputs.projections import (
    with_id,
    write_failed,
    write_in_doubt,
    write_results,
    write_summary,
)
from tests.outputs.outputs_rows import row

if TYPE_CHECKING:
    from pathlib import Path

    from bulkops.model import Json

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
LINES = st.dictionaries(st.text().filter(lambda key: key not in {"id", "custom_id"}), JSON, max_size=5)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where to write."""
    return tmp_path / "out.jsonl"


def written(path: Path) -> list[Json]:
    """Return what was written."""
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def test_results_are_the_records(path: Path) -> None:
    """`results.jsonl` is the records as they are, one to a line."""
    rows = [row(line=n, id=str(n)) for n in range(3)]
    write_results([one.record for one in rows], path, path.with_name("created.jsonl"))
    assert path.read_bytes() == b"".join(one.record + b"\n" for one in rows)


def test_results_are_the_same_each_time(path: Path) -> None:
    """The same rows make the same bytes."""
    rows = [row(line=n) for n in range(3)]
    write_results((one.record for one in rows), path, path.with_name("created.jsonl"))
    first = path.read_bytes()
    write_results((one.record for one in rows), path, path.with_name("created.jsonl"))
    assert path.read_bytes() == first


def test_failed_lines_are_the_original_bytes(path: Path) -> None:
    """A failed or blocked line stands in `failed.jsonl` byte for byte; no other line does."""
    raw = b'  {"id" : "a",  "op":"agent.create", "n":1.0e2, "t":"\xc3\xa4\\u00e4"} \r'
    rows = [
        row(State.FAILED, line=1, raw=raw + b"\n"),
        row(State.DONE, line=2),
        row(State.IN_DOUBT, line=3, raw=b'{"id":"c"}'),
        row(State.SKIPPED, line=4, raw=b'{"id":"d"}'),
        row(State.BLOCKED, line=5, raw=b'{"id":"e"}'),
    ]
    write_failed(rows, path)
    assert path.read_bytes() == raw + b'\n{"id":"e"}\n'


def test_a_line_fails_once(path: Path) -> None:
    """A line several of whose operations failed is written once, lines of one number each."""
    one, two = b"1" * 16, b"2" * 16
    rows = [
        row(State.FAILED, line=7, index=0, line_key=one, raw=b'{"id":"1"}'),
        row(State.FAILED, line=7, index=0, line_key=two, raw=b'{"id":"2"}'),
        row(State.BLOCKED, line=7, index=1, line_key=one, raw=b'{"id":"1"}'),
        row(State.FAILED, line=8, raw=b'{"id":"3"}'),
    ]
    write_failed(rows, path)
    assert path.read_bytes() == b'{"id":"1"}\n{"id":"2"}\n{"id":"3"}\n'


@given(LINES, st.sampled_from([0, orjson.OPT_INDENT_2]), st.sampled_from([b"", b" ", b"\t"]))
def test_a_line_without_id_gets_one(line: dict[str, Json], option: int, before: bytes) -> None:
    """The inserted id is the first key, and the line otherwise means the same."""
    raw = before + orjson.dumps(line, option=option).replace(b"\n", b" ")
    found = orjson.loads(with_id(raw, b"\x01" * 16))
    assert list(found.items()) == [("id", "~" + "01" * 16), *line.items()]


@given(LINES)
def test_inserting_an_id_keeps_all_other_bytes(line: dict[str, Json]) -> None:
    """Without the inserted id, the bytes are those of the original line."""
    raw = orjson.dumps(line)
    inserted = b'"id": "~' + b"01" * 16 + b'"' + (b", " if line else b"")
    assert with_id(raw, b"\x01" * 16).replace(inserted, b"", 1) == raw


def test_a_line_with_an_id_gets_no_other(path: Path) -> None:
    """A line that has an id, under either of its names, stays as it is."""
    raws = [b'{"op":"x","id":"a"}', b'{"op":"x","custom_id":"a"}']
    assert [with_id(raw, b"k" * 16) for raw in raws] == raws


def test_failed_lines_without_id_are_recognised(path: Path) -> None:
    """`failed.jsonl` gives a line without an id the one made from its identity."""
    write_failed([row(State.FAILED, id=None, line_key=b"\xab" * 16, raw=b'{"op": "x"}')], path)
    assert path.read_bytes() == b'{"id": "~' + b"ab" * 16 + b'", "op": "x"}\n'


def test_created_has_a_row_for_each_entity(path: Path) -> None:
    """Everything that was made is listed with kind, id, and the operation that made it, failed ones too."""
    rows = [
        row(line=1, id="a", index=1, count=2, created=(Created("agent", "ag_1"),)),
        row(line=2, id="b", result={"created": [], "kind": "none"}),
        row(
            State.FAILED, line=3, id="c", kind="document.upload", created=(Created("document", "d1"),),
        ),
    ]  # fmt: skip
    write_results([one.record for one in rows], path.with_name("results.jsonl"), path)
    found = [
        (made["kind"], made["id"], made["custom_id"], made["line"], made["op"]) for made in written(path)
    ]
    assert found == [
        ("agent", "ag_1", "a[2]", 1, "agent.create"),
        ("document", "d1", "c", 3, "document.upload"),
    ]


def test_in_doubt_says_what_to_look_for(path: Path) -> None:
    """An operation in doubt is told with its reason, since when, and what to look for in the account."""
    held = row(
        State.IN_DOUBT,
        kind="document.upload",
        raw=b'{"op":"document.upload","name":"FAQ","file":"faq.md"}',
        failure=Failure("in_doubt", "the answer was lost"),
    )
    write_in_doubt([held, row(State.FAILED)], path, "bulkops resolve job.jsonl {}".format)
    [told] = written(path)
    assert (told["id"], told["line"], told["op"]) == ("one", 1, "document.upload")
    assert told["reason"] == "the answer was lost"
    assert told["settle"] == "bulkops resolve job.jsonl one --adopt ID | --retry | --skip"
    assert (
        told["look_for"]
        == f'a document named "FAQ" that was made between 2026-09-21T14:13:20.250Z and {told["since"]}'
    )


@pytest.mark.parametrize(
    "body",
    [{"name": "get_weather"}, {"tool_config": {"type": "webhook", "name": "get_weather"}}],
    ids=["reference", "live"],
)
def test_in_doubt_finds_the_name_of_a_tool(path: Path, body: object) -> None:
    """What to look for is told by its name in the words of either API."""
    raw = orjson.dumps({"op": "tool.create", "body": body})
    write_in_doubt([row(State.IN_DOUBT, kind="tool.create", raw=raw)], path, str)
    assert written(path)[0]["look_for"].startswith('a tool named "get_weather" that was made between')


@pytest.mark.parametrize(
    "raw",
    [
        None,
        b'{"name":"${ref:a#name}"}',
        b'{"body":{"name":1}}',
        b'{"body":[]}',
        b'{"body":{"tool_config":{"name":1}}}',
    ],
)
def test_in_doubt_makes_up_no_name(path: Path, raw: bytes | None) -> None:
    """Where the line does not say the name, what to look for has none."""
    write_in_doubt([row(State.IN_DOUBT, raw=raw)], path, str)
    assert written(path)[0]["look_for"].startswith("an agent that was made between")


def test_the_summary_is_json_for_people(path: Path) -> None:
    """`summary.json` is laid out in lines."""
    write_summary({"total": 1}, path)
    assert path.read_bytes() == b'{\n  "total": 1\n}\n'


@pytest.mark.parametrize("module", ["projections", "tables", "records", "names"])
def test_projections_bring_no_event_loop(module: str) -> None:
    """Reading and writing results imports neither an event loop nor HTTP."""
    script = (
        f"import sys, bulkops.outputs.{module}\n"
        "print(sorted({'asyncio', 'anyio', 'httpx', 'ssl', 'tqdm'} & set(sys.modules)))"
    )
    assert subprocess.check_output([sys.executable, "-c", script], text=True).strip() == "[]"


def test_what_was_found_takes_the_place_as_well(path: Path) -> None:
    """A copy that `if_exists` found has its row in id_map.jsonl; what was neither made nor found has none."""
    source = {"source": {"agent_id": "old", "account": "us"}}
    found = {"agent_id": "there", "existed": True, **source}
    rows = [
        row(kind="agent.clone", result=found, account="eu"),
        row(
            line=2,
            kind="document.upload",
            result={"document_id": "d", "existed": True},
            meta={"source_id": "o"},
        ),
        row(State.FAILED, line=3, kind="agent.clone", result=None, meta={"source_id": "x"}),
        row(line=4, kind="agent.get", result={"agent_id": "there", "existed": True}),
    ]
    write_results([each.record for each in rows], path, path.with_name("created.jsonl"), own="own")
    assert written(path.with_name("id_map.jsonl")) == [
        {"old": "old", "new": "there", "kind": "agent", "account": "eu"},
        {"old": "o", "new": "d", "kind": "document", "account": "own"},
    ]
    assert written(path.with_name("created.jsonl")) == []
