"""Read the state of a document's index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from bulkops.operation import Operation, entity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulkops.api.profile import Profile
    from bulkops.model import Json
    from bulkops.operation import Steps


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexStatus(Operation):
    """Read the state of a document's index as it is now (API reference, Get RAG Index Status)."""

    kind: ClassVar[str] = "document.index_status"
    example: ClassVar[Mapping[str, Json]] = {"op": "document.index_status", "document_id": "doc_456"}

    document_id: str = entity("the document to ask about")

    def steps(self, api: Profile) -> Steps:
        """See `Operation.steps`."""
        status = yield api.document_index_status.request(document_id=self.document_id)
        return {api.document_id_field: self.document_id, **status.json}
