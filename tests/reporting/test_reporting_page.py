from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkops.model import Failure, State
from bulkops.reporting.history import Run
from bulkops.reporting.html.advice import advice
from bulkops.reporting.html.ended import MOST_GROUPS, MOST_NAMES, SLOWEST, collect
from bulkops.reporting.html.page import page
from bulkops.reporting.html.story import Known
from tests.outputs.outputs_rows import row
from tests.reporting.test_reporting_series import run_of

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=y>\x1b[2J\u202e{{ 7*7 }}&amp;"


class Tags(HTMLParser):
    """The tags of a page, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep a tag."""
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Keep a text."""
        self.text += data


def failing(text: str, seconds: int = 10) -> Known:
    """Return a job in which a text is everywhere where somebody else can put one; its run took so long."""
    failed = row(State.FAILED, id=text, kind=text, failure=Failure(text, text, 404))
    beginning = {"job": text, "by_kind": {text: 3}, "next": text, "version": text, "part": text}
    run = Run(0.0, beginning, 10.0, {"told": text, "next": text, "exit_code": 3}, run_of(seconds).samples)
    doubt = {"id": text, "line": 1, "op": text, "look_for": text, "reason": text}
    return Known(job=text, runs=[run], ended=collect([failed]), doubts=[doubt])


def test_no_text_becomes_markup() -> None:
    """Whatever server or job say, the page has no tag, attribute or control character of theirs."""
    plain, evil = Tags(page(failing("plain"))), Tags(page(failing(EVIL)))
    assert [tag for tag, _ in evil.tags if tag != "wbr"] == [tag for tag, _ in plain.tags if tag != "wbr"]
    assert {name for _, attrs in evil.tags for name in attrs} == {
        name for _, attrs in plain.tags for name in attrs
    }
    assert "<script>alert(1)</script>" in evil.text
    assert not set(page(failing(EVIL))) & {"\x1b", "\u202e"}
    assert "{{ 7*7 }}" in evil.text


@given(st.text(max_size=40))
def test_any_text_can_be_shown(text: str) -> None:
    """No text breaks the page."""
    assert "</html>" in page(failing(text, 0))


def test_the_page_needs_nothing_and_runs_nothing() -> None:
    """There is no script, no link, no style attribute; the policy forbids all but the one style sheet."""
    text = page(failing("plain"))
    found = Tags(text)
    names = {tag for tag, _ in found.tags}
    assert not names & {"script", "link", "img", "iframe", "object", "base", "form", "a"}
    for _, attrs in found.tags:
        assert not {name for name in attrs if name.startswith("on")} | attrs.keys() & {"style", "href", "src"}
    [policy] = [attrs["content"] for _, attrs in found.tags if "http-equiv" in attrs]
    assert policy is not None
    assert re.fullmatch(
        r"default-src 'none'; style-src 'sha256-[\w+/=]+'; base-uri 'none'; form-action 'none'", policy
    )
    assert "url(" not in text
    assert "@import" not in text


def test_every_chart_has_its_numbers() -> None:
    """Each chart is an image with a name and a description, and a table with its numbers."""
    known = failing("plain")
    known.runs[0].samples[3].tally.settled["index"].add(20.0)
    known.runs[0].samples[3].tally.looks["index"][2] += 1
    found = Tags(page(known))
    ids = {attrs["id"] for _, attrs in found.tags if "id" in attrs}
    images = [attrs for _, attrs in found.tags if attrs.get("role") == "img"]
    assert {image["aria-labelledby"] for image in images} == {
        "requests",
        "latency",
        "settling-index",
        "looks-index",
    }
    assert {image["aria-describedby"] for image in images} <= ids
    assert len([tag for tag, _ in found.tags if tag == "details"]) == 4


@pytest.mark.parametrize(
    ("runs", "words"),
    [
        ([], "done 0 of 0; no run has told of itself in this folder."),
        ([Run(0.0, {}, 0.0)], "The last run was cut off without a last word"),
        (
            [Run(0.0, {"by_kind": {"agent.create": 3}, "next": "bulkops run j"}, 0.0)],
            "Continue: bulkops run j",
        ),
        (
            [Run(0.0, {}, 0.0, {"told": "done 2 of 2 in 1 s (2 requests)."})],
            "done 2 of 2 in 1 s (2 requests).",
        ),
    ],
    ids=["no runs", "cut off", "continues", "ended"],
)
def test_the_page_of_hardly_anything(runs: list[Run], words: str) -> None:
    """A job of which little is known has a report that says so."""
    assert words in " ".join(Tags(page(Known(job="j", runs=runs, ended=collect([])))).text.split())


def test_a_run_under_way_says_so() -> None:
    """While a run goes on, the report says since when, and not that it was cut off."""
    known = Known(job="j", runs=[Run(0.0, {}, 0.0)], ended=collect([row()]), under_way=True)
    assert "done 1 of 1 so far; running since 1 Jan 1970, 00:00:00 UTC." in Tags(page(known)).text


def test_the_counts_add_up() -> None:
    """What has not started is what is left of the total; more than was planned raises the total."""
    run = Run(0.0, {"by_kind": {"agent.create": 5, "agent.get": 1}}, 0.0)
    part = Run(1.0, {"by_kind": {"agent.create": 1}, "part": "failed.jsonl"}, 1.0)
    rows = [row(line=n) for n in range(3)] + [row(kind="agent.get", line=n) for n in range(4, 6)]
    text = Tags(page(Known(job="j", runs=[run, part], ended=collect(rows)))).text
    assert re.search(r"done\s*5\s*not started\s*2\s*operations\s*7", text)


def test_large_jobs_are_told_in_little() -> None:
    """However much failed, there are few groups with few names, and the slowest are the slowest."""
    rows = (
        row(State.FAILED, line=n, id=f"x{n}", failure=Failure(f"code {n % 100}", "no", 400))
        for n in range(1_000)
    )
    ended = collect(rows)
    assert len(ended.groups) == MOST_GROUPS + 1
    assert sum(group.count for group in ended.groups.values()) == 1_000
    assert max(len(group.names) for group in ended.groups.values()) == MOST_NAMES
    assert len(ended.slowest) == SLOWEST


def test_there_is_advice_for_all() -> None:
    """Every failure gets a sentence; our own codes win over the status, which wins over codes of the server."""
    assert advice("index_failed", 404) != advice("anything", 404) == advice("something else", 404)
    assert {advice("x", status) for status in (None, 400, 401, 418, 500, 503)} >= {
        advice("", None),
        advice("", 502),
    }
