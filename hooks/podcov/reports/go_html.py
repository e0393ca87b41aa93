"""`go.html`: one page that needs nothing beside it, as `go tool cover -html` makes: a file to choose, its blocks in colour."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final

from markupsafe import Markup, escape

from podcov import assets
from podcov.formats.go_regions import block_of
from podcov.model import FileCoverage, Region
from podcov.reports.html import Score, pages, score
from podcov.reports.material import Material
from podcov.reports.wording import percent

_UNTRACKED: Final = -1
_INLINED: Final = "style.css"


@dataclass(frozen=True, slots=True)
class Page:
    """A file as it is chosen and shown. `lines` are HTML; None where its text is not known."""

    name: str
    percent: str
    score: Score
    lines: tuple[Markup, ...] | None


def write(material: Material, files: Sequence[FileCoverage], path: Path) -> None:
    """Writes the page of these files, whatever their language."""
    templates = assets.root() / "templates" / "report"
    page = (
        pages(templates)
        .get_template("go.html")
        .render(
            style=Markup((templates / _INLINED).read_text(encoding="utf-8")),  # noqa: S704 our own
            score=score(files),
            run=material.report.run,
            complete=material.ledger.complete and bool(material.ledger.targets),
            files=[_page(material, file) for file in sorted(files, key=material.name)],
        )
    )
    path.write_text(page, encoding="utf-8")


def _page(material: Material, file: FileCoverage) -> Page:
    text = material.sources(file.digest)
    lines = None if text is None else tuple(coloured(text, file.regions))
    return Page(material.name(file), percent(file.numbers.percent, 1), score([file]), lines)


def coloured(text: str, regions: Sequence[Region]) -> Iterator[Markup]:
    """The lines of a text, its blocks in spans: `ran` and `missed`, with how often as title."""
    for line, owners in _owners(text, regions):
        yield Markup("").join(_span(regions, line, owner, *ends) for owner, ends in _stretches(owners))


def _owners(text: str, regions: Sequence[Region]) -> Iterator[tuple[bytes, list[int]]]:
    """Each line, and for each of its bytes the index of the block around it; of blocks in blocks the inner one."""
    lines = text.encode("utf-8", "surrogateescape").split(b"\n")
    owners = [[_UNTRACKED] * len(line) for line in lines]
    for index in sorted(range(len(regions)), key=lambda index: (regions[index].start, [-n for n in regions[index].end])):
        block = block_of("", regions[index])
        for number in range(block.start_line, min(block.end_line, len(lines)) + 1):
            own = owners[number - 1]
            first = block.start_column - 1 if number == block.start_line else 0
            end = min(block.end_column - 1, len(own)) if number == block.end_line else len(own)
            own[first:end] = [index] * (end - first)
    return iter([*zip(lines, owners, strict=True)][: -1 if not lines[-1] else None])


def _stretches(owners: Sequence[int]) -> Iterator[tuple[int, tuple[int, int]]]:
    at = 0
    for owner, group in groupby(owners):
        end = at + sum(1 for _ in group)
        yield owner, (at, end)
        at = end


def _span(regions: Sequence[Region], line: bytes, owner: int, first: int, end: int) -> Markup:
    text = line[first:end].decode("utf-8", "replace")
    if owner == _UNTRACKED or not text.strip():
        return escape(text)
    blank = text[: len(text) - len(text.lstrip())]
    region = regions[owner]
    title = "never ran" if not region.hits else "ran" if region.hits == 1 else f"ran {region.hits} times"
    kind = "ran" if region.covered else "missed"
    return escape(blank) + Markup('<span class="{}" title="{}">{}</span>').format(kind, title, text.lstrip())
