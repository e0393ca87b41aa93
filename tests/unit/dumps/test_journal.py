"""What is written down beside a service's files: which epoch each is of, whatever became of the last line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podcov.dumps import journal
from podcov.dumps.contract import Piece

EPOCHS = b"1\tfirst\ttests\t5\n2\tfirst\tmore\t6\n3\tsecond\ttests\t7\n"
PIECES = b"0\ta\tfound\n2\tb\tasked\n"


def piece(key: str) -> Piece:
    return Piece(key, key, 1, 0)


def test_what_is_not_written_down_is_of_the_current_epoch() -> None:
    kept = journal.parse(EPOCHS, PIECES)
    assert [kept.of(piece(key)) for key in "abc"] == [0, 2, 3]
    assert kept.asked == {"b"}
    assert kept.new(map(piece, "abc")) == (piece("c"),)


def test_what_was_written_down_first_stays() -> None:
    assert journal.parse(EPOCHS, PIECES + b"3\ta\tasked\n").of(piece("a")) == 0


@pytest.mark.parametrize(
    ("run", "label", "goes_on"), [("second", "tests", True), ("first", "more", False), ("second", "x", False)]
)
def test_an_epoch_goes_on_for_its_own_run_and_label(run: str, label: str, goes_on: bool) -> None:
    assert journal.parse(EPOCHS, PIECES).continues(run, label) == goes_on


def test_before_the_first_mark_is_epoch_0() -> None:
    kept = journal.parse(b"", b"")
    assert (kept.epoch, kept.of(piece("a"))) == (0, 0)


@given(st.integers(0, len(PIECES)))
def test_a_torn_line_says_nothing(size: int) -> None:
    whole, torn = journal.parse(EPOCHS, PIECES), journal.parse(EPOCHS, PIECES[:size])
    assert torn.epoch_of.items() <= whole.epoch_of.items()


@given(st.binary(), st.binary(), st.binary())
def test_any_bytes_are_read(epochs: bytes, pieces: bytes, starts: bytes) -> None:
    assert journal.parse(epochs, pieces, starts).epoch >= 0


def test_the_last_start_at_each_mark_is_read_and_torn_lines_say_nothing() -> None:
    assert journal.parse(b"", b"", b"1\t-1\n2\t0\nx\t1\n3\t\n4\t1").last_starts == {1: -1, 2: 0}
