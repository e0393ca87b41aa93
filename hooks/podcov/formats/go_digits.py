"""Adds up many lists of uLEB128 numbers without taking them apart one by one. Pure.

A list is a long string of bytes, seven bits of a number in each. It becomes planes: the lowest digits (to the base 128) of all
numbers, a byte each, then the next digits, and so on; most numbers have no others than the first. A plane is one large integer,
so that looking for what two lists have in common, and adding them, are a few operations on integers, however long the lists are.
"""

from __future__ import annotations

import operator
import sys
from array import array
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import zip_longest
from typing import Final, NamedTuple

_MOST_PLANES: Final = 5
_FIT_IN_THE_LAST: Final = bytes(range(0x10))
"""Of 32 bits, five digits of seven leave four for the highest."""
_GONE: Final = b"\xff"
_ROOM: Final = 0xFFFF // 0x7F
"""So many digits can be added up in 16 bits."""


class Digits(NamedTuple):
    """`length` numbers: the planes, lowest digits first, the first number in the lowest byte."""

    length: int
    planes: tuple[int, ...]


def read(packed: bytes) -> Digits | None:
    """The numbers that `packed` is made of; None where it does not end with one, is empty, or has one of more than 32 bits."""
    size = len(packed)
    if not size or packed[-1] >= 0x80:
        return None
    everywhere = _ones(size)
    data = int.from_bytes(packed, "little")
    continued = data >> 7 & everywhere
    values = data ^ continued << 7
    here = everywhere ^ continued << 8
    ended = 0
    planes: list[bytes] = []
    while here:
        if len(planes) == _MOST_PLANES:
            return None
        gone = everywhere ^ here ^ ended
        kept = values & (here << 7) - here | (gone << 8) - gone
        planes.append(kept.to_bytes(size, "little").translate(None, _GONE))
        goes_on = here & continued
        ended |= here ^ goes_on
        here = goes_on << 8
    if len(planes) == _MOST_PLANES and planes[-1].translate(None, _FIT_IN_THE_LAST):
        return None
    return Digits(len(planes[0]), tuple([int.from_bytes(plane, "little") for plane in planes]))


@lru_cache(maxsize=1024)
def _ones(size: int) -> int:
    """1 in each byte."""
    return int.from_bytes(b"\x01" * size, "little")


class Mask:
    """The numbers that a list has to share with another one to be added to it, by what they are in that one."""

    def __init__(self, digits: Digits, left_out: Iterable[tuple[int, int]]) -> None:
        """All but the stretches `left_out`, each from an index to before another one."""
        mask = bytearray(b"\xff" * digits.length)
        for first, end in left_out:
            mask[first:end] = bytes(end - first)
        self._mask = int.from_bytes(mask, "little")
        self._shared = tuple([plane & self._mask for plane in digits.planes])

    def fits(self, digits: Digits) -> bool:
        """Whether a list of as many numbers has the same ones where the mask is."""
        mask = self._mask
        return all(plane & mask == own for plane, own in zip_longest(digits.planes, self._shared, fillvalue=0))


class Sum:
    """Lists of equal length, added up number by number."""

    def __init__(self, length: int) -> None:
        self._length = length
        self._every_other = int.from_bytes(b"\xff\x00" * (length // 2 + 1), "little")
        self._even = [0] * _MOST_PLANES
        self._odd = [0] * _MOST_PLANES
        self._added = 0
        self._sums = array("Q", bytes(8 * length))

    def add(self, digits: Digits) -> None:
        for number, plane in enumerate(digits.planes):
            self._even[number] += plane & self._every_other
            self._odd[number] += plane >> 8 & self._every_other
        self._added += 1
        if self._added == _ROOM:
            self._flush()

    def totals(self) -> array[int]:
        """The sum of each number, in 64 bits."""
        self._flush()
        return self._sums

    def _flush(self) -> None:
        for first, planes in enumerate((self._even, self._odd)):
            for number, plane in enumerate(planes):
                if plane:
                    self._add_plane(first, 7 * number, _words(plane, (self._length + 1 - first) // 2))
                    planes[number] = 0
        self._added = 0

    def _add_plane(self, first: int, shift: int, digits: Sequence[int]) -> None:
        more = (digit << shift for digit in digits)
        self._sums[first::2] = array("Q", map(operator.add, self._sums[first::2], more))


def _words(plane: int, length: int) -> array[int]:
    words = array("H")
    words.frombytes(plane.to_bytes(2 * length, "little"))
    if sys.byteorder == "big":  # pragma: no cover
        words.byteswap()
    return words
