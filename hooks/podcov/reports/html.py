"""`html/`: the report for people. Pages that work from a folder: no server, no network.

What the pages say is put together here, how they look lies in `templates/report/`.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from podcov import assets
from podcov.formats.summary import by_package, package_name, service_names
from podcov.ledger import Ledger, State
from podcov.merge import SERVICES_SEPARATOR
from podcov.model import FileCoverage, Numbers, Origin, total
from podcov.reports import wording
from podcov.reports.facts import facts
from podcov.reports.html_lines import legend, line_views, marks
from podcov.reports.lines import missed_lines
from podcov.reports.material import Material

_STATIC = ("style.css", "script.js")
_STATES: Final[Mapping[State, str]] = {"collected": "✓", "empty": "○", "failed": "✗"}
_ORIGINS: Final[Mapping[Origin, str]] = {
    "local": "",
    "recorded": "This is the text that the run was made with; the checkout has another, or none.",
    "missing": "The text that ran is not known: only its numbers are.",
}


@dataclass(frozen=True, slots=True)
class Score:
    """Numbers as a bar shows them. `tests`, `startup`: percent of the bar's width."""

    numbers: Numbers
    startup_only: int
    """covered statements that ran at start-up and never in the tests"""

    @property
    def text(self) -> str:
        return wording.percent(self.numbers.percent)

    @property
    def sort(self) -> float:
        return -1.0 if self.numbers.percent is None else self.numbers.percent

    @property
    def startup(self) -> float:
        share = self.startup_only / self.numbers.covered if self.numbers.covered else 0.0
        return round((self.numbers.percent or 0.0) * share, 2)

    @property
    def tests(self) -> float:
        return round((self.numbers.percent or 0.0) - self.startup, 2)

    @property
    def level(self) -> str:
        percent = self.numbers.percent
        return "none" if percent is None else "high" if percent >= 80 else "middle" if percent >= 50 else "low"


@dataclass(frozen=True, slots=True)
class FileRow:
    name: str
    page: str
    services: tuple[str, ...]
    package: str
    language: str
    score: Score
    origin: Origin
    origin_text: str
    missing: int


@dataclass(frozen=True, slots=True)
class ServiceCard:
    name: str
    languages: str
    score: Score
    packages: tuple[tuple[str, Score], ...]
    state: State
    targets: int


@dataclass(frozen=True, slots=True)
class ProcessRow:
    name: str
    state: State
    symbol: str
    said: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TargetRow:
    service: str
    name: str
    state: State
    symbol: str
    said: tuple[str, ...]
    processes: tuple[ProcessRow, ...]


def write(material: Material, folder: Path) -> tuple[Path, ...]:
    """Write `html/index.html` and a page a file; an older `html/` in `folder` is replaced. Returns the index."""
    target = folder / "html"
    if target.exists():
        shutil.rmtree(target)
    (target / "files").mkdir(parents=True)
    templates = assets.root() / "templates" / "report"
    for name in _STATIC:
        shutil.copyfile(templates / name, target / name)
    environment = pages(templates)
    rows = [_file_row(material, f) for f in sorted(material.files, key=material.name)]
    index = target / "index.html"
    index.write_text(environment.get_template("index.html").render(_index(material, rows)), encoding="utf-8")
    _write_files(material, rows, environment, target)
    return (index,)


def pages(templates: Path) -> Environment:
    """The templates of pages; what they are given is escaped."""
    return Environment(
        loader=FileSystemLoader(templates),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _index(material: Material, rows: list[FileRow]) -> dict[str, object]:
    ledger = material.ledger
    return {
        "score": score(material.files),
        "facts": facts(material.summary),
        "run": material.report.run,
        "complete": ledger.complete and bool(ledger.targets),
        "target_counts": ledger.target_counts,
        "process_counts": ledger.process_counts,
        "failures": wording.failures(ledger),
        "notes": wording.notes(ledger),
        "targets": _targets(ledger),
        "services": [_service_card(material, name) for name in service_names(material.report)],
        "files": rows,
        "branches": any(f.mode == "branch" for f in material.files),
        "warnings": [wording.plain(w) for w in material.report.warnings],
    }


def _write_files(material: Material, rows: list[FileRow], environment: Environment, target: Path) -> None:
    template = environment.get_template("file.html")
    files = sorted(material.files, key=material.name)
    for previous, f, row, following in zip([None, *rows], files, rows, [*rows[1:], None], strict=False):
        views = line_views(f, material.sources(f.digest), material.report.epochs)
        page = template.render(
            file=row,
            recorded_paths=[wording.plain(path) for path in f.recorded_paths],
            lines=views,
            marks=marks(views),
            legend=list(legend()),
            previous=previous,
            following=following,
            run=material.report.run,
            complete=material.ledger.complete and bool(material.ledger.targets),
            known=material.sources(f.digest) is not None,
        )
        (target / row.page).write_text(page, encoding="utf-8")


def _file_row(material: Material, f: FileCoverage) -> FileRow:
    return FileRow(
        name=material.name(f),
        page=f"files/{_page_name(material.name(f))}",
        services=tuple(wording.plain(s) for s in f.service.split(SERVICES_SEPARATOR)),
        package=wording.plain(package_name(f)),
        language=f.language,
        score=score([f]),
        origin=f.origin,
        origin_text=_ORIGINS[f.origin],
        missing=len(missed_lines(f)),
    )


def _page_name(name: str) -> str:
    """A file name that every system takes, and no two files share."""
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9]+', '-', name).strip('-')[-80:]}-{digest}.html"


def score(files: Iterable[FileCoverage]) -> Score:
    """What files have together."""
    counted = tuple(files)
    regions = (r for f in counted for r in f.regions)
    return Score(total(counted), sum(r.statements for r in regions if r.covered and r.epochs == (0,)))


def _service_card(material: Material, name: str) -> ServiceCard:
    files = material.report.of_service(name)
    targets = [t for t in material.ledger.targets if t.service == name]
    states = {t.state for t in targets} | {p.state for t in targets for p in t.processes}
    lost = "failed" in states or name in material.ledger.services_without_targets
    return ServiceCard(
        name=wording.plain(name),
        languages=", ".join(sorted({f.language for f in files})),
        score=score(files),
        packages=tuple((wording.plain(package), score(members)) for package, members in by_package(files).items()),
        state="failed" if lost else "collected" if "collected" in states else "empty",
        targets=len(targets),
    )


def _targets(ledger: Ledger) -> list[TargetRow]:
    """Everything that was expected; what failed stands first."""
    rows = [
        TargetRow(
            service=wording.plain(t.service),
            name=wording.target_name(t),
            state=t.state,
            symbol=_STATES[t.state],
            said=_said(t.reason or t.slug, f"ended: {t.ended}" if t.ended else ""),
            processes=tuple(
                ProcessRow(wording.process_name(p), p.state, _STATES[p.state], _said(p.reason or p.slug, p.note))
                for p in t.processes
            ),
        )
        for t in ledger.targets
    ]
    return sorted(rows, key=lambda row: row.state != "failed" and all(p.state != "failed" for p in row.processes))


def _said(*texts: str) -> tuple[str, ...]:
    return tuple(wording.plain(text) for text in texts if text)
