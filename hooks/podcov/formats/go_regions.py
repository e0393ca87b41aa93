"""What was counted, as podcov's own model has it. Pure.

    file_coverages({0: coverage}, ...)      # by epoch

A region is what `go tool cover` shows as a block, and can be made one again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from podcov.formats.go_coverage import GoCoverage
from podcov.formats.go_meta import GoFunction
from podcov.formats.go_profile import Block, Mode, add
from podcov.model import FileCoverage, Function, Origin, Region


class Place(NamedTuple):
    """Where one of Go's files lies in the project; see `podcov.model.FileCoverage`."""

    path: str
    digest: str
    origin: Origin


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
