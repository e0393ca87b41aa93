"""Makes one coverage of several of the same file: of the targets of a service, or of services that share it. Pure.

Merging is a union: what ran anywhere ran. It doesn't matter in which order, how often, or in what groups files are merged.
Counts of how often something ran are not added but the highest stands, so that merging something twice changes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from functools import reduce
from typing import Final

from podcov.model import Arc, FileCoverage, Origin, Region

SERVICES_SEPARATOR: Final = ", "
_BEST_FIRST: Final[tuple[Origin, ...]] = ("local", "recorded", "missing")


def merge(one: FileCoverage, other: FileCoverage) -> FileCoverage:
    """The union of two coverages of the same text at the same path.

    Where only one of them has arcs the result has none: what the other one's branches did is not known.
    Raises ValueError where path, digest or language differ.
    """
    if (one.path, one.digest, one.language) != (other.path, other.digest, other.language):
        raise ValueError(f"not the same file: {one.path} {one.digest}, {other.path} {other.digest}")
    both_branch = one.mode == other.mode == "branch"
    return FileCoverage(
        service=SERVICES_SEPARATOR.join(sorted(set(_services(one)) | set(_services(other)))),
        path=one.path,
        language=one.language,
        digest=one.digest,
        origin=min(one.origin, other.origin, key=_BEST_FIRST.index),
        mode="branch" if both_branch else "line",
        regions=_merge_regions(one.regions + other.regions),
        arcs=_merge_arcs(one.arcs + other.arcs) if both_branch else (),
        functions=tuple(sorted(set(one.functions) | set(other.functions))),
        excluded=tuple(sorted(set(one.excluded) | set(other.excluded))),
        package=max(one.package, other.package),
        recorded_paths=tuple(sorted(set(one.recorded_paths) | set(other.recorded_paths))),
        counting=one.counting if one.counting == other.counting else "set",
    )


def by_service(files: Iterable[FileCoverage]) -> tuple[FileCoverage, ...]:
    """One coverage for each service, path and digest, sorted."""
    groups: dict[tuple[str, str, str], list[FileCoverage]] = defaultdict(list)
    for file in files:
        groups[file.path, file.service, file.digest].append(file)
    return tuple(reduce(merge, groups[key]) for key in sorted(groups))


def by_path(files: Iterable[FileCoverage]) -> tuple[FileCoverage, ...]:
    """One coverage for each path and digest, whatever the service, sorted; `service` names all of them.

    Two texts at one path stay two: see `divergent`.
    """
    groups: dict[tuple[str, str], list[FileCoverage]] = defaultdict(list)
    for file in files:
        groups[file.path, file.digest].append(file)
    return tuple(reduce(merge, groups[key]) for key in sorted(groups))


def divergent(files: Iterable[FileCoverage]) -> tuple[str, ...]:
    """Warnings for paths at which more than one text ran."""
    services: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for file in files:
        services[file.path][file.digest] |= set(_services(file))
    return tuple(
        f"{path}: {len(texts)} different versions of it ran, in {_and(sorted(set().union(*texts.values())))}; "
        "each is reported on its own"
        for path, texts in sorted(services.items())
        if len(texts) > 1
    )


def _services(file: FileCoverage) -> list[str]:
    return file.service.split(SERVICES_SEPARATOR)


def _and(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _union(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(set(one) | set(other)))


def _merge_regions(regions: Iterable[Region]) -> tuple[Region, ...]:
    merged: dict[tuple[tuple[int, int], tuple[int, int], int], Region] = {}
    for region in regions:
        key = (region.start, region.end, region.statements)
        known = merged.get(key)
        merged[key] = (
            replace(known, hits=max(known.hits, region.hits), epochs=_union(known.epochs, region.epochs)) if known else region
        )
    return tuple(sorted(merged.values()))


def _merge_arcs(arcs: Iterable[Arc]) -> tuple[Arc, ...]:
    merged: dict[tuple[int, int], Arc] = {}
    for arc in arcs:
        known = merged.get((arc.from_line, arc.to))
        merged[arc.from_line, arc.to] = (
            replace(
                known,
                hits=max(known.hits, arc.hits),
                epochs=_union(known.epochs, arc.epochs),
                assumed=known.assumed or arc.assumed,
            )
            if known
            else arc
        )
    return tuple(sorted(merged.values()))
