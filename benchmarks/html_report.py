"""Writing the HTML report: podcov's beside coverage.py's own, of the same files with the same lines covered."""

from __future__ import annotations

import hashlib
import json
import sys
import sysconfig
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import coverage
from peers import PLAIN
from podcov.formats import summary
from podcov.ledger import Ledger
from podcov.model import Epoch, FileCoverage, Region, Report
from podcov.reports import html
from podcov.reports.material import Material
from side_by_side import SCHEMA, Column, Sample, arguments, by_turns, compare, plain_values, positive, table, times

COLUMNS = (Column("cpu", "CPU, times coverage html", times("cpu")),)
STDLIB = Path(sysconfig.get_path("stdlib"))
EVERY_THIRD = 3


@dataclass(frozen=True, slots=True)
class Project:
    """Files of the standard library; of their statements every third was missed."""

    measured: coverage.Coverage
    material: Material
    lines: int


def main() -> None:
    parser = arguments(__doc__ or "", rounds=5, of_interpreters=False)
    parser.add_argument("--lines", type=positive, default=100_000, help="how many lines of the standard library, at least")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="podcov-html-") as scratch:
        folder = Path(scratch)
        project = prepare(folder, options.lines)
        samples = by_turns(peers(project, folder), options.rounds)
    comparison = compare(samples, COLUMNS)
    what = f"HTML of {len(project.material.files)} files, {project.lines} lines"
    if options.json:
        results = [{"python": sys.version.split()[0], "what": what, "peers": plain_values(comparison)}]
        print(json.dumps({"schema": SCHEMA, "rounds": options.rounds, "results": results}, indent=1))
    else:
        print(table(what, comparison, COLUMNS))


def peers(project: Project, folder: Path) -> Mapping[str, Callable[[], Sample]]:
    """`coverage xml` is there because coverage.py's reports begin with reading and parsing every file, and podcov's do not."""
    return {
        PLAIN: lambda: _timed(lambda: project.measured.html_report(directory=str(folder / "coverage"), skip_empty=False)),
        "podcov html": lambda: _timed(lambda: html.write(project.material, folder)),
        "coverage xml": lambda: _timed(lambda: project.measured.xml_report(outfile=str(folder / "coverage.xml"))),
    }


def _timed(work: Callable[[], object]) -> Sample:
    began = time.process_time()
    work()
    return {"cpu": time.process_time() - began}


def prepare(folder: Path, at_least: int) -> Project:
    """What both reports are made from."""
    texts = _texts(at_least)
    measured = coverage.Coverage(data_file=str(folder / ".coverage"), config_file=False)
    statements = {path: measured.analysis2(str(path))[1] for path in texts}
    covered = {path: [n for i, n in enumerate(lines) if i % EVERY_THIRD] for path, lines in statements.items()}
    measured.get_data().add_lines({str(path): lines for path, lines in covered.items()})
    files = tuple(_file(path, text, statements[path], set(covered[path])) for path, text in texts.items())
    report = Report("run", (Epoch(0), Epoch(1, "run", "tests")), files, ("stdlib",))
    built = summary.build(report, Ledger(), run="run", platform="local", git=None, tests=None, exit={"code": 0, "reason": "ok"})
    sources = {_digest(text): text for text in texts.values()}
    return Project(measured, Material(report, Ledger(), built, sources.get, STDLIB), sum(t.count("\n") for t in texts.values()))


def _texts(at_least: int) -> dict[Path, str]:
    found: dict[Path, str] = {}
    lines = 0
    for path in sorted(STDLIB.rglob("*.py")):
        if lines >= at_least:
            break
        if not {"site-packages", "test", "lib2to3"} & set(path.parts):
            found[path] = path.read_text(encoding="utf-8")
            lines += found[path].count("\n")
    return found


def _file(path: Path, text: str, statements: list[int], covered: set[int]) -> FileCoverage:
    regions = tuple(Region((n, 0), (n, 0), hits=n in covered, epochs=(1,) if n in covered else ()) for n in statements)
    return FileCoverage("stdlib", path.relative_to(STDLIB).as_posix(), "python", _digest(text), "local", "line", regions)


def _digest(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


if __name__ == "__main__":
    warnings.simplefilter("ignore", coverage.exceptions.CoverageWarning)
    main()
