"""A job file as a whole: its fingerprint in one sequential pass, and some of its lines without the others."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from bulkops.jobfile.reading import RawLine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bulkops.jobfile.reading import JobFile

_made = tuple.__new__


class LineSet:
    """A set of line numbers, one bit for each up to the highest."""

    def __init__(self) -> None:
        self._bits = bytearray()
        self._all_from: int | None = None

    def add(self, number: int) -> None:
        """Put a number in."""
        byte = number >> 3
        if byte >= len(self._bits):
            self._bits.extend(bytes(byte + 4096 - len(self._bits)))
        self._bits[byte] |= 1 << (number & 7)

    def add_from(self, number: int) -> None:
        """Put this number in and all that follow."""
        self._all_from = number

    def __contains__(self, number: int) -> bool:
        if self._all_from is not None and number >= self._all_from:
            return True
        byte = number >> 3
        return byte < len(self._bits) and bool(self._bits[byte] & (1 << (number & 7)))

    def among(self, numbers: range) -> Iterator[int]:
        """Yield those of these numbers, which follow each other, that are in the set."""
        end = (
            numbers.stop if self._all_from is None else max(numbers.start, min(numbers.stop, self._all_from))
        )
        for byte in range(numbers.start >> 3, min((end + 7) >> 3, len(self._bits))):
            if self._bits[byte]:
                first = byte << 3
                if self._bits[byte] == 0xFF and numbers.start <= first <= end - 8:  # noqa: PLR2004 - all of a byte
                    yield from range(first, first + 8)
                    continue
                for number in range(max(first, numbers.start), min(first + 8, end)):
                    if self._bits[byte] & (1 << (number & 7)):
                        yield number
        yield from range(end, numbers.stop)


class Fingerprint:
    """What a file is from its start on: size, line ends, and SHA-256 of its bytes."""

    def __init__(self) -> None:
        self._sum = sha256()
        self.size = 0
        self.line_ends = 0
        self.complete = True
        """Whether the last line has its end, so that what is appended begins a new one."""

    def add(self, block: bytes) -> None:
        """Go on with these bytes."""
        self._sum.update(block)
        self.size += len(block)
        self.line_ends += block.count(b"\n")
        self.complete = block.endswith(b"\n")

    @property
    def digest(self) -> str:
        """The SHA-256 of all bytes so far, in hex digits."""
        return self._sum.hexdigest()


def fingerprint(job: JobFile) -> Fingerprint:
    """Return the fingerprint of a whole file."""
    whole = Fingerprint()
    for block in job.blocks():
        whole.add(block)
    return whole


def sifted(
    job: JobFile, wanted: LineSet, start: int = 0, number: int = 1, *, blocks: Iterator[bytes] | None = None
) -> Iterator[list[RawLine]]:
    """Yield the wanted lines that are not blank, as `JobFile.batches` does; the others cost next to nothing.

    `number` is that of the line at the offset `start`, where the blocks begin: those of the file unless given.
    """
    carry = b""
    for block in job.blocks(start) if blocks is None else blocks:
        line_ends = block.count(b"\n")
        chosen = list(wanted.among(range(number, number + line_ends)))
        data = carry + block
        if chosen:
            job.check_length(data[: data.index(b"\n")], number)
            if batch := _chosen(data.split(b"\n"), chosen, start, number):
                yield batch
        complete = data.rfind(b"\n") + 1
        carry = data[complete:]
        job.check_length(carry, number + line_ends)
        start += complete
        number += line_ends
    if number in wanted and carry and not carry.isspace():
        yield [RawLine(number, start, carry.removesuffix(b"\r"))]


def _chosen(pieces: list[bytes], chosen: list[int], start: int, number: int) -> list[RawLine]:
    """Return some lines of a block, whose first one has this number and starts at this offset."""
    batch: list[RawLine] = []
    passed = 0
    for wanted in chosen:
        place = wanted - number
        if place > passed:
            start += sum(map(len, pieces[passed:place])) + place - passed
        piece = pieces[place]
        if piece and not piece.isspace():
            # Not `RawLine(…)`, which is a function in Python around this one.
            batch.append(_made(RawLine, (wanted, start, piece.removesuffix(b"\r"))))
        start += len(piece) + 1
        passed = place + 1
    return batch
