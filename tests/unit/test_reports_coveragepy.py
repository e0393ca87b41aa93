"""XML, LCOV, JSON and the data file say exactly what coverage.py says of the same data, without parsing any source."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from coverage import Coverage
from coverage.results import format_lines
from hypothesis import given, settings
from hypothesis import strategies as st
from podcov.ledger import Ledger
from podcov.model import Arc, FileCoverage, Function, Mode, Region, Report, total
from podcov.reports import coveragepy
from podcov.reports.lines import covered_lines, missed_branches, missing, statement_lines
from podcov.reports.material import Material

PROGRAMS = {
    "main.py": """\
        import sys
        from shapes import Square, area  # noqa

        def run(
            names,
            loud=False,
        ):
            for name in names:
                if loud:
                    print(
                        name.upper()
                    )
                elif name == "nobody":
                    raise ValueError(name)
            return len(names)

        def never(): return 1

        class Outer:
            limit = 3

            class Inner:
                def deep(self):
                    return 1

            def method(self, flag):
                def helper(x):
                    if x:
                        return 1
                    return 2

                class Local:
                    def own(self):
                        return 3

                return helper(flag)

            @property
            def twice(self):
                return 2

            @twice.setter
            def twice(self, value):
                raise AttributeError

        if __name__ == "__main__":
            print(run(["a", "b"]), Outer().method(True), area(Square(2)))
            while True:  # pragma: no branch
                break
            if sys.argv[1:]:  # pragma: no cover
                print("never")
        """,
    "shapes/__init__.py": """\
        '''Shapes.'''
        from dataclasses import dataclass


        @dataclass
        class Square:
            side: int


        def area(shape):
            match shape:
                case Square(side=s):
                    return s * s
                case _:
                    return None
        """,
    "shapes/empty.py": "",
    "shapes/unused.py": """\
        def unused():
            if 1 < 2:
                return [
                    1,
                ]


        VALUE = [x for x in range(3)]
        """,
}


@dataclass(frozen=True)
class Measured:
    """A project that ran under coverage.py, its own reports, and the same data in our model."""

    root: Path
    files: tuple[FileCoverage, ...]
    expected: Path

    def material(self) -> Material:
        texts = {f.digest: (self.root / f.path).read_text(encoding="utf-8") for f in self.files}
        return Material(Report("r", (), self.files), Ledger(), {}, texts.get, self.root)


@pytest.fixture(scope="module", params=["line", "branch"])
def measured(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Measured:
    mode: Mode = request.param
    root = tmp_path_factory.mktemp("project").resolve()
    for name, text in PROGRAMS.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(textwrap.dedent(text), encoding="utf-8")
    settings = f"[run]\nrelative_files = true\nsource = .\nbranch = {mode == 'branch'}\n[json]\npretty_print = true\n"
    (root / ".coveragerc").write_text(settings, encoding="utf-8")
    for arguments in (["run", "main.py"], ["xml"], ["lcov", "-o", "lcov.info"], ["json"]):
        subprocess.run([sys.executable, "-m", "coverage", *arguments], cwd=root, check=True, capture_output=True)
    return Measured(root, tuple(in_our_model(root, mode)), root)


def in_our_model(root: Path, mode: Mode) -> Iterator[FileCoverage]:
    """Translate coverage.py's JSON report."""
    coverage = Coverage(data_file=root / ".coverage", config_file=root / ".coveragerc")
    coverage.load()
    for path, found in json.loads((root / "coverage.json").read_text(encoding="utf-8"))["files"].items():
        text = (root / path).read_text(encoding="utf-8")
        lines = dict.fromkeys(found["executed_lines"], 1) | dict.fromkeys(found["missing_lines"], 0)
        arcs: list[Arc] = []
        if mode == "branch":
            arcs += [Arc(*pair, hits=1) for pair in found["executed_branches"]]
            arcs += [Arc(*pair) for pair in found["missing_branches"]]
            named = [a.from_line for a in arcs]
            for line, (exits, _) in in_folder(root, coverage, path).items():
                arcs += [Arc(line, 9000 + n, assumed=True) for n in range(exits - named.count(line))]
        yield FileCoverage(
            service="s",
            path=path,
            language="python",
            digest=f"sha256:{path}",
            origin="local",
            mode=mode,
            regions=tuple(Region((n, 0), (n, 0), hits=hits) for n, hits in sorted(lines.items())),
            arcs=tuple(sorted(arcs)),
            functions=tuple(functions(ast.parse(text))),
            excluded=tuple(found["excluded_lines"]),
        )


def in_folder(root: Path, coverage: Coverage, path: str) -> dict[int, tuple[int, int]]:
    """`branch_stats` of a relative path: coverage.py looks for it from the current folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        return coverage.branch_stats(path)


def functions(node: ast.AST, prefix: str = "") -> Iterator[Function]:
    for child in ast.iter_child_nodes(node):
        name = prefix
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = f"{prefix}{child.name}"
            kind = "class" if isinstance(child, ast.ClassDef) else "function"
            yield Function(name, child.lineno, child.end_lineno or 0, kind)
            name += "."
        yield from functions(child, name)


def without_times(text: str) -> str:
    """XML and JSON carry the time at which they were written; XML of relative files an empty root of ours."""
    return re.sub(r'timestamp="\d+"|"timestamp": "[^"]+"', "", text)


def without_reasons(text: str) -> str:
    """LCOV names branches by what the source says there, which only a parser knows."""
    return re.sub(r"^(BRDA:\d+,0,).*(,[-01])$", r"\1\2", text, flags=re.MULTILINE)


def test_the_cobertura_report_is_coverage_pys(measured: Measured, tmp_path: Path) -> None:
    assert coveragepy.write_xml(measured.material(), tmp_path) == (tmp_path / "coverage.xml",)
    ours, theirs = ((folder / "coverage.xml").read_text(encoding="utf-8") for folder in (tmp_path, measured.expected))
    sources = re.compile(r"<sources>.*</sources>", re.DOTALL)
    assert sources.sub("", without_times(ours)) == sources.sub("", without_times(theirs))


def test_the_json_report_is_coverage_pys(measured: Measured, tmp_path: Path) -> None:
    assert coveragepy.write_json(measured.material(), tmp_path) == (tmp_path / "coverage.json",)
    ours, theirs = ((folder / "coverage.json").read_text(encoding="utf-8") for folder in (tmp_path, measured.expected))
    assert without_times(ours) == without_times(theirs)


def test_the_lcov_report_is_coverage_pys(measured: Measured, tmp_path: Path) -> None:
    assert coveragepy.write_lcov(measured.material(), tmp_path) == (tmp_path / "lcov.info",)
    ours, theirs = ((folder / "lcov.info").read_text(encoding="utf-8") for folder in (tmp_path, measured.expected))
    assert without_reasons(ours) == without_reasons(theirs)


def test_the_numbers_of_the_model_are_coverage_pys(measured: Measured) -> None:
    totals = json.loads((measured.expected / "coverage.json").read_text(encoding="utf-8"))["totals"]
    numbers = total(measured.files)
    assert (numbers.statements, numbers.covered) == (totals["num_statements"], totals["covered_lines"])
    assert numbers.percent == totals["percent_covered"]
    if "num_branches" in totals:
        assert (numbers.branches, numbers.covered_branches) == (totals["num_branches"], totals["covered_branches"])
        assert numbers.partial_branches == totals["num_partial_branches"]


def test_the_column_missing_is_coverage_pys(measured: Measured) -> None:
    table = coverage_report(measured.root, measured.root / ".coverage", "--show-missing", "--rcfile=.coveragerc")
    for f in measured.files:
        row = next(line for line in table.splitlines() if line.startswith(f"{f.path} "))
        assert row.split("%", 1)[1].strip() == missing(f)


def test_the_data_file_gives_coverage_py_the_same_table(measured: Measured, tmp_path: Path) -> None:
    (written,) = coveragepy.write_data(measured.material(), tmp_path)
    ours = coverage_report(measured.root, written, "--show-missing", "--rcfile=")
    theirs = coverage_report(measured.root, measured.root / ".coverage", "--show-missing", "--rcfile=.coveragerc")
    assert ours == theirs


def test_the_data_file_joins_with_that_of_unit_tests(measured: Measured, tmp_path: Path) -> None:
    (written,) = coveragepy.write_data(measured.material(), tmp_path)
    branch = ["--branch"] if measured.files[0].mode == "branch" else []
    run = [sys.executable, "-m", "coverage"]
    unit = "import sys; sys.path.insert(0, '.'); from shapes.unused import unused; unused()"
    (tmp_path / "unit.py").write_text(unit, encoding="utf-8")
    env = {"COVERAGE_FILE": str(tmp_path / "unit.coverage")}
    subprocess.run([*run, "run", "--rcfile=", *branch, f"{tmp_path}/unit.py"], cwd=measured.root, check=True, env=env)
    together = [*run, "combine", "--keep", "--rcfile=", str(written), env["COVERAGE_FILE"]]
    subprocess.run(together, cwd=measured.root, check=True, capture_output=True, env={"COVERAGE_FILE": str(tmp_path / "all")})
    table = coverage_report(measured.root, tmp_path / "all", "--rcfile=", f"--include={measured.root}/shapes/unused.py")
    assert re.search(r"unused\.py .* (100|87|86|83)%", table), table


def coverage_report(root: Path, data: Path, *options: str) -> str:
    command = [sys.executable, "-m", "coverage", "report", f"--data-file={data}", *options]
    return subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout


def test_files_that_are_not_the_checkouts_are_kept_out_of_the_data_file(measured: Measured, tmp_path: Path) -> None:
    material = measured.material()
    elsewhere = tuple(replace(f, origin="recorded") for f in measured.files)
    assert coveragepy.write_data(replace(material, report=Report("r", (), elsewhere)), tmp_path) == ()


def test_nothing_is_written_of_nothing(tmp_path: Path) -> None:
    """An empty coverage.py report reads as 100 %."""
    material = Material(Report("r", (), ()), Ledger(), {}, {}.get, tmp_path)
    for write in (coveragepy.write_xml, coveragepy.write_lcov, coveragepy.write_json, coveragepy.write_data):
        assert write(material, tmp_path) == ()
    assert list(tmp_path.iterdir()) == []


def test_a_run_may_mix_lines_branches_languages_and_texts_of_the_same_path(tmp_path: Path) -> None:
    lines = tuple(Region((n, 0), (n, 0), hits=n % 2) for n in range(1, 5))
    blocks = (Region((3, 10), (6, 2), statements=3, hits=7), Region((6, 2), (9, 3), statements=2))
    files = (
        FileCoverage("a", "app.py", "python", "sha256:aa", "local", "branch", lines, (Arc(1, 2, 1), Arc(1, -1))),
        FileCoverage("b", "app.py", "python", "sha256:bb", "recorded", "line", lines),
        FileCoverage("c", "main.go", "go", "sha256:cc", "missing", "line", blocks),
    )
    material = Material(Report("r", (), files), Ledger(), {}, {}.get, tmp_path)
    coveragepy.write_json(material, tmp_path)
    found = json.loads((tmp_path / "coverage.json").read_text(encoding="utf-8"))["files"]
    assert set(found) == {"app.py", "app.py@bb", "main.go"}
    assert found["app.py"]["missing_branches"] == [[1, -1]]
    assert found["app.py@bb"]["summary"]["num_branches"] == 0
    assert found["main.go"]["executed_lines"] == [3, 4, 5, 6]
    assert found["main.go"]["missing_lines"] == [7, 8, 9]


STATEMENTS = st.dictionaries(st.integers(1, 60), st.booleans(), max_size=30)


@st.composite
def branching_files(draw: st.DrawFn) -> FileCoverage:
    """A file as coverage.py could have seen it: every branch has a line of its own to go to, and a line that ran to come from."""
    statements = draw(STATEMENTS)
    arcs: list[Arc] = []
    for line, ran in statements.items():
        targets = draw(st.sets(st.sampled_from([n for n in statements if n != line] or [-1]) | st.just(-line - 100), max_size=3))
        if len(targets) > 1:
            arcs += [Arc(line, to, hits=int(ran and draw(st.booleans())), assumed=draw(st.booleans())) for to in targets]
    regions = tuple(Region((n, 0), (n, 0), hits=int(ran)) for n, ran in sorted(statements.items()))
    return FileCoverage("s", "f.py", "python", "sha256:0", "local", "branch", regions, tuple(sorted(arcs)))


@settings(max_examples=60)
@given(branching_files())
def test_coverage_py_counts_any_file_as_the_model_does(tmp_path_factory: pytest.TempPathFactory, f: FileCoverage) -> None:
    folder = tmp_path_factory.mktemp("numbers")
    coveragepy.write_json(Material(Report("r", (), (f,)), Ledger(), {}, {}.get, folder), folder)
    totals = json.loads((folder / "coverage.json").read_text(encoding="utf-8"))["totals"]
    ours = f.numbers
    assert [ours.statements, ours.covered, ours.branches, ours.covered_branches, ours.partial_branches] == [
        totals[key] for key in ("num_statements", "covered_lines", "num_branches", "covered_branches", "num_partial_branches")
    ]
    assert totals["percent_covered"] == (100.0 if ours.percent is None else ours.percent)


@given(branching_files())
def test_missing_is_formatted_as_coverage_py_formats_it(f: FileCoverage) -> None:
    arcs: dict[int, list[int]] = {}
    for arc in missed_branches(f):
        arcs.setdefault(arc.from_line, []).append(arc.to)
    statements = statement_lines(f)
    assert missing(f) == format_lines(statements, statements - covered_lines(f), arcs=arcs.items())
