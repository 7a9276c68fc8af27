"""What holds for the whole suite: at its end, the key that its commands were given stands nowhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.canary import sightings

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session", autouse=True)
def canary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Search everything that the tests leave behind, tracebacks in logs and databases included, for the key."""
    yield
    found = [str(path) for path in sightings(tmp_path_factory.getbasetemp())]
    assert not found, f"the key was let out into {found}"
