"""Go's `covmeta.<hash>` files: which functions and blocks a binary built with `-cover` can count.

They are the same for every process of a build, and named by its hash. `parse` reads one, `identity` only says which build it
is of. The format is documented in Go's `internal/coverage`; version 1 is the only one so far (Go 1.20 to 1.26).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from struct import Struct
from typing import Final, NamedTuple, cast, get_args

from podcov.formats.go_bytes import Cursor, count_ulebs, decode_ulebs
from podcov.formats.go_profile import Block, Mode

MAGIC: Final = b"\0cvm"
VERSION: Final = 1
_MODES: Final[tuple[Mode, ...]] = get_args(Mode)
_GRANULARITIES: Final = ("perblock", "perfunc")
_PACKAGE_HEADER_SIZE: Final = 44
_MODE_AT: Final = 48
_NUMBERS_OF_A_BLOCK: Final = 5
_OFFSET: Final = Struct("<I")
_block: Final = cast(Callable[[tuple[str, int, int, int, int, int]], Block], partial(tuple.__new__, Block))
"""What `Block._make` does, for the hundred thousands of a large program in half the time."""


class GoFunction(NamedTuple):
    """A function, method (`*T.Name`), or a function literal outside functions (`literal`). One counter for each block."""

    name: str
    file: str
    """import path of the package, `/`, name of the file; or an absolute path where the package had none"""
    literal: bool
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class GoPackage:
    """A package as one build saw it; equal ones have equal `digest`."""

    path: str
    name: str
    module: str
    digest: str
    functions: tuple[GoFunction, ...]


@dataclass(frozen=True, slots=True)
class Meta:
    """A parsed file. `hash` is 32 hex digits; counter files name it. Packages stand in the order of their numbers there."""

    hash: str
    mode: Mode
    granularity: str
    packages: tuple[GoPackage, ...]


class Identity(NamedTuple):
    """Which build a meta-data file is of, and how many bytes it should have."""

    hash: str
    size: int


def identity(data: bytes, *, name: str = "covmeta") -> Identity:
    """Reads the first 40 bytes only, so that a file that is known already need not be moved. Raises DamagedError."""
    cursor = Cursor(name, data)
    if cursor.take(4, "the magic number") != MAGIC:
        raise cursor.error("this is no meta-data file of Go coverage", 0)
    if (version := cursor.integer(4, "the version")) != VERSION:
        raise cursor.error(f"version {version} of the format is not known; this podcov reads version {VERSION}", 4)
    size = cursor.integer(8, "the length")
    cursor.take(8, "the number of packages")
    return Identity(cursor.take(16, "the hash").hex(), size)


def counter_mode(data: bytes, *, name: str = "covmeta") -> Mode:
    """Reads the mode alone. Raises DamagedError."""
    identity(data, name=name)
    return cast(Mode, _choice(Cursor(name, data, _MODE_AT), _MODES, "counter mode"))


def parse(data: bytes, *, name: str = "covmeta") -> Meta:
    """Reads a meta-data file; `name` is what errors call it. Raises DamagedError."""
    build = identity(data, name=name)
    if build.size != len(data):
        raise Cursor(name, data).error(f"the file should have {build.size} bytes, and has {len(data)}", 8)
    cursor = Cursor(name, data, 16)
    count = cursor.integer(8, "the number of packages")
    cursor.at = _MODE_AT
    mode = _choice(cursor, _MODES, "counter mode")
    granularity = _choice(cursor, _GRANULARITIES, "granularity")
    cursor.at = 56
    if count * 16 > len(data) - cursor.at:
        raise cursor.error(f"there is no room for {count} packages in {len(data)} bytes", 16)
    offsets = [cursor.integer(8, "the offset of a package") for _ in range(count)]
    sizes = [cursor.integer(8, "the length of a package") for _ in range(count)]
    packages = tuple(_package(name, data, *place) for place in zip(offsets, sizes, strict=True))
    return Meta(build.hash, cast(Mode, mode), granularity, packages)


def _choice(cursor: Cursor, known: Sequence[str], what: str) -> str:
    number = cursor.integer(1, f"the {what}")
    if not 1 <= number <= len(known):
        raise cursor.error(f"{what} {number} is not known", cursor.at - 1)
    return known[number - 1]


def _package(name: str, data: bytes, start: int, size: int) -> GoPackage:
    """Functions are found by their offsets, which count from the package's start; strings stand behind those."""
    if start + size > len(data):
        raise Cursor(name, data, start).error(f"a package of {size} bytes goes beyond the end of the file")
    end = start + size
    cursor = Cursor(name, data, start, end)
    if cursor.integer(4, "the length of a package") != size:
        raise cursor.error(f"a package has another length than the {size} bytes that the file's table says", start)
    indexes = [cursor.integer(4, "an index into the strings") for _ in range(3)]
    digest = cursor.take(16, "the hash of a package").hex()
    cursor.at = start + _PACKAGE_HEADER_SIZE - 4
    function_count = cursor.integer(4, "the number of functions")
    if function_count * 4 > end - cursor.at:
        raise cursor.error(f"there is no room for {function_count} functions in a package of {size} bytes", cursor.at - 4)
    table = cursor.take(4 * function_count, "the offsets of functions")
    offsets = [start + offset for (offset,) in _OFFSET.iter_unpack(table)]
    strings = cursor.string_table()
    if max(indexes) >= len(strings):
        raise cursor.error(f"string {max(indexes)} is wanted, and there are {len(strings)}", start + 4)
    package_name, path, module = (strings[index] for index in indexes)
    functions = tuple(_functions(cursor, offsets, strings))
    return GoPackage(path, package_name, module, digest, functions)


def _functions(cursor: Cursor, offsets: list[int], strings: tuple[str, ...]) -> Iterator[GoFunction]:
    """They follow each other without a gap, and are decoded together."""
    if not offsets:
        return
    ends = [*offsets[1:], cursor.end]
    if offsets[0] != cursor.at or any(end < start for start, end in zip(offsets, ends, strict=True)):
        raise cursor.error("functions are not where their offsets say", offsets[0])
    numbers = decode_ulebs(cursor.name, cursor.data[cursor.at : cursor.end], cursor.at).tolist()
    at = 0
    for start, end in zip(offsets, ends, strict=True):
        following = at + count_ulebs(cursor.data[start:end])
        if following < at + 4 or following != at + 4 + _NUMBERS_OF_A_BLOCK * numbers[at]:
            raise cursor.error("a function does not end where the next one begins", start)
        _, name, file = numbers[at : at + 3]
        if max(name, file) >= len(strings):
            raise cursor.error(f"string {max(name, file)} is wanted, and there are {len(strings)}", start)
        each = [iter(numbers[at + 3 : following - 1])] * _NUMBERS_OF_A_BLOCK
        blocks = map(_block, zip(repeat(strings[file]), *each, strict=False))
        yield GoFunction(strings[name], strings[file], numbers[following - 1] != 0, tuple(blocks))
        at = following
