"""Coverage told by line, as line-based formats and coverage.py tell it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from podcov.model import Arc, FileCoverage, Region


def is_by_statement(f: FileCoverage) -> bool:
    """Whether each region is one statement, with whole lines; else they are blocks, which begin and end anywhere in a line."""
    return all(r.statements == 1 and r.start[1] == 0 for r in f.regions)


def statement_lines(f: FileCoverage) -> frozenset[int]:
    """The lines that count.

    Where each region is one statement that is its first line, so that there are as many lines as statements. Where regions hold
    several statements (blocks), nobody knows on which lines these are, and all lines of the blocks count.
    """
    return _lines(f, f.regions)


def covered_lines(f: FileCoverage) -> frozenset[int]:
    """The lines of `statement_lines` that ran; a line on which several regions lie ran if one of them did."""
    return _lines(f, (r for r in f.regions if r.covered))


def missed_lines(f: FileCoverage) -> frozenset[int]:
    """The lines of `statement_lines` that did not run."""
    return statement_lines(f) - covered_lines(f)


def missed_branches(f: FileCoverage) -> tuple[Arc, ...]:
    """The ways not taken out of lines that did run."""
    ran = covered_lines(f)
    return tuple(a for a in sorted(f.arcs) if not a.covered and a.from_line in ran)


def missing(f: FileCoverage) -> str:
    """What did not run, as in coverage.py's column Missing: `3-5, 12->15, 20->exit`.

    A range goes on over lines that hold no statement.
    """
    missed = missed_lines(f)
    parts = [(first, str(first) if first == last else f"{first}-{last}") for first, last in _ranges(statement_lines(f), missed)]
    for arc in missed_branches(f):
        if arc.to not in missed:
            parts.append((arc.from_line, f"{arc.from_line}->{arc.to if arc.to > 0 else 'exit'}"))
    return ", ".join(text for _, text in sorted(parts))


def _lines(f: FileCoverage, regions: Iterable[Region]) -> frozenset[int]:
    if is_by_statement(f):
        return frozenset(r.start[0] for r in regions)
    return frozenset(line for r in regions if r.statements for line in range(r.start[0], r.end[0] + 1))


def _ranges(statements: frozenset[int], missed: frozenset[int]) -> Iterator[tuple[int, int]]:
    """First and last of each run of missed statements."""
    run: list[int] = []
    for line in sorted(statements):
        if line in missed:
            run.append(line)
        elif run:
            yield run[0], run[-1]
            run = []
    if run:
        yield run[0], run[-1]
