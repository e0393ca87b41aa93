"""The language-neutral coverage model: what a run covered, per service and file.

Everything here is a value: frozen, comparable, made by pure functions. `podcov.formats.report_json` writes it as
`report.json` (schema `podcov/report/1`) and reads it back.

Words: an *epoch* is what ran between two marks. Epoch 0 is start-up. A `Report` holds the epochs that its run is made of;
`hits` name them by number, so that later readers can ask for one epoch alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

Mode = Literal["line", "branch"]
Counting = Literal["", "set", "count", "atomic"]
"""What hits say: whether it ran (nothing, or `set`), or how often (`count`, of which threads can lose some, and `atomic`)."""
Origin = Literal["local", "recorded", "missing"]
"""Where a file's text is from: the checkout (same content as in the container), the container (the checkout has other
content, or lacks the file), or nowhere (only the numbers are known)."""


@dataclass(frozen=True, order=True, slots=True)
class Region:
    """A stretch of source with one counter. Python: one logical statement; Go: one block.

    `start` and `end` are (line, column), lines from 1, columns from 1, both inclusive; column 0 means "the whole line". An empty
    stretch ends before it begins.
    `statements` is what the region counts for. `hits` is how often it ran, where the recorder counts; else 1 or 0.
    `epochs` are those in which it ran.
    """

    start: tuple[int, int]
    end: tuple[int, int]
    statements: int = 1
    hits: int = 0
    epochs: tuple[int, ...] = ()

    @property
    def covered(self) -> bool:
        return self.hits > 0


@dataclass(frozen=True, order=True, slots=True)
class Arc:
    """One way out of a branching line. `to` is negative for leaving the code object that begins at line `-to`.

    `assumed`: the source says that this way need not be taken (`pragma: no branch`); it counts as covered.
    """

    from_line: int
    to: int
    hits: int = 0
    epochs: tuple[int, ...] = ()
    assumed: bool = False

    @property
    def covered(self) -> bool:
        return self.hits > 0 or self.assumed


@dataclass(frozen=True, order=True, slots=True)
class Function:
    """A function, method or class: its qualified name, the line that defines it (`def`, `class`) and its last line.

    What counts for a function are the lines after `start` up to `end` (all of it where it is one line), less those of functions
    inside it; for a class, the lines of its methods. These are coverage.py's code regions.
    """

    name: str
    start: int
    end: int
    kind: Literal["function", "class"] = "function"


@dataclass(frozen=True, slots=True)
class Numbers:
    """Counts that add up; percent is coverage.py's: (covered + covered branches) / (statements + branches)."""

    statements: int = 0
    covered: int = 0
    branches: int = 0
    covered_branches: int = 0
    partial_branches: int = 0
    """branches not taken on lines that did run (coverage.py's `BrPart`)"""
    files: int = 0

    @property
    def missing(self) -> int:
        return self.statements - self.covered

    @property
    def percent(self) -> float | None:
        """0 to 100, unrounded; None where there is nothing that can be covered."""
        denominator = self.statements + self.branches
        if not denominator:
            return None
        return 100.0 * (self.covered + self.covered_branches) / denominator

    def __add__(self, other: Numbers) -> Numbers:
        return Numbers(
            self.statements + other.statements,
            self.covered + other.covered,
            self.branches + other.branches,
            self.covered_branches + other.covered_branches,
            self.partial_branches + other.partial_branches,
            self.files + other.files,
        )


@dataclass(frozen=True, slots=True)
class FileCoverage:
    """One source file of one service.

    `path` is how people know it: relative to the project with `/`, or `site-packages/...` for an installed package that has no
    local file. `digest` is `sha256:<hex>` of the text that ran; where that is not known (`missing`), of what is known of it.
    `recorded_paths` are its absolute paths in the containers, or what its language calls it (Go:
    `example.com/shop/cart/cart.go`).
    """

    service: str
    path: str
    language: str
    digest: str
    origin: Origin
    mode: Mode
    regions: tuple[Region, ...]
    arcs: tuple[Arc, ...] = ()
    functions: tuple[Function, ...] = ()
    excluded: tuple[int, ...] = ()
    package: str = ""
    recorded_paths: tuple[str, ...] = ()
    counting: Counting = ""

    @property
    def covered_lines(self) -> frozenset[int]:
        return frozenset(line for r in self.regions if r.covered for line in range(r.start[0], r.end[0] + 1))

    @property
    def numbers(self) -> Numbers:
        ran = {r.start[0] for r in self.regions if r.covered}
        return Numbers(
            statements=sum(r.statements for r in self.regions),
            covered=sum(r.statements for r in self.regions if r.covered),
            branches=len(self.arcs),
            covered_branches=sum(a.covered for a in self.arcs),
            partial_branches=sum(not a.covered and a.from_line in ran for a in self.arcs),
            files=1,
        )


@dataclass(frozen=True, slots=True)
class Epoch:
    """`number` 0 is start-up. `run` is the id of the run that began it, `label` what was being tested, where known."""

    number: int
    run: str | None = None
    label: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What one run covered. The same file in two services stands twice; `merge.by_path` makes one of them."""

    run: str
    epochs: tuple[Epoch, ...]
    files: tuple[FileCoverage, ...]
    services: tuple[str, ...] = ()
    """all services of the run, also those without a file"""
    warnings: tuple[str, ...] = field(default=())
    """what a reader of the numbers should know: files reported from their recorded source, bytecode that matched nothing"""

    def of_service(self, service: str) -> tuple[FileCoverage, ...]:
        return tuple(f for f in self.files if f.service == service)


def total(files: Iterable[FileCoverage]) -> Numbers:
    """The sum of the files' numbers."""
    return sum((f.numbers for f in files), Numbers())
