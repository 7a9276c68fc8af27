"""The server around the app: starting, stopping, memory, files, and what it tells about itself."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import json
import re
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest

from bulkops.emulator import EmulatorSettings, Schedule, serving, serving_in_thread

if TYPE_CHECKING:
    from collections.abc import Iterator

AGENT = {"name": "Ada", "conversation_config": {}}
MIB = 1024 * 1024


def test_it_serves_in_the_loop_of_the_caller() -> None:
    """`serving` answers a client in the same event loop, and tells what happened."""

    async def main() -> None:
        async with (
            serving(EmulatorSettings()) as emulator,
            httpx.AsyncClient(base_url=emulator.base_url, headers={"xi-api-key": "k"}) as client,
        ):
            replies = await asyncio.gather(*[client.post("/agents/create", json=AGENT) for _ in range(20)])
            assert {reply.status_code for reply in replies} == {200}
            assert (len(emulator.effects), len(emulator.world("k").agents)) == (20, 20)
            assert emulator.requests.most_in_a_window() == 20

    asyncio.run(main())


def test_it_stops_within_a_cancelled_scope() -> None:
    """A cancelled caller leaves no server behind: its port is closed."""
    ports = []

    async def main() -> None:
        with anyio.move_on_after(0.05):
            async with serving(EmulatorSettings()) as emulator:
                ports.append(emulator.port)
                await anyio.sleep_forever()

    anyio.run(main)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", ports[0]), timeout=1)


def test_an_error_of_the_caller_comes_out_as_it_is() -> None:
    """What is raised while serving is neither wrapped nor lost, in a loop or in a thread."""

    async def main() -> None:
        async with serving(EmulatorSettings()):
            raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        asyncio.run(main())
    with pytest.raises(LookupError, match="mine"), serving_in_thread(EmulatorSettings()):
        raise LookupError("mine")


def test_a_port_in_use_is_an_error_with_a_remedy(emulate: Any) -> None:
    """A second emulator on the same port raises an OSError that names the port and --port 0."""
    port = emulate().port
    with (
        pytest.raises(OSError, match=rf"port {port} .*--port 0"),
        serving_in_thread(EmulatorSettings(port=port)),
    ):
        pytest.fail("two servers on one port")


def test_a_port_can_be_had_again_at_once() -> None:
    """An emulator that was stopped with connections open does not keep its port."""
    port = 0
    for _ in range(2):
        with serving_in_thread(EmulatorSettings(port=port)) as emulator:
            port = emulator.port
            with closing(http.client.HTTPConnection("127.0.0.1", port)) as connection:
                connection.request("GET", "/v1/convai/agents", headers={"xi-api-key": "k"})
                assert connection.getresponse().read()


def test_stopping_waits_for_nobody() -> None:
    """The server stops within a second with a kept connection, a silent request and half an upload open."""
    settings = EmulatorSettings(faults=Schedule.parse([{"endpoint": "agent.get", "fault": "silent"}]))
    head = b"Host: e\r\nxi-api-key: k\r\n"
    requests = [
        b"GET /v1/convai/agents HTTP/1.1\r\n" + head + b"\r\n",
        b"GET /v1/convai/agents/x HTTP/1.1\r\n" + head + b"\r\n",
        b"POST /v1/convai/agents/create HTTP/1.1\r\n" + head + b"Content-Length: 100\r\n\r\nhalf",
    ]
    sockets = []
    with serving_in_thread(settings) as emulator:
        for request in requests:
            sockets.append(socket.create_connection(("127.0.0.1", emulator.port), timeout=5))
            sockets[-1].sendall(request)
        while emulator.requests.endpoints.total() < 3:
            time.sleep(0.001)
        began = time.monotonic()
    assert time.monotonic() - began < 1
    for each in sockets:
        each.close()


def test_effects_are_in_the_file_before_the_answer(emulate: Any, talk: Any, tmp_path: Path) -> None:
    """When a client has its answer, the effect is a line of the file, and the key is not in it."""
    file = tmp_path / "effects.jsonl"
    reply = talk(emulate(effects_file=file), "secret-key").post("/agents/create", json=AGENT)
    started, received, line, *_ = file.read_text().splitlines()
    effect = json.loads(line)
    assert (effect["kind"], effect["id"], effect["name"]) == ("agent.create", reply.json()["agent_id"], "Ada")
    assert reply.headers["request-id"] == f"req_{effect['request']:010d}"
    assert "secret-key" not in started + received + line


def test_an_effects_file_is_appended_to(emulate: Any, talk: Any, tmp_path: Path) -> None:
    """Effects of an earlier server stay in the file, and each server begins with a line that says so."""
    file = tmp_path / "effects.jsonl"
    for _ in "12":
        talk(emulate(effects_file=file)).post("/agents/create", json=AGENT)
    events = [json.loads(line)["event"] for line in file.read_text().splitlines()]
    assert (events.count("started"), events.count("effect")) == (2, 2)


def test_an_effects_file_that_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    """A folder that is missing is told before anything is served."""
    settings = EmulatorSettings(effects_file=tmp_path / "none" / "effects.jsonl")
    with (
        pytest.raises(FileNotFoundError, match=r"effects cannot be written to .*effects\.jsonl"),
        serving_in_thread(settings),
    ):
        pytest.fail("served without its file")


def test_it_tells_its_state(emulate: Any, talk: Any) -> None:
    """/_emulator/state needs no key, is not counted, and gives counters, effects and limits."""
    emulator = emulate(limit=2, period=1000.0)
    api = talk(emulator)
    for _ in range(3):
        api.post("/agents/create", json=AGENT)
    talk(emulator, None).get("/agents")
    state = httpx.get(f"{emulator.origin}/_emulator/state").json()
    assert (state["requests"], state["effects"], state["most_in_a_window"]) == (4, 2, 2)
    assert state["statuses"] == {"200": 2, "429": 1, "401": 1}
    assert state["endpoints"] == {"agent.create": 2}
    assert state["limit"] == {"requests": 2, "seconds": 1000.0}
    assert state["refused"] == {"limit": 1}
    assert (emulator.requests.limited, emulator.requests.unauthorized) == (1, 1)


def test_it_lists_effects_of_all_keys_or_of_one(emulate: Any, talk: Any) -> None:
    """/_emulator/effects gives every effect, with ?key= those of a key."""
    emulator = emulate()
    for key in ("one", "two"):
        talk(emulator, key).post("/agents/create", json=AGENT | {"name": key})
    url = f"{emulator.origin}/_emulator/effects"
    names = [
        [effect["name"] for effect in httpx.get(url, params=p).json()["effects"]]
        for p in ({}, {"key": "two"}, {"key": "x"})
    ]
    assert names == [["one", "two"], ["two"], []]


def test_there_is_nothing_else_beside_the_api(emulate: Any) -> None:
    """Other paths are answered 404 with JSON."""
    reply = httpx.get(f"{emulate().origin}/_emulator/other")
    assert (reply.status_code, reply.json().keys()) == (404, {"detail"})


def test_an_unknown_key_has_no_world(emulate: Any) -> None:
    """Asking for the world of a key that the server refuses is a KeyError."""
    with pytest.raises(KeyError):
        emulate(keys=("one",)).world("two")


def test_latency_delays_every_answer(emulate: Any, talk: Any) -> None:
    """With a latency each answer takes at least that long."""
    api = talk(emulate(latency=(0.05, 0.06)))
    began = time.monotonic()
    api.get("/agents")
    assert time.monotonic() - began >= 0.05


def test_a_run_repeats_with_its_seed(emulate: Any, talk: Any) -> None:
    """Two servers with one seed give the same ids, another seed gives others."""
    ids = [
        talk(emulate(seed=seed)).post("/agents/create", json=AGENT).json()["agent_id"] for seed in (1, 1, 2)
    ]
    assert ids[0] == ids[1] != ids[2]


def test_uploads_are_measured_and_dropped(emulate: Any, talk: Any) -> None:
    """Of an upload its size and digest are known, even when it holds what looks like a boundary."""
    emulator = emulate()
    content = b"\r\n--boundary\r\n\r\n" * 20_000
    talk(emulator).post("/knowledge-base/upload", files={"file": ("a.bin", content)}, data={"name": "n"})
    (document,) = emulator.world("a-key").documents.values()
    assert (document.size, document.sha256) == (len(content), hashlib.sha256(content).hexdigest())


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
def test_a_large_upload_stays_flat_in_memory() -> None:
    """Receiving 50 MiB raises the server's peak memory by less than 15 MiB."""
    code = (
        "import sys; from bulkops.emulator import *\n"
        "with serving_in_thread(EmulatorSettings()) as e: print(e.port, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        port = int(server.stdout.readline())
        try:
            upload(port, 1)
            before = peak(server.pid)
            assert upload(port, 50) == 200
            assert peak(server.pid) - before < 15 * MIB
        finally:
            server.stdin.close()


def upload(port: int, mebibytes: int) -> int:
    """Upload that much from a generator, chunked; the status of the answer."""

    def form() -> Iterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="name"\r\n\r\nbig\r\n'
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="big.bin"\r\n\r\n'
        for _ in range(mebibytes):
            yield b"x" * MIB
        yield b"\r\n--b--\r\n"

    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        headers = {"xi-api-key": "k", "content-type": "multipart/form-data; boundary=b"}
        connection.request("POST", "/v1/convai/knowledge-base/upload", form(), headers, encode_chunked=True)
        reply = connection.getresponse()
        reply.read()
        return reply.status


def peak(pid: int) -> int:
    """Give the largest resident size a process ever had, in bytes."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def test_no_thread_is_left_behind() -> None:
    """After the block the thread of the server has ended."""
    before = threading.active_count()
    with serving_in_thread(EmulatorSettings()):
        assert threading.active_count() > before
    assert threading.active_count() == before
