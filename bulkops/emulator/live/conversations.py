"""Conversations, as the live API tells them, and the event of one that has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from bulkops.emulator.answers import Answer, Refusal

from .agents import agent_of
from .paging import cut
from .refusing import flag, invalid, missing, problem

if TYPE_CHECKING:
    from bulkops.emulator.calls import Conversation
    from bulkops.emulator.endpoints import Call
    from bulkops.emulator.world import World

_STATUSES = {"in_progress": "in-progress", "completed": "done"}
# A frame of silence of MPEG-1 layer III, 32 kbit/s at 44.1 kHz: 104 bytes, 26 ms.
_SILENCE = b"\xff\xfb\x10\xc4" + b"\x00" * 100


def signed_url(call: Call) -> Answer:
    """GET /conversation/get-signed-url. The URL leads nowhere: a rehearsal never points at production.

    There is no conversation until somebody connects; where its id is wanted, somebody does at once.
    """
    agent_id = _agent_id(call)
    query = f"agent_id={agent_id}&conversation_signature={call.world.signature()}"
    if flag(call, "include_conversation_id"):
        query += f"&conversation_id={_begin(call, agent_id)}"
    return Answer(200, {"signed_url": f"wss://emulator.invalid/v1/convai/conversation?{query}"})


def token(call: Call) -> Answer:
    """GET /conversation/token: somebody connects with it at once."""
    agent_id = _agent_id(call)
    return Answer(200, {"token": call.world.signature(), "conversation_id": _begin(call, agent_id)})


def get(call: Call) -> Answer:
    """GET /conversations/:id."""
    return Answer(200, told(call.world, _conversation(call), call.now))


def listing(call: Call) -> Answer:
    """GET /conversations: newest first, those that all the filters let pass."""
    query, world = call.query, call.world
    before, after = _seconds(call, "call_start_before_unix"), _seconds(call, "call_start_after_unix")
    agent, ends = query.get("agent_id"), query.get("call_successful")
    without = set(query.getlist("exclude_statuses"))

    def wanted(each: Conversation) -> bool:
        began = int(world.at(each.started))
        return (
            (agent is None or each.agent_id == agent)
            and (before is None or began < before)
            and (after is None or began > after)
            and (not without or status_of(each, call.now) not in without)
            and (ends is None or _success(each, call.now) == ends)
        )

    chosen, rest = cut(
        call,
        lambda _, last, direction: filter(wanted, world.in_order(last, newest_first=direction == "desc")),
        lambda each: each.conversation_id,
        {"start_time": lambda each: world.at(each.started)},
    )
    summaries = query.get("summary_mode") == "include"
    lines = [_line(world, each, call.now, summaries=summaries) for each in chosen]
    return Answer(200, {"conversations": lines, **rest})


def delete(call: Call) -> Answer:
    """DELETE /conversations/:id."""
    found = _conversation(call)
    call.world.delete_conversation(found.conversation_id, now=call.now, request=call.ordinal)
    return Answer(200, {})


def audio(call: Call) -> Answer:
    """GET /conversations/:id/audio: silence, once the call is done."""
    found = _conversation(call)
    if not _has_audio(found, call.now):
        raise Refusal(404, "audio_not_found", f"conversation {call.id} has no audio")
    return Answer(200, _SILENCE * found.seconds(call.now), kind=b"audio/mpeg")


def status_of(call: Conversation, now: float) -> str:
    """Say how far a call is, in the words of the live API."""
    status = call.status(now)
    if status == "completed":
        if now < call.analysed:
            return "processing"
        return "failed" if call.failed else "done"
    return _STATUSES.get(status, status)


def told(world: World, call: Conversation, now: float, version: int = 1) -> dict[str, Any]:
    """Tell a call at some moment, with the `version`-th analysis of it."""
    agent, begins = world.agents.get(call.agent_id), int(world.at(call.started))
    failed = call.failed and now >= call.analysed
    turns = call.transcript_turns(now)
    heard = _has_audio(call, now)
    return {
        "agent_id": call.agent_id,
        "agent_name": agent.name if agent is not None else None,
        "conversation_id": call.conversation_id,
        "status": status_of(call, now),
        "user_id": None,
        "branch_id": None,
        "version_id": None,
        "transcript": turns,
        "metadata": {
            "start_time_unix_secs": begins,
            "accepted_time_unix_secs": int(world.at(call.answered)) if now >= call.answered else None,
            "call_duration_secs": call.seconds(now),
            "cost": 10 * call.seconds(now),
            "termination_reason": "Client disconnected: 1000" if now >= call.ends and not failed else "",
            "error": {"code": 1011, "reason": "the call was broken off"} if failed else None,
            "main_language": "en",
        },
        "analysis": _analysis(call, version) if now >= call.analysed else None,
        "has_audio": heard,
        "has_user_audio": heard,
        "has_response_audio": heard,
        "has_auxiliary_audio": False,
        "conversation_initiation_client_data": {"dynamic_variables": {}},
        "tag_ids": [],
    }


def post_call(world: World, call: Conversation, version: int, at: float) -> bytes:
    """Write the event of a call whose `version`-th analysis was done at `at`: its data is what GET tells."""
    event = {
        "type": "post_call_transcription",
        "event_timestamp": int(world.at(at)),
        "data": told(world, call, at, version),
    }
    return orjson.dumps(event)


def _begin(call: Call, agent_id: str) -> str:
    return call.world.start_conversation(agent_id, now=call.now, request=call.ordinal).conversation_id


def _agent_id(call: Call) -> str:
    agent_id = call.query.get("agent_id")
    if agent_id is None:
        raise invalid([problem(["query", "agent_id"], "missing", "Field required")])
    return agent_of(call, agent_id).agent_id


def _conversation(call: Call) -> Conversation:
    found = call.world.conversations.get(call.id)
    if found is None:
        raise missing("conversation", call.id)
    return found


def _seconds(call: Call, key: str) -> int | None:
    written = call.query.get(key)
    if written is None:
        return None
    if not written.removeprefix("-").isdecimal() or not written.isascii():
        raise invalid([problem(["query", key], "int_parsing", "Input should be a valid integer")])
    return int(written[:18])


def _has_audio(call: Conversation, now: float) -> bool:
    return now >= call.analysed and not call.failed


def _success(call: Conversation, now: float) -> str:
    if now < call.analysed:
        return "unknown"
    return "success" if call.analysis(1)["resolution"] and not call.failed else "failure"


def _analysis(call: Conversation, version: int) -> dict[str, Any]:
    thought = call.analysis(version)
    collected = {
        key: {
            "data_collection_id": key,
            "value": value,
            "json_schema": {"type": "string"},
            "rationale": "It was said.",
        }
        for key, value in thought["extracted_data"].items()
    }
    return {
        "evaluation_criteria_results": {},
        "data_collection_results": collected,
        "call_successful": "success" if thought["resolution"] and not call.failed else "failure",
        "transcript_summary": f"A {thought['sentiment']} caller asked about order {call.order}.",
        "call_summary_title": f"Order {call.order}",
    }


def _line(world: World, call: Conversation, now: float, *, summaries: bool) -> dict[str, Any]:
    agent = world.agents.get(call.agent_id)
    line: dict[str, Any] = {
        "agent_id": call.agent_id,
        "agent_name": agent.name if agent is not None else None,
        "conversation_id": call.conversation_id,
        "start_time_unix_secs": int(world.at(call.started)),
        "call_duration_secs": call.seconds(now),
        "message_count": len(call.said(now)),
        "status": status_of(call, now),
        "call_successful": _success(call, now),
        "direction": None,
        "tag_ids": [],
    }
    if summaries and now >= call.analysed:
        analysis = _analysis(call, 1)
        line |= {key: analysis[key] for key in ("transcript_summary", "call_summary_title")}
    return line
