"""The wheel, installed alone into an empty environment, has everything that podcov needs: no checkout is near."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from podcov.edges import tracers

ROOMS = ("wrapper", "overlays", "templates")


@pytest.fixture(scope="module")
def source(root, tmp_path_factory) -> Path:
    """A copy of what `make wheel` makes a wheel of: in the checkout, tests beside these may be fetching tracers meanwhile."""
    folder = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(root / name, folder)
    for room in ("hooks", *ROOMS):
        shutil.copytree(root / room, folder / room, ignore=shutil.ignore_patterns("__pycache__", "tracers"))
    fetched = tracers.ensure(tracers.minors_for("branch"))
    beside = folder / "wrapper/python/tracers"
    beside.mkdir()
    for path in (*fetched, fetched[0].with_name(tracers.NOTICE)):
        shutil.copy(path, beside)
    return folder


@pytest.fixture(scope="module")
def wheel(source, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, source], check=True)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module", params=["3.11", "3.12", "3.13"])
def podcov(request, wheel, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([python(request.param), "-m", "venv", folder], check=True)
    subprocess.run([folder / "bin/pip", "install", "--quiet", wheel], check=True)
    return folder / "bin/podcov"


def python(minor: str) -> str:
    installed = sorted(Path.home().glob(f".pyenv/versions/{minor}.*/bin/python{minor}"))
    found = str(installed[-1]) if installed else shutil.which(f"python{minor}")
    if found is None:
        pytest.skip(f"no python{minor}: not on the path, not in ~/.pyenv")
    return found


def test_wrapper_overlays_templates_and_schemas_are_in_it(wheel, source):
    inside = set(zipfile.ZipFile(wheel).namelist())
    for room in ROOMS:
        ours = {path.relative_to(source).as_posix() for path in (source / room).rglob("*") if path.is_file()}
        assert {f"podcov/_assets/{name}" for name in ours} <= inside
    assert "podcov/schemas/podcov-yaml-1.json" in inside


def test_it_sets_up_a_project_without_the_checkout(podcov, root, tmp_path):
    project = tmp_path / "hello"
    shutil.copytree(root / "examples/hello", project, ignore=shutil.ignore_patterns("podcov", ".podcov"))
    done = subprocess.run([podcov, "init"], cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (project / "podcov/overlay/kustomization.yaml").is_file()


def test_it_runs_the_main_job_without_the_checkout(podcov, root, tmp_path):
    project = tmp_path / "hello"
    shutil.copytree(root / "examples/hello", project, ignore=shutil.ignore_patterns(".podcov"))
    env = {**os.environ, "PATH": f"{podcov.parent}:{os.environ['PATH']}"}
    command = [podcov, "run", "--platform", "local"]
    done = subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Ledger: complete" in done.stdout
    assert (project / ".podcov/runs/latest/reports/html/index.html").is_file()
