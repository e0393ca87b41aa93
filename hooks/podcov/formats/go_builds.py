"""What Go processes wrote, read and added up: by build, whichever folders the files are from. Pure.

    gathered = gather(files)        # the contents of GOCOVERDIR folders: by build, and what was left out

Counters of one build are added function by function: they have the same numbers there. `go_coverage` puts builds together.
"""

from __future__ import annotations

import operator
from array import array
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final, NamedTuple

from podcov.errors import DamagedError
from podcov.formats import go_counters, go_digits, go_meta
from podcov.formats.go_bytes import WORD, damaged
from podcov.formats.go_counters import NAMES_AND_NUMBERS, CounterFile, Packed, Segment
from podcov.formats.go_digits import Digits, Mask, Sum
from podcov.formats.go_meta import GoFunction, GoPackage, Meta
from podcov.formats.go_profile import LARGEST, Block, Mode, Profile, blocks_by_file

_META: Final = "covmeta."
_COUNTERS: Final = "covcounters."
_UNFINISHED: Final = (f"tmp.{_META}", f"tmp.{_COUNTERS}")
_SUM: Final = "Q"
"""What sums of words are kept in: 64 bits each, so that billions of 32-bit counters can be added without a carry."""

FunctionNumber = tuple[int, int]
"""The number of a package in its meta-data file, and of a function in that package."""


@dataclass(frozen=True, slots=True)
class Build:
    """One build, and what all its processes counted: for each function that ran, a count for each of its blocks."""

    name: str
    """the meta-data file, for messages"""
    meta: Meta
    counts: Mapping[FunctionNumber, tuple[int, ...]]
    processes: int
    """counter files that went into `counts`"""
    annotations: Mapping[str, str]
    """what the processes have in common of command line, GOOS and GOARCH"""

    def counter_file(self) -> CounterFile:
        """All processes as one counter file, as `go tool covdata merge` writes it; give it to `go_counters.dump`."""
        words = array(WORD)
        for (package, function), counts in sorted(self.counts.items()):
            words.extend((len(counts), package, function, *counts))
        return CounterFile(self.meta.hash, (Segment(self.annotations, words),))


@dataclass(frozen=True, slots=True)
class Gathered:
    """What a set of files holds, by build, sorted by name. `damage` says of each file that was left out what is wrong with it."""

    builds: tuple[Build, ...]
    damage: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    """names of files that are not Go's coverage data"""


def gather(files: Mapping[str, bytes]) -> Gathered:
    """Reads covmeta and covcounters files, whichever folders they are from; `files` are contents by name or path.

    Files are known by their first bytes, and damaged ones by Go's names for them. A file that makes no sense, or whose other half
    is missing, is named in `damage`, and the rest is read. A meta-data file may be there many times, once for each folder; the
    first that can be read counts.
    """
    damage: list[str] = []
    metas: dict[str, bytes] = {}
    counters: dict[str, bytes] = {}
    ignored: list[str] = []
    for name in sorted(files):
        base = name.rpartition("/")[2]
        if base.startswith(_UNFINISHED):
            damage.append(f"{name}: byte {len(files[name])}: the process was stopped while it wrote this")
        elif files[name].startswith(go_meta.MAGIC) or base.startswith(_META):
            metas[name] = files[name]
        elif files[name].startswith(go_counters.MAGIC) or base.startswith(_COUNTERS):
            counters[name] = files[name]
        else:
            ignored.append(name)
    metas_read = read_metas(metas)
    added = add_up(metas_read, counters)
    return Gathered(added.builds, (*damage, *metas_read.damage, *added.damage.values()), tuple(ignored))


@dataclass(frozen=True, slots=True)
class NamedMeta:
    """Meta-data and the name of the file that they are from."""

    name: str
    meta: Meta


@dataclass(frozen=True, slots=True)
class Metas:
    """The meta-data of some builds, by hash. `damage` says of each file that was left out what is wrong with it."""

    by_hash: Mapping[str, NamedMeta]
    damage: tuple[str, ...] = ()


def read_metas(files: Mapping[str, bytes]) -> Metas:
    """Reads covmeta files, contents by name. Further files of a build are only compared."""
    found: dict[str, NamedMeta] = {}
    damage: list[str] = []
    for name, data in files.items():
        try:
            build = go_meta.identity(data, name=name).hash
            first = found.get(build)
            if first is None:
                found[build] = NamedMeta(name, go_meta.parse(data, name=name))
            elif data != files[first.name]:
                raise damaged(name, 24, f"it says that it is of the same build as {first.name}, and differs from that")
        except DamagedError as error:
            damage.append(error.message)
    return Metas(found, tuple(damage))


@dataclass(frozen=True, slots=True)
class AddedUp:
    """Builds, sorted by name. `damage` says of each file that was left out, by its name, what is wrong with it."""

    builds: tuple[Build, ...]
    damage: Mapping[str, str]


def add_up(metas: Metas, counters: Mapping[str, bytes]) -> AddedUp:
    """What covcounters files, contents by name, say of these builds; also builds of which nothing was counted."""
    damage: dict[str, str] = {}
    adders = {build: _Adder(named.name, named.meta) for build, named in metas.by_hash.items()}
    for name, data in counters.items():
        try:
            _read_counters(name, data, adders)
        except DamagedError as error:
            damage[name] = error.message
    return AddedUp(tuple(adder.build() for adder in sorted(adders.values(), key=lambda adder: adder.name)), damage)


def of_profile(profile: Profile, *, name: str) -> Build:
    """A text profile, as a build of which one process is known; its functions are not: each file is one without a name."""
    files: dict[str, dict[str, tuple[Block, ...]]] = defaultdict(dict)
    for file, blocks in blocks_by_file(profile.counts).items():
        files[file.rpartition("/")[0]][file] = tuple(sorted(blocks))
    packages = tuple(
        GoPackage(path, "", "", "", tuple(GoFunction("", file, True, own[file]) for file in sorted(own)))
        for path, own in sorted(files.items())
    )
    counts = {
        (number, index): tuple(profile.counts[block] for block in function.blocks)
        for number, package in enumerate(packages)
        for index, function in enumerate(package.functions)
    }
    return Build(name, Meta("", profile.mode, "perblock", packages), counts, 1, {})


def _read_counters(name: str, data: bytes, adders: Mapping[str, _Adder]) -> None:
    packed = go_counters.packed(data)
    digits = go_digits.read(packed.numbers) if packed else None
    if packed and digits and packed.meta_hash in adders and adders[packed.meta_hash].add_alike(packed, digits):
        return
    file = go_counters.parse(data, name=name, walk=False)
    adder = adders.get(file.meta_hash)
    if adder is None:
        raise damaged(name, 8, f"its meta-data, {_META}{file.meta_hash}, are not here or cannot be read")
    adder.add(name, data, file, digits)


class _Span(NamedTuple):
    """The words of a segment that are a function's counters."""

    function: FunctionNumber
    first: int
    end: int


class _Layout:
    """The functions of a segment, whatever was counted for them, and the sum of all segments that have just these.

    Processes that did the same work reached the same functions. Their segments differ in the counters alone, and those of the
    first show where these are.
    """

    def __init__(self, words: array[int], spans: Sequence[_Span]) -> None:
        self._spans = spans
        self._names = self._without_counters(words)
        self._sums = array(_SUM, bytes(array(_SUM).itemsize * len(words)))
        self._mask: Mask | None = None
        self._alike = Sum(len(words))

    def _without_counters(self, words: array[int]) -> array[int]:
        names = words[:]
        for _, first, end in self._spans:
            names[first:end] = array(WORD, bytes(words.itemsize * (end - first)))
        return names

    def fits(self, words: array[int]) -> bool:
        """Whether it is of these functions; of as many words it has to be."""
        return self._without_counters(words) == self._names

    def add(self, words: array[int], digits: Digits | None) -> None:
        """`digits` are the same, where they are known."""
        self._sums = array(_SUM, map(operator.add, self._sums, words))
        if digits and self._mask is None:
            self._mask = Mask(digits, ((first, end) for _, first, end in self._spans))

    def add_alike(self, digits: Digits) -> bool:
        """Adds what has just these functions, too; False for others."""
        if self._mask is None or not self._mask.fits(digits):
            return False
        self._alike.add(digits)
        return True

    @property
    def totals(self) -> Iterable[tuple[FunctionNumber, array[int]]]:
        """The counters of each function; they may have more than 32 bits."""
        words = array(_SUM, map(operator.add, self._sums, self._alike.totals()))
        return ((function, words[first:end]) for function, first, end in self._spans)


class _Adder:
    """One build while its processes are added up."""

    def __init__(self, name: str, meta: Meta) -> None:
        self.name = name
        self.meta = meta
        self._sizes = [[len(function.blocks) for function in package.functions] for package in meta.packages]
        self._layouts: defaultdict[tuple[int, int], list[_Layout]] = defaultdict(list)
        self._annotations: list[Mapping[str, str]] = []
        self._processes = 0

    def add(self, name: str, data: bytes, file: CounterFile, digits: Digits | None) -> None:
        """All of a file or, if it does not fit the meta-data (DamagedError), nothing of it. `digits` are those of an only
        segment."""
        layouts = [self._layout(name, data, file, segment) for segment in file.segments]
        for layout, segment in zip(layouts, file.segments, strict=True):
            layout.add(segment.words, digits)
        self._annotations += (segment.annotations for segment in file.segments)
        self._processes += 1

    def add_alike(self, packed: Packed, digits: Digits) -> bool:
        """Adds a file with the same functions as one before; False for others."""
        if not any(layout.add_alike(digits) for layout in self._layouts[digits.length, packed.functions]):
            return False
        self._annotations.append(packed.annotations)
        self._processes += 1
        return True

    def _layout(self, name: str, data: bytes, file: CounterFile, segment: Segment) -> _Layout:
        alike = self._layouts[len(segment.words), segment.count]
        found = next((layout for layout in alike if layout.fits(segment.words)), None)
        if found is None:
            go_counters.check(name, segment)
            found = _Layout(segment.words, self._spans(name, data, file, segment))
            alike.append(found)
        return found

    def _spans(self, name: str, data: bytes, file: CounterFile, segment: Segment) -> list[_Span]:
        """Where which function is; all have to be in the meta-data, with as many blocks."""
        spans: list[_Span] = []
        words = segment.words
        at = 0
        while at < len(words):
            size, package, function = words[at : at + NAMES_AND_NUMBERS]
            known = package < len(self._sizes) and function < len(self._sizes[package])
            if not known or self._sizes[package][function] != size:
                raise damaged(
                    name,
                    go_counters.locate(data, file, segment, at),
                    f"function {function} of package {package} with {size} counters is not in {self.name}",
                )
            first = at + NAMES_AND_NUMBERS
            at = first + size
            spans.append(_Span((package, function), first, at))
        return spans

    def build(self) -> Build:
        sums: dict[FunctionNumber, Sequence[int]] = {}
        for layout in chain.from_iterable(self._layouts.values()):
            for function, own in layout.totals:
                sums[function] = list(map(operator.add, sums[function], own)) if function in sums else own
        counts = {function: limited(self.meta.mode, own) for function, own in sums.items()}
        return Build(self.name, self.meta, counts, self._processes, _common(self._annotations))


def limited(mode: Mode, counts: Sequence[int]) -> tuple[int, ...]:
    """Counts as they are in this mode, and no larger than a counter gets."""
    if mode == "set":
        return tuple([1 if count else 0 for count in counts])
    return tuple(counts) if max(counts, default=0) <= LARGEST else tuple([min(count, LARGEST) for count in counts])


def _common(annotations: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """What of the annotations is true of all: command lines count as a whole."""
    first, *others = annotations or [{}]
    kept = {key for key in ("GOOS", "GOARCH") if all(other.get(key) == first.get(key) for other in others)}
    line = _command_line(first)
    if all(_command_line(other) == line for other in others):
        kept |= line.keys()
    return {key: value for key, value in first.items() if key in kept}


def _command_line(annotations: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in annotations.items() if key.startswith("arg")}
