"""Lines: what they become, and everything that can be wrong with them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import orjson
import pytest

from bulkops.errors import OperationFailed
from bulkops.jobfile import (
    Header,
    LineError,
    LineProblems,
    RawLine,
    Ref,
    parse_line,
    pick,
    problems_text,
)
from bulkops.operations import KINDS
from bulkops.operations.agent_clone import CloneAgent
from bulkops.operations.document_upload import UploadDocument

if TYPE_CHECKING:
    from bulkops.jobfile import (
        Line,
    )

MADE_ID = "~" + "0f" * 16


def line(base: Path | None = None, environ: dict[str, str] | None = None, /, **written: Any) -> Line:
    """Parse a line that is written as keyword arguments."""
    raw = RawLine(12, 345, orjson.dumps(written))
    return parse_line(raw, Header(), environ or {}, base or Path("/nowhere"))


def wrong(base: Path | None = None, /, **written: Any) -> list[str]:
    """Return everything that is wrong with a line."""
    with pytest.raises(LineProblems) as caught:
        line(base, **written)
    return [
        str(problem).removeprefix("job.jsonl, line 12: ") for problem in caught.value.in_file("job.jsonl", 12)
    ]


def no_lookup(ref: Any) -> Any:
    """Stand for results in lines that refer to none."""
    raise AssertionError(ref)


@pytest.mark.parametrize("kind", KINDS.values(), ids=str)
def test_every_kind_parses_its_example(kind: Any, tmp_path: Path) -> None:
    """The example of each kind becomes a line and an operation of that kind."""
    (tmp_path / "handbook.md").write_text("hello")
    parsed = line(tmp_path, **kind.example)
    assert parsed.kind is kind
    assert isinstance(parsed.operation(no_lookup, 1), kind)


def test_a_line_carries_all_it_says() -> None:
    """Reserved keys, fields and place of a line are found in it; what is not given has its default."""
    full = line(
        op="agent.clone", id="c", agent_id="a", copies=3, needs=["x", "y[2]"], tags=["t"], account="eu",
        on_error="halt", meta={"about": "${not read}"},
    )  # fmt: skip
    assert (full.number, full.offset, full.id, full.op, full.count) == (12, 345, "c", "agent.clone", 3)
    assert (full.needs, full.tags, full.account, full.on_error) == (("x", "y[2]"), ("t",), "eu", "halt")
    assert full.meta == {"about": "${not read}"}
    assert full.fields == {"agent_id": "a", "copies": 3}
    assert full.sources() == {("x", None), ("y", 2)}
    assert not full.dynamic
    bare = line(op="agent.list")
    assert (bare.id, bare.count, bare.needs, bare.tags) == (None, 1, (), ())
    assert (bare.account, bare.on_error, bare.meta, bare.sources()) == (None, "block", None, frozenset())


def test_custom_id_is_accepted_for_id() -> None:
    """`custom_id` means `id`; both at once are an error."""
    assert line(op="agent.list", custom_id="x").id == "x"
    assert wrong(op="agent.list", custom_id="x", id="x") == [
        "`custom_id` stands beside `id` and means the same; keep one of them"
    ]


def test_null_means_not_given() -> None:
    """A field or reserved key that is null counts as not given."""
    parsed = line(
        op="agent.clone", id=None, agent_id="a", name=None, copies=None, needs=None, tags=None, meta=None
    )
    assert parsed.fields == {"agent_id": "a"}
    assert parsed.operation(no_lookup, 1) == CloneAgent(agent_id="a")
    assert wrong(op="agent.get", agent_id=None) == ["`agent_id` is missing; agent.get needs it"]


def test_all_problems_of_a_line_come_at_once() -> None:
    """Unknown keys, missing fields and values of no use are all reported, with the nearest known name."""
    assert wrong(
        op="agent.clone", agnt_id="a", copies=0, name="${x}", tags="t", needs="n", on_error="stop"
    ) == [
        (
            "`name` holds ${x}; known are ${ref:ID#path}, ${var:NAME}, ${env:NAME}, ${file:PATH} and ${copy} "
            "(write $${ for a plain ${)"
        ),
        "`agnt_id` is not a field of agent.clone; did you mean `agent_id`?",
        "`copies` has to be a whole number from 1 to 100000",
        '`tags` has to be a list of texts, such as ["handbook"]',
        '`needs` has to be a list of ids and tags, such as ["tenant-1", "@handbook"]',
        "`on_error` has to be one of block, continue, halt",
        "`agent_id` is missing; agent.clone needs it, or `file` with an exported agent",
    ]


def test_lines_without_a_kind_say_what_is_known() -> None:
    """A missing or unknown `op` is reported with the kinds or the nearest one, beside wrong reserved keys."""
    (missing,) = wrong(agent_id="a")
    assert missing.startswith("`op` is missing; each line names what to do, one of agent.clone, agent.create")
    assert wrong(op="agent.clne", id="", account="") == [
        "`op` is 'agent.clne', which is no known kind; did you mean `agent.clone`?",
        (
            "`id` has to be a text of 1 to 200 printable characters without # [ ] { },"
            " no blank at either end, no @ in front"
        ),
        "`account` has to be the name of an account, a text that is not empty",
    ]
    assert wrong(op=["agent.get"]) == ['`op` has to be a text, such as "agent.create"']
    assert wrong(op="zzz")[0].startswith("`op` is 'zzz', which is no known kind; known are agent.clone")


def test_directives_are_refused() -> None:
    """`$job` after the first line and others are refused by their names; within bodies a `$` is a plain letter."""
    assert wrong(**{"$job": {}}) == ["`$job` may stand on the first line only; move it there"]
    assert wrong(**{"$each": {}, "line": {}}) == [
        "`$each` is not available in this version; write the lines out"
    ]
    assert wrong(op="agent.list", **{"$x": 1}) == [
        "`$x` is not available in this version; write the lines out"
    ]
    assert line(op="tool.create", body={"parameters": {"$ref": "#/x", "$schema": "s"}}).dynamic is False


@pytest.mark.parametrize("name", ["a", "x" * 200, "Größe 1/2", "a@b", "a~", MADE_ID, "./..", "日本"])
def test_ids_may_be_words(name: str) -> None:
    """Ids are printable texts of up to 200 characters."""
    assert line(op="agent.list", id=name).id == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "x" * 201,
        " a",
        "a ",
        "a\n",
        "a\tb",
        "\x1b[0m",
        "a#b",
        "a[1]",
        "{a}",
        "@a",
        "~a",
        "~" + "F" * 32,
        5,
        ["a"],
        "\u202ea",
    ],
)
def test_other_ids_are_refused(name: Any) -> None:
    """Ids that could not be referred to, would mislead a reader, or are reserved, are errors."""
    (problem,) = wrong(op="agent.list", id=name)
    assert problem.startswith("`id` ")


@pytest.mark.parametrize(
    "need", ["a#b", "", "a[0]", "a[1][2]", "a[100001]", "[1]", "a[1]x", "@", "@@a", "@a[1]", "@ a"]
)
def test_needs_have_to_be_ids_or_tags(need: str) -> None:
    """A need that is neither is refused with the way to write it."""
    (problem,) = wrong(op="agent.list", needs=[need])
    assert problem.endswith(
        "which is no id and no tag; write ID, ID[N] for the line's Nth operation, or @TAG for all lines with a tag"
    )


def test_needs_may_name_tags() -> None:
    """`@TAG` stands for all lines with the tag; a need that is no text is refused."""
    parsed = line(op="agent.list", needs=["@handbook", "a"])
    assert parsed.sources() == {("@handbook", None), ("a", None)}
    assert wrong(op="agent.list", needs=[1])[0].startswith("`needs` has to be a list of ids and tags")


def test_a_line_does_not_wait_for_its_own_tag() -> None:
    """A line that waits for a tag that it has itself would wait for ever."""
    (problem,) = wrong(op="agent.list", tags=["a"], needs=["@a"])
    assert problem == "`tags` has 'a', and the line waits for all lines with that tag; give it another one"


def test_other_reserved_keys_are_checked() -> None:
    """Tags, account and meta of no use are errors; an account is written out."""
    assert wrong(op="agent.list", tags=["ok", ""])[0].startswith(
        "`tags` holds a tag that is not a text of 1 to 200"
    )
    assert wrong(op="agent.list", account="${env:A}") == [
        "`account` has to be written out: an expression cannot stand here"
    ]
    assert wrong(op="agent.list", meta=[]) == ["`meta` has to be a JSON object"]


def test_a_line_cannot_wait_for_itself() -> None:
    """A need or a reference to the line's own id is an error."""
    found = ["`id` is waited for by its own line; refer to another line"]
    assert wrong(op="agent.list", id="a", needs=["a"]) == found
    assert wrong(op="agent.list", id="a", needs=["a[2]"]) == found
    assert wrong(op="agent.create", custom_id="a", body={"x": "${ref:a#b}"}) == found


def test_references_are_filled_in_when_there_are_results() -> None:
    """What a line refers to is known beforehand; its values come in per operation, with the copy's number."""
    parsed = line(
        None,
        {"WHO": "me"},
        op="agent.clone", id="c", agent_id="${ref:made#agent_id}", name="${env:WHO} ${copy}/${ref:n[2]#x.0}",
        set={"deep": ["${ref:made#tools}"]}, copies=2, needs=["z"],
    )  # fmt: skip
    assert parsed.dynamic
    assert parsed.refs == {
        Ref("made", None, ("agent_id",)),
        Ref("made", None, ("tools",)),
        Ref("n", 2, ("x", "0")),
    }
    assert parsed.sources() == {("made", None), ("n", 2), ("z", None)}
    results = {"made": {"agent_id": "agent_9", "tools": [1]}, "n[2]": {"x": ["${copy}"]}}

    def lookup(ref: Any) -> Any:
        return pick(results[ref.source], ref)

    built = parsed.operation(lookup, 2)
    assert built == CloneAgent(agent_id="agent_9", name="me 2/${copy}", set={"deep": [[1]]}, copies=2)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("../etc", "`agent_id` has to be an id: letters"),
        (5, "`agent_id` has to be an id"),
        (None, "`agent_id` is null after its references were filled in"),
    ],
)
def test_values_that_turn_out_to_be_of_no_use_fail_their_operation(value: Any, message: str) -> None:
    """What a result fills in is checked like what is written, and fails the operation, not the run."""
    parsed = line(op="agent.get", agent_id="${ref:a#id}")
    with pytest.raises(OperationFailed, match=re.escape(message)) as caught:
        parsed.operation(lambda _: value, 1)
    assert caught.value.code == "bad_line"


def test_a_reference_that_leads_nowhere_fails_its_operation() -> None:
    """The failure names the field, the path and what is there instead."""
    parsed = line(op="agent.get", agent_id="${ref:a#agent.foo}")
    with pytest.raises(OperationFailed) as caught:
        parsed.operation(lambda ref: pick({"agent": {"id": 1}}, cast("Ref", ref)), 1)
    assert caught.value.message == (
        "`agent_id` cannot be filled in: `agent.foo` is not in the result of line a; it has: id"
    )


def test_an_optional_field_that_is_filled_with_null_is_left_out() -> None:
    """Null means not given also when it comes from a result."""
    parsed = line(op="agent.clone", agent_id="a", name="${ref:x#name}")
    assert parsed.operation(lambda _: None, 1) == CloneAgent(agent_id="a")


def test_copies_are_known_beforehand() -> None:
    """The number of copies cannot come from a result, and `${copy}` needs a kind that makes copies."""
    assert wrong(op="agent.clone", agent_id="a", copies="${ref:x#n}") == [
        "`copies` has to be known beforehand; only ${env:NAME} and ${var:NAME} may stand in it"
    ]
    assert wrong(op="agent.create", body={"name": "${copy}"}) == [
        "`body` holds ${copy}, which has a meaning in agent.clone, agent.simulate only; take it out"
    ]


def test_variables_alone_make_no_line_dynamic() -> None:
    """A line with nothing but variables and literals is complete once it is parsed."""
    parsed = line(None, {"ID": "agent_1"}, op="agent.get", agent_id="${env:ID}")
    assert not parsed.dynamic
    assert parsed.fields == {"agent_id": "agent_1"}
    assert line(op="agent.create", body={"p": "$${x}"}).fields == {"body": {"p": "${x}"}}
    assert wrong(op="agent.get", agent_id="$${x}")[0].startswith("`agent_id` has to be an id")


def test_defaults_with_expressions_are_read() -> None:
    """Expressions in a header's defaults count also on lines that have none of their own."""
    header = Header(defaults={"agent.clone": {"name": "C${copy}"}}, may_hold_expressions=True)
    parsed = parse_line(RawLine(1, 0, b'{"op":"agent.clone","agent_id":"a"}'), header, {}, Path())
    assert parsed.operation(no_lookup, 3) == CloneAgent(agent_id="a", name="C3")


def test_files_are_found_from_the_jobs_folder(tmp_path: Path) -> None:
    """A relative file starts at the job's folder and becomes absolute; links and variables are followed."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("a")
    (tmp_path / "link.md").symlink_to("docs/a.md")
    parsed = line(tmp_path, op="document.upload", file="docs/a.md")
    assert parsed.operation(no_lookup, 1) == UploadDocument(file=str(tmp_path / "docs" / "a.md"))
    link = str(tmp_path / "link.md")
    assert line(tmp_path, op="document.upload", file="link.md").fields["file"] == link
    assert line(Path("/nowhere"), op="document.upload", file=link).fields["file"] == link
    variable = line(tmp_path, {"D": "docs"}, op="document.upload", file="${env:D}/a.md")
    assert variable.fields == parsed.fields


def test_files_that_cannot_be_sent_are_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Missing files, folders, pipes, unreadable files and impossible names are errors of the line."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "a.md").write_text("a")

    def problem(file: str) -> str:
        (found,) = wrong(tmp_path, op="document.upload", file=file)
        return found.replace(str(tmp_path), "")

    assert (
        problem("b.md")
        == "`file` names '/b.md', which does not exist; a relative path starts at the job file's folder"
    )
    assert "does not exist" in problem("a.md/b")
    assert problem(".").endswith("which is no regular file; name the file itself")
    assert problem("pipe").endswith("which is no regular file; name the file itself")
    assert "cannot be read: File name too long" in problem("x" * 300)
    assert "cannot be read: embedded null byte" in problem("a\0b")
    assert problem("") == "`file` has to be a text that is not empty"
    monkeypatch.setattr("os.access", lambda *_: False)
    assert problem("a.md").endswith("which you are not allowed to read; change its permissions")


def test_an_expression_within_what_is_no_path(tmp_path: Path) -> None:
    """A `file` that is no text is told as what is wrong with the expression in it, and no mistake of ours."""
    assert wrong(tmp_path, op="document.upload", file={"path": "${env:NO_SUCH}"}) == [
        "`file.path` needs the variable NO_SUCH, which is not set; set it in the environment and start again"
    ]


def test_no_answer_decides_which_file_is_read(tmp_path: Path) -> None:
    """A file's name cannot come from a result: a server could ask for any file of this machine."""
    assert wrong(tmp_path, op="document.upload", file="${ref:a#path}") == [
        "`file` has to be known beforehand; only ${env:NAME} and ${var:NAME} may stand in it"
    ]


def test_bad_json_is_a_problem_of_its_line() -> None:
    """A line that is no object of strict JSON is one problem with line and field."""
    with pytest.raises(LineProblems) as caught:
        parse_line(RawLine(12, 0, b'{"op":"a","body":{"x":1,"x":2}}'), Header(), {}, Path())
    (problem,) = caught.value.in_file("job.jsonl", 12)
    assert str(problem) == "job.jsonl, line 12: `body.x` stands twice in the same object; keep one of them"


def test_messages_hold_no_control_characters() -> None:
    """Keys and values of a line cannot send escape sequences to the terminal, or fill it."""
    found = wrong(op="agent.list", **{"\x1b[31mred": 1, "x" * 5000: 1})
    assert all(problem.isprintable() and len(problem) < 400 for problem in found)
    (unknown,) = wrong(op="\x1b]0;title")
    assert unknown.isprintable()


def test_a_hundred_problems_are_shown() -> None:
    """The first hundred problems are shown, and how many more there are."""
    many = LineProblems(LineError("f", str(number)) for number in range(1500)).in_file("j", 1)
    text = problems_text(many)
    assert text.count("\n") == 100
    assert text.endswith("j, line 1: `f` 99\n… and 1,400 more")
    assert problems_text(many[:100]).count("\n") == 99
    assert problems_text([]) == ""


def test_the_room_needs_no_network() -> None:
    """Reading job files imports no HTTP, no TLS and no event loop."""
    code = (
        "import sys, bulkops.jobfile;"
        "print(sorted({'ssl', 'asyncio', 'anyio', 'httpx', 'aiohttp', 'socket'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
