"""Which bulkops this is."""

from __future__ import annotations

VERSION = "0.1.0"
USER_AGENT = f"bulkops/{VERSION}"
