"""What `import bulkops` offers, and what it costs."""

from __future__ import annotations

import subprocess
import sys

import bulkops


def test_every_public_name_is_there() -> None:
    """Every name in `__all__` can be used."""
    assert all(getattr(bulkops, name) is not None for name in bulkops.__all__)


def test_the_list_of_names_has_no_gap() -> None:
    """Every name that is loaded on first use is listed as public."""
    assert set(bulkops.__all__) == {*bulkops._HOMES, "__version__"}


def test_importing_is_free() -> None:
    """`import bulkops` loads none of the packages it depends on."""
    heavy = {"aiohttp", "anyio", "asyncio", "httpx", "orjson", "sqlite3", "ssl", "tqdm"}
    code = "import sys, bulkops; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not heavy & set(loaded.split())
