"""Which documents runs have deleted, as their checkpoints tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from bulkops.checkpoint.reader import open_reader
from bulkops.model import State
from bulkops.operations.documents import DeleteDocument

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def deleted_documents(checkpoints: Iterable[Path]) -> set[str]:
    """Return the ids of the documents that runs have deleted, some 150 bytes each; what they left alone is not in it.

    A checkpoint that is not there tells of none. CheckpointError for one that cannot be read.
    """
    found: set[str] = set()
    for path in checkpoints:
        reader = open_reader(path)
        if reader is None:
            continue
        with reader:
            for row in reader.rows([State.DONE]):
                if row.kind == DeleteDocument.kind:
                    found.add(orjson.loads(row.record)["result"]["document_id"])
    return found
