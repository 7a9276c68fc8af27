"""Forms: what an independent parser makes of them, and files that change on the way."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
from email import policy
from email.parser import BytesParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiofiles.threadpool
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from python_multipart.multipart import create_form_parser

from bulkops.emulator import EmulatorSettings, serving_in_thread
from bulkops.errors import OperationFailed
from bulkops.sending import Gate
from bulkops.sending.body import CHUNK, FILE_CHUNK, GatedBytes, GatedForm
from tests.sending.sending_doubles import answer, answers, attempt, raw_server, run, upload, wired

if TYPE_CHECKING:
    import httpx

    from tests.sending.sending_doubles import Talk

QUOTES = ((b"%22", b'"'), (b"%0D", b"\r"), (b"%0A", b"\n"))
"""What the HTML standard writes for the characters that cannot stand in a quoted name."""


async def all_of(stream: httpx.AsyncByteStream) -> bytes:
    """Return a body's bytes."""
    return b"".join([chunk async for chunk in stream])


def parsed(content_type: str, body: bytes) -> tuple[dict[bytes, bytes], Any, bytes]:
    """Return the fields, the file part and its bytes as python-multipart reads them."""
    fields: dict[bytes, bytes] = {}
    files: list[Any] = []
    headers = {"Content-Type": content_type.encode(), "Content-Length": str(len(body)).encode()}
    parser = create_form_parser(
        headers, lambda field: fields.update({field.field_name or b"": field.value or b""}), files.append
    )
    parser.write(body)
    parser.finalize()
    (file,) = files
    file.file_object.seek(0)
    return fields, file, file.file_object.read()


def unquoted(name: bytes) -> bytes:
    """Return a name as a browser's server would show it."""
    for spelled, meant in QUOTES:
        name = name.replace(spelled, meant)
    return name


@settings(max_examples=100)
@given(
    content=st.binary(max_size=300)
    | st.sampled_from([b"\r\n", b"--", b"\r\n--"]).map(lambda part: part * 20),
    name=st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    file_name=st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\\%"), min_size=1)
    | st.sampled_from(['say "hi".txt', "two\r\nlines.txt", "Größe 大.md", "; filename=x", "a'b.txt"]),
)
def test_a_form_says_what_it_is_made_of(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, name: str, file_name: str
) -> None:
    """Another parser finds the name, the file name, the content type and the exact bytes; the length is right."""
    path = tmp_path_factory.getbasetemp() / "content"
    path.write_bytes(content)
    request = upload(path, fields=(("name", name),), file_name=file_name, content_type="text/markdown")
    assert request.form is not None
    form = GatedForm(request.form, Gate())
    body = run(all_of(form))
    fields, file, found = parsed(form.content_type, body)
    assert fields == {b"name": name.encode()}
    assert (file.field_name, unquoted(file.file_name)) == (b"file", file_name.encode())
    assert found == content
    assert form.content_length == len(body)


def test_the_email_parser_of_the_standard_library_agrees(tmp_path: Path) -> None:
    """The content type of the part is that of the form; both parts stand where they should."""
    path = tmp_path / "a.md"
    path.write_bytes(b"# A\r\n")
    request = upload(path, content_type="text/markdown")
    assert request.form is not None
    form = GatedForm(request.form, Gate())
    head = f"Content-Type: {form.content_type}\r\n\r\n".encode()
    message = BytesParser(policy=policy.HTTP).parsebytes(head + run(all_of(form)))
    name, file = message.iter_parts()
    assert name.get_param("name", header="content-disposition") == "name"
    assert name.get_payload(decode=True) == b"A document"
    assert (file.get_content_type(), file.get_filename()) == ("text/markdown", "a.md")
    assert file.get_payload(decode=True) == b"# A\r\n"


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 5 * CHUNK])
def test_the_gate_of_bytes_opens_with_the_last_chunk(size: int) -> None:
    """Until the last chunk is asked for it is closed, whatever the size."""

    async def main() -> None:
        gate = Gate()
        content = bytes(size)
        before = b""
        async for chunk in GatedBytes(content, gate):
            if gate.passed:
                assert before + chunk == content
            before += chunk
        assert gate.passed
        assert before == content

    run(main())


def test_the_gate_of_a_form_opens_after_the_file(tmp_path: Path) -> None:
    """What the gate holds back is the end of the form, which no parser can do without."""
    path = tmp_path / "a.bin"
    path.write_bytes(bytes(3 * FILE_CHUNK))
    request = upload(path)
    assert request.form is not None

    async def main() -> None:
        gate = Gate()
        assert request.form is not None
        passed = [(gate.passed, len(chunk)) async for chunk in GatedForm(request.form, gate)]
        assert [gone for gone, _size in passed] == [False] * 4 + [True]
        assert passed[-1][1] > 0

    run(main())


def test_every_attempt_makes_its_form_anew(tmp_path: Path) -> None:
    """A second attempt sends the whole file again, in a form of its own."""
    path = tmp_path / "a.txt"
    path.write_bytes(b"content")

    async def main() -> None:
        async with raw_server(answers) as server, wired(server.base_url) as wire:
            request = upload(path)
            for _ in range(2):
                await wire.send(attempt(request))
            first, second = server.arrivals
            assert first.values("content-type") != second.values("content-type")
            assert parsed(second.values("content-type")[0], bytes(second.body))[2] == b"content"

    run(main())


def shrinks(path: Path) -> None:
    """Make the file shorter."""
    os.truncate(path, 2 * FILE_CHUNK)


def grows(path: Path) -> None:
    """Make the file longer."""
    with path.open("ab") as file:
        file.write(b"more")


def is_rewritten(path: Path) -> None:
    """Change bytes in the middle."""
    with path.open("r+b") as file:
        file.seek(3 * FILE_CHUNK)
        file.write(b"other")
    os.utime(path, ns=(1, 1))


@pytest.mark.parametrize("change", [shrinks, grows, is_rewritten])
def test_a_file_that_changes_on_the_way_is_not_uploaded(tmp_path: Path, change: Any) -> None:
    """The server never gets the end, and the message says why."""
    path = tmp_path / "a.bin"
    path.write_bytes(bytes(4 * FILE_CHUNK))

    async def script(talk: Talk) -> None:
        arrival = await talk.head()
        change(path)
        await talk.body(arrival)
        await talk.say(answer())

    async def main() -> None:
        async with raw_server(script, buffer=4096) as server, wired(server.base_url) as wire:
            one = attempt(upload(path))
            with pytest.raises(OperationFailed, match=r"a\.bin changed while it was being sent") as caught:
                await wire.send(one)
            await server.rest()
            assert caught.value.code == "file_changed"
            assert (one.gate.passed, server.arrivals[0].complete) == (False, False)

    run(main())


def test_a_file_that_vanishes_before_it_is_opened_is_not_uploaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its length being looked up and its being opened; the message says why."""
    path = tmp_path / "a.bin"
    path.write_bytes(b"content")
    request = upload(path)

    async def main() -> None:
        gate = Gate()
        assert request.form is not None
        form = GatedForm(request.form, gate)
        path.unlink()
        with pytest.raises(EOFError):
            await all_of(form)
        assert not gate.passed
        assert gate.trouble is not None
        assert "a.bin cannot be read: No such file" in gate.trouble.message

    run(main())


@pytest.mark.parametrize("kind", ["missing", "folder", "fifo"])
def test_what_is_no_file_is_not_uploaded(tmp_path: Path, kind: str) -> None:
    """A missing file, a folder or a pipe fails the operation before anything is sent."""
    path = tmp_path / "it"
    if kind == "folder":
        path.mkdir()
    if kind == "fifo":
        os.mkfifo(path)

    async def main() -> None:
        async with raw_server(answers) as server, wired(server.base_url) as wire:
            with pytest.raises(OperationFailed) as caught:
                await wire.send(attempt(upload(path)))
            assert (caught.value.code, server.connections) == ("no_file", 0)

    run(main())


class Watched(io.FileIO):
    """A file that notes which threads read it."""

    readers: set[int] = set()  # noqa: RUF012 - one for the test

    def readinto(self, buffer: Any) -> int | None:
        """Note the thread and read."""
        self.readers.add(threading.get_ident())
        return super().readinto(buffer)


def test_files_are_read_off_the_event_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the disk is, the loop goes on: no read happens in its thread."""
    path = tmp_path / "a.bin"
    path.write_bytes(bytes(3 * FILE_CHUNK))
    openers: set[int] = set()

    def watching(*_args: Any, **_more: Any) -> io.BufferedReader:
        openers.add(threading.get_ident())
        return io.BufferedReader(Watched(str(path)))

    monkeypatch.setattr(aiofiles.threadpool, "sync_open", watching)

    async def main() -> None:
        async with raw_server(answers) as server, wired(server.base_url) as wire:
            await wire.send(attempt(upload(path)))
            assert server.arrivals[0].complete

    run(main())
    assert Watched.readers
    assert openers
    assert threading.get_ident() not in Watched.readers | openers


MEASURED = """
import resource, sys
from tests.sending.sending_doubles import attempt, run, upload, wired

async def main(base_url, small, large):
    async with wired(base_url, attempt_deadline=50.0) as wire:
        for path in (small, large):
            heard = await wire.send(attempt(upload(path)))
            assert heard.entity, heard
            print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)

from tests.sending import sending_doubles
sending_doubles.LONGEST = 60.0
run(main(*sys.argv[1:]))
"""


def test_a_large_upload_needs_little_memory(tmp_path: Path) -> None:
    """200 MB take less than 20 MB more than 2 MB do."""
    for name, size in (("small", 2 * 10**6), ("large", 200 * 10**6)):
        with (tmp_path / name).open("wb") as file:
            file.truncate(size)
    with serving_in_thread(EmulatorSettings(tier=None)) as emulator:
        done = subprocess.run(
            [sys.executable, "-c", MEASURED, emulator.base_url, tmp_path / "small", tmp_path / "large"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, str(Path(__file__).parents[2])])},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    small, large = map(int, done.stdout.split())
    assert large - small < 20_000
