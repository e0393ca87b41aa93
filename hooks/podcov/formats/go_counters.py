"""Go's `covcounters.<hash>.<pid>.<time>` files: how often a process ran the blocks of each function that it reached.

A file has segments, one for each run that was appended to it. Functions without a count are not in it. The format is documented
in Go's `internal/coverage`; version 1 is the only one so far (Go 1.20 to 1.26).
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from struct import Struct
from typing import Final, Literal, NamedTuple

from podcov.errors import DamagedError
from podcov.formats.go_bytes import (
    WORD,
    Cursor,
    damaged,
    decode_ulebs,
    encode_string_table,
    encode_uleb,
    offset_of_uleb,
)

MAGIC: Final = b"\0cwm"
VERSION: Final = 1
NAMES_AND_NUMBERS: Final = 3
"""Words in front of a function's counters: how many there are, the package's number, the function's number in it."""

Flavor = Literal["raw", "uleb"]
_RAW: Final = 1
_ULEB: Final = 2
_HEADER: Final = Struct("<4sI16sBB6x")
_SEGMENT: Final = Struct("<QII")
_FOOTER: Final = Struct("<4s4xI4x")


class Counted(NamedTuple):
    """The counters of one function, in the order of its blocks."""

    package: int
    function: int
    counters: Sequence[int]


@dataclass(frozen=True, slots=True)
class Segment:
    """What one run counted. `annotations` say of what: `argc`, `argv0`, ..., `GOOS`, `GOARCH`.

    `words` are the functions one after the other: number of counters, number of the package, number of the function, counters.
    """

    annotations: Mapping[str, str] = field(default_factory=dict)
    words: array[int] = field(default_factory=lambda: array(WORD))
    offset: int = 0
    """the byte of the file at which the words begin"""
    count: int = 0
    """how many functions the file says they are"""

    @property
    def functions(self) -> Iterator[Counted]:
        """Every function that ran."""
        words = self.words
        at = 0
        while at < len(words):
            first = at + NAMES_AND_NUMBERS
            end = first + words[at]
            yield Counted(words[at + 1], words[at + 2], words[first:end])
            at = end

    @property
    def arguments(self) -> tuple[str, ...]:
        """The command line; empty where several runs were merged."""
        count = self.annotations.get("argc", "0")
        if not count.isdecimal():
            return ()
        return tuple(self.annotations.get(f"argv{i}", "") for i in range(min(int(count), len(self.annotations))))


@dataclass(frozen=True, slots=True)
class CounterFile:
    """A parsed file; `meta_hash` names the meta-data file that it belongs to."""

    meta_hash: str
    segments: tuple[Segment, ...]
    flavor: Flavor = "uleb"
    big_endian: bool = False


def is_complete(data: bytes) -> bool:
    """Whether all of a file of counters is there: Go writes it in place, and its footer last."""
    try:
        parse(data)
    except DamagedError:
        return False
    return True


def parse(data: bytes, *, name: str = "covcounters", walk: bool = True) -> CounterFile:
    """Reads a counter file; `name` is what errors call it. Raises DamagedError.

    `walk=False` leaves out whether the words of an only segment are as many functions as it says. Who knows the functions from
    another process need not look again; everyone else calls `check`.
    """
    cursor = Cursor(name, data)
    magic, version, meta_hash, flavor, big_endian = _HEADER.unpack(cursor.take(_HEADER.size, "the header"))
    if magic != MAGIC:
        raise cursor.error("this is no counter file of Go coverage", 0)
    if version != VERSION:
        raise cursor.error(f"version {version} of the format is not known; this podcov reads version {VERSION}", 4)
    if flavor not in (_RAW, _ULEB):
        raise cursor.error(f"encoding {flavor} of counters is not known", 24)
    encoding = _Encoding(flavor == _RAW, bool(big_endian))
    segments: list[Segment] = []
    earlier = 0
    count = _segment_count(cursor)
    for number in range(1, count + 1):
        if count == 1 and not walk:
            segment = _only_segment(cursor, encoding)
        else:
            segment, earlier = _segment(cursor, encoding, number, number == count, earlier)
        segments.append(segment)
    return CounterFile(meta_hash.hex(), tuple(segments), "raw" if encoding.raw else "uleb", encoding.big_endian)


class Packed(NamedTuple):
    """The only segment of a file, its numbers still as they stand there; `functions` is how many they are of."""

    meta_hash: str
    annotations: Mapping[str, str]
    numbers: bytes
    functions: int


def packed(data: bytes) -> Packed | None:
    """Reads what is around the numbers of most files; None for others, and for damaged ones: `parse` says what these are."""
    cursor = Cursor("", data)
    try:
        magic, version, meta_hash, flavor, _ = _HEADER.unpack(cursor.take(_HEADER.size, "the header"))
        if (magic, version, flavor) != (MAGIC, VERSION, _ULEB) or _segment_count(cursor) != 1:
            return None
        count, annotations = _preamble(cursor)
    except DamagedError:
        return None
    return Packed(meta_hash.hex(), annotations, data[cursor.at : cursor.end - _FOOTER.size], count)


class _Encoding(NamedTuple):
    raw: bool
    big_endian: bool

    def number(self, cursor: Cursor) -> int:
        """The next one."""
        if not self.raw:
            return cursor.uleb("a counter")
        return int.from_bytes(cursor.take(4, "a counter"), "big" if self.big_endian else "little")

    def words(self, cursor: Cursor, end: int) -> array[int]:
        """All up to `end`."""
        packed = cursor.data[cursor.at : end]
        if not self.raw:
            return decode_ulebs(cursor.name, packed, cursor.at)
        if len(packed) % 4:
            raise cursor.error(f"{len(packed)} bytes of counters are no whole number of them")
        return array(WORD, [number for (number,) in Struct(">I" if self.big_endian else "<I").iter_unpack(packed)])


def _segment_count(cursor: Cursor) -> int:
    """From the last footer."""
    at = cursor.end - _FOOTER.size
    if at < _HEADER.size:
        raise cursor.error("the file ends before its first segment does", cursor.end)
    magic, count = _FOOTER.unpack_from(cursor.data, at)
    if magic != MAGIC:
        raise cursor.error("there is no footer: the file is cut off, or was still being written", at)
    if not 1 <= count <= cursor.end // (_SEGMENT.size + _FOOTER.size):
        raise cursor.error(f"{count} segments cannot be in {cursor.end} bytes", at + 8)
    return int(count)


def _only_segment(cursor: Cursor, encoding: _Encoding) -> Segment:
    """It ends where the last footer begins, whatever is in it."""
    count, annotations = _preamble(cursor)
    end = cursor.end - _FOOTER.size
    if end < cursor.at:
        raise cursor.error("the annotations reach into the footer")
    return Segment(annotations, encoding.words(cursor, end), cursor.at, count)


def check(name: str, segment: Segment) -> None:
    """Raises DamagedError unless the words are as many functions as the segment says; `name` is the file's."""
    if not _is_made_of(segment.words, segment.count):
        raise damaged(name, segment.offset, f"the counters are not those of {segment.count} functions, as the segment says")


def _segment(cursor: Cursor, encoding: _Encoding, number: int, last: bool, earlier: int) -> tuple[Segment, int]:
    """The segment and its footer. `earlier` is how many functions the segment before said it has; this one's is returned.

    By the format that is the functions of a segment, but Go's own writer also counts those of all segments before it.
    """
    functions, annotations = _preamble(cursor)
    offset = cursor.at
    for count in (functions, functions - earlier):
        end = cursor.end - _FOOTER.size if last else _end_of_functions(cursor, encoding, count)
        if end >= offset and _is_footer(cursor.data[end : end + _FOOTER.size], number):
            words = encoding.words(cursor, end)
            if _is_made_of(words, count):
                cursor.at = end + _FOOTER.size
                return Segment(annotations, words, offset, count), functions
    raise cursor.error(f"the counters are not those of {functions} functions, as segment {number} says")


def _preamble(cursor: Cursor) -> tuple[int, dict[str, str]]:
    """How many functions follow, and the annotations."""
    start = cursor.at
    functions, strings_size, arguments_size = _SEGMENT.unpack(cursor.take(_SEGMENT.size, "the header of a segment"))
    annotations = _annotations(cursor, strings_size, arguments_size)
    # What follows is aligned to the segment, which is the file only for the first one.
    cursor.take(-(cursor.at - start) % 4, "padding")
    return functions, annotations


def _is_footer(data: bytes, number: int) -> bool:
    return len(data) == _FOOTER.size and _FOOTER.unpack(data) == (MAGIC, number)


def _end_of_functions(cursor: Cursor, encoding: _Encoding, functions: int) -> int:
    """Where a segment ends that others follow: nothing says how many bytes its numbers take, so they are read one by one."""
    scout = Cursor(cursor.name, cursor.data, cursor.at)
    try:
        for _ in range(functions):
            for _ in range(encoding.number(scout) + NAMES_AND_NUMBERS - 1):
                encoding.number(scout)
    except DamagedError:
        return -1
    return scout.at


def _annotations(cursor: Cursor, strings_size: int, arguments_size: int) -> dict[str, str]:
    """Pairs of indexes into a table of strings; padding may follow both."""
    arguments_at = cursor.at + strings_size
    end = arguments_at + arguments_size
    if end > len(cursor.data):
        raise cursor.error(f"the annotations should end at byte {end}, but the file has {len(cursor.data)}")
    strings = Cursor(cursor.name, cursor.data, cursor.at, arguments_at).string_table()
    arguments = Cursor(cursor.name, cursor.data, arguments_at, end)
    annotations: dict[str, str] = {}
    for _ in range(arguments.uleb("the number of annotations")):
        at = arguments.at
        key, value = arguments.uleb("an annotation's name"), arguments.uleb("an annotation's value")
        if max(key, value) >= len(strings):
            raise cursor.error(f"string {max(key, value)} is wanted, and there are {len(strings)}", at)
        annotations[strings[key]] = strings[value]
    cursor.at = end
    return annotations


def _is_made_of(words: array[int], functions: int) -> bool:
    """Whether that many functions, one after the other, end where the words do."""
    at = 0
    try:
        for _ in range(functions):
            at += NAMES_AND_NUMBERS + words[at]
    except IndexError:
        return False
    return at == len(words)


def locate(data: bytes, file: CounterFile, segment: Segment, word: int) -> int:
    """The byte of `data` at which a word of a segment begins; for error messages."""
    if file.flavor == "raw":
        return segment.offset + 4 * word
    return offset_of_uleb(data, segment.offset, word)


def dump(file: CounterFile) -> bytes:
    """The file that `parse` reads; offsets are made anew."""
    header = _HEADER.pack(MAGIC, VERSION, bytes.fromhex(file.meta_hash), _RAW if file.flavor == "raw" else _ULEB, file.big_endian)
    segments = (
        _dump_segment(segment, file) + _FOOTER.pack(MAGIC, number) for number, segment in enumerate(file.segments, start=1)
    )
    return header + b"".join(segments)


def _dump_segment(segment: Segment, file: CounterFile) -> bytes:
    texts = dict.fromkeys(("", *chain.from_iterable(sorted(segment.annotations.items()))))
    indexes = {text: index for index, text in enumerate(texts)}
    strings = encode_string_table(tuple(texts))
    numbers = [len(segment.annotations), *(indexes[text] for pair in sorted(segment.annotations.items()) for text in pair)]
    arguments = b"".join(map(encode_uleb, numbers))
    arguments += bytes(-(_SEGMENT.size + len(strings) + len(arguments)) % 4)
    head = _SEGMENT.pack(sum(1 for _ in segment.functions), len(strings), len(arguments))
    return head + strings + arguments + _dump_words(segment.words, file)


def _dump_words(words: array[int], file: CounterFile) -> bytes:
    if file.flavor == "raw":
        return struct.pack(f"{'>' if file.big_endian else '<'}{len(words)}I", *words)
    return b"".join(map(encode_uleb, words))
