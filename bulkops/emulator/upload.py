"""Reading an upload as it comes in: parts of a form are looked at and dropped, the file is only measured."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from .answers import bad

if TYPE_CHECKING:
    from starlette.requests import Request

_LONGEST_FIELD = 64 * 1024


@dataclass(frozen=True, slots=True)
class Upload:
    """What a form held: its text fields, and of the file its size in bytes, its SHA-256 and its name."""

    fields: dict[str, str]
    size: int | None
    sha256: str
    filename: str = ""


async def read_upload(request: Request) -> Upload:
    """Read a multipart/form-data body to its end, in constant memory.

    Raises Refusal (400) for another content type, a form that is broken or cut, or a text field over 64 KiB.
    """
    kind, options = parse_options_header(request.headers.get("content-type"))
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise bad("Content-Type must be multipart/form-data with a boundary")
    form = _Form()
    try:
        parser = MultipartParser(boundary, form.callbacks())  # type: ignore[arg-type]
        async for chunk in request.stream():
            parser.write(chunk)
        parser.finalize()
    except FormParserError as error:
        raise bad(f"the form cannot be read: {error}") from error
    if not form.complete:
        raise bad("the form ends before its closing boundary")
    return Upload(form.fields, form.size, form.digest.hexdigest(), form.filename)


class _Form:
    """Hears what the parser finds."""

    def __init__(self) -> None:
        self.fields: dict[str, str] = {}
        self.size: int | None = None
        self.digest = hashlib.sha256()
        self.complete = False
        self.filename = ""
        self._header = bytearray()
        self._value = bytearray()
        self._name = ""
        self._in_file = False
        self._text = bytearray()

    def callbacks(self) -> dict[str, object]:
        names = "on_part_begin on_header_field on_header_value on_header_end on_headers_finished on_part_data"
        return {name: getattr(self, name) for name in [*names.split(), "on_part_end", "on_end"]}

    def on_part_begin(self) -> None:
        self._name, self._in_file = "", False
        self._text = bytearray()

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def on_header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            _, options = parse_options_header(bytes(self._value))
            self._name = options.get(b"name", b"").decode("utf-8", "replace")
            self._in_file = self._name == "file" and b"filename" in options
            if self._in_file:
                self.filename = options[b"filename"].decode("utf-8", "replace")
        self._header, self._value = bytearray(), bytearray()

    def on_headers_finished(self) -> None:
        if not self._name:
            raise bad("a part of the form has no name")
        if self._in_file:
            if self.size is not None:
                raise bad("`file` is given twice; upload one file at a time")
            self.size = 0

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._in_file and self.size is not None:
            self.size += end - start
            self.digest.update(memoryview(data)[start:end])
            return
        self._text += data[start:end]
        if len(self._text) > _LONGEST_FIELD:
            raise bad(f"`{self._name}` is longer than {_LONGEST_FIELD} bytes, or a file without a file name")

    def on_part_end(self) -> None:
        if not self._in_file:
            self.fields[self._name] = self._text.decode("utf-8", "replace")

    def on_end(self) -> None:
        self.complete = True
