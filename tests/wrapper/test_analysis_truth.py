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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest
from coverage import CoverageData
from podcov.config import Service
from podcov.edges.analysis import Analyst, coverage_zip
from podcov.formats.analysis import FileAnalysis
from podcov.formats.courier import frame
from podcov.formats.records import FileEntry, Kind, ProcessRecords, StartRecord, TargetRecords
from podcov.languages import Converted, Need, Selection, ServiceData, Target, number_epochs, of
from podcov.model import FileCoverage, Mode

ROOT = Path(__file__).parent.parent.parent
WRAPPER = ROOT / "wrapper" / "python"
PROGRAMS = Path(__file__).parent / "analysis_programs"
SID = Path.home() / ".cache" / "podcov-cluster" / "rootfs-sid"
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


@dataclass(frozen=True)
class Interpreter:
    """A Python, perhaps in a root file system of its own, and a folder that it can write to."""

    minor: str
    command: tuple[str, ...]
    folder: Path
    root: Path | None = None

    def inside(self, path: Path) -> str:
        """The path as the interpreter sees it."""
        return str(path if self.root is None else Path("/", path.relative_to(self.root)))

    def run(self, *arguments: str, stdin: bytes = b"", env: Mapping[str, str] | None = None, cwd: Path | None = None) -> bytes:
        """Runs Python to its end, with nothing of our environment. A failure is the test's."""
        shell = ("sh", "-c", 'cd "$0" && exec "$@"', self.inside(cwd or self.folder), self.python, *arguments)
        process = subprocess.run(
            [*self.command[:-1], *shell],
            input=stdin,
            capture_output=True,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONDONTWRITEBYTECODE": "1", **(env or {})},
            check=False,
        )
        assert process.returncode == 0, process.stderr.decode()
        return process.stdout

    @property
    def python(self) -> str:
        return self.command[-1]


@pytest.fixture(scope="module", params=MINORS)
def interpreter(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Interpreter]:
    minor = request.param
    if found := _local_python(minor):
        yield Interpreter(minor, (found,), tmp_path_factory.mktemp(f"python{minor}"))
    elif (SID / "usr" / "bin" / f"python{minor}").exists() and os.geteuid() == 0:
        folder = SID / "tmp" / f"podcov-truth-{os.getpid()}"
        folder.mkdir()
        yield Interpreter(minor, ("chroot", str(SID), f"/usr/bin/python{minor}"), folder, SID)
        shutil.rmtree(folder)
    else:
        pytest.skip(f"no python{minor} here: not on the path, not in ~/.pyenv, and no root file system with it in {SID}")


def _local_python(minor: str) -> str | None:
    installed = sorted(Path.home().glob(f".pyenv/versions/{minor}.*/bin"))
    search = os.pathsep.join([*map(str, installed), os.environ.get("PATH", "")])
    return shutil.which(f"python{minor}", path=search)


@pytest.fixture(scope="module")
def truth(interpreter: Interpreter) -> Truth:
    return Truth(interpreter)


class Truth:
    """Runs programs under coverage.py, and asks it about them."""

    def __init__(self, interpreter: Interpreter) -> None:
        self.interpreter = interpreter
        self.coverage = interpreter.folder / "coverage.zip"
        self.coverage.write_bytes(coverage_zip((WRAPPER / "podcov_analysis.py").read_bytes()))
        self.cache = interpreter.folder / "cache"
        self._known: dict[tuple[Path, Mode], dict[str, dict[str, object]]] = {}

    def project(self, name: str) -> Path:
        """A folder with the program `main.py` of that name, and what it needs."""
        folder = self.interpreter.folder / name
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
        where = self.interpreter.run("-c", "import argparse; print(argparse.__file__)").decode().strip()
        library = Path(where).parent if self.interpreter.root is None else self.interpreter.root / where[1:].rpartition("/")[0]
        for name in LIBRARIES:
            shutil.copy(library / f"{name}.py", folder / f"our_{name}.py")
        shutil.copy(Path(__file__).parent / "analysis_libraries.txt", folder / "main.py")

    def of(self, project: Path, mode: Mode) -> dict[str, dict[str, object]]:
        """coverage.py's JSON report of the project's files."""
        if (project, mode) not in self._known:
            branch = ["--branch"] if mode == "branch" else []
            env = {"PYTHONPATH": self.interpreter.inside(self.coverage), "COVERAGE_FILE": f".coverage.{mode}"}
            run = self.interpreter.run
            run("-m", "coverage", "run", *branch, "--source=.", "main.py", env=env, cwd=project)
            run("-m", "coverage", "json", "-o", f"{mode}.json", env=env, cwd=project)
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
        path = str(Path(self.interpreter.python).parent) if self.interpreter.root is None else ""
        analyst = Analyst(WRAPPER / "podcov_analysis.py", self.cache, path=path)
        return asyncio.run(analyst.tables(needs, texts.get, lambda _: self._courier))

    async def _courier(self, stdin: bytes) -> bytes:
        wrapper = self.interpreter.folder / "wrapper"
        if not wrapper.exists():
            shutil.copytree(WRAPPER, wrapper)
        program = self.interpreter.inside(wrapper / "podcov_courier.py")
        env = {"PODCOV_DATA": self.interpreter.inside(self.interpreter.folder / "data")}
        return self.interpreter.run("-Es", program, "run", "podcov_analysis", stdin=frame(stdin), env=env)


def _digest(content: bytes) -> str:
    return "sha256:" + sha256(content).hexdigest()


def as_coverage_reports(file: FileCoverage) -> dict[str, object]:
    """Our numbers in the words of coverage.py's JSON report."""
    numbers = file.numbers
    told: dict[str, object] = {
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
