"""What Go processes counted, put together: of many processes of a build, and of many builds. Pure.

    gathered = gather(files)                  # the contents of GOCOVERDIR folders: by build, and what was left out
    coverage = combine(gathered.builds)       # by package
    go_profile.dump(coverage.profile)         # `go tool covdata textfmt`, byte for byte
    file_coverages({0: coverage}, ...)        # podcov's own model

Counters of one build are added function by function: they have the same numbers there. Builds are put together by package, and a
package that differs between them by block, where both have the same blocks.
"""

from __future__ import annotations

import operator
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import chain
from typing import Final, NamedTuple

from podcov.errors import DamagedError, MergeError
from podcov.formats import go_counters, go_digits, go_meta
from podcov.formats.go_bytes import WORD, damaged
from podcov.formats.go_counters import NAMES_AND_NUMBERS, CounterFile, Packed, Segment
from podcov.formats.go_digits import Digits, Mask, Sum
from podcov.formats.go_meta import GoFunction, GoPackage, Meta
from podcov.formats.go_profile import LARGEST, Block, Mode, Profile, add, blocks_by_file, common_mode
from podcov.model import FileCoverage, Function, Origin, Region

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


@dataclass(frozen=True, slots=True)
class PackageCounts:
    """A package, and for each of its functions a count for each of its blocks."""

    package: GoPackage
    counts: tuple[tuple[int, ...], ...]

    @property
    def blocks(self) -> Iterable[tuple[GoFunction, Block, int]]:
        """Every block, its function and its count."""
        for function, counts in zip(self.package.functions, self.counts, strict=True):
            for block, count in zip(function.blocks, counts, strict=True):
                yield function, block, count


@dataclass(frozen=True, slots=True)
class GoCoverage:
    """What was counted, by package, sorted by import path."""

    mode: Mode
    packages: tuple[PackageCounts, ...]

    @property
    def profile(self) -> Profile:
        """The same by block."""
        counts: dict[Block, int] = {}
        for package in self.packages:
            for function, own in zip(package.package.functions, package.counts, strict=True):
                counts.update(zip(function.blocks, own, strict=True))
        return Profile(self.mode, counts)


class Place(NamedTuple):
    """Where one of Go's files lies in the project; see `podcov.model.FileCoverage`."""

    path: str
    digest: str
    origin: Origin


# From files to builds


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
        counts = {function: _limited(self.meta.mode, own) for function, own in sums.items()}
        return Build(self.name, self.meta, counts, self._processes, _common(self._annotations))


def _limited(mode: Mode, counts: Sequence[int]) -> tuple[int, ...]:
    if mode == "set":
        return tuple([1 if count else 0 for count in counts])
    return tuple(counts) if max(counts, default=0) <= LARGEST else tuple([min(count, LARGEST) for count in counts])


def _sum(mode: Mode, one: Sequence[int], other: Sequence[int]) -> tuple[int, ...]:
    return tuple([add(mode, *pair) for pair in zip(one, other, strict=True)])


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


# From builds to coverage


def combine(builds: Iterable[Build], mode: Mode | None = None) -> GoCoverage:
    """What all builds counted together.

    Builds of different modes cannot be added up; `mode="set"` asks only whether blocks ran, which every mode can answer.
    Raises MergeError where modes or granularities differ, or where a package has other blocks in one build than in another.
    """
    builds = tuple(builds)
    if mode is None:
        mode = common_mode({build.name: build.meta.mode for build in builds})
    _refuse_mixed_granularity(builds)
    versions: dict[str, list[_Part]] = defaultdict(list)
    for build in builds:
        for number, package in enumerate(build.meta.packages):
            part = _Part(build, PackageCounts(package, _counts(build, number, package, mode)))
            _add_part(versions[package.path], part, mode)
    packages = (reduce(lambda one, other: _unite(one, other, mode), versions[path]) for path in sorted(versions))
    return GoCoverage(mode, tuple(part.counted for part in packages))


def _counts(build: Build, number: int, package: GoPackage, mode: Mode) -> tuple[tuple[int, ...], ...]:
    """Of all functions of a package, also those that never ran."""
    found = [build.counts.get((number, index)) for index in range(len(package.functions))]
    if mode != build.meta.mode:
        found = [counts and _limited(mode, counts) for counts in found]
    return tuple([counts or (0,) * len(function.blocks) for function, counts in zip(package.functions, found, strict=True)])


def _refuse_mixed_granularity(builds: Iterable[Build]) -> None:
    found = {build.meta.granularity: build.name for build in builds}
    if len(found) > 1:
        raise MergeError(
            "counters for each block and counters for each function cannot be added: "
            + "; ".join(f"{granularity}: {name}" for granularity, name in sorted(found.items())),
            hint="report these builds apart",
        )


@dataclass(frozen=True, slots=True)
class _Part:
    """A package of a build."""

    build: Build
    counted: PackageCounts

    def plus(self, other: _Part, mode: Mode) -> _Part:
        """The sum with the same package of another build."""
        counts = tuple(_sum(mode, *pair) for pair in zip(self.counted.counts, other.counted.counts, strict=True))
        return replace(self, counted=replace(self.counted, counts=counts))


def _add_part(versions: list[_Part], part: _Part, mode: Mode) -> None:
    """To the equal version of the package, or as another one."""
    for index, known in enumerate(versions):
        if known.counted.package == part.counted.package:
            versions[index] = known.plus(part, mode)
            return
    versions.append(part)


def _unite(one: _Part, other: _Part, mode: Mode) -> _Part:
    """Two versions of a package: files that only one has (another platform, build tags), and files with equal blocks."""
    ours = blocks_by_file(block for _, block, _ in one.counted.blocks)
    theirs = blocks_by_file(block for _, block, _ in other.counted.blocks)
    changed = sorted(file for file in ours.keys() & theirs.keys() if ours[file] != theirs[file])
    if changed:
        raise MergeError(
            f"package {one.counted.package.path} is not the same in {one.build.name} and {other.build.name}: "
            f"the blocks of {', '.join(changed)} differ",
            hint="these are builds of different sources; report them apart, or deploy one version only",
        )
    added = {block: count for _, block, count in other.counted.blocks}
    functions = [
        (function, _sum(mode, counts, [added.get(block, 0) for block in function.blocks]))
        for function, counts in zip(one.counted.package.functions, one.counted.counts, strict=True)
    ]
    functions += [
        (function, counts)
        for function, counts in zip(other.counted.package.functions, other.counted.counts, strict=True)
        if function.file not in ours
    ]
    package = replace(one.counted.package, digest="", functions=tuple(function for function, _ in functions))
    return _Part(one.build, PackageCounts(package, tuple(counts for _, counts in functions)))


# From coverage to podcov's model


def file_coverages(epochs: Mapping[int, GoCoverage], service: str, place: Callable[[str], Place]) -> tuple[FileCoverage, ...]:
    """The files of a service, from what each epoch of its report counted, sorted by path.

    `place` finds Go's file names (`example.com/shop/cart/cart.go`) in the project; they stay the files' recorded paths. Hits of
    several epochs are added up; they have one mode.
    """
    hits: dict[str, dict[Block, int]] = defaultdict(dict)
    ran: dict[Block, tuple[int, ...]] = {}
    functions: dict[str, set[Function]] = defaultdict(set)
    packages: dict[str, str] = {}
    for epoch, coverage in sorted(epochs.items()):
        for counted in coverage.packages:
            for function, counts in zip(counted.package.functions, counted.counts, strict=True):
                packages[function.file] = counted.package.path
                functions[function.file].update(_functions(function))
                known = hits[function.file]
                for block, count in zip(function.blocks, counts, strict=True):
                    known[block] = add(coverage.mode, known.get(block, 0), count)
                    if count:
                        ran[block] = (*ran.get(block, ()), epoch)
    modes = {coverage.mode for coverage in epochs.values()}
    counting: Mode = modes.pop() if len(modes) == 1 else "set"
    files = [
        _file(
            service,
            file,
            place(file),
            packages[file],
            counting,
            tuple(sorted(region(block, count, ran.get(block, ())) for block, count in hits[file].items())),
            tuple(sorted(functions[file])),
        )
        for file in packages
    ]
    return tuple(sorted(files, key=lambda file: (file.path, file.digest)))


def _file(
    service: str,
    name: str,
    place: Place,
    package: str,
    counting: Mode,
    regions: tuple[Region, ...],
    functions: tuple[Function, ...],
) -> FileCoverage:
    return FileCoverage(
        service=service,
        path=place.path,
        language="go",
        digest=place.digest,
        origin=place.origin,
        mode="line",
        regions=regions,
        functions=functions,
        package=package,
        recorded_paths=(name,),
        counting=counting,
    )


def region(block: Block, hits: int, epochs: tuple[int, ...]) -> Region:
    """A block as the model has it, with an inclusive end; what ends before the first column ends with the line above.

    So an empty block ends before it begins, and no two blocks are the same region.
    """
    line, column = block.end
    end = (line, column - 1) if column > 1 else (line - 1, 0)
    return Region(block.start, end, block.statements, hits, epochs)


def block_of(file: str, of: Region) -> Block:
    """The block that `region` made one of."""
    line, column = of.end
    end = (line, column + 1) if column else (line + 1, 1)
    return Block(file, *of.start, *end, of.statements)


def _functions(function: GoFunction) -> Iterable[Function]:
    """Literals outside functions have no name that anyone knows."""
    if function.blocks and not function.literal:
        first = min(block.start_line for block in function.blocks)
        yield Function(function.name, first, max(block.end_line for block in function.blocks))
