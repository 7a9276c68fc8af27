"""The knowledge base of the live API and its RAG indexes, as the vendor's SDK finds them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from elevenlabs import GetOrCreateRagIndexRequestModel as Item
from elevenlabs.core import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import Witness

MODEL = "e5_mistral_7b_instruct"
LONG = "What is written here is long enough to be indexed. " * 20


@pytest.fixture
def kb(live: Witness) -> Any:
    """Give the SDK's knowledge base."""
    return live.api.knowledge_base


def test_a_file_a_text_a_page_and_a_folder_are_told_whole(live: Witness, kb: Any) -> None:
    """Each kind of document is made in a folder, and told with its type, its size and where it is."""
    folder = live.whole(kb.documents.create_folder(name="run 1"))
    made = [
        kb.documents.create_from_file(
            file=("a.md", b"# A" * 300, "text/markdown"), name="a", parent_folder_id=folder.id
        ),
        kb.documents.create_from_text(text=LONG, name="b", parent_folder_id=folder.id),
        kb.documents.create_from_url(url="https://example.com/", name="c", parent_folder_id=folder.id),
    ]
    live.whole(made[-1])
    assert [(step.id, step.name) for step in made[-1].folder_path] == [(folder.id, "run 1")]
    told = [live.whole(kb.documents.get(each.id)) for each in (*made, folder)]
    assert [each.type for each in told] == ["file", "text", "url", "folder"]
    assert [each.folder_parent_id for each in told] == [folder.id] * 3 + [None]
    assert (told[0].filename, told[0].metadata.size_bytes) == ("a.md", 900)
    assert (told[1].metadata.size_bytes, told[2].url) == (len(LONG), "https://example.com/")
    assert told[3].children_count == told[3].document_count == 3
    assert live.raw.get(f"/knowledge-base/{made[1].id}/content").text == LONG


def test_a_file_without_a_name_has_that_of_the_file(kb: Any) -> None:
    """Who names no document gets the name of the file."""
    made = kb.documents.create_from_file(file=("guide.md", b"x", "text/markdown"))
    assert made.name == "guide.md"


def test_documents_are_found_by_type_name_and_folder(live: Witness, kb: Any) -> None:
    """A search is for names that begin with it; a parent has children, an ancestor all that is below."""
    outer = kb.documents.create_folder(name="outer").id
    inner = kb.documents.create_folder(name="inner", parent_folder_id=outer).id
    kb.documents.create_from_text(text="x", name="Guide one", parent_folder_id=inner)
    kb.documents.create_from_text(text="x", name="My guide")

    def names(**query: Any) -> list[str]:
        return [each.name for each in live.whole(kb.list(sort_by="name", **query)).documents]

    assert names(search="guide") == ["Guide one"]
    assert names(types=["folder"]) == ["inner", "outer"]
    assert (names(parent_folder_id=outer), names(ancestor_folder_id=outer)) == (
        ["inner"],
        ["Guide one", "inner"],
    )


def test_a_new_file_keeps_the_id_and_loses_the_index(live: Witness, kb: Any) -> None:
    """Another file or name under the same id is told at once; what was indexed is not the new file."""
    made = kb.documents.create_from_text(text=LONG, name="old").id
    kb.document.compute_rag_index(made, model=MODEL)
    live.whole(kb.documents.update(made, name="new"))
    assert (kb.documents.get(made).name, len(_indexes(live, made).indexes)) == ("new", 1)
    told = live.whole(kb.document.update_file(made, file=("b.md", b"y" * 700, "text/markdown")))
    assert (told.id, told.name, told.metadata.size_bytes) == (made, "b.md", 700)
    assert _indexes(live, made).indexes == []


def test_a_document_in_use_goes_only_by_force(live: Witness, kb: Any) -> None:
    """Delete refuses while an agent uses the document; forced, it takes it from the agent too."""
    made = kb.documents.create_from_text(text=LONG, name="d")
    used = {"type": "text", "name": "d", "id": made.id}
    agent = live.api.agents.create(
        conversation_config={"agent": {"prompt": {"knowledge_base": [used]}}}
    ).agent_id
    dependents = live.whole(kb.documents.get_agents(made.id))
    assert [each.id for each in dependents.agents] == [agent]
    with pytest.raises(ApiError, match="document_in_use"):
        kb.documents.delete(made.id)
    kb.documents.delete(made.id, force=True)
    assert live.heard[-1].json() is None
    assert live.api.agents.get(agent).conversation_config.agent.prompt.knowledge_base == []


def test_a_bulk_delete_has_an_end_for_each(live: Witness, kb: Any) -> None:
    """One that is not there fails alone."""
    made = kb.documents.create_from_text(text="x", name="d").id
    ends = live.whole(kb.documents.bulk_delete(document_ids=[made, "doc_none"]))
    assert (ends[made].status, ends[made].data.id) == ("success", made)
    assert (ends["doc_none"].status, ends["doc_none"].error_code) == ("failure", 404)


def test_an_index_goes_through_its_states(witness: Callable[..., Witness]) -> None:
    """An index is new, then created, then processing, then succeeded, and its progress grows."""
    live = witness(index_time=0.6)
    made = live.api.knowledge_base.documents.create_from_text(text=LONG, name="d").id
    told = [live.whole(live.api.knowledge_base.document.compute_rag_index(made, model=MODEL))]
    while told[-1].status != "succeeded":
        told.append(live.api.knowledge_base.document.compute_rag_index(made, model=MODEL))
    states = list(dict.fromkeys(each.status for each in told))
    assert states == ["new", "created", "processing", "succeeded"]
    progress = [each.progress_percentage for each in told]
    assert progress == sorted(progress)
    assert (progress[-1], len({each.id for each in told})) == (100.0, 1)


def test_what_cannot_be_indexed_says_why(witness: Callable[..., Witness]) -> None:
    """Too small, a folder, no room, nothing to read: each ends in a state of its own."""
    live = witness(index_bytes=1500)
    kb = live.api.knowledge_base
    made = {
        "document_too_small": kb.documents.create_from_text(text="x" * 499, name="small"),
        "cannot_index_folder": kb.documents.create_folder(name="folder"),
        "rag_limit_exceeded": kb.documents.create_from_text(text="x" * 1501, name="large"),
        "failed": kb.documents.create_from_text(text=LONG, name="unindexable"),
        "succeeded": kb.documents.create_from_text(text="x" * 500, name="fits"),
    }
    told = {
        state: live.whole(kb.document.compute_rag_index(each.id, model=MODEL)) for state, each in made.items()
    }
    assert {state: each.status for state, each in told.items()} == {state: state for state in made}


def test_a_document_has_an_index_for_each_model(live: Witness, kb: Any) -> None:
    """The list holds one for each model, none at first; one that is deleted leaves the others."""
    made = kb.documents.create_from_text(text=LONG, name="d").id
    assert _indexes(live, made).indexes == []
    first = kb.document.compute_rag_index(made, model=MODEL)
    kb.document.compute_rag_index(made, model="multilingual_e5_large_instruct")
    assert [each.model for each in _indexes(live, made).indexes] == [MODEL, "multilingual_e5_large_instruct"]
    assert live.whole(live.api.delete_document_rag_index(made, first.id)).id == first.id
    assert [each.model for each in _indexes(live, made).indexes] == ["multilingual_e5_large_instruct"]


def test_a_batch_begins_and_reads_indexes(live: Witness, kb: Any) -> None:
    """A batch creates what is missing if it may, and each document has an end under its id."""
    one, two = (kb.documents.create_from_text(text=LONG, name=n).id for n in "ab")

    def ask(document: str, *, create: bool) -> Item:
        return Item(document_id=document, create_if_missing=create, model=MODEL)

    ends = live.whole(
        kb.get_or_create_rag_indexes(
            items=[ask(one, create=True), ask(two, create=False), ask("none", create=True)]
        )
    )
    assert (ends[one].status, ends[one].data.status) == ("success", "succeeded")
    assert (ends[two].status, ends[two].error_status) == ("failure", "rag_index_not_found")
    assert (ends["none"].status, ends["none"].error_code) == ("failure", 404)
    assert (
        live.whole(kb.get_or_create_rag_indexes(items=[ask(one, create=False)]))[one].data.id
        == ends[one].data.id
    )


@pytest.mark.parametrize("count", [0, 101])
def test_a_batch_has_1_to_100_items(live: Witness, count: int) -> None:
    """An empty batch is refused as one that is too long."""
    items = [{"document_id": "d", "create_if_missing": False, "model": MODEL}] * count
    reply = live.raw.post("/knowledge-base/rag-index", json={"items": items})
    assert (reply.status_code, reply.json()["detail"][0]["loc"]) == (422, ["body", "items"])


def test_the_model_of_the_reference_is_refused(live: Witness, kb: Any) -> None:
    """A model that the service does not know is refused with its place."""
    made = kb.documents.create_from_text(text=LONG, name="d").id
    reply = live.raw.post(f"/knowledge-base/{made}/rag-index", json={"model": "e5_mistral_7b"})
    assert (reply.status_code, reply.json()["detail"][0]["loc"]) == (422, ["body", "model"])


def test_the_quota_tells_what_indexes_take_up(live: Witness, kb: Any) -> None:
    """What is indexed counts with its size, per model and in all."""
    made = kb.documents.create_from_text(text=LONG, name="d").id
    kb.document.compute_rag_index(made, model=MODEL)
    told = live.whole(live.api.rag_index_overview())
    assert (told.total_used_bytes, told.total_max_bytes) == (len(LONG), 1_000_000_000)
    assert {each.model: each.used_bytes for each in told.models}[MODEL] == len(LONG)


def test_a_form_without_a_file_is_refused(live: Witness) -> None:
    """A part without a file name is no upload."""
    reply = live.raw.post("/knowledge-base/file", files={"name": (None, b"n"), "file": (None, b"text")})
    assert (reply.status_code, reply.json()["detail"][0]["loc"]) == (422, ["body", "file"])


def _indexes(live: Witness, document: str) -> Any:
    return live.whole(live.api.get_document_rag_indexes(document))
