"""Reading a spool: whole lines in a stable order, nothing skipped in silence."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkops.errors import UsageError
from bulkops.webhook.spool import OTHER, POST_CALL, SpoolDamage, day_of, files, folder_of, line_of, read

if TYPE_CHECKING:
    from pathlib import Path

AT = 1762171320.25
NO_EVENTS = [
    b"nonsense",
    b"[]",
    b"{}",
    b"null",
    b"\0\0\0\0",
    b'{"received_at":"2025-11-03T12:02:00Z","sha256":"%b"}' % (b"0" * 64),
    b'{"received_at":"2025-11-03T12:02:00Z","sha256":"00","event":{}}',
    b'{"received_at":"yesterday","sha256":"%b","event":{}}' % (b"0" * 64),
    b'{"received_at":"2025-11-03T12:02:00Z","sha256":"%b","event":[]}' % (b"0" * 64),
]
json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def line(body: bytes, at: float = AT) -> bytes:
    """Return the line of a body."""
    return line_of(at, hashlib.sha256(body).hexdigest(), body)


def event(number: int) -> bytes:
    """Return the body of an event."""
    return orjson.dumps({"type": "t", "number": number})


@given(event=st.dictionaries(st.text(), json), indent=st.sampled_from([None, "\n", "\r\n"]))
def test_an_event_is_read_as_it_came(
    tmp_path_factory: pytest.TempPathFactory, event: Any, indent: str | None
) -> None:
    """Whatever the JSON and however it was laid out, it is one line, and the same JSON when it is read."""
    body = orjson.dumps(event)
    if indent is not None:
        body = (
            orjson.dumps(event, option=orjson.OPT_INDENT_2).replace(b"\n", indent.encode()) + indent.encode()
        )
    file = tmp_path_factory.mktemp("spool") / "a.jsonl"
    file.write_bytes(line(body))
    assert file.read_bytes().count(b"\n") == 1
    (only,) = read(file)
    assert (only.offset, only.length, only.received_at) == (0, file.stat().st_size, AT)
    assert (only.event, only.sha256) == (event, hashlib.sha256(body).hexdigest())


def test_what_json_holds_is_kept_to_the_letter(tmp_path: Path) -> None:
    """Numbers that no parser keeps, and keys that stand twice, are in the file as they were delivered."""
    body = b'{"type":"t", "n": 123456789012345678901234567890, "x": 1.10, "x": 2}'
    assert body in line(body)


def test_reading_goes_on_where_it_ended(tmp_path: Path) -> None:
    """The end of a line is a place to read from later, when the file has grown."""
    file = tmp_path / "a.jsonl"
    file.write_bytes(line(event(1)) + line(event(2)))
    first, second = read(file)
    end = second.offset + second.length
    assert list(read(file, end)) == []
    with file.open("ab") as more:
        more.write(line(event(3)))
    assert [one.event["number"] for one in read(file, first.length)] == [2, 3]
    assert [one.event["number"] for one in read(file, end)] == [3]


def test_a_torn_end_is_not_there(tmp_path: Path) -> None:
    """Cut anywhere, the last line is not read and no damage: it was never acknowledged."""
    whole, last = line(event(1)), line(event(2))
    file = tmp_path / "a.jsonl"
    for length in range(len(last)):
        file.write_bytes(whole + last[:length])
        assert [one.event["number"] for one in read(file)] == [1]


@pytest.mark.parametrize("raw", NO_EVENTS)
def test_a_line_without_an_event_is_told(tmp_path: Path, raw: bytes) -> None:
    """It is raised with file and place, or told while the others are read; never passed over."""
    file = tmp_path / "a.jsonl"
    first = line(event(1))
    file.write_bytes(first + raw + b"\n" + line(event(2)))
    with pytest.raises(SpoolDamage, match="the line at byte"):
        list(read(file))
    told: list[SpoolDamage] = []
    assert [one.event["number"] for one in read(file, problem=told.append)] == [1, 2]
    assert [(one.file, one.offset, one.length) for one in told] == [(file, len(first), len(raw) + 1)]


def test_the_files_come_in_the_order_of_their_days(tmp_path: Path) -> None:
    """By day and name, of both kinds or one; what is no file of a spool is left out."""
    places = [
        (OTHER, "2025-11-02", "b.jsonl"),
        (POST_CALL, "2025-11-03", "a.jsonl"),
        (OTHER, "2025-11-03", "b.jsonl"),
        (POST_CALL, "2025-11-03", "c.jsonl"),
        (POST_CALL, "2025-11-04", "a.jsonl"),
    ]
    for kind, day, name in reversed(places):
        folder = folder_of(tmp_path, kind, day)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
        (folder / f"{name}.part").touch()
        (folder / f"link-{name}").symlink_to(folder / name)
    (tmp_path / POST_CALL / "notes").mkdir()
    (tmp_path / POST_CALL / "notes" / "a.jsonl").touch()
    assert [(file.kind, file.day, file.path.name) for file in files(tmp_path)] == places
    assert [file.day for file in files(tmp_path, POST_CALL)] == ["2025-11-03", "2025-11-03", "2025-11-04"]


def test_no_spool_is_no_empty_spool(tmp_path: Path) -> None:
    """A folder that is not there is a mistake; one without events yet is not."""
    with pytest.raises(UsageError, match="there is no spool at"):
        files(tmp_path / "nowhere")
    assert files(tmp_path) == []


def test_the_day_is_that_of_utc() -> None:
    """Midnight is where it is at Greenwich."""
    assert (day_of(1762127999.999), day_of(1762128000.0)) == ("2025-11-02", "2025-11-03")
