"""The commands of the README print what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulkops.emulator import EmulatorSettings, serving_in_thread
from tests.docs.docs_texts import matches, play, read, told

if TYPE_CHECKING:
    from pathlib import Path

SCALE = 60


def test_docs_readme_session(tmp_path: Path) -> None:
    """Whoever follows the README from its top sees what it shows."""
    settings = EmulatorSettings(time_scale=SCALE, conversations=10, index_time=5)
    with serving_in_thread(settings) as server:
        environ = {
            "ELEVENLABS_API_KEY": "any",
            "BULKOPS_BASE_URL": server.base_url,
            "BULKOPS_TIME_SCALE": str(SCALE),
        }
        flags = f" --base-url {server.base_url} --time-scale {SCALE}"
        for call, printed, code in play(read("README.md"), tmp_path, environ):
            # The key and the address are the reader's own business; here they come from the environment.
            assert matches(call.output, printed.replace(flags, "")), told(call, printed)
            assert code == call.code, told(call, printed)
