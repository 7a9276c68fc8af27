"""What the receiver says while it receives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from bulkops.cli import listen
from bulkops.webhook.tally import Tally
from tests.webhook.webhook_doubles import connected, event, request, run, serving

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_each_minute_is_told_in_which_something_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What came in it, not what came before; and no line where nothing came."""
    monkeypatch.setattr(listen, "TELL_EACH", 0.05)

    async def main() -> None:
        async with (
            serving(tmp_path) as (receiver, at),
            connected(*at) as client,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(listen._tell, receiver)
            for number in range(2):
                await client.send(request(event(number)), request(event(number)))
                await client.answer()
                await client.answer()
                await anyio.sleep(0.2)
            tasks.cancel_scope.cancel()

    run(main)
    told = capsys.readouterr().err.splitlines()
    assert set(told) <= {
        "in the last minute: 1 kept, 1 known already, 0 refused",
        "in the last minute: 1 kept, 0 known already, 0 refused",
        "in the last minute: 0 kept, 1 known already, 0 refused",
    }
    assert 2 <= len(told) <= 4


def test_a_tally_says_what_was_refused_and_why() -> None:
    """The most frequent reason first; what has no status was never answered."""
    before = Tally(1, 1)
    now = before.copy()
    now.kept += 1000
    now.refused.update({(401, "the signature is wrong"): 2, (0, "cut off before the end"): 3})
    assert now.since(before).line() == (
        "1,000 kept, 0 known already, 5 refused (cut off before the end: 3, 401 the signature is wrong: 2)"
    )
    assert before.line() == "1 kept, 1 known already, 0 refused"
