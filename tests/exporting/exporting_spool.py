"""Events as a receiver spools them, for tests of what reads them."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING, Any

import orjson

from bulkops.webhook.spool import POST_CALL, day_of, folder_of, line_of

if TYPE_CHECKING:
    from pathlib import Path


def event(
    conversation: str, happened: str = "2025-11-03T12:02:00Z", duration: int = 120, **data: Any
) -> dict[str, Any]:
    """Return an event of the reference's shape."""
    return {
        "type": "post_call_transcription",
        "data": {
            "conversation_id": conversation,
            "agent_id": "agent_1",
            "transcript": f"Agent: Hello {conversation}",
            "duration_seconds": duration,
            "analysis": {"sentiment": "positive", "resolution": True, "extracted_data": {}},
            **data,
        },
        "event_timestamp": happened,
    }


def deliver(spool: Path, *events: dict[str, Any], name: str = "a.jsonl", torn: bytes = b"") -> Path:
    """Append events to a file of a spool, and what a kill has left of another one."""
    now = time.time()
    folder = folder_of(spool, POST_CALL, day_of(now))
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / name).open("ab") as file:
        for one in events:
            body = orjson.dumps(one)
            file.write(line_of(now, hashlib.sha256(body).hexdigest(), body))
        file.write(torn)
    return folder / name
