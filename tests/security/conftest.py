"""What the security tests share."""

from __future__ import annotations

from tests.e2e.conftest import desk, desk_at, lone_desk

__all__ = ["desk", "desk_at", "lone_desk"]
