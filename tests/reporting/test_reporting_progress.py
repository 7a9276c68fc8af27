from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkops.model import State
from bulkops.reporting.lines import Lines
from bulkops.reporting.progress import Moment, Progress, choose

SCRIPT = """
import sys
from bulkops.model import State
from bulkops.reporting.progress import Moment, choose
now = [0.0]
bars = choose(sys.stderr, clock=lambda: now[0])
bars.begin(40, 10)
for n in range(30):
    now[0] += 0.2
    bars.ended(State.FAILED if n == 3 else State.DONE)
    bars.stands(Moment(12 - n // 3, 90 + n % 5, LIMIT, 60.0))
    if n == 10:
        bars.note("first note\\x1b[31m")
        bars.note("second note")
bars.finish()
print("the last line", file=sys.stderr)
"""


@dataclass
class Clock:
    """A clock that stands still unless it is set."""

    now: float = 0.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


def on_a_terminal(script: str, columns: int = 100) -> str:
    """Return what a script writes to a terminal of so many columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", columns and 30, columns, 0, 0))
    environment = {**os.environ, "NO_COLOR": "1"}
    with subprocess.Popen([sys.executable, "-c", script], stderr=theirs, env=environment):
        os.close(theirs)
        written = b""
        try:
            while piece := os.read(ours, 65536):
                written += piece
        except OSError:  # this is how Linux tells that the other end is closed
            pass
        finally:
            os.close(ours)
    return written.decode()


def screen(written: str) -> list[str]:
    """Return the lines a terminal shows after all that was written to it."""
    rows, y, x = [""], 0, 0
    for token in re.findall(r"\x1b\[[0-9;]*[A-Za-z]|[\r\n]|[^\x1b\r\n]+", written):
        if token == "\n":
            y += 1
            rows += [""] * (y + 1 - len(rows))
        elif token == "\r":
            x = 0
        elif token.startswith("\x1b"):
            assert token == "\x1b[A", "nothing but moving up a line"
            y -= 1
        else:
            rows[y] = rows[y][:x].ljust(x) + token + rows[y][x + len(token) :]
            x += len(token)
    return [row.rstrip() for row in rows]


@pytest.fixture(scope="module")
def written() -> str:
    """Return what the bars of a short run write."""
    return on_a_terminal(SCRIPT.replace("LIMIT", "100"))


def test_bars_leave_a_tidy_screen(written: str) -> None:
    """At the end stand the notes whole, the operations' bar full, and then what is printed next."""
    shown = screen(written)
    assert shown[:2] == [r"first note\x1b[31m", "second note"]
    assert shown[2].startswith("operations 100 % |")
    assert "| 40/40 [" in shown[2]
    assert shown[2].endswith(", failed 1]")
    assert [row for row in shown[3:] if row] == ["the last line"]


def test_bars_show_operations_waiting_and_rate(written: str) -> None:
    """While it runs there are three lines: operations, what is waited for, requests against the limit."""
    assert "operations  28 % |" in written
    assert "waiting    for 12 to settle" in written
    assert re.search(r"requests   +9[0-4] % \|.*\| 9[0-4]/100 per min", written)


def test_what_is_taken_back_is_counted_once() -> None:
    """An operation whose end holds no more counts when it ends anew: neither bar nor line goes beyond all there are."""
    again = "bars.taken_back(State.FAILED)\nbars.ended(State.DONE)\nbars.finish()"
    shown = screen(on_a_terminal(SCRIPT.replace("LIMIT", "100").replace("bars.finish()", again)))
    assert "| 40/40 [" in shown[2]
    assert "failed" not in shown[2]
    stream = io.StringIO()
    lines = Lines(stream, Clock())
    lines.begin(10, 0)
    for _ in range(9):
        lines.ended(State.DONE)
    lines.taken_back(State.DONE)
    lines.ended(State.IN_DOUBT)
    lines.ended(State.DONE)
    assert stream.getvalue().splitlines()[-1].startswith("100 %: 10 of 10, in doubt 1")


def test_bars_have_no_colours(written: str) -> None:
    """The only escape sequence is the one that moves up a line."""
    assert set(re.findall(r"\x1b\[[0-9;]*[A-Za-z]", written)) == {"\x1b[A"}


def test_bars_beyond_a_limit_that_was_cut() -> None:
    """Where more was sent than a new limit allows, the bar is full and the true count stands beside it."""
    assert re.search(
        r"requests   1[89]\d % \|[^ |]+\| 9[0-4]/50 per min", on_a_terminal(SCRIPT.replace("LIMIT", "50"))
    )


def test_bars_say_that_a_pause_is_waited_for() -> None:
    """While everybody pauses that is what is waited for, alone or besides what has to settle."""
    paused = SCRIPT.replace("12 - n // 3", "n // 20").replace("60.0)", "60.0, 33.0)").replace("LIMIT", "100")
    shown = on_a_terminal(paused)
    assert "waiting    for the end of the pause" in shown
    assert "waiting    for 1 to settle and the end of the pause" in shown
    assert "for nothing" not in shown
    assert "; paused, 33 s left" in shown


def test_bars_without_a_limit_show_the_count() -> None:
    """Where no limit is known, the requests of the period are shown alone."""
    assert re.search(r"requests   9\d per min", on_a_terminal(SCRIPT.replace("LIMIT", "None")))


def test_a_terminal_without_a_size_has_bars() -> None:
    """A terminal that does not tell its size, as in some containers, shows bars all the same."""
    assert "operations 100 % |" in on_a_terminal(SCRIPT.replace("LIMIT", "100"), columns=0)


def test_bars_are_drawn_ten_times_a_second_at_most(written: str) -> None:
    """Operations that end within a tenth of a second are drawn together."""
    still = on_a_terminal(SCRIPT.replace("LIMIT", "100").replace("+= 0.2", "+= 0.01"))
    assert still.count("operations") <= written.count("operations") / 3


def test_bars_that_never_began_can_finish() -> None:
    """A run that stops before its begin leaves the terminal as it was."""
    shown = on_a_terminal(re.sub(r"(?s)bars\.begin.*(?=bars\.finish)", "bars.note('only this')\n", SCRIPT))
    assert screen(shown) == ["only this", "the last line", ""]


def test_without_a_terminal_there_are_lines() -> None:
    """A stream that is no terminal gets lines; quiet, or without a stream, there is nothing."""
    assert isinstance(choose(io.StringIO()), Lines)
    assert type(choose(io.StringIO(), quiet=True)) is Progress
    assert type(choose(None)) is Progress


def test_silence_is_silent(capfd: pytest.CaptureFixture[str]) -> None:
    """With `quiet` nothing is written at all."""
    silent = choose(sys.stderr, quiet=True)
    silent.begin(2, 0)
    silent.ended(State.FAILED)
    silent.stands(Moment(1, 1, 1, 60.0))
    silent.note("hello")
    silent.finish()
    assert capfd.readouterr() == ("", "")


def test_tqdm_is_for_terminals_only() -> None:
    """Without a terminal tqdm is not even imported, nor is HTTP."""
    script = (
        "import sys\n"
        "from bulkops.reporting import events, progress, redacting, report, text\n"
        "progress.choose(sys.stdout)\n"
        "print(sorted({'tqdm', 'httpx', 'ssl', 'asyncio', 'anyio'} & set(sys.modules)))"
    )
    assert subprocess.check_output([sys.executable, "-c", script], text=True).strip() == "[]"


def test_a_line_at_each_tenth() -> None:
    """Without a terminal there is a line at each tenth, with what is left."""
    out, clock = io.StringIO(), Clock()
    lines = Lines(out, clock)
    lines.begin(200, 50)
    for _ in range(150):
        clock.now += 0.1
        lines.ended(State.DONE)
    lines.finish()
    told = out.getvalue().splitlines()
    assert told[:2] == ["200 operations, 50 of them over", "30 %: 60 of 200; about 14 s left"]
    assert [line.split(" %")[0] for line in told[1:]] == ["30", "40", "50", "60", "70", "80", "90", "100"]
    assert told[-1] == "100 %: 200 of 200"


def test_a_line_each_minute() -> None:
    """A run that hardly moves says so once a minute."""
    out, clock = io.StringIO(), Clock()
    lines = Lines(out, clock)
    lines.begin(1000, 0)
    lines.ended(State.FAILED)
    for _ in range(180):
        clock.now += 1
        lines.stands(Moment(12, 98, 100, 60.0))
    told = out.getvalue().splitlines()[1:]
    assert len(told) == 3
    assert told[0].startswith("0 %: 1 of 1,000, failed 1, 12 waiting; 98 of 100 requests per min; about ")


def test_a_pause_is_a_sign_of_life() -> None:
    """While everybody rests, bars and lines say so, and for how long still."""
    out, clock = io.StringIO(), Clock()
    lines = Lines(out, clock)
    lines.begin(10, 0)
    clock.now += 61
    lines.stands(Moment(0, 12, 100, 60.0, 33.0))
    assert "12 of 100 requests per min; paused, 33 s left" in out.getvalue()
    shown = on_a_terminal(SCRIPT.replace("LIMIT, 60.0", "100, 60.0, 33.0"))
    assert re.search(r"9\d/100 per min; paused, 33 s left", shown)


@given(st.integers(0, 500), st.integers(0, 500))
def test_lines_are_few(total: int, before: int) -> None:
    """However many operations there are, there are at most ten lines of progress, the last one at the end."""
    out, before = io.StringIO(), min(before, total)
    lines = Lines(out, Clock())
    lines.begin(total, before)
    for _ in range(total - before):
        lines.ended(State.DONE)
    told = out.getvalue().splitlines()[1:]
    assert len(told) <= 10
    if before < total:
        assert told[-1] == f"100 %: {total} of {total}"


def test_a_note_is_one_safe_line() -> None:
    """A note from anywhere is one line that no terminal obeys."""
    out = io.StringIO()
    Lines(out, Clock()).note("a\x1b[2J\nb")
    assert out.getvalue() == "a\\x1b[2J\\nb\n"
