"""What the service answers today, under our names: each function takes any JSON and leaves what it does not know.

What was said stays as it is; our names, which are those of the reference, stand beside it. One already there wins. What
would be mistaken in a result, or is no result, has another name: the id of an index, and what was said in a simulation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulkops.api.profile import Refusal
from bulkops.moments import in_words

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulkops.model import Json

MODELS = {"e5_mistral_7b": "e5_mistral_7b_instruct"}
"""Embedding models that the reference calls otherwise."""
_MOST_TOLD = 5


def agent(answer: Json) -> Json:
    """Tell when an agent was made and changed, in texts."""
    metadata = _at(answer, "metadata")
    made, changed = _at(metadata, "created_at_unix_secs"), _at(metadata, "updated_at_unix_secs")
    return _beside(answer, created_at=in_words(made), updated_at=in_words(changed))


def agents(answer: Json) -> Json:
    """Tell of each row when its agent was made and changed."""
    return _rows(answer, "agents", _agent_row)


def _agent_row(row: Json) -> Json:
    made, changed = _at(row, "created_at_unix_secs"), _at(row, "updated_at_unix_secs")
    return _beside(row, created_at=in_words(made), updated_at=in_words(changed))


def deleted(_answer: Json) -> Json:
    """Tell that it was done: the answer itself is empty."""
    return {"success": True}


def conversation(answer: Json) -> Json:
    """Tell when a conversation began and ended, in texts, and how long it took."""
    metadata = _at(answer, "metadata")
    began, lasted = _at(metadata, "start_time_unix_secs"), _at(metadata, "call_duration_secs")
    over = _at(answer, "status") in ("done", "failed") and _is_number(began) and _is_number(lasted)
    return _beside(
        answer,
        created_at=in_words(began),
        duration_seconds=lasted,
        ended_at=in_words(began + lasted) if over else None,
    )


def document(answer: Json) -> Json:
    """Tell the id of a document by our name."""
    return _beside(answer, document_id=_at(answer, "id"))


def document_read(answer: Json) -> Json:
    """Tell the id of a document that is there by our name, and when it was made and changed, in texts."""
    metadata = _at(answer, "metadata")
    made, changed = _at(metadata, "created_at_unix_secs"), _at(metadata, "last_updated_at_unix_secs")
    told = document(answer)
    return _beside(told, created_at=in_words(made), updated_at=in_words(changed))


def documents(answer: Json) -> Json:
    """Tell the same of each row."""
    return _rows(answer, "documents", document_read)


def tools(answer: Json) -> Json:
    """Tell of each row what is told of a tool."""
    return _rows(answer, "tools", tool)


def test(answer: Json) -> Json:
    """Tell the id of a test by its name, and when it was made and changed, in texts."""
    made, changed = _at(answer, "created_at_unix_secs"), _at(answer, "last_updated_at_unix_secs")
    return _beside(answer, test_id=_at(answer, "id"), created_at=in_words(made), updated_at=in_words(changed))


def tests(answer: Json) -> Json:
    """Tell the same of each row."""
    return _rows(answer, "tests", test)


def invocation(answer: Json) -> Json:
    """Tell how far the runs of some tests are in all: pending while one is, and whether all were passed.

    Where nothing was run, nothing was passed: it counts as failed.
    """
    runs = _at(answer, "test_runs")
    if not isinstance(runs, list):
        return _beside(answer, test_invocation_id=_at(answer, "id"))
    words = [word.lower() if isinstance(word := _at(run, "status"), str) else "unknown" for run in runs]
    words = words or ["failed"]
    over = all(word in ("passed", "failed", "cancelled") for word in words)
    status = (
        next((word for word in ("failed", "cancelled") if word in words), "passed") if over else "pending"
    )
    return _beside(
        answer,
        test_invocation_id=_at(answer, "id"),
        status=status,
        passed=status == "passed" if over else None,
    )


def without_content(answer: Json) -> Json:
    """Leave out what was read out of a document: it can be as long as the document is."""
    return {key: part for key, part in answer.items() if key != "extracted_inner_html"}


def without_talk(answer: Json) -> Json:
    """Leave out what was said in the runs of tests."""
    runs = [
        {key: part for key, part in run.items() if key != "agent_responses"} for run in answer["test_runs"]
    ]
    return {**answer, "test_runs": runs}


def conversations(answer: Json) -> Json:
    """Tell of each row when its conversation began, in a text, and how long it took."""
    return _rows(answer, "conversations", _conversation_row)


def _conversation_row(row: Json) -> Json:
    began = in_words(_at(row, "start_time_unix_secs"))
    return _beside(row, created_at=began, duration_seconds=_at(row, "call_duration_secs"))


def index(answer: Json) -> Json:
    """Tell the model of an index by our name, and its id as such: beside a document's it would be taken for that."""
    if not isinstance(answer, dict):
        return answer
    told = {key: part for key, part in answer.items() if key != "id"}
    return _beside(told, index_id=answer.get("id"), embedding_model=_at(answer, "model"))


def indexes(answer: Json) -> Json:
    """Tell the indexes of a document, and of one that is alone its status where the reference has it."""
    rows = _at(answer, "indexes")
    if not isinstance(rows, list):
        return answer
    told = [index(row) for row in rows]
    alone = told[0] if len(told) == 1 else None
    status, model = _at(alone, "status"), _at(alone, "embedding_model")
    return _beside({**answer, "indexes": told}, status=status, embedding_model=model)


def index_of(observation: Json, model: str) -> Json:
    """Return the index with a model out of those of a document; an empty object while there is none."""
    rows = _at(observation, "indexes")
    if not isinstance(rows, list):
        return observation
    return next((row for row in rows if _is_of(row, model)), {})


def index_in_batch(answer: Json, document_id: str, model: str) -> Json:
    """Return the index of a document, as `index_of` would; None where that failed, or is of another model.

    There are two statuses: the outer one tells whether the index was found, the inner one how far it is.
    """
    end = _at(answer, document_id)
    found, word = index(_at(end, "data")), _text(_at(end, "status"))
    if word is None or word.lower() != "success" or not isinstance(found, dict):
        return None
    return found if _is_of(found, model) else None


def tool(answer: Json) -> Json:
    """Tell the id and the name of a tool where the reference has them."""
    return _beside(answer, tool_id=_at(answer, "id"), name=_at(_at(answer, "tool_config"), "name"))


def simulation(answer: Json) -> Json:
    """Tell what was said as the transcript, and what became of the criteria as the reference does."""
    if not isinstance(answer, dict):
        return answer
    told = {key: part for key, part in answer.items() if key != "simulated_conversation"}
    if "simulated_conversation" in answer:
        told = _beside(told, transcript=answer["simulated_conversation"])
    analysis = _at(answer, "analysis")
    results = _at(analysis, "evaluation_criteria_results")
    rows = list(results.items()) if isinstance(results, dict) else []
    # The same once more, or in its place.
    listed = _at(analysis, "evaluation_criteria_results_list")
    rows += [(_text(_at(row, "criteria_id")), row) for row in (listed if isinstance(listed, list) else ())]
    verdicts: dict[str, bool] = {}
    for number, (told_id, row) in enumerate(rows, 1):
        name = told_id or f"criterion_{number}"
        verdicts[name] = verdicts.get(name, True) and _at(row, "result") == "success"
    details = [{"criterion": name, "passed": each} for name, each in verdicts.items()]
    met = sum(verdicts.values())
    passed = met == len(details) if details else _at(analysis, "call_successful") == "success"
    evaluation = {"criteria_met": met, "criteria_total": len(details), "details": details}
    return _beside(told, passed=passed if isinstance(analysis, dict) else None, evaluation=evaluation)


def refusal(answer: Json) -> Refusal:
    """Return what a refusal says, in each shape of `detail`: an object, a list of what is wrong where, a text."""
    detail = answer.get("detail", answer) if isinstance(answer, dict) else answer
    if isinstance(detail, list):
        told = [text for text in map(_wrong, detail) if text]
        more = f" and {len(told) - _MOST_TOLD} more" if len(told) > _MOST_TOLD else ""
        code = _text(_at(detail[0], "type")) if detail else None
        return Refusal(code, "; ".join(told[:_MOST_TOLD]) + more or None)
    if not isinstance(detail, dict):
        return Refusal(None, _text(detail))
    code = next((text for name in ("code", "status", "type") if (text := _text(detail.get(name)))), None)
    message = next((text for name in ("message", "msg", "error") if (text := _text(detail.get(name)))), None)
    if message is not None and (place := _text(detail.get("param"))):
        message = f"{place}: {message}"
    older = _text(detail.get("status"))
    return Refusal(code, message, _text(detail.get("request_id")), None if older == code else older)


def _wrong(row: Json) -> str | None:
    """Return one row of a validation: the path of the field, and what is wrong with it."""
    if not isinstance(row, dict):
        return _text(row)
    place, message = row.get("loc"), _text(row.get("msg"))
    parts = [str(part) for part in place if isinstance(part, str | int)] if isinstance(place, list) else []
    # That it is the body goes without saying.
    path = ".".join(parts[1:] if len(parts) > 1 and parts[0] == "body" else parts)
    return f"{path}: {message}" if path and message else message or path or None


def _rows(answer: Json, name: str, told: Callable[[Json], Json]) -> Json:
    rows = _at(answer, name)
    return {**answer, name: [told(row) for row in rows]} if isinstance(rows, list) else answer


def _is_of(index: Json, model: str) -> bool:
    name = _text(_at(index, "model"))
    return name is not None and name.lower() == MODELS.get(model, model).lower()


def _at(value: Json, name: str) -> Json:
    return value.get(name) if isinstance(value, dict) else None


def _text(value: Json) -> str | None:
    return value if isinstance(value, str) and value else None


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _beside(answer: Json, **ours: Json) -> Json:
    """Return an answer with what is known besides; nothing in it is replaced."""
    if not isinstance(answer, dict):
        return answer
    return {
        **{name: part for name, part in ours.items() if part is not None and name not in answer},
        **answer,
    }
