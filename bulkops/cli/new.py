"""`bulkops new`: write a job file, for review."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bulkops.cli import orders
from bulkops.cli.parsing import say
from bulkops.cli.written import out_of, write_job
from bulkops.errors import UsageError
from bulkops.reporting.text import safe_text
from bulkops.reporting.words import number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bulkops.cli.parsing import Options


def run(options: Options) -> int:
    """Write the job file."""
    out = out_of(options)
    start = out.absolute().parent if out is not None else Path.cwd()
    lines, what = _WRITERS[options.verb](options, start)
    if lines is None:
        say(what)
    else:
        write_job(out, lines, what.format)
    return 0


def _upload(options: Options, start: Path) -> tuple[Iterator[bytes], str]:
    from bulkops.writing.upload import upload_lines

    model = None if options.no_index else options.model
    include = options.include or ["*"]
    lines = upload_lines(
        Path(options.folder), start=start, model=model, include=include, if_exists=options.if_exists
    )
    return lines, "{:,} documents"


def _replace(options: Options, start: Path) -> tuple[Iterator[bytes] | None, str]:
    from bulkops.writing.replace import replacement

    model = None if options.no_index else options.model
    found = replacement(
        Path(options.folder), options.include or ["*"], orders.ledgers(options), removes=options.remove
    )
    for note in found.told():
        say(note)
    if not found:
        return None, "nothing has changed: there is no job to write"
    return found.lines(start, model), f"{number(len(found.changed), 'document')} to replace"


def _clone(options: Options, start: Path) -> tuple[Iterator[bytes], str]:
    from bulkops.writing.clone import clone_lines

    csv = Path(options.from_csv)
    lines = clone_lines(csv, options.agent, start=start, id=options.id, name=options.name)
    return lines, "a clone for each row"


def _export(options: Options, start: Path) -> tuple[Iterator[bytes], str]:
    from bulkops.writing.export import export_lines

    if options.column is not None and options.field is not None:
        raise UsageError("--column is for CSV and --field for JSON lines; give one of them")
    lines = export_lines(Path(options.ids), start=start, column=options.column, field=options.field)
    plain = options.column is None and options.field is None
    return lines, "{:,} conversations" if plain else "a conversation for each row"


def _migrate(options: Options, start: Path) -> tuple[Iterator[bytes] | None, str]:
    from bulkops.accounts import Wanted, account_names, accounts_path, find_account
    from bulkops.bounding import places
    from bulkops.cli import orders
    from bulkops.pace.places import state_folder
    from bulkops.settings import Settings
    from bulkops.told import silent
    from bulkops.writing import migrate
    from bulkops.writing.account import read_agents

    environ = orders.environment()
    source, target = getattr(options, "from"), options.to
    if source == target:
        raise UsageError("--from and --to name the same account; a copy within it is a job with agent.clone")
    if target not in account_names(environ):
        raise UsageError(f"there is no account {target!r} in {accounts_path(environ)}")
    id_maps = [Path(path) for path in options.id_map or ()]
    tools = migrate.read_tools(Path(options.tools) if options.tools else None)
    mapped = migrate.read_mapped(id_maps, target)
    api = orders.profile(options)
    orders.check_one_api(api, options, [target], environ)
    wanted = Wanted(account=source, base_url=orders.base_url(options), rate=options.rate)
    settings = Settings(api=api, account=find_account(api, wanted, environ))
    kept = places(state_folder(environ), [settings.account], silent)
    found = read_agents(settings, options.agent, kept, {*tools, *mapped})
    way = options.if_exists
    agents, told = migrate.left_to_move(found, mapped, way)
    if not agents:
        for words in told:
            say(safe_text(words, 1000))
        return None, f"nothing is left to copy from {source} to {target}: there is no job to write"
    tools, replaced = migrate.hide_secrets(tools)
    folder = Path(options.documents) if options.documents else None
    documents = migrate.find_documents(folder, (use for agent in agents for use in agent.uses))
    move = migrate.Move(api, agents, tools, documents, mapped, way)
    migrate.check_mapped(move, f"{source} → {target}")
    for words in (*told, *replaced):
        say(safe_text(words, 1000))
    model = None if options.no_index else options.model
    lines = migrate.migrate_lines(move, source, target, start=start, model=model)
    return lines, "{:,} lines"


_WRITERS: dict[str, Callable[[Options, Path], tuple[Iterator[bytes] | None, str]]] = {
    "upload": _upload,
    "replace": _replace,
    "clone": _clone,
    "export": _export,
    "migrate": _migrate,
}
