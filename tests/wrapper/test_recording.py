"""What is recorded: the app's own lines, each once an epoch, at the moment that they run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import coverage
import pytest
from podcov.formats import records

if TYPE_CHECKING:
    from conftest import Pod

PROGRAM = """\
import helper

def used(flag):
    if flag:
        return 1
    return 2

def unused():
    return 3

used(True)
print(helper.answer())
"""
HELPER = """\
def answer():
    return 42
"""
RAN = {1, 3, 4, 5, 8, 11, 12}


def test_the_lines_that_ran_are_recorded_of_the_script_and_of_what_it_imports(pod: Pod):
    pod.write("helper.py", HELPER)
    assert pod.check(pod.write("main.py", PROGRAM)) == "42\n"
    assert pod.lines("main.py") == RAN
    assert pod.lines("helper.py") == {1, 2}


def test_only_the_apps_own_files_are_recorded(pod: Pod):
    pod.write("site-packages/installed/__init__.py", "import json, decimal\n")
    program = pod.write("main.py", "import installed\n")
    pod.check(program, env=pod.env(PYTHONPATH=pod.inside(pod.folder / "site-packages")))
    (process,) = pod.processes()
    assert [file.path for file in process.files.values()] == [program]


@pytest.mark.parametrize("named", ["installed", "other, installed", "installed.part,single"])
def test_named_packages_are_recorded_where_they_are_installed(pod: Pod, named: str):
    pod.write("site-packages/installed/__init__.py", "")
    pod.write("site-packages/installed/part/__init__.py", "x = 1\n")
    pod.write("site-packages/single.py", "y = 1\n")
    pod.write("site-packages/installed_too.py", "z = 1\n")
    program = pod.write("main.py", "import installed.part, single, installed_too\n")
    pod.check(program, env=pod.env(PODCOV_PACKAGES=named, PYTHONPATH=pod.inside(pod.folder / "site-packages")))
    (process,) = pod.processes()
    recorded = {
        Path(file.path).name if "single" in file.path else file.path.split("site-packages/")[-1]
        for file in process.files.values()
    }
    assert ("single.py" in recorded) == ("single" in named)
    assert "installed/part/__init__.py" in recorded
    assert "installed_too.py" not in recorded


def test_packages_of_the_standard_library_are_recorded_when_named(pod: Pod):
    pod.check(pod.write("main.py", "import json.decoder\n"), env=pod.env(PODCOV_PACKAGES="json"))
    (process,) = pod.processes()
    assert {Path(file.path).name for file in process.files.values()} >= {"decoder.py", "main.py"}


def test_a_script_without_a_suffix_is_recorded_with_its_functions(pod: Pod):
    pod.write("helper.py", HELPER)
    pod.check(pod.write("bin/tool", PROGRAM), env=pod.env(PYTHONPATH=pod.inside(pod.folder)))
    assert pod.lines("tool") == RAN


def test_templates_and_code_without_a_file_are_left_alone(pod: Pod):
    program = 'exec(compile("x = 1", "page.html", "exec"))\nexec("y = 1")\nprint(eval("1 + 1"))\n'
    assert pod.check(pod.write("main.py", program)) == "2\n"
    (process,) = pod.processes()
    assert [Path(file.path).name for file in process.files.values()] == ["main.py"]


def test_a_file_entry_says_what_the_process_saw(pod: Pod):
    program = pod.write("main.py", PROGRAM)
    pod.write("helper.py", HELPER)
    pod.check(program)
    (process,) = pod.processes()
    (entry,) = [file for file in process.files.values() if file.path == program]
    status = (pod.folder / "main.py").stat()
    assert (entry.size, entry.mtime) == (status.st_size, status.st_mtime_ns)


def test_relative_names_mean_the_folder_of_their_time(mapped_pod: Pod):
    pod = mapped_pod
    pod.write("one/part.py", "a = 1\n")
    pod.write("two/part.py", "b = 1\nc = 1\n")
    program = pod.write(
        "main.py",
        "import os, sys\n"
        "for folder in sys.argv[1:]:\n"
        "    os.chdir(folder)\n"
        "    exec(compile(open('part.py').read(), 'part.py', 'exec'))\n",
    )
    folders = [pod.inside(pod.folder / name) for name in ("one", "two")]
    pod.check(program, *folders)
    (process,) = pod.processes()
    assert {file.path for file in process.files.values()} == {program, f"{folders[0]}/part.py", f"{folders[1]}/part.py"}


def test_an_app_whose_folder_was_deleted_runs_on(pod: Pod):
    program = pod.write(
        "main.py", "import os, sys\nos.chdir(sys.argv[1])\nos.rmdir(sys.argv[1])\nexec(compile('x = 1', 'a.py', 'exec'))\n"
    )
    (pod.folder / "away").mkdir()
    pod.check(program, pod.inside(pod.folder / "away"))
    assert pod.lines("main.py") == {1, 2, 3, 4}


def test_file_names_that_are_no_unicode_are_carried(pod: Pod):
    name = os.fsdecode(b"caf\xe9.py")
    (pod.folder / name).write_text("x = 1\n")
    pod.check(pod.inside(pod.folder / name))
    (process,) = pod.processes()
    assert [file.path for file in process.files.values()] == [pod.inside(pod.folder / name)]
    assert process.start is not None
    assert process.start.argv[-1] == pod.inside(pod.folder / name)


def test_logs_grow_past_every_size_that_they_begin_with(mapped_pod: Pod):
    function = "def f():\n" + "    x = 0\n" * 98 + "f()\n"
    mapped_pod.check(mapped_pod.write("main.py", function * 400))
    assert mapped_pod.lines("main.py") == set(range(1, 40_001))


def test_tables_grow_too(mapped_pod: Pod):
    names = [f"module_{number:03d}_{'long' * 20}" for number in range(300)]
    for name in names:
        mapped_pod.write(f"{name}.py", "x = 1\n")
    mapped_pod.check(mapped_pod.write("main.py", "".join(f"import {name}\n" for name in names)))
    (process,) = mapped_pod.processes()
    assert len(process.files) == 301


def test_annotations_are_left_out_as_coverage_does(pods: Callable[..., Pod]):
    pod = pods("3.14")
    program = "import annotationlib\nclass A:\n    x: int\n\n    def f(self): ...\n\nprint(annotationlib.get_annotations(A))\n"
    assert "int" in pod.check(pod.write("main.py", program))
    assert pod.lines("main.py") == {1, 2, 5, 7}


def test_branch_mode_keeps_jumps_and_returns_of_each_code_object(pods: Callable[..., Pod]):
    pod = pods("3.14", PODCOV_MODE="branch")
    pod.write("helper.py", HELPER)
    pod.check(pod.write("main.py", PROGRAM))
    (process,) = pod.processes()
    (used,) = [code for code in process.codes.values() if code.name == "used"]
    words = [(kind, value) for kind, index, value in map(records.split, process.epochs[0]) if index == used.index]
    assert [value for kind, value in words if kind == records.Kind.LINE] == [4, 5]
    assert [kind for kind, _ in words] == [records.Kind.LINE, records.Kind.BRANCH, records.Kind.LINE, records.Kind.RETURN]
    assert used.first_line == 3


@pytest.fixture(scope="session")
def reference_packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """coverage.py without its C tracer, as it runs on every Python: the recorder by sys.monitoring needs no more."""
    folder = tmp_path_factory.mktemp("reference")
    source = Path(coverage.__file__).parent
    shutil.copytree(source, folder / "coverage", ignore=shutil.ignore_patterns("*.so", "__pycache__", "htmlfiles"))
    return folder


def test_lines_equal_those_of_coverage_run(mapped_pod: Pod, reference_packages: Path, root: Path):
    pod = mapped_pod
    shutil.copytree(reference_packages, pod.folder / "reference")
    shutil.copytree(root / "tests" / "wrapper" / "tracer" / "programs", pod.folder / "app")
    program = pod.folder / "app" / "varied.py"
    pod.run(pod.inside(program))
    env = pod.plain_env(PYTHONPATH=pod.inside(pod.folder / "reference"), COVERAGE_CORE="sysmon")
    options = ["-m", "coverage", "run", f"--data-file={pod.inside(pod.folder / 'expected')}"]
    pod.run(*options, pod.inside(program), env=env)
    expected = coverage.CoverageData(str(pod.folder / "expected"))
    expected.read()
    measured = {Path(name).name: set(expected.lines(name) or ()) for name in expected.measured_files()}
    assert measured["varied.py"]
    assert {name: pod.lines(name) for name in measured} == measured
