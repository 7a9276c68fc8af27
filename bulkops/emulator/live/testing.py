"""Simulations and tests, as the live API tells them. A condition is met unless it contains the word "fail"."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import orjson

from bulkops.emulator.answers import Answer

from .agents import ACCESS, agent_of
from .paging import page
from .refusing import body_of, fields, invalid, missing, one_of, problem

if TYPE_CHECKING:
    from bulkops.emulator.endpoints import Call
    from bulkops.emulator.things import Made

_FAILING = re.compile(r"\bfail\b", re.IGNORECASE)
_RUNS = 5.0  # seconds of the world's clock that a run takes
_TYPES = ("llm", "tool", "simulation")


def simulate(call: Call) -> Answer:
    """POST /agents/:id/simulate-conversation."""
    agent_of(call)
    optional = {"extra_evaluation_criteria": list, "new_turns_limit": int}
    body = body_of(call, {"simulation_specification": dict}, optional)
    specification, loc = body["simulation_specification"], ["body", "simulation_specification"]
    criteria = body.get("extra_evaluation_criteria") or []
    wrong = fields(
        specification, loc, {"simulated_user_config": dict}, {"partial_conversation_history": list}
    )
    place = ["body", "extra_evaluation_criteria"]
    for number, each in enumerate(criteria):
        wanted = {"id": str, "name": str, "conversation_goal_prompt": str}
        wrong += (
            fields(each, [*place, number], wanted, {})
            if isinstance(each, dict)
            else [problem([*place, number], "dict_type", "Input should be a valid dictionary")]
        )
    if wrong:
        raise invalid(wrong)
    said = [
        turn.get("message") or ""
        for turn in specification.get("partial_conversation_history") or []
        if isinstance(turn, dict) and turn.get("role") == "user"
    ]
    prompt = (specification["simulated_user_config"].get("prompt") or {}).get("prompt") or "Hello"
    call.world.simulate(prompt, now=call.now, request=call.ordinal)
    verdicts = {each["id"]: _verdict(each["conversation_goal_prompt"]) for each in criteria}
    results = {
        name: {"criteria_id": name, "result": verdict, "rationale": "It was looked at."}
        for name, verdict in verdicts.items()
    }
    analysis = {
        "evaluation_criteria_results": results,
        "data_collection_results": {},
        "call_successful": "failure" if "failure" in verdicts.values() else "success",
        "transcript_summary": f"A simulated caller: {prompt}",
    }
    return Answer(200, {"simulated_conversation": _talk(said or [prompt]), "analysis": analysis})


def create(call: Call) -> Answer:
    """POST /agent-testing/create."""
    optional = {
        "type": str,
        "success_condition": str,
        "success_conditions": list,
        "simulation_scenario": str,
        "chat_history": list,
    }
    body = body_of(call, {"name": str}, optional)
    wrong = one_of(body.get("type", "llm"), _TYPES, ["body", "type"])
    if body.get("type") == "simulation" and not _conditions(body):
        wrong.append(problem(["body"], "value_error", "at least one success condition is required"))
    if wrong:
        raise invalid(wrong)
    made = call.world.create_test(body["name"], orjson.dumps(body), now=call.now, request=call.ordinal)
    return Answer(200, {"id": made.id})


def get(call: Call) -> Answer:
    """GET /agent-testing/:id."""
    test = _test(call, call.id)
    return Answer(200, {"type": "llm", **orjson.loads(test.body), "id": test.id, "access_info": ACCESS})


def delete(call: Call) -> Answer:
    """DELETE /agent-testing/:id."""
    test = _test(call, call.id)
    call.world.delete_test(test.id, now=call.now, request=call.ordinal)
    return Answer(200, {})


def listing(call: Call) -> Answer:
    """GET /agent-testing."""
    search = call.query.get("search", "").casefold()
    rows = [test for test in call.world.tests.values() if search in test.name.casefold()]
    told, rest = page(
        call,
        rows,
        lambda test: test.id,
        {"created_at": lambda test: test.created, "name": lambda test: test.name.casefold()},
    )
    return Answer(200, {"tests": [_line(test) for test in told], **rest})


def run(call: Call) -> Answer:
    """POST /agents/:id/run-tests: every test is pending at first."""
    agent = agent_of(call)
    body = body_of(call, {"tests": list}, {"name": str, "repeat_count": int})
    named = [each.get("test_id") if isinstance(each, dict) else None for each in body["tests"]]
    wrong = [
        problem(["body", "tests", number, "test_id"], "missing", "Field required")
        for number, each in enumerate(named)
        if not isinstance(each, str)
    ]
    if wrong:
        raise invalid(wrong)
    tests = [_test(call, str(each)) for each in named]
    name = body.get("name") or f"Tests of {agent.name}"
    runs = [{"test_id": test.id, "name": test.name, **_end(test)} for test in tests] * (
        body.get("repeat_count") or 1
    )
    raw = orjson.dumps({"agent_id": agent.agent_id, "runs": runs})
    return Answer(200, _suite(call, call.world.run_tests(name, raw, now=call.now, request=call.ordinal)))


def poll(call: Call) -> Answer:
    """GET /test-invocations/:id."""
    suite = call.world.runs.get(call.id)
    if suite is None:
        raise missing("test_invocation", call.id)
    return Answer(200, _suite(call, suite))


def _suite(call: Call, suite: Made) -> dict[str, Any]:
    body = orjson.loads(suite.body)
    over = call.world.at(call.now) >= suite.created + call.world.scaled(_RUNS)
    runs = [
        {
            "test_run_id": f"{suite.id}_{number}",
            "test_invocation_id": suite.id,
            "agent_id": body["agent_id"],
            "test_id": each["test_id"],
            "test_name": each["name"],
            "status": each["status"] if over else "pending",
            "agent_responses": _talk(["Hello"]) if over else None,
            "condition_result": {
                "result": each["result"],
                "rationale": {"messages": [], "summary": "It was looked at."},
            }
            if over
            else None,
            "last_updated_at_unix": int(suite.created),
        }
        for number, each in enumerate(body["runs"])
    ]
    return {
        "id": suite.id,
        "name": suite.name,
        "agent_id": body["agent_id"],
        "created_at": int(suite.created),
        "test_runs": runs,
    }


def _line(test: Made) -> dict[str, Any]:
    return {
        "id": test.id,
        "name": test.name,
        "access_info": ACCESS,
        "created_at_unix_secs": int(test.created),
        "last_updated_at_unix_secs": int(test.created),
        "type": orjson.loads(test.body).get("type", "llm"),
    }


def _test(call: Call, test_id: str) -> Made:
    test = call.world.tests.get(test_id)
    if test is None:
        raise missing("test", test_id)
    return test


def _conditions(body: dict[str, Any]) -> list[str]:
    single = body.get("success_condition")
    return [str(each) for each in body.get("success_conditions") or ([single] if single else [])]


def _end(test: Made) -> dict[str, str]:
    met = all(_verdict(each) == "success" for each in _conditions(orjson.loads(test.body)))
    return {"status": "passed", "result": "success"} if met else {"status": "failed", "result": "failure"}


def _verdict(condition: str) -> str:
    return "failure" if _FAILING.search(condition) else "success"


def _talk(said: list[str]) -> list[dict[str, Any]]:
    lines = [
        (who, line) for each in said for who, line in (("user", each), ("agent", f"I understand: {each}"))
    ]
    return [
        {"role": who, "message": line, "time_in_call_secs": 2 * at} for at, (who, line) in enumerate(lines)
    ]
