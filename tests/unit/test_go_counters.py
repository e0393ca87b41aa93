"""Counter files: what is written is read, what Go wrote is read, and nothing but a DamagedError ever comes of other bytes."""

from __future__ import annotations

import contextlib
import re
from array import array
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podcov.errors import DamagedError
from podcov.formats.go_bytes import WORD, Cursor, decode_ulebs, encode_string_table, encode_uleb
from podcov.formats.go_counters import Counted, CounterFile, Flavor, Segment, check, dump, locate, parse

numbers = st.one_of(st.integers(0, 2), st.integers(0, 300), st.integers(0, 0xFFFFFFFF))
texts = st.text(st.characters(codec="utf-8"), max_size=5)


@st.composite
def segments(draw: st.DrawFn) -> Segment:
    words = array(WORD)
    for counters in draw(st.lists(st.lists(numbers, max_size=4), max_size=5)):
        words.extend((len(counters), draw(numbers), draw(numbers), *counters))
    return Segment(draw(st.dictionaries(texts, texts, max_size=3)), words)


@st.composite
def counter_files(draw: st.DrawFn) -> CounterFile:
    return CounterFile(
        draw(st.binary(min_size=16, max_size=16)).hex(),
        tuple(draw(st.lists(segments(), min_size=1, max_size=3))),
        draw(st.sampled_from(get_args(Flavor))),
        draw(st.booleans()),
    )


def without_offsets(file: CounterFile) -> CounterFile:
    return replace(file, segments=tuple(replace(segment, offset=0, count=0) for segment in file.segments))


def one_process(*functions: Counted, **changes: object) -> CounterFile:
    words = array(WORD)
    for package, function, counters in functions:
        words.extend((len(counters), package, function, *counters))
    return replace(CounterFile("ab" * 16, (Segment({"GOOS": "linux"}, words),)), **changes)


@given(counter_files())
def test_what_is_written_is_read(file: CounterFile) -> None:
    assert without_offsets(parse(dump(file))) == file


@given(st.lists(numbers))
def test_numbers_of_any_length_are_read_together_as_they_are_one_by_one(values: list[int]) -> None:
    packed = b"".join(map(encode_uleb, values))
    cursor = Cursor("one by one", packed)
    assert decode_ulebs("together", packed, 0).tolist() == [cursor.uleb("a number") for _ in values] == values


@given(st.lists(st.text(), max_size=5))
def test_string_tables_are_read(strings: list[str]) -> None:
    encodable = tuple(string.encode("utf-8", "replace").decode() for string in strings)
    assert Cursor("strings", encode_string_table(encodable)).string_table() == encodable


@given(counter_files(), st.data())
def test_a_function_is_located_by_its_byte(file: CounterFile, data: st.DataObject) -> None:
    written = dump(file)
    read = parse(written)
    segment = data.draw(st.sampled_from(read.segments))
    word = data.draw(st.integers(0, len(segment.words)))
    if file.flavor == "uleb":
        assert locate(written, read, segment, word) == segment.offset + sum(len(encode_uleb(n)) for n in segment.words[:word])
    else:
        assert locate(written, read, segment, word) == segment.offset + 4 * word


@given(counter_files(), st.data())
def test_a_file_that_is_cut_off_anywhere_says_so(file: CounterFile, data: st.DataObject) -> None:
    written = dump(replace(file, segments=file.segments[:1]))
    size = data.draw(st.integers(0, len(written) - 1))
    with pytest.raises(DamagedError, match=r"^some\.file: byte \d+: "):
        parse(written[:size], name="some.file")


def mutations(whole: bytes) -> st.SearchStrategy[bytes]:
    """A few bytes of a real file replaced, removed or added."""

    def mutate(edits: list[tuple[int, int, bytes]]) -> bytes:
        changed = whole
        for at, removed, added in edits:
            changed = changed[:at] + added + changed[at + removed :]
        return changed

    edit = st.tuples(st.integers(0, len(whole)), st.integers(0, 4), st.binary(max_size=4))
    return st.lists(edit, min_size=1, max_size=4).map(mutate)


def gold() -> Iterator[Path]:
    yield from sorted((Path(__file__).parent / "gold" / "go").glob("*/covcounters.*"))


@given(st.sampled_from([file.read_bytes() for file in gold()]).flatmap(mutations))
def test_other_bytes_than_go_wrote_are_damage_or_other_counters(data: bytes) -> None:
    with contextlib.suppress(DamagedError):
        parse(data)


@given(st.binary())
def test_any_bytes_are_damage(data: bytes) -> None:
    with pytest.raises(DamagedError):
        parse(data)


@pytest.mark.parametrize("version", ["1.20", "1.26"])
def test_what_go_wrote_is_read(version: str) -> None:
    *_, file = (file for file in gold() if file.parent.name == version)
    read = parse(file.read_bytes())
    (segment,) = read.segments
    assert (read.meta_hash, read.flavor, read.big_endian) == (file.name.split(".")[1], "uleb", False)
    assert segment.arguments[1:] == ("a", "b", "c", "d")
    assert (segment.annotations["GOOS"], segment.annotations["GOARCH"]) == ("linux", "amd64")
    add = next(of for of in segment.functions if (of.package, of.function) == (0, 0))
    assert list(add.counters) == [5], "five arguments, the program's name included"


@pytest.mark.parametrize(
    ("annotations", "arguments"),
    [
        ({"argc": "2", "argv0": "a", "argv1": "b"}, ("a", "b")),
        ({"argc": "99999999999999999999", "argv0": "a"}, ("a", "")),
        ({"argc": "-1"}, ()),
        ({}, ()),
    ],
)
def test_command_lines_are_read(annotations: dict[str, str], arguments: tuple[str, ...]) -> None:
    assert Segment(annotations).arguments == arguments


@pytest.mark.parametrize("flavor", ["raw", "uleb"])
def test_whoever_leaves_out_the_walk_checks_later(flavor: Flavor) -> None:
    whole = dump(one_process(Counted(0, 1, [1, 2]), flavor=flavor))
    (segment,) = parse(whole, walk=False).segments
    check("good", segment)
    with pytest.raises(DamagedError, match=r"^bad: byte 64: .* of 3 functions"):
        check("bad", replace(segment, count=3))


def cumulative(file: CounterFile) -> bytes:
    """As Go's own writer appends segments: each says how many functions it and all before it have."""
    whole = bytearray(dump(file))
    at, functions = 32, 0
    for segment in parse(bytes(whole)).segments:
        functions += sum(1 for _ in segment.functions)
        whole[at : at + 8] = functions.to_bytes(8, "little")
        size = sum(len(encode_uleb(n)) for n in segment.words) if file.flavor == "uleb" else 4 * len(segment.words)
        at = segment.offset + size + 16
    return bytes(whole)


@given(counter_files())
def test_segments_may_count_the_functions_of_those_before_them(file: CounterFile) -> None:
    assert without_offsets(parse(cumulative(file))) == file


@pytest.mark.parametrize(
    ("change", "byte", "what"),
    [
        (lambda data: b"\0cvm" + data[4:], 0, "no counter file"),
        (lambda data: data[:4] + b"\2" + data[5:], 4, "version 2"),
        (lambda data: data[:24] + b"\7" + data[25:], 24, "encoding 7"),
        (lambda data: data[:-16] + b"\0" * 16, 73, "cut off, or was still being written"),
        (lambda data: data[:-8] + b"\0" * 8, 81, "0 segments"),
        (lambda data: data[:32] + b"\3" + data[33:], 64, "not those of 3 functions"),
        (lambda data: data[:40] + b"\xff" + data[41:], 48, "annotations should end"),
    ],
)
def test_what_is_wrong_is_named_with_its_byte(change: Callable[[bytes], bytes], byte: int, what: str) -> None:
    data = dump(one_process(Counted(0, 1, [1, 2]), Counted(1, 0, [3])))
    with pytest.raises(DamagedError, match=re.escape(what)) as raised:
        parse(change(data), name="covcounters.ab.1.2")
    assert raised.value.message.startswith(f"covcounters.ab.1.2: byte {byte}: ")
