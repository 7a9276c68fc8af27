"""Rehearsals with --emulate, and the local server as a command."""

from __future__ import annotations

import signal
import socket
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.e2e.e2e_commands import FAST, KEY, agent, agents, end_of, files_below, results, run_folder, table

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.e2e_commands import Desk


def rehearsed(job: Path) -> Path:
    """Return the run folder of a job's rehearsal."""
    return job.with_name(f"{job.stem}.emulated.run")


def test_a_rehearsal_leaves_the_real_run_alone(desk: Desk) -> None:
    """--emulate has a folder of its own, begins anew each time, and touches neither key, account nor real run."""
    desk.accounts(
        '[accounts.acme]\nbase_url = "https://acme.example"\napi_key_command = "touch used; echo x"\n'
    )
    job = desk.job([{"$job": {"name": "h", "account": "acme"}}, *agents(3)])
    plain = desk.job(agents(3), "plain.jsonl")
    desk.run(plain)
    before = {path: path.read_bytes() for path in files_below(run_folder(plain))}
    sent = desk.sent
    for each in (job, plain, plain):
        ended = desk.bulkops("run", each, "--emulate", *FAST, env={"ELEVENLABS_API_KEY": ""})
        assert ended.code == 0, ended.err
        assert "rehearsal against a built-in server" in ended.err
        assert "done 3 of 3" in ended.last
        assert "(3 requests)" in ended.last
        assert f"For real: bulkops run {each}" in ended.last
    assert desk.sent == sent
    assert not (desk.folder / "used").exists()
    assert {path: path.read_bytes() for path in files_below(run_folder(plain))} == before
    told = desk.bulkops("status", plain, "--emulate")
    assert "done 3" in told.out
    assert len(desk.bulkops("results", plain, "--emulate").rows) == 3


def test_a_rehearsal_never_sees_the_real_key(lone_desk: Desk) -> None:
    """The built-in server hears a key of its own, and nothing of a rehearsal holds the real one."""
    job = lone_desk.job(agents(1))
    ended = lone_desk.bulkops(
        "run", job, "--emulate", *FAST, "--log-file", "log", "--api-key-file", "nowhere"
    )
    assert ended.code == 0, ended.err
    for path in files_below(lone_desk.folder):
        assert KEY.encode() not in path.read_bytes()


def test_a_rehearsal_removes_only_rehearsals(desk: Desk) -> None:
    """A rehearsal never removes a folder that is not a rehearsal's: not a real run's, and not that of a failed file."""
    job = desk.job([agent(0), {"op": "agent.get", "agent_id": "agent_nope"}])
    desk.run(job)
    folder = run_folder(job)
    before = {path: path.read_bytes() for path in files_below(folder)}
    # A job whose run folder has the name that another job's rehearsal would take.
    namesake = desk.job(agents(1), "job.emulated.jsonl")
    desk.run(namesake)
    for words in ((job, "--run-dir", folder), (folder / "failed.jsonl",), (job,)):
        ended = desk.bulkops("run", "--emulate", *words, *FAST)
        assert ended.code == 2, ended.err
        assert "rehearsal" in ended.err
    assert {path: path.read_bytes() for path in files_below(folder)} == before
    assert (run_folder(namesake) / "checkpoint.db").exists()
    for _ in range(2):
        assert desk.bulkops("run", job, "--emulate", "--run-dir", "mine", *FAST).code == 3


def test_emulate_excludes_a_base_url(lone_desk: Desk) -> None:
    """--emulate together with --base-url is a usage error."""
    job = lone_desk.job(agents(1))
    ended = lone_desk.bulkops("run", job, "--emulate", "--base-url", "http://127.0.0.1:9")
    assert ended.code == 2
    assert "leave --base-url out" in ended.err


def test_without_the_extra(lone_desk: Desk) -> None:
    """Without the packages of the extra, --emulate and emulate end with 2 and the command that installs them."""
    shim = lone_desk.shim("starlette", "raise ImportError('no starlette here')\n")
    job = lone_desk.job(agents(1))
    for words in (("run", job, "--emulate"), ("emulate", "--port", "0")):
        ended = lone_desk.bulkops(*words, env=shim)
        assert ended.code == 2, ended.err
        assert "python -m pip install 'bulkops[emulator]'" in ended.err
        assert "Traceback" not in ended.err
    assert not rehearsed(job).exists()


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM])
def test_the_server_as_a_command(lone_desk: Desk, told: signal.Signals) -> None:
    """`emulate` prints its base URL alone on stdout, serves runs, and ends with 0 and its numbers when told to."""
    with lone_desk.start("emulate", "--port", "0", "--rate", "100000/min", "--latency", "0") as server:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:")
        job = lone_desk.job([*agents(2), {"op": "conversation.export", "conversation_id": "conv_seed_0001"}])
        ended = lone_desk.bulkops("run", job, "--base-url", url, *FAST)
        assert ended.code == 0, ended.err
        server.send_signal(told)
        over = end_of(server)
    assert over.code == 0, over.err
    assert over.out == ""
    assert f"bulkops run JOB --base-url {url}" in over.err
    assert "3 requests in" in over.err
    assert "429: none" in over.err
    assert "Traceback" not in over.err
    assert (run_folder(job) / results(job)[2]["files"][0]["path"]).is_file()


def test_the_server_speaks_the_live_api(lone_desk: Desk) -> None:
    """With `--api live` it answers as the service does today, and tells of no limit by time."""
    with lone_desk.start("emulate", "--port", 0, "--api", "live", "--latency", 0) as server:
        assert server.stdout is not None
        reply = httpx.get(
            f"{server.stdout.readline().strip()}/agents", headers={"xi-api-key": "any"}, trust_env=False
        )
        assert set(reply.json()) == {"agents", "next_cursor", "has_more"}
        assert "x-ratelimit-limit" not in reply.headers
        server.send_signal(signal.SIGINT)
        assert end_of(server).code == 0


def test_the_server_takes_its_options(lone_desk: Desk) -> None:
    """Algorithm, concurrency, others and the journal come from the command line, and the end tells of them."""
    effects = lone_desk.folder / "effects.jsonl"
    options = (
        *("--rate", "600/min", "--limit-algorithm", "gcra", "--limit-burst", 7, "--no-retry-after"),
        *("--concurrency", 3, "--concurrency-queue", 5, "--foreign", "60/min", "--foreign-burst", 2),
        *("--time-scale", 10, "--effects", effects),
    )
    with lone_desk.start("emulate", "--port", 0, *options) as server:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        job = lone_desk.job(agents(3))
        done = lone_desk.bulkops("run", job, "--base-url", url, "--rate", "600/min", "--time-scale", 10)
        assert done.code == 0, done.err
        server.send_signal(signal.SIGTERM)
        over = end_of(server)
    events = [told["event"] for told in table(effects)]
    assert (events.count("started"), events.count("effect")) == (1, 3)
    assert "the limit is 600" in over.err
    assert "others on the key: " in over.err
    assert "in service at once" in over.err


def test_a_port_in_use(lone_desk: Desk) -> None:
    """A port that is in use ends with 2 and says what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = lone_desk.bulkops("emulate", "--port", port)
    assert ended.code == 2
    assert f"port {port} on 127.0.0.1 is in use" in ended.err
    assert "--port 0" in ended.err


def test_faults_of_a_file(lone_desk: Desk) -> None:
    """Mistakes in a file of faults are told with the entry, and a missing file with its name."""
    faults = lone_desk.folder / "faults.json"
    faults.write_text('[{"nth": 1, "fault": "429"}, {"fault": "nonsense"}]')
    ended = lone_desk.bulkops("emulate", "--port", 0, "--faults", faults)
    assert ended.code == 2
    assert "entry 2: unknown fault 'nonsense'" in ended.err
    missing = lone_desk.bulkops("emulate", "--port", 0, "--faults", "nowhere.json")
    assert missing.code == 2
    assert "the faults in nowhere.json cannot be read" in missing.err


def test_tiers_of_a_rehearsal(lone_desk: Desk) -> None:
    """A rehearsal takes any rate, also with --tier enterprise, and says which tiers it knows."""
    job = lone_desk.job(agents(1))
    ended = lone_desk.bulkops("run", job, "--emulate", "--tier", "enterprise")
    assert ended.code == 2
    assert "--rate 2000/min" in ended.err
    assert lone_desk.bulkops("run", job, "--emulate", "--tier", "enterprise", *FAST).code == 0


def test_a_rehearsal_takes_the_rest_from_the_environment(lone_desk: Desk) -> None:
    """What `emulate` takes and `run` does not, a rehearsal takes from the environment; mistakes in it are told."""
    job = lone_desk.job(agents(1))
    (lone_desk.folder / "faults.json").write_text('[{"nth": 1, "fault": "error_before", "status": 400}]')
    ended = lone_desk.bulkops("run", job, "--emulate", *FAST, env={"BULKOPS_FAULTS": "faults.json"})
    assert ended.code == 3, ended.err
    wrong = lone_desk.bulkops("run", job, "--emulate", *FAST, env={"BULKOPS_LIMIT_ALGORITHM": "sliding"})
    assert wrong.code == 2
    assert "BULKOPS_LIMIT_ALGORITHM" in wrong.err
    assert "Traceback" not in wrong.err


def test_scaled_time_is_said(lone_desk: Desk) -> None:
    """A rehearsal whose clock runs faster says so; without a server of that kind, the option is refused."""
    job = lone_desk.job(agents(1))
    ended = lone_desk.bulkops("run", job, "--emulate", "--time-scale", 10)
    assert ended.code == 0, ended.err
    assert "runs 10 times as fast" in ended.err
    refused = lone_desk.bulkops("run", job, "--time-scale", 10)
    assert refused.code == 2
    assert "--emulate" in refused.err


def test_a_rehearsal_asks_for_no_key_of_the_accounts_file(lone_desk: Desk) -> None:
    """A rehearsal neither reads the key of an entry nor is it refused because of the server that the key is for."""
    lone_desk.accounts(
        '[accounts.default]\nbase_url = "https://proxy.example/v1/convai"\napi_key_command = "touch asked; echo k"\n'
    )
    ended = lone_desk.bulkops("run", lone_desk.job(agents(1)), "--emulate", *FAST)
    assert ended.code == 0, ended.err
    assert not (lone_desk.folder / "asked").exists()
