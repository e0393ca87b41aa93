"""Go's text profile: what `go test -coverprofile` and `go tool covdata textfmt` write, and `go tool cover` reads.

    mode: set
    example.com/shop/cart/cart.go:12.26,15.3 2 1

A line is a block: file, where it begins and ends (line.column, the end exclusive), its statements and its count.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Final, Literal, NamedTuple, cast, get_args

from podcov.errors import DamagedError, MergeError, NoDataError

Mode = Literal["set", "count", "atomic"]
"""What a count says: that the block ran (1), or how often; `atomic` counts so that no thread's hits are lost."""

LARGEST: Final = 0xFFFFFFFF
"""Go's counters have 32 bits; sums stop here."""

_MODE_LINE: Final = re.compile(r"mode: (set|count|atomic)")
_BLOCK_LINE: Final = re.compile(r"(.+):(\d{1,9})\.(\d{1,9}),(\d{1,9})\.(\d{1,9}) (\d{1,9}) (\d{1,19})", re.ASCII)
_in_order: Final = itemgetter(0, 1, 3, 2, 4, 5)
"""Of blocks: by file, first and last line, then columns."""

_MODES: Final[tuple[Mode, ...]] = get_args(Mode)


class Block(NamedTuple):
    """A stretch of a file with one counter. Lines and columns count from 1, columns in bytes; the end is exclusive."""

    file: str
    start_line: int
    start_column: int
    end_line: int
    end_column: int
    statements: int

    @property
    def start(self) -> tuple[int, int]:
        return (self.start_line, self.start_column)

    @property
    def end(self) -> tuple[int, int]:
        return (self.end_line, self.end_column)


@dataclass(frozen=True, slots=True)
class Profile:
    """A parsed profile: the count of each block."""

    mode: Mode
    counts: Mapping[Block, int]


def parse(data: bytes, *, name: str = "cover.out") -> Profile:
    """Reads a text profile; `name` is what errors call it.

    Blocks that stand there several times, as in the profile of several test binaries, are merged, and the mode line may be
    repeated. Raises DamagedError.
    """
    if not data.endswith(b"\n"):
        raise _damaged(name, data.count(b"\n") + 1, len(data), "it ends in the middle of a line; was it still being written?")
    mode: Mode | None = None
    counts: dict[Block, int] = {}
    at = 0
    for number, raw in enumerate(data.split(b"\n")[:-1], start=1):
        line = raw.removesuffix(b"\r").decode("utf-8", "surrogateescape")
        if match := _BLOCK_LINE.fullmatch(line):
            if mode is None:
                raise _damaged(name, number, at, f"the first line should be `mode: ...`, and is {line[:80]!r}")
            block = Block(match[1], *map(int, match.groups()[1:6]))
            counts[block] = add(mode, counts.get(block, 0), int(match[7]))
        elif (match := _MODE_LINE.fullmatch(line)) and mode in (None, match[1]):
            mode = cast(Mode, match[1])
        else:
            raise _damaged(name, number, at, f"this is no line of a {mode or 'Go'} profile: {line[:80]!r}")
        at += len(raw) + 1
    if mode is None:
        raise _damaged(name, 1, 0, "there is no `mode:` line")
    return Profile(mode, counts)


def _damaged(name: str, line: int, at: int, what: str) -> DamagedError:
    return DamagedError(f"{name}:{line}: byte {at}: {what}", hint="the file is left out")


def dump(profile: Profile) -> bytes:
    """The profile as text, in the order of `go tool covdata textfmt`: by package, file and lines. Same profile, same bytes."""
    counts = profile.counts
    texts: dict[str, str] = {}
    for file, blocks in groupby(sorted(counts, key=_in_order), key=itemgetter(0)):
        lines = [f"{file}:{block[1]}.{block[2]},{block[3]}.{block[4]} {block[5]} {counts[block]}\n" for block in blocks]
        texts[file] = "".join(lines)
    ordered = (texts[file] for file in sorted(texts, key=lambda file: (file.rpartition("/")[0], file)))
    return "".join((f"mode: {profile.mode}\n", *ordered)).encode("utf-8", "surrogateescape")


def add(mode: Mode, one: int, other: int) -> int:
    """Two counts of the same block: whether it ran in either, or the sum, which stops at `LARGEST`."""
    if mode == "set":
        return int(one > 0 or other > 0)
    return min(one + other, LARGEST)


def merge(profiles: Mapping[str, Profile]) -> Profile:
    """One profile of several, by name. Raises MergeError where modes differ, or where blocks of different sources overlap."""
    mode = common_mode({name: profile.mode for name, profile in profiles.items()})
    counts: dict[Block, int] = {}
    for profile in profiles.values():
        for block, count in profile.counts.items():
            counts[block] = add(mode, counts.get(block, 0), count)
    _refuse_overlaps(profiles)
    return Profile(mode, counts)


def common_mode(modes: Mapping[str, Mode]) -> Mode:
    """The one mode of all. Raises MergeError that names which file has which, NoDataError where there are none."""
    found = sorted(set(modes.values()), key=_MODES.index)
    if len(found) == 1:
        return found[0]
    if not found:
        raise NoDataError("there are no coverage data of Go to merge")
    groups = "; ".join(f"{mode}: {_names(name for name, own in modes.items() if own == mode)}" for mode in found)
    raise MergeError(
        f"counts of different modes cannot be added: {groups}",
        hint="build all binaries with the same -covermode; atomic is right for servers that want counts",
    )


def _names(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def _refuse_overlaps(profiles: Mapping[str, Profile]) -> None:
    """Of one source the blocks are equal or apart; those of a changed source lie across each other."""
    by_blocks: dict[str, dict[frozenset[Block], str]] = {}
    for name, profile in profiles.items():
        for file, blocks in blocks_by_file(profile.counts).items():
            by_blocks.setdefault(file, {}).setdefault(blocks, name)
    for file, versions in by_blocks.items():
        first, *others = versions
        for blocks in others:
            if pair := _overlap(first, blocks):
                raise MergeError(
                    f"{file}: its blocks in {versions[first]} and {versions[blocks]} are not of the same source: "
                    f"{_place(pair[0])} and {_place(pair[1])} overlap",
                    hint="these are profiles of different versions of the file; measure them again, of one",
                )
            first |= blocks
            versions.setdefault(first, versions[blocks])


def blocks_by_file(blocks: Iterable[Block]) -> dict[str, frozenset[Block]]:
    """The blocks of each file."""
    files: dict[str, list[Block]] = {}
    for block in blocks:
        files.setdefault(block.file, []).append(block)
    return {file: frozenset(own) for file, own in files.items()}


def _overlap(one: frozenset[Block], other: frozenset[Block]) -> tuple[Block, Block] | None:
    """A block of each that share some source, and are not the same."""
    last: dict[bool, Block] = {}
    for block in sorted(one ^ other):
        is_one = block in one
        before = last.get(not is_one)
        if before and (block.start < before.end or block.start == before.start):
            return (before, block)
        if is_one not in last or last[is_one].end < block.end:
            last[is_one] = block
    return None


def _place(block: Block) -> str:
    return f"{block.start_line}.{block.start_column},{block.end_line}.{block.end_column}"
