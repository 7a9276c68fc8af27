"""The receiver as a command: what it says, how it ends, and what it keeps to itself."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import resource
import signal
import socket
import stat
import time
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import orjson
import pytest

from bulkops.cli import main
from bulkops.webhook.spool import OTHER, POST_CALL, files, line_of
from tests.e2e.e2e_commands import end_of, files_below, interrupt, table
from tests.exporting.exporting_spool import event as exported_event
from tests.sending.sending_tls import Tls, make_authority
from tests.webhook.webhook_doubles import (
    SAID,
    SECRET,
    bare,
    connected,
    conversations,
    event,
    request,
    spooled,
    timestamped,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.e2e_commands import Desk, Started


def secret_file(desk: Desk, *secrets: str, mode: int = 0o600) -> Path:
    """Write a file of secrets."""
    path = desk.folder / "webhook.secret"
    path.write_text("".join(f"{secret}\n" for secret in secrets or [SECRET]), "utf-8")
    path.chmod(mode)
    return path


def listen(desk: Desk, *words: object, **more: Any) -> Started:
    """Start a receiver on a free port, with the spool `spool`."""
    secrets = () if "--secret-file" in words else ("--secret-file", secret_file(desk))
    return desk.start("listen", "--spool", "spool", "--port", 0, *secrets, *words, **more)


def url_of(process: Started) -> str:
    """Return where a receiver listens."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def deliver(url: str, body: bytes, signature: str | None = None) -> int:
    """Deliver an event; return the status of the answer."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    headers = {"ElevenLabs-Signature": signature or timestamped(body), "Content-Type": "application/json"}
    connection.request("POST", parts.path, body, headers)
    status = connection.getresponse().status
    connection.close()
    return status


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM])
def test_a_receiver_as_a_command(lone_desk: Desk, told: signal.Signals) -> None:
    """It prints its URL alone on stdout, keeps what is delivered, and ends with 0 and its numbers when told to."""
    with listen(lone_desk) as process:
        url = url_of(process)
        assert url.startswith("http://127.0.0.1:")
        assert url.endswith("/webhook")
        assert [deliver(url, event(number % 3)) for number in range(4)] == [200] * 4
        assert deliver(url, event(9), bare(event(9))) == 200
        assert deliver(url, event(4), "0" * 64) == 401
        over = interrupt(process, told)
    assert (over.code, over.out) == (0, ""), over.err
    assert f"listening on {url}, spool spool; 1 secret, signatures: bare or timestamped." in over.err
    assert over.last == ("ended: 4 kept, 1 known already, 1 refused (401 the signature is wrong: 1)")
    assert "Traceback" not in over.err
    assert conversations(lone_desk.folder / "spool") == ["conv_0", "conv_1", "conv_2", "conv_9"]


def test_nothing_of_a_delivery_is_told(lone_desk: Desk) -> None:
    """Neither body nor secret nor what a stranger sends stands in what it says; the spool is its owner's alone."""
    with listen(lone_desk) as process:
        url = url_of(process)
        deliver(url, event(1))
        deliver(url, event(2), f"{SAID}\x9b31m")
        deliver(url.replace("/webhook", f"/{SAID}"), event(3))
        deliver(url, SAID.encode())
        over = interrupt(process)
    assert over.err.count("refused:") == 3
    assert SAID not in over.err
    assert over.err.replace("\n", "").isprintable()
    spool = lone_desk.folder / "spool"
    holding = [path for path in files_below(lone_desk.folder) if SAID.encode() in path.read_bytes()]
    assert holding == [file.path for file in files(spool)]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files_below(spool)} == {0o600}


def test_secrets_of_the_environment(lone_desk: Desk) -> None:
    """The secret may come from the environment; that of a file goes before it."""
    env = {"ELEVENLABS_WEBHOOK_SECRET": "wsec_environment"}
    body = event(1)
    for words, status in (((), 200), (("--secret-file", secret_file(lone_desk)), 401)):
        with lone_desk.start("listen", "--spool", "spool", "--port", 0, *words, env=env) as process:
            assert deliver(url_of(process), body, timestamped(body, secret="wsec_environment")) == status
            assert interrupt(process).code == 0


def test_the_options_of_belief(lone_desk: Desk) -> None:
    """Several secrets, a form, a tolerance, a path and a size are what they were told to be."""
    files_of = ("--secret-file", secret_file(lone_desk, "one", "", "two"))
    words = ("--signature", "timestamped", "--tolerance", "1h", "--path", "/calls", "--max-body", "1KiB")
    with listen(lone_desk, *files_of, *words) as process:
        url = url_of(process)
        assert url.endswith("/calls")
        body = event(1)
        assert deliver(url, body, timestamped(body, secret="two")) == 200
        assert deliver(url, body, bare(body, "one")) == 401
        assert deliver(url, body, timestamped(body, time.time() - 3500, "one")) == 200
        assert deliver(url, body, timestamped(body, time.time() - 3700, "one")) == 401
        assert deliver(url, event(2, more="x" * 1024)) == 413
        over = interrupt(process)
    assert "2 secrets, signatures: timestamped." in over.err


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (
            (),
            "there is no webhook secret, without which anybody could deliver anything: give --secret-file FILE",
        ),
        (("--secret-file", "nowhere"), "the secret file nowhere cannot be read: No such file"),
        (("--secret-file", "open"), "can be read by others; run: chmod 600 open"),
        (("--secret-file", "empty"), "there is no webhook secret in empty"),
        (("--secret-file", "blanks"), "secret 2 in blanks has characters that no secret has"),
        (("--secret-file", "good", "--path", "calls"), "has to begin with /"),
        (("--secret-file", "good", "--path", "/healthz"), "give another one"),
        (("--secret-file", "good", "--tls-key", "good"), "without --tls-cert"),
        (("--secret-file", "good", "--tls-cert", "good"), "cannot be used for TLS"),
        (("--secret-file", "good", "--tls-cert", "nowhere"), "cannot be used for TLS"),
        (("--secret-file", "good", "--spool", "no/where"), "name a folder with --spool"),
        (("--secret-file", "good", "--api", "other"), "there is no API 'other'"),
        (("--secret-file", "good", "--signature", "bar"), "did you mean 'bare'?"),
        (("--secret-file", "good", "--max-body", "25MB"), "takes a size such as 512KiB, 25MiB or 1GiB"),
        (("--secret-file", "good", "--host", "nowhere.invalid"), "cannot be had"),
        (("--replay", "nowhere"), "nowhere cannot be read: No such file"),
    ],
)
def test_what_cannot_be_used_is_told(
    tmp_path: Path,
    words: tuple[str, ...],
    remedy: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each mistake ends with 2 and what to do about it, before anything is taken."""
    for name, text, mode in (
        ("good", "wsec", 0o600),
        ("open", "wsec", 0o644),
        ("empty", "\n\n", 0o600),
        ("blanks", "wsec\nw sec\n", 0o600),
    ):
        (tmp_path / name).write_text(text, "utf-8")
        (tmp_path / name).chmod(mode)
    monkeypatch.chdir(tmp_path)
    assert main(["listen", "--spool", "spool", "--port", "0", *words]) == 2
    told = capsys.readouterr().err
    assert remedy in told
    assert "wsec" not in told
    assert "Traceback" not in told


def test_a_port_in_use(lone_desk: Desk) -> None:
    """It is told, with the remedy."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ended = lone_desk.bulkops(
            "listen",
            "--spool",
            "spool",
            "--secret-file",
            secret_file(lone_desk),
            "--port",
            taken.getsockname()[1],
        )
    assert ended.code == 2, ended.err
    assert "is in use; stop what uses it, or let --port 0 pick a free one" in ended.err


def test_without_the_extra(lone_desk: Desk) -> None:
    """Without the packages of the extra it ends with 2 and the command that installs them; a replay needs none."""
    shim = lone_desk.shim("uvicorn", "raise ImportError('no uvicorn here')\n")
    words = ("listen", "--spool", "spool", "--secret-file", secret_file(lone_desk))
    ended = lone_desk.bulkops(*words, env=shim)
    assert ended.code == 2, ended.err
    assert "python -m pip install 'bulkops[webhook]'" in ended.err
    (lone_desk.folder / "events.jsonl").write_bytes(event(1) + b"\n")
    assert lone_desk.bulkops("listen", "--spool", "spool", "--replay", "events.jsonl", env=shim).code == 0


def test_a_disk_that_refuses_at_the_end(lone_desk: Desk) -> None:
    """Deliveries are answered with 503, and the end says so, with 74."""
    limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (1000, 1000))
    with listen(lone_desk, preexec_fn=limit) as process:
        url = url_of(process)
        assert deliver(url, event(1)) == 200
        assert deliver(url, event(2, more="x" * 1000)) == 503
        over = interrupt(process)
    assert over.code == 74, over.err
    assert (
        "could not be written at the end: File too large. What was answered with 503 is not in it"
        in over.last
    )
    assert conversations(lone_desk.folder / "spool") == ["conv_1"]


def test_tls_by_flag(lone_desk: Desk) -> None:
    """With a certificate and a key it speaks TLS."""
    tls = Tls(make_authority(lone_desk.folder))
    with listen(lone_desk, "--tls-cert", "cert.pem", "--tls-key", "key.pem") as process:
        port = urlsplit(url_of(process)).port
        assert port is not None

        async def over_tls() -> tuple[int, bytes]:
            async with connected("127.0.0.1", port, tls.trusting()) as client:
                return await client.ask(request(event(1)))

        assert asyncio.run(over_tls()) == (200, b"kept\n")
        assert interrupt(process).code == 0


def test_recorded_events_are_taken(lone_desk: Desk) -> None:
    """Events of a file, of another spool with their own days, and of stdin: once; what is none is told."""
    known = line_of(1762171320.0, "a" * 64, event(2))
    recorded = [event(1), b"", event(1), known.rstrip(b"\n"), b"nonsense", b'{"type": "other"}', known[:-40]]
    (lone_desk.folder / "recorded.jsonl").write_bytes(b"\n".join(recorded))
    words = ("listen", "--spool", "spool", "--replay")
    ended = lone_desk.bulkops(*words, "recorded.jsonl")
    assert ended.code == 3, ended.err
    assert ended.err.splitlines() == [
        "recorded.jsonl, line 5 is left out: the body is no JSON",
        "recorded.jsonl, line 7 is cut off, and so was never acknowledged; left out",
        (
            "replayed recorded.jsonl into spool, without signatures to check: 3 kept, 1 known already, 1 refused "
            "(the body is no JSON: 1)"
        ),
    ]
    spool = lone_desk.folder / "spool"
    assert min(file.day for file in files(spool)) == "2025-11-03"
    assert [line.event["type"] for line in spooled(spool, OTHER)] == ["other"]
    (old,) = [line for line in spooled(spool, POST_CALL) if line.sha256 == "a" * 64]
    assert (old.received_at, old.event) == (1762171320.0, json.loads(event(2)))
    before = len(files(spool))
    with (lone_desk.folder / "recorded.jsonl").open("rb") as stdin:
        again = lone_desk.bulkops(*words, "-", stdin=stdin)
    assert "stdin, line 5 is left out" in again.err
    assert "0 kept, 4 known already, 1 refused" in again.last
    assert len(files(spool)) == before


def test_what_was_replayed_is_known_to_a_receiver(lone_desk: Desk) -> None:
    """An event that was recorded and is delivered again is acknowledged, and not kept again."""
    (lone_desk.folder / "recorded.jsonl").write_bytes(event(1) + b"\n")
    assert lone_desk.bulkops("listen", "--spool", "spool", "--replay", "recorded.jsonl").code == 0
    with listen(lone_desk) as process:
        assert deliver(url_of(process), event(1)) == 200
        assert interrupt(process).last.startswith("ended: 0 kept, 1 known already")


def test_what_was_delivered_is_exported_without_a_request(desk: Desk) -> None:
    """Beside the running receiver an export takes from its spool what came, each once, and asks the API for nothing."""
    with listen(desk) as process:
        url = url_of(process)
        for number, sent in enumerate(("conv_a", "conv_b"), 1):
            body = orjson.dumps(exported_event(sent))
            assert [deliver(url, body), deliver(url, body)] == [200, 200]
            ended = desk.bulkops(
                "export", "conversations", "--ids-from", "spool", "--out", "ex", *desk.target
            )
            assert ended.code == 0, ended.err
            assert desk.sent == 0
            rows = [row for path in (desk.folder / "ex").rglob("part-*.jsonl") for row in table(path)]
            assert len(rows) == number
        assert interrupt(process).code == 0


def test_nobody_listens_to_what_it_says(lone_desk: Desk) -> None:
    """With its terminal gone it goes on receiving."""
    read, write = os.pipe()
    with listen(lone_desk, stderr=write) as process:
        os.close(write)
        os.close(read)
        url = url_of(process)
        assert deliver(url, event(1), "nonsense") == 401
        assert deliver(url, event(1)) == 200
        process.send_signal(signal.SIGTERM)
        assert end_of(process).code == 0
