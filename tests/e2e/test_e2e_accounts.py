"""Whose key, which server, how fast: flag, environment, header, accounts file, default, in this order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bulkops.checkpoint import open_reader
from tests.e2e.e2e_commands import KEY, agent, agents, files_below, results, run_folder

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.e2e_commands import Desk

NO_KEY = {"ELEVENLABS_API_KEY": ""}


def test_no_key(desk: Desk) -> None:
    """Without a key a run ends with 2, says where a key may come from, and sends nothing."""
    ended = desk.run(desk.job(agents(1)), env=NO_KEY)
    assert (ended.code, desk.sent) == (2, 0)
    for word in ("ELEVENLABS_API_KEY", "--api-key-file", "accounts.toml", "--emulate"):
        assert word in ended.err


@pytest.mark.parametrize("bad", [f"{KEY}\nx", f"{KEY} é"])
def test_a_key_that_is_none_is_not_shown(desk: Desk, bad: str) -> None:
    """A key with a newline or a blank ends with 2 and is never shown."""
    ended = desk.run(desk.job(agents(1)), env={"ELEVENLABS_API_KEY": bad})
    assert (ended.code, desk.sent) == (2, 0)
    assert "ELEVENLABS_API_KEY" in ended.err
    assert KEY not in ended.err + ended.out


def test_key_files(desk: Desk) -> None:
    """A key file is used before the environment, with its final newline left off; others may not read it."""
    job = desk.job(agents(1))
    file = desk.folder / "key"
    file.write_text("key-of-the-file\n")
    file.chmod(0o644)
    refused = desk.run(job, "--api-key-file", file)
    assert (refused.code, desk.sent) == (2, 0)
    assert f"chmod 600 {file}" in refused.err
    assert "key-of-the-file" not in refused.err
    file.chmod(0o600)
    assert desk.run(job, "--api-key-file", file).code == 0
    assert desk.server is not None
    assert len(desk.server.world("key-of-the-file").effects) == 1
    assert desk.run(job, "--api-key-file", "nowhere").code == 2


def test_an_account_of_the_file(desk: Desk) -> None:
    """An account gives base URL, rate and key; the plan and the summary say where the limit came from."""
    assert desk.server is not None
    file = desk.folder / "key"
    file.write_text("key-of-acme\n")
    file.chmod(0o600)
    desk.accounts(
        f"""
        [accounts.acme]
        base_url = "{desk.server.base_url}"
        rate = "5000/min"
        api_key_file = "{file}"
        [accounts.by_command]
        base_url = "{desk.server.base_url}"
        tier = "pro"
        api_key_command = "echo key-of-command"
        [accounts.broken_command]
        base_url = "{desk.server.base_url}"
        api_key_command = "echo oh-secret; exit 3"
        """
    )
    job = desk.job(agents(1))
    assert desk.bulkops("run", job, "--account", "acme").code == 0
    assert len(desk.server.world("key-of-acme").effects) == 1

    header = desk.job([{"$job": {"name": "h", "account": "by_command"}}, agent(1)], "header.jsonl")
    ended = desk.bulkops("run", header, "--json")
    assert ended.code == 0, ended.err
    limit = {"requests": 500, "seconds": 60.0, "source": "accounts file"}
    assert ended.rows[0]["limit"] == {**limit, "used": 0.002, "others": 0}
    assert len(desk.server.world("key-of-command").effects) == 1

    ended = desk.bulkops("run", job, "--account", "broken_command", "--run-dir", "x")
    assert ended.code == 2
    assert "exit code 3" in ended.err
    assert "oh-secret" not in ended.err.replace("echo oh-secret", "")
    unknown = desk.bulkops("run", job, "--account", "acne")
    assert unknown.code == 2
    assert "acme" in unknown.err


def test_what_wins(desk: Desk) -> None:
    """A flag wins over the environment, that over the header, that over the accounts file, that over the default."""
    desk.accounts(
        '[accounts.default]\ntier = "pro"\n[accounts.named]\nrate = "7/min"\n[accounts.other]\nrate = "8/min"\n'
    )
    plain = desk.job(agents(1))
    header = desk.job([{"$job": {"name": "h", "account": "named"}}, agent(1)], "header.jsonl")

    def limit(job: object, *words: str, **env: str) -> int:
        ended = desk.bulkops("plan", job, "--json", *words, env=env)
        assert ended.code == 0, ended.err
        found: int = ended.rows[0]["limit"]["requests"]
        return found

    assert limit(plain) == 500
    assert limit(header) == 7
    assert limit(header, BULKOPS_ACCOUNT="other") == 8
    assert limit(header, "--account", "default", BULKOPS_ACCOUNT="other") == 500
    assert limit(header, BULKOPS_RATE="9/min") == 9
    assert limit(header, "--rate", "10/min", BULKOPS_RATE="9/min") == 10
    desk.accounts("[accounts.default]\n")
    assert limit(plain) == 100


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f'[accounts.default]\napi_key = "{KEY}"\n', ["keys do not stand in this file", "api_key_file"]),
        ('[accounts.default]\nbase = "x"\n', ["`accounts.default.base` is not known", "base_url"]),
        ("[accounts.default]\ntier = 5\n", ["has to be a text"]),
        ('[default]\ntier = "pro"\n', ["[accounts.default]"]),
        ("[accounts.default\n", ["cannot be read"]),
        ('[accounts.default]\ntier = "enterprise"\n', ["--rate"]),
        ('[accounts.default]\nrate = "fast"\n', ["N/PERIOD"]),
        ('[accounts.default]\nbase_url = "http://example.com"\n', ["unencrypted"]),
    ],
)
def test_accounts_files_that_cannot_be_used(desk: Desk, text: str, words: list[str]) -> None:
    """A mistake in the accounts file ends with 2, names the field and the remedy, and shows no key."""
    path = desk.accounts(text)
    ended = desk.bulkops("plan", desk.job(agents(1)))
    assert ended.code == 2
    assert KEY not in ended.err
    for word in words:
        assert word in ended.err
    assert path.exists()


def test_the_enterprise_tier_needs_a_rate(desk: Desk) -> None:
    """--tier enterprise without a rate is a usage error; with one it goes."""
    assert desk.server is not None
    job = desk.job(agents(1))
    ended = desk.bulkops("run", job, "--base-url", desk.server.base_url, "--tier", "enterprise")
    assert (ended.code, desk.sent) == (2, 0)
    assert "--rate 2000/min" in ended.err
    assert desk.run(job, "--tier", "enterprise").code == 0


@pytest.mark.parametrize("url", ["ftp://x", "http://example.com", "https://u:p@example.com"])
def test_base_urls_a_key_must_not_go_to(lone_desk: Desk, url: str) -> None:
    """A base URL without TLS, with a user name or a query, or that is none, is a usage error."""
    ended = lone_desk.bulkops("plan", lone_desk.job(agents(1)), "--base-url", url)
    assert ended.code == 2
    assert "--base-url" in ended.err


def test_the_key_is_let_out_nowhere(desk_at: Callable[..., Desk]) -> None:
    """The key is in no file of the run folder, no output, no log; the folder is its owner's alone."""
    desk = desk_at(
        conversations=1, faults=[{"nth": 3, "fault": "error_after"}, {"nth": 5, "fault": "not_json"}]
    )
    job = desk.job(
        [
            *agents(6),
            {"op": "conversation.export", "conversation_id": "conv_seed_0001"},
            {"op": "conversation.create", "body": {"agent_id": "${ref:a0#agent_id}"}},
            {"op": "agent.list"},
            {"op": "agent.get", "agent_id": "agent_nope"},
        ]
    )
    (desk.folder / "home" / "umask").write_text("")
    ended = desk.run(job, "--log-file", "run.log", "--json", "-j", 1)
    assert ended.code == 3
    assert KEY not in ended.out + ended.err
    for path in files_below(desk.folder):
        assert KEY.encode() not in path.read_bytes(), path
    folder = run_folder(job)
    for path in (folder, *folder.rglob("*"), desk.folder / "run.log"):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path
    signed = [path.name for path in files_below(folder) if b"wss://" in path.read_bytes()]
    assert set(signed) <= {"results.jsonl", "checkpoint.db", "checkpoint.db-wal"}


def test_an_internal_error_does_not_show_the_key(desk: Desk) -> None:
    """A mistake in bulkops itself ends with 1, a traceback without the key, and a sentence that it was one."""
    shim = desk.shim(
        "sitecustomize",
        "import os\n"
        "import bulkops.reporting.progress as progress\n"
        "def ended(self, state):\n"
        "    raise RuntimeError('broken by ' + os.environ['ELEVENLABS_API_KEY'])\n"
        "progress.Progress.ended = ended\n",
    )
    ended = desk.run(desk.job(agents(2)), "-q", env=shim)
    assert ended.code == 1
    assert "RuntimeError: broken by ***" in ended.err
    assert KEY not in ended.err + ended.out
    assert "this is a mistake in bulkops" in ended.last
    for path in files_below(desk.folder):
        assert KEY.encode() not in path.read_bytes(), path


def test_a_key_from_the_server_is_not_written(desk: Desk) -> None:
    """A signed URL stands in the results, and not in the events, the log or the summary."""
    job = desk.job(
        [agent(0), {"op": "conversation.create", "id": "c", "body": {"agent_id": "${ref:a0#agent_id}"}}]
    )
    ended = desk.run(job, "--log-file", "run.log", "--json")
    assert ended.code == 0
    row = results(job)[1]
    assert row["result"]["signed_url"].startswith("wss://")
    assert "wss://" not in ended.out + ended.err + (desk.folder / "run.log").read_text()


def test_a_run_folder_of_another_key(desk: Desk) -> None:
    """A run folder that belongs to another key is refused and nothing is sent, until the user says it is a new one."""
    job = desk.job([*agents(2), {"op": "agent.get", "id": "g", "agent_id": "agent_nope"}])
    assert desk.run(job).code == 3
    sent = desk.sent
    other = {"ELEVENLABS_API_KEY": "another-key-of-mine"}
    for refused in (desk.run(job, env=other), desk.retry(job, env=other)):
        assert (refused.code, desk.sent) == (2, sent)
        assert "--another-key" in refused.last
        assert "--run-dir" in refused.last
    assert desk.retry(job, "--another-key", env=other).code == 3
    assert desk.sent > sent
    # From now on the folder belongs to the new key.
    assert desk.retry(job, env=other).code == 3
    assert desk.retry(job).code == 2
    assert len(desk.effects()) == 2


def test_a_refused_key_owns_nothing(desk_at: Callable[..., Desk]) -> None:
    """A key that the server refuses does not make the run folder its own, even after a create was tried with it."""
    desk = desk_at(keys=("right",))
    job = desk.job(agents(2))
    assert desk.run(job).code == 4
    assert desk.run(job, env={"ELEVENLABS_API_KEY": "right"}).code == 0
    assert desk.run(job).code == 2


def test_the_mark_of_a_key_is_no_key(desk: Desk) -> None:
    """The same key has another mark in every run folder, so marks tell nothing to those who see two of them."""
    marks = []
    for name in ("one.jsonl", "two.jsonl"):
        job = desk.job(agents(1), name)
        assert desk.run(job).code == 0
        reader = open_reader(run_folder(job) / "checkpoint.db")
        assert reader is not None
        with reader:
            marks.append(str(reader.meta("key")))
    assert marks[0] != marks[1]
    assert [len(bytes.fromhex(mark)) for mark in marks] == [8, 8]
