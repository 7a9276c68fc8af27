"""Compute the index of a document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from bulkops.operation import Operation, duration, entity, seconds, text
from bulkops.polling import indexed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulkops.api.profile import Profile
    from bulkops.model import Json
    from bulkops.operation import Steps


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexDocument(Operation):
    """Compute the index of a document and wait until it can be searched.

    API reference: Compute RAG Index, Get RAG Index Status. An index that is there already is not made again.
    """

    kind: ClassVar[str] = "document.index"
    example: ClassVar[Mapping[str, Json]] = {
        "op": "document.index",
        "document_id": "doc_456",
        "model": "e5_mistral_7b",
    }

    document_id: str = entity("the document to index")
    model: str = text("the embedding model", required=True)
    deadline: str = duration("how long to wait for the index", default="30m")

    def steps(self, api: Profile) -> Steps:
        """See `Operation.steps`."""
        return (yield from indexed(api, self.document_id, self.model, seconds(self.deadline)))
