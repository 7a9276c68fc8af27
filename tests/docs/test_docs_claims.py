"""What the texts list is what the program has."""

from __future__ import annotations

import inspect
import json
import re
import shlex
import tomllib
from functools import cache
from typing import TYPE_CHECKING

import pytest

from bulkops import KINDS, __version__, errors
from bulkops.accounts import Wanted, find_account
from bulkops.api import PROFILES
from bulkops.cli.emulator_options import ALGORITHMS
from bulkops.cli.options import VERBS
from bulkops.emulator import Algorithm
from bulkops.emulator.faults import ENDPOINTS, LIVE_ENDPOINTS, OF_EVENTS, FaultKind
from bulkops.exporting.rows import COLUMNS, OTHER
from bulkops.operation import fields_of
from bulkops.reporting.report import WORST_FIRST
from tests.docs.docs_texts import ROOT, TEXTS, accounts, blocks, matches, prose, read, run_bulkops, tables

if TYPE_CHECKING:
    from pathlib import Path

README = read("README.md")
OWN_TEXTS = {"emulate": "docs/emulator.md", "export": "docs/exports.md", "listen": "docs/webhooks.md"}
MOST_PLACEHOLDERS = {
    "operation_vs_sdk",
    "in_flight",
    "without_http",
    "memory",
    "plan_lines",
    "resume",
    "recover",
    "upload_200mb",
    "startup",
    "checkpoint",
    "listening",
    "exporting",
}


@cache
def _help(verb: str) -> str:
    done = run_bulkops(f"bulkops {verb} --help", ROOT)
    assert done.returncode == 0
    return done.stdout


def _flags(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", text))


def _options(verb: str) -> set[str]:
    """Return the options that a verb's help declares, by all their flags."""
    heads = re.findall(r"^  (-[^\n]*?)(?:  |$)", _help(verb), re.MULTILINE)
    return set().union(*map(_flags, heads)) if heads else set()


def test_docs_kinds_table() -> None:
    """The table of kinds has every kind, what it does and its fields, in the words of the code."""
    expected = [
        [
            f"`{name}`",
            inspect.cleandoc(kind.__doc__ or "").splitlines()[0],
            ", ".join(f"`{f.name}`" if f.required else f"[`{f.name}`]" for f in fields_of(kind).values()),
        ]
        for name, kind in KINDS.items()
    ]
    assert tables(README, "Kind") == expected


def test_docs_commands_table() -> None:
    """The table of commands has every command and no other."""
    rows = [row for row in tables(README, "Command") if row[0].startswith("`bulkops ")]
    assert [row[0].split()[1].strip("`") for row in rows] == list(VERBS)


def test_docs_options_table() -> None:
    """The table of options has every option of every command without a text of its own, and says who takes it."""
    told: dict[str, set[str]] = {verb: set() for verb in VERBS if verb not in OWN_TEXTS}
    for option, verbs, _ in tables(README, "Option"):
        for verb in verbs.split():
            told[verb] |= _flags(option)
    assert told == {verb: _options(verb) for verb in told}


@pytest.mark.parametrize("verb", OWN_TEXTS)
def test_docs_options_table_of_a_text(verb: str) -> None:
    """The options of a command that has a text of its own are all in that."""
    told = set().union(*(_flags(row[0]) for row in tables(read(OWN_TEXTS[verb]), "Option")))
    assert told == _options(verb)


def test_docs_columns_table() -> None:
    """The columns of exports are in their text, in order and with their types."""
    told = [(row[0].strip("`"), row[1]) for row in tables(read("docs/exports.md"), "Column")]
    assert told == [*map(tuple, COLUMNS), (OTHER, "json")]


def test_docs_algorithms_table() -> None:
    """The emulator's text and its option have every algorithm of a limit."""
    told = [row[0].strip("`") for row in tables(read("docs/emulator.md"), "Algorithm")]
    assert told == [*ALGORITHMS] == [*Algorithm]


def test_docs_flags_exist() -> None:
    """No text names an option that no command has."""
    known = {"--help", "--version"}.union(*map(_options, VERBS))
    for name in TEXTS:
        text = re.sub(
            r"^(?:python3|~/bulkops|mv|rm) .*$|`benchmarks/run\.py [^`]*`", "", read(name), flags=re.MULTILINE
        )
        told = {flag for flag in _flags(text.replace("--max-x", "")) if flag.startswith("--")}
        assert told <= known, name


def test_docs_exit_codes_table() -> None:
    """The exit codes are those of the code, and of its own help."""

    def below(kind: type[BaseException]) -> set[int]:
        own = {code} if isinstance(code := getattr(kind, "exit_code", None), int) else set()
        return own.union(*map(below, kind.__subclasses__()))

    told = [int(row[0]) for row in tables(README, "Code")]
    assert set(told) == below(errors.BulkopsError) | set(WORST_FIRST)
    assert told == sorted(told)
    order = "74, 4, 5, 130 and 143, 7, 6, 3, 8, 0"
    assert order in README
    assert tuple(int(code) for code in re.findall(r"\d+", order)) == WORST_FIRST


def test_docs_dependencies_table() -> None:
    """Every dependency is in the table, under what it is for."""
    project = tomllib.loads(read("pyproject.toml"))
    named = {
        "running": project["project"]["dependencies"],
        **{
            f"`bulkops[{extra}]`": packages
            for extra, packages in project["project"]["optional-dependencies"].items()
        },
        "development": project["dependency-groups"]["dev"],
        "building": project["build-system"]["requires"],
    }
    expected = {
        (f"`{re.split(r'[<>=]', package)[0]}`", use)
        for use, packages in named.items()
        for package in packages
    }
    assert {(row[0], row[1]) for row in tables(README, "Package")} == expected


def test_docs_faults_tables() -> None:
    """The emulator's text has every fault, every key of a rule and every endpoint."""
    text = read("docs/emulator.md")
    of_requests = [kind for kind in FaultKind if kind not in OF_EVENTS]
    assert [row[0] for row in tables(text, "Fault")] == [f"`{kind}`" for kind in of_requests]
    assert [row[0] for row in tables(text, "Fault of an event")] == [f"`{kind}`" for kind in OF_EVENTS]
    before = list(FaultKind)[: list(FaultKind).index(FaultKind.SILENT) + 1]
    assert [row[2] for row in tables(text, "Fault")] == ["no" if k in before else "yes" for k in of_requests]
    for endpoints in (ENDPOINTS, LIVE_ENDPOINTS):
        assert ", ".join(f"`{endpoint}`" for endpoint in endpoints) in " ".join(text.split())


@pytest.mark.parametrize("name", TEXTS)
def test_docs_links(name: str) -> None:
    """What a text links to is there."""
    for target in re.findall(r"\]\(([^)#]+)\)", prose(read(name))):
        assert target.startswith("https://") or (ROOT / name).parent.joinpath(target).exists(), target


@pytest.mark.parametrize("name", [*TEXTS, *(f"jobs/{path.name}" for path in (ROOT / "jobs").glob("*.jsonl"))])
def test_docs_no_machine_paths(name: str) -> None:
    """A text speaks of no machine but the reader's, and lines stay readable."""
    text = read(name)
    assert not re.search(r"/(?:work|tmp|root|home|Users)/", text)
    assert "\t" not in text
    assert text.endswith("\n")


@pytest.mark.parametrize("name", ["README.md", "docs/emulator.md", "docs/webhooks.md"])
def test_docs_job_blocks(name: str, tmp_path: object) -> None:
    """Every JSON block parses, and every job file block is a job."""
    from pathlib import Path

    folder = Path(str(tmp_path))
    for block in blocks(read(name)):
        if block.kind == "json":
            json.loads(block.text)
        if block.file is not None:
            path = folder / Path(block.file).name
            path.write_text(block.text, "utf-8")
            # A failed.jsonl is a part of its job; the session tests run it there.
            if block.kind == "jsonl" and path.name != "failed.jsonl":
                done = run_bulkops(f"bulkops plan {path.name}", folder, accounts(folder))
                assert done.returncode == 0, done.stdout
        else:
            assert block.kind != "jsonl", "a job file block names its file"


def test_docs_example_jobs_plan(tmp_path: Path) -> None:
    """Every example is a valid job as it lies there."""
    for path in sorted((ROOT / "jobs").glob("*.jsonl")):
        done = run_bulkops(f"bulkops plan {path.name} --run-dir nowhere.run", path.parent, accounts(tmp_path))
        assert done.returncode == 0, done.stdout


def test_docs_shell_blocks() -> None:
    """Every command of a shell block can be read by a shell, and every command that is ours has its options."""
    for name in TEXTS:
        for block in blocks(read(name)):
            if block.kind in {"sh", "console"}:
                for line in re.findall(
                    r"^\$ (.*)$" if block.kind == "console" else r"^(.*)$", block.text, re.MULTILINE
                ):
                    shlex.split(line, comments=True)


def test_docs_accounts_file() -> None:
    """The accounts file of the README is taken as it stands."""
    from tempfile import TemporaryDirectory

    (block,) = [block for block in blocks(README) if block.mark == "accounts"]
    with TemporaryDirectory() as folder:
        (path := ROOT.joinpath(folder, "bulkops")).mkdir()
        (path / "accounts.toml").write_text(block.text, "utf-8")
        environ = {"XDG_CONFIG_HOME": folder}
        api = PROFILES["reference"]
        pro = find_account(api, Wanted(), environ, with_key=False)
        own = find_account(api, Wanted(account="eu"), environ, with_key=False)
    assert (pro.tier.limit, own.tier.limit, own.tier.period) == (500, 2000, 60.0)


def test_docs_changelog_version() -> None:
    """The changelog begins with the version at hand."""
    first = re.search(r"^## \[(.+?)\]", read("CHANGELOG.md"), re.MULTILINE)
    assert first is not None
    assert first[1] == __version__


def test_docs_figures() -> None:
    """The table of figures has the rows that were promised, and no placeholder that nobody knows."""
    assert len(tables(README, "Figure")) == len(MOST_PLACEHOLDERS)
    assert set(re.findall(r"\{\{FIGURE (\w+)\}\}", README)) <= MOST_PLACEHOLDERS


def test_docs_matching() -> None:
    """The comparison that these tests rest on tells right from wrong."""
    assert matches("a\n…\nz … s", "a\nb\nc\nz 3 s\n")
    assert matches("a\n…\nz", "a\nz\n")
    assert not matches("a\nz", "a\nb\nz\n")
    assert not matches("done 3 of 3 in … s", "done 2 of 3 in 1 s\n")
    assert not matches("a … c", "a b\nc\n")
