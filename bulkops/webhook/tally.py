"""What came and what became of it, counted; nothing of a delivery is in it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Tally:
    """How many deliveries were kept, were known already, and were refused, with status and reason."""

    kept: int = 0
    known: int = 0
    refused: Counter[tuple[int, str]] = field(default_factory=Counter)

    def line(self) -> str:
        """Say it in one line."""
        total = sum(self.refused.values())
        reasons = ", ".join(
            f"{f'{status} ' * bool(status)}{why}: {count:,}"
            for (status, why), count in self.refused.most_common()
        )
        return f"{self.kept:,} kept, {self.known:,} known already, {total:,} refused{f' ({reasons})' * bool(total)}"

    def since(self, earlier: Tally) -> Tally:
        """Return what came after an earlier tally."""
        return Tally(self.kept - earlier.kept, self.known - earlier.known, self.refused - earlier.refused)

    def copy(self) -> Tally:
        """Return what stands now, to compare with later."""
        return Tally(self.kept, self.known, self.refused.copy())
