"""The environment, and whether a job reads anything of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Watched(Mapping[str, str]):
    """A mapping that notes that somebody looked into it."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.read = False

    def __getitem__(self, name: str) -> str:
        self.read = True
        return self._environ[name]

    def __iter__(self) -> Iterator[str]:
        self.read = True
        return iter(self._environ)

    def __len__(self) -> int:
        return len(self._environ)
