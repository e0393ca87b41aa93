"""The tables that Go's own tools print of coverage, character for character: nobody has to believe other numbers. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Final

from podcov.formats.go_coverage import GoCoverage
from podcov.formats.go_profile import Block, Profile
from podcov.formats.go_source import declarations

_TAB: Final = 8

Row = tuple[str, str, str]


def percent(coverage: GoCoverage) -> str:
    """`go tool covdata percent`: each package. One without statements has no number and, there as here, no line of its own."""
    return "".join(
        f"\t{counted.package.path}\t\t{_of_statements(*_sums((block, count) for _, block, count in counted.blocks))}"
        for counted in coverage.packages
    )


def packages(coverage: GoCoverage) -> str:
    """`go tool covdata pkglist`: the import path of each package."""
    return "".join(f"{counted.package.path}\n" for counted in coverage.packages)


def functions(coverage: GoCoverage) -> str:
    """`go tool covdata func`: each function, and the total of all statements.

    A function stands at its first block. Functions of one name that follow each other, such as `init`, are one.
    """
    rows: list[Row] = []
    covered = total = 0
    for counted in coverage.packages:
        for _, group in groupby(sorted(counted.blocks, key=lambda of: _in_order(of[1])), key=lambda of: of[0].name):
            blocks = list(group)
            function, first, _ = blocks[0]
            own_covered, own_total = _sums((block, count) for _, block, count in blocks)
            covered += own_covered
            total += own_total
            if not function.literal:
                rows.append((f"{first.file}:{first.start_line}:", function.name, _percent(own_covered, own_total)))
    return _aligned([*rows, ("total", "(statements)", _percent(covered, total))])


def declared_functions(profile: Profile, sources: Mapping[str, bytes]) -> str:
    """`go tool cover -func`: each function that the sources declare, and the total of their statements.

    `sources` are the texts of all files of the profile. Raises KeyError for one that is not there.
    """
    files: dict[str, list[tuple[Block, int]]] = {}
    for block, count in sorted(profile.counts.items()):
        files.setdefault(block.file, []).append((block, count))
    rows: list[Row] = []
    covered = total = 0
    for file, counted in sorted(files.items()):
        for declaration in declarations(sources[file]):
            inside = (of for of in counted if of[0].start < declaration.end and of[0].end > declaration.start)
            own_covered, own_total = _sums(inside)
            covered += own_covered
            total += own_total
            rows.append((f"{file}:{declaration.start[0]}:", declaration.name, _percent(own_covered, own_total)))
    return _aligned([*rows, ("total:", "(statements)", _percent(covered, total))])


def _in_order(block: Block) -> tuple[str, int, int, int, int, int]:
    return (block.file, block.start_line, block.end_line, block.start_column, block.end_column, block.statements)


def _sums(counted: Iterable[tuple[Block, int]]) -> tuple[int, int]:
    """Covered statements, and all."""
    covered = total = 0
    for block, count in counted:
        total += block.statements
        covered += block.statements if count else 0
    return covered, total


def _of_statements(covered: int, total: int) -> str:
    return f"coverage: {_percent(covered, total)} of statements\n" if total else ""


def _percent(covered: int, total: int) -> str:
    """Nothing of nothing is 0.0% to Go."""
    return f"{100.0 * covered / (total or 1):.1f}%"


def _aligned(rows: Sequence[Row]) -> str:
    """The first two columns end at the next tab stop behind their widest text."""
    widths = [max(len(row[column]) for row in rows) // _TAB + 1 for column in (0, 1)]
    return "".join(
        "".join(text + "\t" * (width - len(text) // _TAB) for text, width in zip(row, widths, strict=False)) + row[2] + "\n"
        for row in rows
    )
