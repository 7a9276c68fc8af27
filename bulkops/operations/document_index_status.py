"""Read the state of a document's index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from bulkops.asked import Asked
from bulkops.operation import entity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulkops.model import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexStatus(Asked):
    """Read the state of a document's index as it is now (API reference, Get RAG Index Status)."""

    kind: ClassVar[str] = "document.index_status"
    example: ClassVar[Mapping[str, Json]] = {"op": "document.index_status", "document_id": "doc_456"}

    document_id: str = entity("the document to ask about")
