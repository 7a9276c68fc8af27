"""How many requests may be sent in all."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf


@dataclass(slots=True)
class Quota:
    """What is left of it, and what is raised by those who come when nothing is."""

    left: float = inf
    error: Exception = field(default_factory=RuntimeError)
