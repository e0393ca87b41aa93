"""Our coverage of a program is coverage.py's, line for line and branch for branch, on every Python that we measure.

Each program runs in the same interpreter under `coverage run`, whose own report is the truth, and under the wrapper. What either
collected is converted by us. Tables come from that interpreter too; from one in another root file system by way of a courier.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from tempfile import mkdtemp
from typing import Protocol

import pytest
from coverage import CoverageData
from podcov.config import Service
from podcov.edges.analysis import Analyst, coverage_zip
from podcov.edges.tracers import ensure, minors_for
from podcov.formats.analysis import FileAnalysis
from podcov.formats.courier import frame
from podcov.formats.records import FileEntry, Kind, ProcessRecords, StartRecord, TargetRecords, parse_target
from podcov.languages import Converted, Need, Selection, ServiceData, Target, number_epochs, of
from podcov.model import FileCoverage, Mode

ROOT = Path(__file__).parent.parent.parent
WRAPPER = ROOT / "wrapper" / "python"
PROGRAMS = Path(__file__).parent / "analysis_programs"
MINORS = ("3.11", "3.12", "3.13", "3.14")
LIBRARIES = ("argparse", "ast", "configparser", "csv", "difflib", "pprint", "shlex", "statistics", "textwrap", "tokenize")

RULES = Selection(
    exclude_lines=(
        r"#\s*(pragma|PRAGMA)[:\s]?\s*(no|NO)\s*(cover|COVER)",
        r"^\s*(((async )?def .*?)?[\])]+(\s*->.*?)?:\s*)?\.\.\.\s*(#|$)",
        r"^\s*if (typing\.)?TYPE_CHECKING:",
    ),
    partial_branches=(
        r"#\s*(pragma|PRAGMA)[:\s]?\s*(no|NO)\s*(branch|BRANCH)",
        r"^\s*while (True|1|False|0):",
        r"^\s*if (True|1|False|0):",
    ),
)


class Interpreter(Protocol):
    """What the fixture `interpreters` gives."""

    @property
    def minor(self) -> str: ...
    @property
    def command(self) -> tuple[str, ...]: ...
    @property
    def root(self) -> Path | None: ...
    @property
    def folder(self) -> Path: ...
    def inside(self, path: Path) -> str: ...


@pytest.fixture(scope="module", params=MINORS)
def truth(request: pytest.FixtureRequest, interpreters: Callable[[str], Interpreter]) -> Iterator[Truth]:
    truth = Truth(interpreters(request.param))
    yield truth
    shutil.rmtree(truth.folder)


class Truth:
    """Runs programs under coverage.py, and asks it about them."""

    def __init__(self, interpreter: Interpreter) -> None:
        self.interpreter = interpreter
        self.folder = Path(mkdtemp(prefix="truth-", dir=interpreter.folder))
        self.coverage = self.folder / "coverage.zip"
        self.coverage.write_bytes(coverage_zip((WRAPPER / "podcov_analysis.py").read_bytes()))
        self._known: dict[tuple[Path, Mode], dict[str, dict[str, object]]] = {}

    def run(self, *arguments: str, env: Mapping[str, str], cwd: Path | None = None, stdin: bytes = b"") -> bytes:
        """Runs Python to its end in `cwd`, with nothing of our environment. A failure is the test's."""
        *enter, python = self.interpreter.command
        process = subprocess.run(
            [*enter, "sh", "-c", 'cd "$0" && exec "$@"', self.interpreter.inside(cwd or self.folder), python, *arguments],
            input=stdin,
            capture_output=True,
            env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0", **env},
            check=False,
        )
        assert process.returncode == 0, process.stderr.decode()
        return process.stdout

    def project(self, name: str) -> Path:
        """A folder with the program `main.py` of that name, and what it needs."""
        folder = self.folder / name
        if folder.exists():
            return folder
        if name == "programs":
            shutil.copytree(PROGRAMS, folder)
        else:
            folder.mkdir()
            self._copy_libraries(folder)
        return folder

    def _copy_libraries(self, folder: Path) -> None:
        """Modules of this version's standard library, as a project that uses them."""
        where = self.run("-c", "import argparse; print(argparse.__file__)", env={}).decode().strip()
        library = (self.interpreter.root or Path("/")) / Path(where).parent.relative_to("/")
        for name in LIBRARIES:
            shutil.copy(library / f"{name}.py", folder / f"our_{name}.py")
        shutil.copy(Path(__file__).parent / "analysis_libraries.txt", folder / "main.py")

    def of(self, project: Path, mode: Mode) -> dict[str, dict[str, object]]:
        """coverage.py's JSON report of the project's files."""
        if (project, mode) not in self._known:
            branch = ["--branch"] if mode == "branch" else []
            env = {"PYTHONPATH": self.interpreter.inside(self.coverage), "COVERAGE_FILE": f".coverage.{mode}"}
            self.run("-m", "coverage", "run", *branch, "--source=.", "main.py", env=env, cwd=project)
            self.run("-m", "coverage", "json", "-o", f"{mode}.json", env=env, cwd=project)
            self._known[project, mode] = json.loads((project / f"{mode}.json").read_bytes())["files"]
        return self._known[project, mode]

    def records(self, project: Path, mode: Mode) -> TargetRecords:
        """What coverage.py collected, as if a process of the wrapper had recorded it."""
        self.of(project, mode)
        data = CoverageData(basename=str(project / f".coverage.{mode}"))
        data.read()
        files = {index: FileEntry(index, 0, 0, path) for index, path in enumerate(sorted(data.measured_files()), 1)}
        words = array("Q")
        for index, entry in files.items():
            if mode == "branch":
                for start, end in sorted(data.arcs(entry.path) or ()):
                    words.append(Kind.ARC << 61 | index << 40 | (start & 0xFFFFF) << 20 | end & 0xFFFFF)
            else:
                for line in sorted(data.lines(entry.path) or ()):
                    words.append(Kind.LINE << 61 | index << 40 | line)
        data.close()
        start = StartRecord(1, 1, version=f"{self.interpreter.minor}.0", implementation="cpython", mode=mode)
        return TargetRecords(0, (), (ProcessRecords("1-1-00000000", start, files, {}, {0: words}),))

    def recorded(self, project: Path, mode: Mode, **environment: str) -> TargetRecords:
        """What the wrapper records of the same program."""
        data = Path(mkdtemp(prefix="data-", dir=self.folder))
        env = {
            **environment,
            "PYTHONPATH": self.interpreter.inside(self.wrapper),
            "PODCOV_DATA": self.interpreter.inside(data),
            "PODCOV_CONTAINER": "web",
            "PODCOV_MODE": mode,
        }
        self.run("main.py", env=env, cwd=project)
        (target,) = data.glob("targets/web/*")
        records = parse_target({path.name: path.read_bytes() for path in target.iterdir() if path.is_file()})
        assert [p.damage for p in records.processes] == [()]
        assert [p.start and (p.start.state, p.start.reason, p.start.mode) for p in records.processes] == [
            ("recording", None, mode)
        ]
        return records

    @cached_property
    def wrapper(self) -> Path:
        """The wrapper, where the interpreter can read it, with the tracers beside it as in a pod."""
        folder = self.folder / "wrapper"
        shutil.copytree(WRAPPER, folder)
        for tracer in ensure(minors_for("branch")):
            shutil.copy(tracer, folder)
        return folder

    def converted(self, project: Path, records: TargetRecords) -> Converted:
        """Our own coverage of the project."""
        contents = {path.relative_to(project).as_posix(): path.read_bytes() for path in project.glob("*.py")}
        local = {path: _digest(content) for path, content in contents.items()}
        texts = {_digest(content): content for content in contents.values()}
        entries = {entry.key: entry for process in records.processes for entry in process.files.values()}
        here = self.interpreter.inside(project)
        digests = {key: local.get(os.path.relpath(entry.path, here)) for key, entry in entries.items()}
        target = Target("local", records, digests)
        selection = Selection(
            exclude_lines=RULES.exclude_lines, partial_branches=RULES.partial_branches, unloaded=tuple(sorted(local))
        )
        data = ServiceData(Service("web"), (target,), number_epochs([records], "run"), local, selection)
        return of("python").convert(data, self.tables(of("python").needs(data), texts))

    def tables(self, needs: Sequence[Need], texts: Mapping[str, bytes]) -> dict[Need, FileAnalysis]:
        path = str(Path(self.interpreter.command[-1]).parent) if self.interpreter.root is None else ""
        analyst = Analyst(WRAPPER / "podcov_analysis.py", self.folder / "cache", path=path)
        return asyncio.run(analyst.tables(needs, texts.get, lambda _: [self._courier]))

    async def _courier(self, stdin: bytes) -> bytes:
        program = self.interpreter.inside(self.wrapper / "podcov_courier.py")
        env = {"PODCOV_DATA": self.interpreter.inside(self.folder / "data")}
        return self.run("-Es", program, "run", "podcov_analysis", stdin=frame(stdin), env=env)


def _digest(content: bytes) -> str:
    return "sha256:" + sha256(content).hexdigest()


def as_coverage_reports(file: FileCoverage) -> dict[str, object]:
    """Our numbers in the words of coverage.py's JSON report."""
    numbers = file.numbers
    told: dict[str, object] = {
        "functions": sorted((f.start, f.name) for f in file.functions if f.kind == "function"),
        "classes": sorted((f.start, f.name) for f in file.functions if f.kind == "class"),
        "executed_lines": sorted(r.start[0] for r in file.regions if r.covered),
        "missing_lines": sorted(r.start[0] for r in file.regions if not r.covered),
        "excluded_lines": list(file.excluded),
        "statements": numbers.statements,
        "covered": numbers.covered,
    }
    if file.mode == "branch":
        told |= {
            "missing_branches": [[a.from_line, a.to] for a in file.arcs if not a.covered],
            "branches": numbers.branches,
            "covered_branches": numbers.covered_branches,
            "partial_branches": numbers.partial_branches,
        }
    return told


def as_we_report(file: Mapping[str, object]) -> dict[str, object]:
    """coverage.py's report of a file, in the same words."""
    summary = file["summary"]
    assert isinstance(summary, dict)
    told = {name: file[name] for name in ("executed_lines", "missing_lines", "excluded_lines")}
    for kind in ("functions", "classes"):
        regions = file[kind]
        assert isinstance(regions, dict)  # a name that comes again has its line behind an @
        told[kind] = sorted((region["start_line"], name.partition("@")[0]) for name, region in regions.items() if name)
    told |= {"statements": summary["num_statements"], "covered": summary["covered_lines"]}
    if "missing_branches" in file:
        told |= {
            "missing_branches": file["missing_branches"],
            "branches": summary["num_branches"],
            "covered_branches": summary["covered_branches"],
            "partial_branches": summary["num_partial_branches"],
        }
    return told


def differences(ours: Converted, theirs: Mapping[str, Mapping[str, object]]) -> dict[str, dict[str, tuple[object, object]]]:
    """For each file, what we say and what coverage.py says where these differ."""
    files = {file.path: as_coverage_reports(file) for file in ours.files}
    truth = {path: as_we_report(file) for path, file in theirs.items()}
    assert sorted(files) == sorted(truth)
    return {
        path: {key: (told[key], truth[path][key]) for key in told if told[key] != truth[path][key]}
        for path, told in files.items()
        if told != truth[path]
    }


@pytest.mark.parametrize("mode", ["line", "branch"])
@pytest.mark.parametrize("program", ["programs", "libraries"])
def test_what_coverage_collects_is_reported_as_coverage_reports_it(truth: Truth, program: str, mode: Mode) -> None:
    project = truth.project(program)
    converted = truth.converted(project, truth.records(project, mode))
    assert differences(converted, truth.of(project, mode)) == {}
    assert converted.warnings == converted.failures == ()


@pytest.mark.parametrize("mode", ["line", "branch"])
@pytest.mark.parametrize("program", ["programs", "libraries"])
def test_what_the_wrapper_records_is_what_coverage_reports(truth: Truth, program: str, mode: Mode) -> None:
    project = truth.project(program)
    converted = truth.converted(project, truth.recorded(project, mode))
    assert differences(converted, truth.of(project, mode)) == {}
    assert converted.warnings == converted.failures == ()


@pytest.mark.parametrize("level", ["1", "2"])
def test_optimized_code_is_recognized(truth: Truth, level: str) -> None:
    project = truth.project("programs")
    converted = truth.converted(project, truth.recorded(project, "branch", PYTHONOPTIMIZE=level))
    assert converted.warnings == converted.failures == ()
    (control,) = (file for file in converted.files if file.path == "control.py")
    assert control.numbers.covered_branches > 20
