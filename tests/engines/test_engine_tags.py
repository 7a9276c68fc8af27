"""Tags: what waits for all lines with one, and what collects their results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bulkops.planning import Selection
from tests.engines.engine_bench import AGENT, Job, Server, counts
from tests.engines.test_engine_dependants import causes, create, failing
from tests.jumping import run_jumping

if TYPE_CHECKING:
    from pathlib import Path


def collecting(line_id: str, tag: str, **more: Any) -> dict[str, Any]:
    """Return a line that makes an agent whose documents are what the lines with a tag have made."""
    made = {"$collect": {"tag": tag, "field": "agent_id", **more}}
    return {"op": "agent.create", "id": line_id, "body": {**AGENT, "name": line_id, "documents": made}}


def nameless(name: str, *tags: str) -> dict[str, Any]:
    """Return a line without an id."""
    return {"op": "agent.create", "body": {**AGENT, "name": name}, "tags": list(tags)}


def listed(server: Server, name: str) -> list[str]:
    """Return the ids that an agent has as its documents."""
    made = next(agent for agent in server.world.agents.values() if agent.name == name)
    found: list[str] = orjson.loads(made.body)["documents"]
    return found


def documents(server: Server, name: str) -> list[str]:
    """Return the names of the agents that an agent's documents are the ids of."""
    return [server.world.agents[entity].name for entity in listed(server, name)]


def test_a_line_comes_after_all_lines_with_a_tag(tmp_path: Path) -> None:
    """It begins when each of them is done, and not later, wherever they stand; others do not wait for it."""
    tagged = [create("a", tags=["t"]), nameless("b", "t", "other"), nameless("b", "t")]
    lines = [create("z", needs=["@t"]), *tagged, *[create(f"n{n}") for n in range(20)]]
    server = Server()
    assert counts(run_jumping(lambda: Job(tmp_path, lines, in_flight=4).run(server))) == {"done": 24}
    made = server.effects("agent.create")
    assert sorted(made[:3]) == ["a", "b", "b"]
    assert 3 < made.index("z") < 12


def test_what_is_collected_has_the_order_of_the_lines(tmp_path: Path) -> None:
    """Every operation of the tag is in the list once, by line and copy, whichever ended first."""
    lines = [
        collecting("z", "t"),
        create("src"),
        {
            "op": "agent.clone",
            "agent_id": "${ref:src#agent_id}",
            "name": "k${copy}",
            "copies": 3,
            "tags": ["t"],
        },
        create("late", needs=["src"], tags=["t"]),
        create("early", tags=["t", "t"]),
    ]
    server = Server()
    run_jumping(lambda: Job(tmp_path, lines).run(server))
    assert documents(server, "z") == ["k1", "k2", "k3", "late", "early"]


def test_a_failure_blocks_who_waits_for_the_tag(tmp_path: Path) -> None:
    """The cause names the line, by its place where it has no id; what else waits is not kept."""
    lines = [nameless("a", "t"), collecting("z", "t"), create("y", needs=["@t"]), create("x", needs=["@u"])]
    job = Job(tmp_path, [*lines, create("b", tags=["u"])])
    run = run_jumping(lambda: job.run(failing("a")))
    assert causes(job) == {"z": "line 1 is failed", "y": "line 1 is failed"}
    assert counts(run) == {"done": 2, "failed": 1, "blocked": 2}


def test_failures_can_be_left_out(tmp_path: Path) -> None:
    """With `on_failed: omit` the list has what is done, once all have ended; `needs` on the tag still blocks."""
    tagged = [create(name, tags=["t"]) for name in "abc"]
    strict = {**collecting("strict", "t", on_failed="omit"), "needs": ["@t"]}
    job, server = Job(tmp_path, [*tagged, collecting("z", "t", on_failed="omit"), strict]), failing("b")
    run = run_jumping(lambda: job.run(server))
    assert documents(server, "z") == ["a", "c"]
    assert causes(job) == {"strict": "b is failed"}
    assert counts(run) == {"done": 3, "failed": 1, "blocked": 1}


def test_a_retry_frees_who_waits_for_the_tag(tmp_path: Path) -> None:
    """Once the failed ones are done, the list has all of them, also those of the run before."""
    job, second = (
        Job(tmp_path, [collecting("z", "t"), *[create(name, tags=["t"]) for name in "abc"]]),
        Server(),
    )

    async def both() -> Any:
        await job.run(failing("b"))
        assert causes(job) == {"z": "b is failed"}
        return await job.run(second, Selection(failed=True))

    assert counts(run_jumping(both)) == {"done": 4}
    assert listed(second, "z") == [row["result"]["agent_id"] for row in job.rows()[1:]]


def test_what_goes_on_after_a_failure_is_not_blocked(tmp_path: Path) -> None:
    """A line with the tag whose failure is no reason to stop is left out of the list."""
    tagged = [create("a", tags=["t"], on_error="continue"), create("b", tags=["t"])]
    server = failing("a")
    assert counts(run_jumping(lambda: Job(tmp_path, [*tagged, collecting("z", "t")]).run(server))) == {
        "done": 2,
        "failed": 1,
    }
    assert documents(server, "z") == ["b"]


def test_what_is_in_doubt_keeps_the_tag_waiting(tmp_path: Path) -> None:
    """A tag is not complete while one of its lines is in doubt, not even for who leaves out failures."""
    tool = {
        "op": "tool.create",
        "body": {"name": "x", "description": "d", "url": "https://a.example", "method": "GET"},
    }
    lines = [{**tool, "tags": ["t"]}, create("b", tags=["t"]), collecting("z", "t", on_failed="omit")]
    job = Job(tmp_path, [*lines, create("y", needs=["@t"])])
    run = run_jumping(lambda: job.run(failing("x", status=500)))
    assert counts(run) == {"done": 1, "in_doubt": 1, "not_started": 2}
    assert run.engine.held == 2


def test_a_result_without_the_field_fails_who_collects(tmp_path: Path) -> None:
    """The failure names the line that lacks it and what is there instead."""
    line = collecting("z", "t")
    line["body"]["documents"]["$collect"]["field"] = "document_id"
    job = Job(tmp_path, [create("a", tags=["t"]), line])
    assert counts(run_jumping(lambda: job.run(Server()))) == {"done": 1, "failed": 1}
    assert job.rows()[1]["error"]["message"] == (
        "$collect of @t cannot be filled in: `document_id` is not in the result of line a; it has: "
        "agent_id, name, created_at"
    )


def test_results_say_their_tags(tmp_path: Path) -> None:
    """The row of a line with tags has them, that of another one has no such key."""
    job = Job(tmp_path, [create("a", tags=["t", "u"]), create("b")])
    run_jumping(lambda: job.run(Server()))
    assert [row.get("tags") for row in job.rows()] == [["t", "u"], None]


LINES = st.lists(
    st.fixed_dictionaries(
        {
            "tags": st.sets(st.sampled_from("tuv"), max_size=2),
            "needs": st.sets(st.sampled_from("tuv"), max_size=2),
            "collects": st.none() | st.sampled_from("tuv"),
            "earlier": st.none() | st.integers(0, 9),
            "fails": st.integers(0, 5).map(lambda number: not number),
        }
    ),
    min_size=1,
    max_size=10,
)


def job_of(drawn: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return lines that wait for tags and lines before them; tags that nobody has, or later ones have, are left out."""
    lines: list[dict[str, Any]] = []
    waited: set[str] = set()
    had: set[str] = set()
    for number, each in enumerate(drawn):
        tags = each["tags"] - waited
        wanted = (each["needs"] & had) - tags
        line = create(f"n{number}", tags=sorted(tags), needs=[f"@{tag}" for tag in sorted(wanted)])
        waited |= wanted
        if each["collects"] in had - tags:
            waited.add(each["collects"])
            line["body"] = collecting("", each["collects"])["body"] | {"name": f"n{number}"}
        if each["earlier"] is not None and each["earlier"] < number:
            line["needs"].append(f"n{each['earlier']}")
        had |= tags
        lines.append(line)
    return lines


def needed(lines: list[dict[str, Any]], line: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what a line waits for, as the job file says it."""
    made = line["body"].get("documents")
    names = [*line["needs"], *([f"@{made['$collect']['tag']}"] if made else [])]
    tags = {name[1:] for name in names if name.startswith("@")}
    return [other for other in lines if other["id"] in names or tags & set(other["tags"])]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=LINES, order=st.randoms(use_true_random=False), killed=st.none() | st.floats(0.05, 2.0))
def test_any_job_with_tags_comes_out_as_its_lines_say(
    tmp_path: Path, drawn: list[dict[str, Any]], order: Any, killed: float | None
) -> None:
    """Whatever waits for whatever, in any order and after a kill: done after all it needs, or blocked by a failure."""
    lines = job_of(drawn)
    wrong = {f"n{number}" for number, each in enumerate(drawn) if each["fails"]}
    shuffled = order.sample(lines, len(lines))
    job, server = Job(tmp_path, shuffled, in_flight=3), failing(*wrong)

    async def run() -> None:
        if killed is not None:
            await job.run_until_killed(server, killed)
        await job.run(server)

    run_jumping(run)
    states = {row["id"]: row["status"] for row in job.rows()}
    made = server.effects("agent.create")
    assert len(made) == len(set(made))
    for line in lines:
        sources = needed(lines, line)
        ends = {states.get(other["id"], "not started") for other in sources}
        state = states.get(line["id"], "not started")
        if ends & {"failed", "blocked"}:
            assert state == "blocked"
        elif ends & {"in_doubt", "not started"}:
            assert state == "not started"
        elif state != "in_doubt" or killed is None:
            # What was under way when it was killed may stay in doubt: the clock of this server is not the wall's.
            assert state == ("failed" if line["id"] in wrong else "done")
        if state == "done" and killed is None:
            assert all(made.index(other["id"]) < made.index(line["id"]) for other in sources)
        if state == "done" and (made_of := line["body"].get("documents")):
            of_tag = [other["id"] for other in shuffled if made_of["$collect"]["tag"] in other["tags"]]
            assert documents(server, line["id"]) == of_tag
