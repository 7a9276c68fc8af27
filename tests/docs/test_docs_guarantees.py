"""The page on guarantees names tests that are there, and has room for the figures."""

from __future__ import annotations

import ast
import re

from tests.crash.crash_figures import BEGIN, END, best, put_into, table
from tests.docs.docs_texts import ROOT, read

PAGE = "docs/guarantees.md"


def test_every_row_of_the_checklist_is_held_by_tests_that_exist() -> None:
    """Each risk has at least one test, and each test that is named can be run."""
    rows = [line for line in read(PAGE).partition("## Security")[2].splitlines() if line.startswith("| ")][2:]
    assert len(rows) >= 18
    for row in rows:
        named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", row)
        assert named, row
        for path, test in named:
            tree = ast.parse((ROOT / path).read_bytes())
            assert test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, (
                path,
                test,
            )


def test_the_page_has_room_for_one_table_of_figures() -> None:
    """A command puts the figures between two marks, and everything else stays."""
    text = read(PAGE)
    assert text.count(BEGIN) == text.count(END) == 1
    once = put_into(text, "| new |")
    assert "| new |" in once
    assert put_into(once, "| newer |").replace("| newer |", "| new |") == once


def test_the_largest_run_counts() -> None:
    """Of a harness that ran twice the table has the larger size, and of two equal ones the last."""
    lines = [
        {"name": "a", "soak": 1.0, "kills": 1000, "lost": 0},
        {"name": "a", "soak": 0.0, "kills": 60, "lost": 0},
        {"name": "b", "soak": 0.25, "kills": 5, "lost": 0},
        {"name": "b", "soak": 0.25, "kills": 6, "lost": 0},
    ]
    assert [line["kills"] for line in best(lines)] == [1000, 6]
    parts = [{"name": "c", "soak": 0.0, "run": "r", "lost": 0, way: 3} for way in ("http", "https", "https")]
    assert "| c | `make test` | 3 http, 6 https | 0 lost |" in table(parts)
    assert "| a | `make soak` | 1,000 kills | 0 lost |" in table(lines)
    assert "| b | 25% of `make soak` | 6 kills | 0 lost |" in table(lines)
