"""A file as it is sent: a form with its name and the type of its content."""

from __future__ import annotations

import mimetypes
from pathlib import PurePath
from typing import TYPE_CHECKING

from bulkops.model import Form

if TYPE_CHECKING:
    from bulkops.api.profile import Profile

# What knowledge bases hold and Python's own table lacks: what is beyond it stands in a file that not every machine has.
_MORE_TYPES = {
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".epub": "application/epub+zip",
    ".odt": "application/vnd.oasis.opendocument.text",
    ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ".rtf": "application/rtf",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".md": "text/markdown",
    ".markdown": "text/markdown",
    ".rst": "text/x-rst",
    ".jsonl": "application/jsonl",
}


def file_form(api: Profile, path: str, *fields: tuple[str, str]) -> Form:
    """Return the form that sends a file, behind these fields."""
    return Form(fields, api.upload_file_field, path, PurePath(path).name, content_type(path))


def content_type(path: str) -> str:
    """Return the content type of a file by the end of its name."""
    suffix = PurePath(path).suffix.lower()
    return _MORE_TYPES.get(suffix) or mimetypes.types_map.get(suffix) or "application/octet-stream"
