"""Templates: what lines have of those that they use, and what is wrong with both."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from bulkops.jobfile import Header, LineProblems, RawLine, parse_line
from bulkops.jobfile.merging import under
from tests.jobfile.jobfile_headers import OBJECTS, problems, read

if TYPE_CHECKING:
    from bulkops.jobfile import Line

TEMPLATES = {
    "tenant": {"op": "agent.clone", "agent_id": "agent_golden", "tags": ["t"], "copies": 2, "set": {"a": 1}},
    "german": {"set": {"lang": "de", "a": None}, "tags": None, "meta": {"by": "x"}, "on_error": "halt"},
    "waiting": {"needs": ["first"], "name": "${var:town} ${copy}", "account": "eu"},
}


def used(tmp_path: Path, said: Any, **line: Any) -> Line:
    """Return a line under a header."""
    header, _ = read(tmp_path, orjson.dumps({"$job": said}))
    return parse_line(RawLine(2, 0, orjson.dumps(line)), header, {}, tmp_path)


def test_a_line_has_what_its_template_says(tmp_path: Path) -> None:
    """A template gives a line its kind, fields and reserved keys; those of the line win."""
    said = {"templates": TEMPLATES, "vars": {"town": "Oslo"}}
    line = used(
        tmp_path, said, use=["tenant", "german", "waiting"], id="x", copies=3, meta={"by": None, "n": 1}
    )
    assert (line.op, line.id, line.count, line.tags, line.needs) == ("agent.clone", "x", 3, (), ("first",))
    assert (line.on_error, line.account, line.meta) == ("halt", "eu", {"n": 1})
    built: Any = line.operation(lambda _: None, 2)
    assert (built.agent_id, built.name, built.set) == ("agent_golden", "Oslo 2", {"lang": "de"})
    assert used(tmp_path, said, use="tenant", op="agent.get", copies=None, set=None).op == "agent.get"


@drawn(OBJECTS, st.lists(OBJECTS, max_size=3), OBJECTS)
def test_defaults_templates_and_line_are_folded(
    defaults: dict[str, Any], templates: list[dict[str, Any]], line: dict[str, Any]
) -> None:
    """For any objects, each stands over those before it as a line stands over its defaults, in this order."""
    said = [{"op": "agent.create", "body": body} for body in templates]
    before = orjson.dumps(templates)
    header = Header(
        defaults={"agent.create": {"body": defaults}}, templates={str(i): it for i, it in enumerate(said)}
    )
    raw = {"use": [*header.templates], "op": "agent.create", "body": line}
    parsed = parse_line(RawLine(2, 0, orjson.dumps(raw)), header, {}, Path())
    folded = defaults
    for upper in (*templates, line):
        folded = under(folded, upper)
    assert parsed.fields["body"] == folded
    assert said == [{"op": "agent.create", "body": body} for body in orjson.loads(before)]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ({"use": "tenent"}, ["`use` names 'tenent', which is no template; did you mean `tenant`?"]),
        (
            {"use": ["x", "tenant", "y"], "copys": 1},
            [
                "`use` names 'x', which is no template; known are german, tenant, waiting",
                "`use` names 'y', which is no template; known are german, tenant, waiting",
                "`copys` is not a field of agent.clone; did you mean `copies`?",
            ],
        ),
        (
            {"use": 3, "op": "agent.clone"},
            ['`use` has to be the name of a template, or a list of names, such as ["copy", "german"]'],
        ),
        (
            {"use": "german", "op": "agent.get"},
            ["`set` is not a field of agent.get", "`agent_id` is missing"],
        ),
        ({"use": "german"}, ["`op` is missing; each line names what to do"]),
        ({"use": "tenant", "op": None}, ["`op` is missing; each line names what to do"]),
        ({"use": "tenant", "agent_id": None}, ["`agent_id` is missing; agent.clone needs it"]),
    ],
)
def test_what_is_wrong_with_the_use_of_a_template(tmp_path: Path, line: Any, found: list[str]) -> None:
    """Templates that are not there are named with the nearest, beside everything else that is wrong."""
    with pytest.raises(LineProblems) as caught:
        used(tmp_path, {"templates": TEMPLATES, "vars": {"town": "Oslo"}}, **line)
    told = [f"`{field}` {message}" for field, message in caught.value.found]
    assert len(told) == len(found)
    for said, start in zip(told, found, strict=True):
        assert said.startswith(start)


def test_templates_are_checked(tmp_path: Path) -> None:
    """In the header, what can be known of a template without its lines is said at once, with its place."""
    assert problems(tmp_path, {"templates": []}) == [
        '`$job.templates` has to be an object, such as {"copy": {"op": "agent.clone"}}'
    ]
    found = problems(
        tmp_path,
        {
            "templates": {
                "a": {"op": "agent.clon", "copies": 2, "copys": 2, "id": "x", "use": "b", "needs": "n"},
                "b": {
                    "op": "agent.clone",
                    "copies": 0,
                    "name": 3,
                    "body": {},
                    "tags": None,
                    "set": "${var:x}",
                },
                "c": 3,
                "#": {},
                "d": {"index": {"deadline": "1h"}, "copies": "many", "on_error": "stop", "custom_id": "x"},
            }
        },
    )
    place = "`$job.templates."
    assert found == [
        f"{place}a.op` is 'agent.clon', which is no known kind; did you mean `agent.clone`?",
        f"{place}a.copys` is not a field of any kind; did you mean `copies`?",
        f"{place}a.id` cannot stand in a template; each line has an id of its own",
        f"{place}a.use` cannot stand in a template; name all templates on the line, in order",
        f'{place}a.needs` has to be a list of ids and tags, such as ["tenant-1", "@handbook"]',
        f"{place}b.copies` has to be a whole number from 1 to 100000",
        f"{place}b.name` has to be a text that is not empty",
        (
            f"{place}b.body` is not a field of agent.clone; known are account, agent_id, copies, expect, "
            "file, from, if_exists, map, meta, name, needs, on_error, op, set, tags, unset"
        ),
        f'{place}c` has to be an object with keys of a line, such as {{"op": "agent.clone"}}',
        (
            f"{place}#` is no name of a template: write a text of 1 to 200 printable characters without # [ ] {{ }}, "
            "no blank at either end"
        ),
        f"{place}d.on_error` has to be one of block, continue, halt",
        f"{place}d.custom_id` cannot stand in a template; each line has an id of its own",
    ]
