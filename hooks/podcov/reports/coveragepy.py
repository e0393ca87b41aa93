"""Cobertura XML, LCOV and JSON by coverage.py's own reporters, and a data file for coverage.py itself.

The reporters are fed through coverage.py's plugin API: one plugin that answers for every file from our model. So the formats are
exactly coverage.py's, for every language, and nothing is parsed by this interpreter.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from coverage import Coverage, CoverageData, CoveragePlugin, FileReporter
from coverage.exceptions import NoDataError
from coverage.plugin import CodeRegion

from podcov.model import FileCoverage
from podcov.reports.lines import covered_lines, statement_lines
from podcov.reports.material import Material
from podcov.reports.regions import code_regions

_Arc = tuple[int, int]


def write_xml(material: Material, folder: Path) -> tuple[Path, ...]:
    """Cobertura XML. Nothing is written where the report has no file: an empty one would read as 100 %."""
    path = folder / "coverage.xml"
    return _write(material, path, lambda coverage: coverage.xml_report(outfile=str(path)))


def write_lcov(material: Material, folder: Path) -> tuple[Path, ...]:
    """LCOV. Nothing is written where the report has no file."""
    path = folder / "lcov.info"
    return _write(material, path, lambda coverage: coverage.lcov_report(outfile=str(path)))


def write_json(material: Material, folder: Path) -> tuple[Path, ...]:
    """coverage.py's JSON. Nothing is written where the report has no file."""
    path = folder / "coverage.json"
    return _write(material, path, lambda coverage: coverage.json_report(outfile=str(path), pretty_print=True))


def write_data(material: Material, folder: Path) -> tuple[Path, ...]:
    """`python.coverage`, a data file for `coverage combine` and `coverage report`, with the paths of this checkout.

    coverage.py parses the files of such data with the Python that reads it, so only Python files whose text is the checkout's are
    in it. It can't hold lines of one file and arcs of another: arcs are written where all files have them.
    """
    files = [f for f in material.files if f.language == "python" and f.origin == "local"]
    if not files:
        return ()
    path = folder / "python.coverage"
    path.unlink(missing_ok=True)
    data = CoverageData(basename=str(path))
    try:
        _record(data, {str((material.root / f.path).resolve()): f for f in files}, arcs=all(f.mode == "branch" for f in files))
    finally:
        data.close()
    return (path,)


def _write(material: Material, path: Path, report: Callable[[Coverage], float]) -> tuple[Path, ...]:
    try:
        report(_coverage(material))
    except NoDataError:
        return ()
    return (path,)


def _coverage(material: Material) -> Coverage:
    """coverage.py with our results as its data: nothing is read from or written to a data file."""
    files = {material.name(f): f for f in material.files}
    plugin = _ModelPlugin(files, lambda f: material.sources(f.digest))
    coverage = Coverage(data_file=None, config_file=False, plugins=[lambda registry: registry.add_file_tracer(plugin)])
    coverage.set_option("run:relative_files", True)
    data = coverage.get_data()
    _record(data, files, arcs=any(f.mode == "branch" for f in files.values()))
    if files:
        data.touch_files(list(files), plugin._coverage_plugin_name)
    return coverage


def _record(data: CoverageData, files: Mapping[str, FileCoverage], *, arcs: bool) -> None:
    """Put what ran into `data`; files of which nothing ran stand there too."""
    if arcs:
        data.add_arcs({name: _executed_arcs(f) for name, f in files.items()})
    else:
        data.add_lines({name: sorted(covered_lines(f)) for name, f in files.items()})
    if files:
        data.touch_files(list(files))


def _executed_arcs(f: FileCoverage) -> list[_Arc]:
    """The branches that were taken, and an arc from nowhere to every line that ran."""
    return [(-1, line) for line in sorted(covered_lines(f))] + [(a.from_line, a.to) for a in f.arcs if a.hits]


class _ModelPlugin(CoveragePlugin):
    """Answers for the files of a report."""

    def __init__(self, files: Mapping[str, FileCoverage], source: Callable[[FileCoverage], str | None]) -> None:
        self._files = files
        self._source = source

    def file_reporter(self, filename: str) -> FileReporter:
        f = self._files[filename]
        return _ModelReporter(filename, f, self._source(f))


class _ModelReporter(FileReporter):
    """One file of the model, as coverage.py asks for it."""

    def __init__(self, name: str, f: FileCoverage, source: str | None) -> None:
        super().__init__(name)
        self._file = f
        self._text = source
        self._covered = covered_lines(f)

    def relative_filename(self) -> str:
        return self.filename

    def source(self) -> str:
        """The text; empty lines where it is not known, so that at least their number is right."""
        return self._text if self._text is not None else "\n" * max((r.end[0] for r in self._file.regions), default=0)

    def lines(self) -> set[int]:
        return set(statement_lines(self._file))

    def excluded_lines(self) -> set[int]:
        return set(self._file.excluded)

    def translate_lines(self, lines: Iterable[int]) -> set[int]:
        """Only what the model says ran: the ends of arcs are no evidence of their own."""
        return set(lines) & self._covered

    def arcs(self) -> set[_Arc]:
        """The ways that must be taken. What `pragma: no branch` excuses is in `exit_counts` alone, and so counts as taken."""
        return {(a.from_line, a.to) for a in self._file.arcs if a.hits or not a.assumed}

    def exit_counts(self) -> dict[int, int]:
        return dict(Counter(a.from_line for a in self._file.arcs))

    def arc_description(self, start: int, end: int) -> str:  # noqa: ARG002 - coverage.py calls it with both
        if end > 0:
            return f"jump to line {end}"
        function = next((x for x in self._file.functions if x.kind == "function" and x.start == -end), None)
        return f"return from function {function.name.rpartition('.')[2]!r}" if function else "jump to the function exit"

    def code_regions(self) -> list[CodeRegion]:
        return code_regions(self._file.functions)

    def code_region_kinds(self) -> list[tuple[str, str]]:
        return [("function", "functions"), ("class", "classes")]
