"""Lists of uLEB128 numbers, added up as a whole: the same as one by one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podcov.errors import DamagedError
from podcov.formats import go_digits
from podcov.formats.go_bytes import decode_ulebs, encode_uleb
from podcov.formats.go_digits import Digits, Mask, Sum

NUMBERS = st.one_of(
    st.integers(0, 3), st.integers(120, 140), st.integers(0, 2**32 - 1), st.sampled_from([2**n for n in range(32)])
)


def digits(numbers: Sequence[int]) -> Digits:
    read = go_digits.read(b"".join(map(encode_uleb, numbers)))
    assert read
    return read


def summed(lists: Sequence[Sequence[int]]) -> list[int]:
    total = Sum(len(lists[0]))
    for numbers in lists:
        total.add(digits(numbers))
    return total.totals().tolist()


@given(st.lists(NUMBERS, min_size=1))
def test_numbers_are_what_they_were(numbers: list[int]) -> None:
    assert digits(numbers).length == len(numbers)
    assert summed([numbers]) == numbers


@given(st.integers(1, 9).flatmap(lambda size: st.lists(st.lists(NUMBERS, min_size=size, max_size=size), min_size=1)))
def test_a_sum_is_that_of_each_number(lists: list[list[int]]) -> None:
    assert summed(lists) == [sum(column) for column in zip(*lists, strict=True)]


@pytest.mark.parametrize("count", [515, 516, 517, 1100])
def test_there_is_room_for_any_number_of_lists(count: int) -> None:
    assert summed([[127, 2**32 - 1, 0]] * count) == [127 * count, (2**32 - 1) * count, 0]


def test_a_sum_can_be_asked_in_between() -> None:
    total = Sum(2)
    for expected in ([5, 300], [10, 600]):
        total.add(digits([5, 300]))
        assert total.totals().tolist() == expected


@given(st.binary(min_size=1))
def test_what_is_refused_is_what_a_reader_of_each_refuses(packed: bytes) -> None:
    try:
        words = decode_ulebs("file", packed, 0)
    except DamagedError:
        assert go_digits.read(packed) is None
        return
    read = go_digits.read(packed)
    assert read
    total = Sum(read.length)
    total.add(read)
    assert total.totals().tolist() == words.tolist()


def test_nothing_is_no_list() -> None:
    assert go_digits.read(b"") is None


@given(st.lists(NUMBERS, min_size=4, max_size=4), st.lists(NUMBERS, min_size=4, max_size=4))
def test_a_mask_looks_at_all_that_is_not_left_out(one: list[int], other: list[int]) -> None:
    mask = Mask(digits(one), [(1, 2), (3, 4)])
    assert mask.fits(digits(other)) == (one[::2] == other[::2])
    changed = list(chain.from_iterable(zip(one[::2], other[1::2], strict=True)))
    assert mask.fits(digits(changed))
