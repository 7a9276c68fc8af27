"""What the crash tests share."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import desk_at
from tests.sending.sending_tls import Tls, make_authority


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    """Make what both sides of TLS need."""
    return Tls(make_authority(tmp_path_factory.mktemp("tls")))


__all__ = ["desk_at", "tls"]
