"""What Go's two kinds of coverage files are made of: fixed-size integers, uLEB128 numbers and string tables.

Everything is read through a `Cursor` that knows which file it reads and where it is, so that each error says
"FILE: byte N: what is wrong there".
"""

from __future__ import annotations

import sys
from array import array
from itertools import accumulate
from typing import Final

from podcov.errors import DamagedError

_LAST: Final = bytes(range(0x80))
_CONTINUED: Final = bytes(range(0x80, 0x100))
"""In a uLEB128 number all bytes but the last have the high bit set."""

_MARK: Final = b"\x80"
_MARK_CONTINUED: Final = _LAST + _MARK * 0x80
_WITHOUT_MARK: Final = _LAST + _LAST
LARGEST: Final = 0xFFFFFFFF
"""Go's counters, and all other numbers in these files, have 32 bits."""

WORD: Final = "I"
"""What decoded numbers are kept in: 32 bits each."""
_WORD_SIZE: Final = array(WORD).itemsize
_LOW_BYTE: Final = 0 if sys.byteorder == "little" else _WORD_SIZE - 1


class Cursor:
    """Reads `data` from `at` up to `end`. Every method raises DamagedError where they end too soon or make no sense."""

    def __init__(self, name: str, data: bytes, at: int = 0, end: int | None = None) -> None:
        self.name = name
        self.data = data
        self.at = at
        self.end = len(data) if end is None else end

    def error(self, what: str, at: int | None = None) -> DamagedError:
        """To be raised; `at` is the byte that is wrong, by default the next one."""
        return damaged(self.name, self.at if at is None else at, what)

    def take(self, size: int, what: str) -> bytes:
        """The next `size` bytes; `what` they are called in an error."""
        end = self.at + size
        if end > self.end:
            raise self.error(f"{what} needs {size} bytes, and there are {max(self.end - self.at, 0)} left")
        taken = self.data[self.at : end]
        self.at = end
        return taken

    def integer(self, size: int, what: str) -> int:
        """A little-endian integer of `size` bytes."""
        return int.from_bytes(self.take(size, what), "little")

    def uleb(self, what: str) -> int:
        """A uLEB128 number of at most 32 bits, which is all that Go writes."""
        began = self.at
        value = shift = 0
        while True:
            byte = self.take(1, what)[0]
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
            if shift > 28:
                raise self.error(f"{what} does not end after five bytes", began)
        if value > LARGEST:
            raise self.error(f"{what} has more than 32 bits", began)
        return value

    def string_table(self) -> tuple[str, ...]:
        """How many strings there are, and then the length and the bytes of each."""
        return tuple([self._string() for _ in range(self.uleb("the number of strings"))])

    def _string(self) -> str:
        """Nearly all are shorter than 128 bytes, so that their length is one byte."""
        start = self.at + 1
        size = self.data[self.at] if start <= self.end else 0x80
        if size >= 0x80 or start + size > self.end:
            text = self.take(self.uleb("the length of a string"), "a string")
        else:
            text = self.data[start : start + size]
            self.at = start + size
        return text.decode("utf-8", "surrogateescape")


def damaged(name: str, at: int, what: str) -> DamagedError:
    """The error of a file in which `what` was found at byte `at`."""
    return DamagedError(f"{name}: byte {at}: {what}", hint="the file is left out; was the disk full, or the copy cut off?")


def decode_ulebs(name: str, packed: bytes, at: int) -> array[int]:
    """The uLEB128 numbers that `packed` is made of, as words; `at` is the byte of the file at which they begin.

    The last byte of each number is the only one without the high bit, and nearly all numbers have no other. So the last bytes of
    all are spread over words at once, and the other bytes are put beneath them one by one, from the back.
    Raises DamagedError for a number that does not end, or has more than 32 bits.
    """
    words = widen(packed.translate(None, _CONTINUED))
    if packed.isascii():
        return words
    if packed[-1] >= 0x80:
        raise damaged(name, at + len(packed), "the data end in the middle of a number")
    marked = packed.translate(_MARK_CONTINUED)
    if _MARK * 5 in marked:
        raise damaged(name, at + marked.index(_MARK * 5), "a number has more than 32 bits")
    indexes = list(accumulate(map(len, marked.split(_MARK)[:-1])))
    indexes.reverse()
    try:
        for index, byte in zip(indexes, reversed(packed.translate(_WITHOUT_MARK, _LAST)), strict=True):
            words[index] = words[index] << 7 | byte
    except OverflowError:
        raise damaged(name, at + offset_of_uleb(packed, 0, index), "a number has more than 32 bits") from None
    return words


def count_ulebs(packed: bytes) -> int:
    """How many numbers end in `packed`."""
    return len(packed.translate(None, _CONTINUED))


def widen(numbers: bytes) -> array[int]:
    """Each byte as a word."""
    spread = bytearray(_WORD_SIZE * len(numbers))
    spread[_LOW_BYTE::_WORD_SIZE] = numbers
    words = array(WORD)
    words.frombytes(spread)
    return words


def offset_of_uleb(data: bytes, at: int, index: int) -> int:
    """The byte at which number `index` of those from `at` on begins; for error messages."""
    for _ in range(index):
        while data[at] >= 0x80:
            at += 1
        at += 1
    return at


def encode_uleb(value: int) -> bytes:
    """The uLEB128 encoding of a number that is not negative."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def encode_string_table(strings: tuple[str, ...]) -> bytes:
    """What `Cursor.string_table` reads."""
    encoded = [encode_uleb(len(strings))]
    for string in strings:
        text = string.encode("utf-8", "surrogateescape")
        encoded += (encode_uleb(len(text)), text)
    return b"".join(encoded)
