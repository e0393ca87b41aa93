"""The make target of services that hand over their coverage at their end: generated, included by a Makefile, taken out."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from podcov.edges import eject, project

Example = Callable[[str], Path]
TARGET = "test-e2e-storage-coverage"
WRITES_A_RUN = """\
#!/bin/sh
echo "$0 $*, E2E_COVERAGE=$E2E_COVERAGE" >called
mkdir -p .podcov/runs/new/reports/go && ln -sfn new .podcov/runs/latest
echo "mode: set" >.podcov/runs/latest/reports/go/storage.out
echo "<html>" >.podcov/runs/latest/reports/go.html
exit ${STATUS:-0}
"""


@pytest.fixture
def storage(example: Example) -> Path:
    folder = example("go-nodes")
    project.init(folder)
    return folder


def make(folder: Path, *, skaffold: str = WRITES_A_RUN, **env: str) -> subprocess.CompletedProcess[str]:
    """`make` of the target, with a program in the place of Skaffold that only leaves what a run leaves."""
    tools = folder.parent / "bin"
    tools.mkdir(exist_ok=True)
    program = tools / "skaffold"
    program.write_text(skaffold)
    program.chmod(0o755)
    path = os.pathsep.join([str(tools), os.environ["PATH"]])
    return subprocess.run(
        ["make", TARGET], cwd=folder, env={**os.environ, "PATH": path, **env}, capture_output=True, text=True, check=False
    )


def test_the_user_s_makefile_includes_it_and_is_theirs_again_after_an_eject(storage: Path, root: Path) -> None:
    before = (root / "examples/go-nodes/Makefile").read_text().partition("# >>> podcov")[0]
    assert (storage / "Makefile").read_text().startswith(before)
    assert "include podcov/go.mk" in (storage / "Makefile").read_text()
    project.init(storage, check=True)
    eject.carry_out(storage, eject.plan(storage))
    assert (storage / "Makefile").read_text() == before
    assert not (storage / "podcov").exists()


def test_it_is_not_what_make_does_by_itself(storage: Path) -> None:
    said = subprocess.run(["make", "--dry-run"], cwd=storage, capture_output=True, text=True, check=True)
    assert "skaffold" not in said.stdout


def test_it_deploys_with_coverage_on_and_leaves_a_text_and_a_page(storage: Path) -> None:
    done = make(storage)
    assert done.returncode == 0, done.stderr
    assert (storage / "called").read_text().endswith("skaffold run --profile coverage, E2E_COVERAGE=true\n")
    assert (storage / "e2e-coverage.txt").read_text() == "mode: set\n"
    assert (storage / "e2e-coverage.html").exists()


def test_the_tests_failure_is_its_own_and_there_is_a_report_all_the_same(storage: Path) -> None:
    assert make(storage, STATUS="7").returncode != 0
    assert (storage / "e2e-coverage.txt").exists()


def test_without_a_run_nothing_of_an_earlier_one_is_shown(storage: Path) -> None:
    make(storage)
    assert make(storage, skaffold="#!/bin/sh\nexit 0\n").returncode != 0
    assert not (storage / "e2e-coverage.txt").exists()


def test_the_switch_activates_the_profile(storage: Path) -> None:
    profile = yaml.safe_load((storage / "skaffold.yaml").read_text())["profiles"][0]
    assert profile["activation"] == [{"env": "E2E_COVERAGE=true"}]
    shown = subprocess.run(
        ["skaffold", "diagnose", "--yaml-only"],
        cwd=storage,
        env={**os.environ, "E2E_COVERAGE": "true"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "podcov/overlay" in shown.stdout


def test_services_that_need_no_end_get_none(example: Example) -> None:
    folder = example("hello")
    project.init(folder)
    assert not (folder / "podcov/go.mk").exists()
    assert "activation" not in (folder / "skaffold.yaml").read_text()
