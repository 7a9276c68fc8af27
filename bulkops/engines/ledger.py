"""Which documents were uploaded before, by their content: of this run, and of earlier ones that the user names."""

from __future__ import annotations

import hashlib
import sys
from typing import TYPE_CHECKING

import orjson

from bulkops.checkpoint.deleted import deleted_documents

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from collections.abc import Set as AbstractSet
    from pathlib import Path

    from bulkops.api.profile import Profile
    from bulkops.checkpoint import Reader
    from bulkops.model import Json
    from bulkops.settings import Earlier

_MARK = b'"sha256":'


def mark(sha256: str, name: str) -> str:
    """Return by what a document is known: a digest of its content and its name, which takes few bytes."""
    return hashlib.blake2b(f"{sha256} {name}".encode(), digest_size=16).hexdigest()


def uploaded(
    api: Profile,
    own: Reader,
    earlier: Iterable[Earlier],
    account: str,
    runs: str,
    undoing: Iterable[Path] = (),
) -> dict[str, list[Json]]:
    """Return the documents of an account by `mark`: of the results of earlier runs, and over them those of this one.

    What names no account is of the one that ran the job; `runs` is ours. They take some 300 bytes each. What the jobs
    have deleted that took the runs back, whose checkpoints are `undoing`, is left out, as it is not there. OSError
    when results cannot be read, CheckpointError when a checkpoint cannot.
    """
    gone = deleted_documents(undoing)
    found: dict[str, list[Json]] = {}
    for run in earlier:
        called = frozenset(name for name, ours in run.accounts.items() if ours == account)
        with run.results.open("rb") as file:
            found.update(_documents(api, file, called, run.own, gone))
    found.update(_documents(api, own.records(), frozenset([account]), runs, gone))
    return found


def told_of(known: Json) -> dict[str, Json]:
    """Return what is known of a thing: its id alone, or that of a document with its index."""
    return (
        dict(zip(("id", "model", "status"), known, strict=False))
        if isinstance(known, tuple)
        else {"id": known}
    )


def _documents(
    api: Profile, records: Iterable[bytes], called: frozenset[str], runs: str, gone: AbstractSet[str]
) -> Iterator[tuple[str, list[Json]]]:
    for record in records:
        # Most say nothing of the kind; they are not worth parsing.
        if record.find(_MARK) < 0:
            continue
        told = orjson.loads(record)
        if told.get("account", runs) not in called:
            continue
        result = told["result"]
        if told["op"] == "document.upload" and told["status"] == "done" and "sha256" in result:
            if result[api.document_id_field] in gone:
                continue
            model, status = result.get(api.index_model_field), result.get(api.watches["index"].status_field)
            yield (
                mark(result["sha256"], result[api.name_field]),
                [(result[api.document_id_field], model and sys.intern(model), status and sys.intern(status))],
            )
