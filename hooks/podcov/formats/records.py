"""What the processes of one target left behind, read back: start records, hit logs and tables of `wrapper/PROTOCOL.md`.

A process can die in the middle of anything and a disk can fill up, so nothing here raises for what it reads: a piece that
makes no sense is named in `damage` and left out, and everything else is kept.
"""

from __future__ import annotations

import itertools
import json
import re
import sys
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from struct import Struct
from typing import Any, Final, cast

PROTOCOL: Final = 1
HITS_MAGIC: Final = b"PODCOVH1"
TABLE_MAGIC: Final = b"PODCOVT1"
HEADER_SIZE: Final = 64
WORD_SIZE: Final = 8
SEPARATOR: Final = b"\x1f"

_HEADER: Final = Struct("<8sIIQ")
_LENGTH: Final = Struct("<I")
_PROCESS: Final = re.compile(r"(?P<id>\d+-\d+-[0-9a-f]{8})\.(?P<suffix>start|hits|codes|end)")
_MARK_TAIL: Final = b"\0\0\0\x80"
"""The upper half of a mark: kind 4, index 0, and an epoch below 2**32 in the lower half."""


class Kind(IntEnum):
    """What a word of the hit log says."""

    LINE = 1
    BRANCH = 2
    RETURN = 3
    MARK = 4
    ARC = 5


@dataclass(frozen=True, slots=True)
class StartRecord:
    """What a process said about itself when it began; the keys are those of PROTOCOL.md."""

    pid: int
    start_time: int
    language: str = "python"
    ppid: int = 0
    parent: str | None = None
    time: int = 0
    executable: str = ""
    argv: tuple[str, ...] = ()
    implementation: str = ""
    version: str = ""
    state: str = "recording"
    reason: str | None = None
    recording: str | None = None
    mode: str | None = None
    save_interval: float | None = None
    epoch: int = 0

    @property
    def minor(self) -> str:
        """The first two numbers of the version: `3.13`."""
        return ".".join(self.version.split(".")[:2])


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """One line of `epochs`: a mark that began `number` for `run`; `time` in ns."""

    number: int
    run: str
    label: str
    time: int


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A source file as the process saw it first. `mtime` in ns; both numbers are -1 where it could not be read."""

    index: int
    size: int
    mtime: int
    path: str

    @property
    def key(self) -> tuple[str, int, int]:
        """What a pull's sources are looked up by."""
        return (self.path, self.size, self.mtime)


@dataclass(frozen=True, slots=True)
class CodeEntry:
    """A code object; `file` is the index of its file entry, `crc32` eight hex digits of its bytecode's sum."""

    index: int
    file: int
    first_line: int
    crc32: str
    name: str


@dataclass(frozen=True, slots=True)
class ProcessRecords:
    """Everything that is known of one process.

    `epochs` maps each epoch that its log mentions to the words that were stored in it, in order, without marks and unused
    words; take them apart with `split`. Every index of every word is in `files` or `codes`.
    """

    id: str
    start: StartRecord | None
    files: Mapping[int, FileEntry] = field(default_factory=dict)
    codes: Mapping[int, CodeEntry] = field(default_factory=dict)
    epochs: Mapping[int, array[int]] = field(default_factory=dict)
    flags: int = 0
    saved_at: int = 0
    """ns, where recording is `saved`; else 0"""
    ended: bool = False
    """it ended in a way that let it save everything"""
    damage: tuple[str, ...] = ()

    @property
    def volume_full(self) -> bool:
        """Recording stopped because there was no room for more."""
        return bool(self.flags & 1)

    @property
    def stopped_by_error(self) -> bool:
        """Recording stopped because of an error in the recorder."""
        return bool(self.flags & 2)

    @property
    def values_left_out(self) -> bool:
        """Something did not fit into its word and is missing."""
        return bool(self.flags & 4)

    @property
    def trace_replaced(self) -> bool:
        """The app set a trace function of its own, and what ran under it is missing."""
        return bool(self.flags & 8)


@dataclass(frozen=True, slots=True)
class TargetRecords:
    """One target folder. `epoch` is the current one, `epochs` what began each since epoch 0."""

    epoch: int
    epochs: tuple[EpochRecord, ...]
    processes: tuple[ProcessRecords, ...]
    damage: tuple[str, ...] = ()

    def epochs_of(self, run: str) -> tuple[int, ...]:
        """The epochs that marks of this run began."""
        return tuple(e.number for e in self.epochs if e.run == run)

    def overtaken_by(self, run: str) -> str:
        """The run whose mark ended an epoch of this one; empty where none did."""
        since = itertools.dropwhile(lambda epoch: epoch.run != run, self.epochs)
        return next((epoch.run for epoch in since if epoch.run != run), "")


def split(word: int) -> tuple[int, int, int]:
    """A word's kind (see `Kind`), index and value."""
    return word >> 61, (word >> 40) & 0x1FFFFF, word & 0xFF_FFFF_FFFF


def signed20(number: int) -> int:
    """The value of a 20-bit two's complement number, as arcs hold them."""
    return number - 0x100000 if number & 0x80000 else number


def parse_target(files: Mapping[str, bytes]) -> TargetRecords:
    """Reads one target folder; `files` maps names inside it to contents. Files of other names are left alone."""
    damage: list[str] = []
    pieces: dict[str, dict[str, bytes]] = {}
    for name, data in files.items():
        if match := _PROCESS.fullmatch(name):
            pieces.setdefault(match["id"], {})[match["suffix"]] = data
    return TargetRecords(
        epoch=_parse_epoch(files.get("epoch"), damage),
        epochs=tuple(_parse_epochs(files.get("epochs", b""), damage)),
        processes=tuple(_parse_process(name, pieces[name]) for name in sorted(pieces, key=_by_start)),
        damage=tuple(damage),
    )


def parse_start(data: bytes) -> StartRecord:
    """Reads a start record. Raises ValueError that says what is wrong with it."""
    if not data.endswith(b"\n"):
        raise ValueError("is torn: still being written, or the volume was full")
    try:
        record = json.loads(data.decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is no JSON: {error}") from None
    return start_record(record)


def start_record(record: object) -> StartRecord:
    """A start record from its JSON object. Raises ValueError that says what is wrong with it."""
    if not isinstance(record, dict):
        raise ValueError("is no JSON object")
    record = cast(dict[str, Any], record)
    protocol = record.get("protocol")
    if protocol != PROTOCOL:
        raise ValueError(f"has protocol {protocol!r}, this podcov reads {PROTOCOL}")
    return StartRecord(
        **{name: _field(record, name, kinds) for name, kinds in _START_FIELDS.items() if name in record or name in _NEEDED}
    )


_INTEGER = (int,)
_TEXT = (str,)
_OPTIONAL_TEXT = (str, type(None))
_START_FIELDS: Final[Mapping[str, tuple[type, ...]]] = {
    "pid": _INTEGER,
    "start_time": _INTEGER,
    "language": _TEXT,
    "ppid": _INTEGER,
    "parent": _OPTIONAL_TEXT,
    "time": _INTEGER,
    "executable": _TEXT,
    "argv": (list,),
    "implementation": _TEXT,
    "version": _TEXT,
    "state": _TEXT,
    "reason": _OPTIONAL_TEXT,
    "recording": _OPTIONAL_TEXT,
    "mode": _OPTIONAL_TEXT,
    "save_interval": (int, float, type(None)),
    "epoch": _INTEGER,
}
_NEEDED: Final = frozenset({"pid", "start_time", "state"})


def _field(record: Mapping[str, Any], name: str, kinds: tuple[type, ...]) -> Any:
    value: Any = record.get(name)
    if not isinstance(value, kinds) or isinstance(value, bool):
        raise ValueError(f"has {name}: {value!r}")
    if not isinstance(value, list):
        return value
    if not all(isinstance(argument, str) for argument in value):
        raise ValueError(f"has {name}: {value!r}")
    return tuple(value)


def _by_start(process: str) -> tuple[int, int, str]:
    pid, start_time, nonce = process.split("-")
    return int(start_time), int(pid), nonce


def _parse_epoch(data: bytes | None, damage: list[str]) -> int:
    if data is None:
        return 0
    try:
        return int(data)
    except ValueError:
        damage.append(f"epoch: holds {data[:40]!r} instead of a number")
        return 0


def _parse_epochs(data: bytes, damage: list[str]) -> Iterator[EpochRecord]:
    *lines, torn = data.decode("utf-8", "surrogateescape").split("\n")
    if torn:
        damage.append(f"epochs: line {len(lines) + 1} is torn: {torn[:80]!r}")
    for number, line in enumerate(lines, 1):
        try:
            epoch, run, label, time = line.split("\t")
            yield EpochRecord(int(epoch), run, label, int(time))
        except ValueError:
            damage.append(f"epochs: line {number} makes no sense: {line[:80]!r}")


def _parse_process(name: str, pieces: Mapping[str, bytes]) -> ProcessRecords:
    damage: list[str] = []
    ended = "end" in pieces
    start: StartRecord | None = None
    if "start" not in pieces:
        damage.append(f"{name}.start: is missing")
    else:
        try:
            start = parse_start(pieces["start"])
        except ValueError as error:
            damage.append(f"{name}.start: {error}")
            if "protocol" in str(error):  # whatever else it left may mean something else too
                return ProcessRecords(name, None, ended=ended, damage=tuple(damage))
    files, codes = _parse_table(f"{name}.codes", pieces["codes"], damage) if "codes" in pieces else ({}, {})
    hits = pieces.get("hits", b"")
    if "hits" in pieces and not hits:
        damage.append(f"{name}.hits: is empty: the volume had no room for anything")
    flags, saved_at, epochs = _parse_hits(f"{name}.hits", hits, files.keys() | codes.keys(), damage) if hits else (0, 0, {})
    return ProcessRecords(name, start, files, codes, epochs, flags, saved_at, ended, tuple(damage))


def _parse_table(name: str, data: bytes, damage: list[str]) -> tuple[dict[int, FileEntry], dict[int, CodeEntry]]:
    files: dict[int, FileEntry] = {}
    codes: dict[int, CodeEntry] = {}
    for index, entry in enumerate(_table_entries(name, data, damage), 1):
        try:
            parsed = _parse_entry(index, entry.split(SEPARATOR, 1)[0], entry)
        except ValueError:
            damage.append(f"{name}: entry {index} makes no sense: {entry[:80]!r}")
            continue
        if isinstance(parsed, FileEntry):
            files[index] = parsed
        elif parsed.file in files:
            codes[index] = parsed
        else:
            damage.append(f"{name}: entry {index} ({parsed.name}) belongs to entry {parsed.file}, which is no file")
    return files, codes


def _table_entries(name: str, data: bytes, damage: list[str]) -> Iterator[bytes]:
    if not data.rstrip(b"\0"):
        return  # made, and nothing stored yet
    if not data.startswith(TABLE_MAGIC):
        damage.append(f"{name}: begins with {data[:8]!r}, which this podcov does not read")
        return
    position = len(TABLE_MAGIC)
    while position + _LENGTH.size <= len(data):
        (length,) = _LENGTH.unpack_from(data, position)
        if not length:
            return
        position += _LENGTH.size
        if position + length > len(data):
            damage.append(f"{name}: is cut off in an entry, at byte {len(data)}")
            return
        yield data[position : position + length]
        position += length
    if any(data[position:]):
        damage.append(f"{name}: is cut off between two entries, at byte {len(data)}")


def _parse_entry(index: int, kind: bytes, entry: bytes) -> FileEntry | CodeEntry:
    text = entry.decode("utf-8", "surrogateescape")
    if kind == b"F":
        _, size, mtime, path = text.split("\x1f", 3)
        return FileEntry(index, int(size), int(mtime), path)
    if kind == b"C":
        _, file, first_line, crc32, name = text.split("\x1f", 4)
        if not re.fullmatch("[0-9a-f]{8}", crc32):
            raise ValueError
        return CodeEntry(index, int(file), int(first_line), crc32, name)
    raise ValueError


def _parse_hits(name: str, data: bytes, known: Iterable[int], damage: list[str]) -> tuple[int, int, dict[int, array[int]]]:
    if not data.rstrip(b"\0"):
        return 0, 0, {}  # allocated, and nothing stored yet
    if len(data) < HEADER_SIZE:
        damage.append(f"{name}: is cut off in its header, at byte {len(data)}")
        return 0, 0, {}
    magic, flags, epoch, saved_at = _HEADER.unpack_from(data)
    if magic != HITS_MAGIC:
        damage.append(f"{name}: begins with {magic!r}, which this podcov does not read")
        return 0, 0, {}
    if torn := (len(data) - HEADER_SIZE) % WORD_SIZE:
        damage.append(f"{name}: ends in the middle of a word, at byte {len(data)}")
        data = data[:-torn]
    used = max(HEADER_SIZE, len(data.rstrip(b"\0")))
    data = data[: used + -used % WORD_SIZE]
    epochs: dict[int, array[int]] = {}
    known = frozenset(known)
    strange: Counter[tuple[int, int]] = Counter()
    for number, stretch in _stretches(data, epoch):
        epochs.setdefault(number, array("Q")).extend(_words(stretch, known, strange))
    for (kind, index), count in sorted(strange.items()):
        damage.append(f"{name}: {count} words of kind {kind} and index {index}, which is not in the table")
    return flags, saved_at, epochs


def _stretches(data: bytes, epoch: int) -> Iterator[tuple[int, bytes]]:
    """The log's words cut at its marks: (epoch, the bytes of its words)."""
    begin = HEADER_SIZE
    tail = data.find(_MARK_TAIL, begin + 4)
    while tail >= 0:
        if tail % WORD_SIZE == 4:  # else it lies across two words
            yield epoch, data[begin : tail - 4]
            epoch = int.from_bytes(data[tail - 4 : tail], "little")
            begin = tail + 4
        tail = data.find(_MARK_TAIL, tail + 1)
    yield epoch, data[begin:]


def _words(stretch: bytes, known: frozenset[int], strange: Counter[tuple[int, int]]) -> array[int]:
    words = array("Q", stretch)
    if sys.byteorder == "big":  # pragma: no cover
        words.byteswap()
    # Few (kind, index) pairs stand at the top of many words: looking at each pair once keeps this at the speed of C.
    tops = {
        (low | middle << 8 | high << 16)
        for low, middle, high in set(zip(stretch[5::8], stretch[6::8], stretch[7::8], strict=True))
    }
    if bad := {top for top in tops if not _makes_sense(top, known)}:
        strange.update((top >> 21, top & 0x1FFFFF) for word in words if (top := word >> 40) in bad and word)
        return array("Q", (word for word in words if word >> 40 not in bad))
    return words


def _makes_sense(top: int, known: frozenset[int]) -> bool:
    return top >> 21 in (Kind.LINE, Kind.BRANCH, Kind.RETURN, Kind.ARC) and top & 0x1FFFFF in known
