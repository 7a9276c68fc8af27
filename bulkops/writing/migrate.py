"""A job that copies the agents of one account to another, with what they use."""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from bulkops.api.profile import is_entity_id
from bulkops.errors import JobError, Problem, UsageError
from bulkops.jobfile import find_cycle
from bulkops.jobfile.id_maps import read_id_maps, several
from bulkops.jobfile.problems import shown
from bulkops.jobfile.sources import opened
from bulkops.model import value
from bulkops.writing.places import seen_from
from bulkops.writing.plain import plain
from bulkops.writing.secrets import without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from bulkops.api.profile import Profile
    from bulkops.model import Json
    from bulkops.writing.account import Agent, Use

MOST_USERS_TOLD = 3
_REMEDIES = {
    "tool": "give its body in --tools, or what takes its place in --id-map",
    "document": "put its file into --documents (named by the id, or as the document is), or map it in --id-map",
    "voice": "map it in --id-map, to itself where it is the same there",
    "agent": "move it as well, or map it in --id-map",
}


@value
class Tool:
    """The body of a tool, the id that it has in the account that is left, and the line of its file."""

    id: str
    body: Json
    line: int


@value
class Move:
    """What is moved: agents, bodies of tools, files of documents by id, and the ids that are mapped already.

    `if_exists` is what is done with an agent whose name another one has there.
    """

    api: Profile
    agents: Sequence[Agent]
    tools: Mapping[str, Tool]
    documents: Mapping[str, Path]
    mapped: Mapping[str, str]
    if_exists: str


def read_tools(path: Path | None) -> dict[str, Tool]:
    """Return the tools of a file of JSON lines: `{"source_id": …, "body": {…}}`, or the body with the id in it."""
    tools: dict[str, Tool] = {}
    problems: list[Problem] = []
    if path is None:
        return tools
    with opened({"jsonl": str(path.absolute())}, path) as source:
        assert source is not None, "only a listing has no rows yet"
        for number, row in enumerate(source.rows, 1):
            said: Any = row.get("source_id") or (row.get("meta") or {}).get("source_id")
            body = row.get("body")
            if not isinstance(body, dict):
                body = {key: part for key, part in row.items() if key not in {"source_id", "meta"}}
            if not is_entity_id(said):
                what = "has to be the id that the tool has in the account that is left"
                problems.append(Problem(shown(str(path), 1000), number, "source_id", what))
            elif said in tools:
                what = f"{said} is on line {tools[said].line} already"
                problems.append(Problem(shown(str(path), 1000), number, "source_id", what))
            else:
                tools[said] = Tool(said, body, number)
    if problems:
        raise JobError(problems)
    return tools


def find_documents(folder: Path | None, uses: Iterable[Use]) -> dict[str, Path]:
    """Return the files of documents by their ids: named by the id, else by the name that an agent tells of it.

    A name that several files could be is none.
    """
    if folder is None:
        return {}
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder; name the folder with the documents")
    files: dict[str, set[Path]] = defaultdict(set)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        for name in (path.name, path.stem):
            files[name].add(path)
    found: dict[str, Path] = {}
    for use in uses:
        for named in [use.id, use.name or use.id] if use.kind == "document" else []:
            if len(files.get(named, ())) == 1 and use.id not in found:
                [found[use.id]] = files[named]
    return found


def read_mapped(paths: Sequence[Path], account: str) -> Mapping[str, str]:
    """Return what files say takes the place of which id in an account; JobError with what is wrong with them."""
    problems: list[Problem] = []
    ids = read_id_maps(
        [str(path.absolute()) for path in paths], Path(), problems, partial(Problem, "--id-map", None, None)
    )
    if problems:
        raise JobError(problems)
    return ids.over({}, account)


def left_to_move(
    agents: Iterable[Agent], mapped: Mapping[str, str], if_exists: str
) -> tuple[list[Agent], list[str]]:
    """Return the agents of which no copy is known yet, and what is said of those and of the others.

    Those that have a copy are updated where `if_exists` says so.
    """
    left, told = [], []
    for agent in agents:
        if agent.id in mapped and if_exists != "update":
            there = several(mapped, agent.id) or f"it is {mapped[agent.id]}"
            told.append(f"agent {agent.id} ({agent.name}) is there already: {there}; it is left out")
        else:
            left.append(agent)
    for agent in _namesakes(left) if if_exists != "create" else ():
        what = "has no name of its own; it is copied whether or not there is one of its name already"
        told.append(f"agent {agent.id} ({agent.name}) {what}")
    return left, told


def _namesakes(agents: Sequence[Agent]) -> list[Agent]:
    """Return the agents that cannot be told apart by their names: one would be taken for the copy of the other."""
    named = Counter(agent.name for agent in agents)
    return [agent for agent in agents if not agent.name or named[agent.name] > 1]


def check_mapped(move: Move, name: str) -> None:
    """Raise JobError with every id that nothing takes the place of, and who uses it."""
    moved = {agent.id for agent in move.agents}
    users: dict[tuple[str, str], list[str]] = defaultdict(list)
    for agent in move.agents:
        for use in agent.uses:
            covered = use.id in move.mapped or use.id in move.tools or use.id in move.documents
            if not covered and use.id not in moved:
                users[use.kind, use.id].append(f"{agent.name} ({agent.id}) at {use.path}")
    problems = [
        Problem(name, None, None, f"{kind} {found}: used by {_told(by)}; {_REMEDIES[kind]}")
        for (kind, found), by in sorted(users.items())
    ]
    unclear = {use.id: several(move.mapped, use.id) for agent in move.agents for use in agent.uses}
    problems += [
        Problem("--id-map", None, None, told) for _, told in sorted(unclear.items()) if told is not None
    ]
    cycle = find_cycle(_edges(move))
    if cycle is not None:
        way = " → ".join([*cycle, cycle[0]])
        what = (
            f"agents use each other in a circle ({way}), so none of them can be made first; copy one by hand, "
            "and map it in --id-map"
        )
        problems.append(Problem(name, None, None, what))
    if problems:
        raise JobError(problems)


def migrate_lines(move: Move, source: str, target: str, *, start: Path, model: str | None) -> Iterator[bytes]:
    """Yield the lines of the job, header first, for a job file in the folder `start`: what is used before its users.

    Each agent's line maps every id that it uses: the job needs no other file to be reviewed, or to mean the same later.
    """
    said: dict[str, Json] = {
        "name": plain(f"migrate {source} to {target}"),
        "about": plain(f"The agents of {source}, with what they use, for {target}. {source} is only read."),
        # Without it the run would want a key of the account `default`, to which none of the lines go.
        "account": target,
        "accounts": {"source": source, "target": target},
        "defaults": {
            "tool.create": {"account": "target"},
            "document.upload": {
                "account": "target",
                **({} if model is None else {"index": {"model": plain(model)}}),
            },
            "agent.clone": {
                "account": "target",
                "from": "source",
                "if_exists": move.if_exists,
                "expect": {"readback": "equal"},
            },
        },
    }
    yield orjson.dumps({"$job": said})
    used = {use.id for agent in move.agents for use in agent.uses}
    for tool in move.tools.values():
        if tool.id in used and tool.id not in move.mapped:
            line = {"id": f"tool:{tool.id}", "op": "tool.create", "body": plain(tool.body)}
            yield orjson.dumps({**line, "meta": {"source_id": tool.id}})
    for found, path in move.documents.items():
        if found in used and found not in move.mapped and found not in move.tools:
            line = {"id": f"document:{found}", "op": "document.upload", "file": plain(seen_from(start, path))}
            yield orjson.dumps({**line, "meta": {"source_id": found}})
    namesakes = {agent.id for agent in _namesakes(move.agents)} if move.if_exists != "create" else set()
    for agent in _in_order(move):
        line = _clone(agent, move)
        yield orjson.dumps({**line, "if_exists": "create"} if agent.id in namesakes else line)


def hide_secrets(tools: Mapping[str, Tool]) -> tuple[dict[str, Tool], list[str]]:
    """Return the tools with placeholders for secrets, and what was replaced, in words."""
    hidden, told = {}, []
    for tool in tools.values():
        body, replaced = without_secrets(tool.body, tool.id)
        hidden[tool.id] = Tool(tool.id, body, tool.line)
        told += [
            f"tool {tool.id}: what stands at `{path}` looks like a secret and is left out of the job, which says "
            f"{{{{secret__{name}}}}} in its place; give it to the other account as the secret {name}"
            for path, name in replaced
        ]
    return hidden, told


def _clone(agent: Agent, move: Move) -> dict[str, Json]:
    line: dict[str, Json] = {"id": f"agent:{agent.id}", "op": "agent.clone", "agent_id": agent.id}
    if agent.uses:
        line["map"] = {use.id: move.mapped.get(use.id) or _ref(use, move) for use in agent.uses}
    return {**line, "meta": {"about": plain(agent.name)}}


def _ref(use: Use, move: Move) -> str:
    if use.id in move.tools:
        return f"${{ref:tool:{use.id}#{move.api.tool_create.entity}}}"
    if use.id in move.documents:
        return f"${{ref:document:{use.id}#{move.api.document_id_field}}}"
    return f"${{ref:agent:{use.id}#{move.api.agent_id_field}}}"


def _edges(move: Move) -> dict[str, list[str]]:
    """Return which moved agent uses which others."""
    moved = {agent.id for agent in move.agents}
    return {
        agent.id: [use.id for use in agent.uses if use.id in moved and use.id not in move.mapped]
        for agent in move.agents
    }


def _in_order(move: Move) -> Iterator[Agent]:
    """Yield the agents, each after those that it uses."""
    edges, agents = _edges(move), {agent.id: agent for agent in move.agents}
    done: set[str] = set()
    for agent_id in agents:
        way = [agent_id]
        while way:
            left = [used for used in edges[way[-1]] if used not in done]
            if left:
                way.append(left[0])
                continue
            here = way.pop()
            if here not in done:
                done.add(here)
                yield agents[here]


def _told(users: Sequence[str]) -> str:
    more = f" and {len(users) - MOST_USERS_TOLD} more" if len(users) > MOST_USERS_TOLD else ""
    return ", ".join(shown(user, 300) for user in users[:MOST_USERS_TOLD]) + more
