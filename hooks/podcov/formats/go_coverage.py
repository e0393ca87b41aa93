"""What builds counted, put together. Pure.

    coverage = combine(go_builds.gather(files).builds)      # by package
    go_profile.dump(coverage.profile)                       # `go tool covdata textfmt`, byte for byte

Builds are put together by package, and a package that differs between them by block, where both have the same blocks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import reduce

from podcov.errors import MergeError
from podcov.formats.go_builds import Build, limited
from podcov.formats.go_meta import GoFunction, GoPackage
from podcov.formats.go_profile import Block, Mode, Profile, add, blocks_by_file, common_mode


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
        found = [counts and limited(mode, counts) for counts in found]
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


def _sum(mode: Mode, one: Sequence[int], other: Sequence[int]) -> tuple[int, ...]:
    return tuple([add(mode, *pair) for pair in zip(one, other, strict=True)])
