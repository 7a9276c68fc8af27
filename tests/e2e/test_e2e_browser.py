"""The report of a real run in a real browser: it loads nothing, shows everything, on any screen and on paper."""

from __future__ import annotations

import os
import shutil
import signal
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import sync_playwright

from bulkops.emulator import EmulatorSettings, Schedule, serving_in_thread
from tests.crash.crash_sizes import lacking
from tests.e2e.e2e_commands import Desk, agents, interrupt, run_folder, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

FLAGS = [
    *(["--no-sandbox"] if os.geteuid() == 0 else []),
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
FAULTS = [
    {"nth": 30, "fault": "429", "retry_after": 2},
    {"endpoint": "document.upload", "nth": 4, "fault": "reset_after"},
    {"endpoint": "document.upload", "nth": 6, "fault": "error_before", "status": 400},
]
CONTRAST = """
() => {
  const light = colour => {
    const [r, g, b] = colour.match(/[\\d.]+/g).map(part => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const paper = light(getComputedStyle(document.documentElement).backgroundColor);
  const found = [];
  const texts = "h1, h2, h3, p, dt, dd, small, th, td, code, figcaption, summary, text";
  for (const part of document.querySelectorAll(texts)) {
    if (!part.checkVisibility() || !part.textContent.trim()) continue;
    const style = getComputedStyle(part);
    const ink = light(part instanceof SVGElement ? style.fill : style.color);
    found.push([(Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05), part.outerHTML.slice(0, 200)]);
  }
  return found;
}
"""


@pytest.fixture(scope="module")
def chromium() -> str:
    """Find the browser."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        lacking("needs a Chromium, and there is none: apt-get install chromium")
    return found


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, chromium: str) -> Path:
    """Write the report of a run with faults and indexes that was stopped once and then continued."""
    desk_folder = tmp_path_factory.mktemp("desk")
    settings = EmulatorSettings(
        tier=None, limit=600, index_time=20.0, time_scale=20, latency=0.5, faults=Schedule.parse(FAULTS)
    )
    with serving_in_thread(settings) as server:
        desk = Desk(desk_folder, server)
        (desk_folder / "a.txt").write_text("x" * 600)
        upload = {"op": "document.upload", "file": "a.txt", "index": {"model": "m"}}
        documents = [{**upload, "id": f"d{n}", "name": f"Document {n}"} for n in range(25)]
        missing = [{"op": "agent.get", "id": f"g{n}", "agent_id": "agent_nope"} for n in range(9)]
        blocked = {"op": "agent.get", "id": "b", "agent_id": "agent_seed_0001", "needs": ["g0"]}
        job = desk.job([*documents, *agents(30), *missing, blocked])
        words = ("run", job, "--base-url", server.base_url, "--rate", "600/min", "--time-scale", 20)
        with desk.start(*words) as process:
            until(lambda: desk.sent > 45)
            assert interrupt(process, signal.SIGTERM).code == 143
        assert desk.bulkops(*words).code == 6
        assert desk.bulkops("report", job).code == 0
        return run_folder(job) / "report.html"


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """Start a browser with nothing of its user in it."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


def opened(
    browser: Browser, report: Path, width: int = 1000, *, dark: bool = False
) -> tuple[Page, list[str]]:
    """Open the report; return its page, and what it asked for or complained of."""
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme="dark" if dark else "light"
    )
    page, told = context.new_page(), list[str]()
    page.on("console", lambda message: told.append(message.text))
    page.on("pageerror", lambda error: told.append(str(error)))
    page.on("request", lambda request: told.append(request.url))
    page.goto(report.as_uri())
    return page, told


def test_the_browser_loads_nothing_and_complains_of_nothing(browser: Browser, report: Path) -> None:
    """The one request is for the file itself; no policy is broken, and the style sheet is in force."""
    page, told = opened(browser, report)
    assert told == [report.as_uri()]
    assert page.evaluate("getComputedStyle(document.querySelector('h1')).fontSize") == "25px"
    assert report.stat().st_size < 300_000


def test_the_charts_have_marks(browser: Browser, report: Path) -> None:
    """Each chart is seen, has a name and a description, and has drawn what the run was."""
    page, _ = opened(browser, report)
    charts = page.get_by_role("img").all()
    assert [chart.evaluate("e => e.getAttribute('aria-labelledby')") for chart in charts] == [
        "requests",
        "latency",
        "settling-index",
        "looks-index",
    ]
    for chart in charts:
        box = chart.bounding_box()
        assert box is not None
        assert box["width"] > 300
        assert box["height"] > 150
    marks = {
        kind: page.locator(f".chart.wide[aria-labelledby={name}] .mark-{mark} > *").count()
        for kind, name, mark in (
            ("areas", "requests", "area"),
            ("refusals", "requests", "symbol"),
            ("lines", "latency", "line"),
            ("pauses", "requests", "rect"),
        )
    }
    assert marks["areas"] >= 4  # work and looks, in two runs
    assert marks["refusals"] >= 1
    assert marks["pauses"] >= 1
    assert marks["lines"] >= 3
    assert page.locator("[aria-labelledby=settling-index] .mark-rect > *").count() >= 1


@pytest.mark.parametrize("width", [360, 1000])
def test_nothing_scrolls_sideways(browser: Browser, report: Path, width: int) -> None:
    """Neither on a phone nor on a screen is the page wider than what shows it, with the tables open."""
    page, _ = opened(browser, report, width)
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_a_phone_has_charts_of_its_own(browser: Browser, report: Path) -> None:
    """On a phone the texts of a chart are as large as elsewhere, since it is drawn for that width."""
    page, _ = opened(browser, report, 360)
    assert page.locator(".chart.narrow").first.is_visible()
    assert not page.locator(".chart.wide").first.is_visible()
    heights = page.evaluate(
        "[...document.querySelectorAll('.chart.narrow text')].map(text => text.getBoundingClientRect().height)"
    )
    assert min(heights) > 10


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_all_texts_can_be_read(browser: Browser, report: Path, *, dark: bool) -> None:
    """Every text, in charts too, has a contrast of at least 4.5 (WCAG 2, 1.4.3) to its ground, light or dark."""
    page, _ = opened(browser, report, dark=dark)
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    found = page.evaluate(CONTRAST)
    assert len(found) > 100
    assert [text for contrast, text in found if contrast < 4.5] == []
    ground = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert (sum(map(int, ground[4:-1].split(","))) < 150) is dark


def test_paper_has_everything(browser: Browser, report: Path) -> None:
    """Printed, every table is open, the wide charts are there, and the ground is white even in a dark scheme."""
    page, _ = opened(browser, report, dark=True)
    page.emulate_media(media="print")
    cells = page.locator("td, th").all()
    assert len(cells) > 100
    assert all(cell.is_visible() for cell in cells)
    assert page.locator(".chart.wide").first.is_visible()
    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(255, 255, 255)"
    assert page.pdf().startswith(b"%PDF-")


def test_what_the_run_was_is_to_be_read(browser: Browser, report: Path) -> None:
    """The page shows the sentence, groups of failures with help, what is in doubt, and both runs."""
    page, _ = opened(browser, report)
    assert page.locator("h1").inner_text().startswith("done 53 of 65, failed 10, blocked 1, in doubt 1 in ")
    assert page.locator(".failure").count() == 3
    assert "and 3 more" in page.locator(".failure").first.inner_text()
    assert "Look for a document named" in page.locator(".doubt").inner_text()
    assert page.locator(".runs tbody tr").count() == 2
    assert "A rehearsal: the server" in page.locator("main").inner_text()
