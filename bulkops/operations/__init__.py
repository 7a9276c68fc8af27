"""What can be done: a file for a kind, or for several that are one request each. The folder is the registry."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from types import MappingProxyType
from typing import TYPE_CHECKING

from bulkops.operation import Operation

if TYPE_CHECKING:
    from collections.abc import Mapping


def _found() -> dict[str, type[Operation]]:
    kinds: dict[str, type[Operation]] = {}
    for module_info in sorted(iter_modules(__path__), key=lambda info: info.name):
        module = import_module(f"{__name__}.{module_info.name}")
        for value in vars(module).values():
            # A slotted dataclass is made twice, so `Operation.__subclasses__()` would list it twice.
            if (
                isinstance(value, type)
                and issubclass(value, Operation)
                and value.__module__ == module.__name__
            ):
                kinds[value.kind] = value
    return dict(sorted(kinds.items()))


KINDS: Mapping[str, type[Operation]] = MappingProxyType(_found())
"""Every kind by the word that stands in a line's `op`."""

__all__ = ["KINDS"]
