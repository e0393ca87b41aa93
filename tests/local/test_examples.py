"""The examples' page names all of them, and what it tells people to type is there."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from podcov.commands.main import COMMANDS


@pytest.fixture
def page(root: Path) -> str:
    return (root / "examples/README.md").read_text(encoding="utf-8")


def test_every_example_is_explained(root: Path, page: str) -> None:
    folders = {path.name for path in (root / "examples").iterdir() if path.is_dir()}
    assert set(re.findall(r"^\| \[`([\w-]+)`\]\(\1\) \|", page, re.MULTILINE)) == folders


def test_its_commands_exist_in_every_example(root: Path, page: str) -> None:
    assert set(re.findall(r"(?:^    |`)podcov (\w+)", page, re.MULTILINE)) <= {*COMMANDS}
    (profile,) = set(re.findall(r"skaffold run --profile (\w+)", page))
    for example in (path for path in (root / "examples").iterdir() if path.is_dir()):
        skaffold = yaml.safe_load((example / "skaffold.yaml").read_text())
        assert profile in [p["name"] for p in skaffold["profiles"]]
        assert "PODCOV=1 tilt ci" in (example / "Tiltfile").read_text()


def test_the_smallest_runs_on_this_machine_as_the_page_says(example: Callable[[str], Path], page: str) -> None:
    (command,) = re.findall(r"^    podcov (run .*)$", page, re.MULTILINE)
    project = example("hello")
    call = [sys.executable, "-c", "from podcov.commands.main import main; main()", *command.split(), "--files"]
    done = subprocess.run(call, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.search(r"src/farewell\.py +\d+ +\d+ +0%", done.stdout), done.stdout
    assert (project / ".podcov/runs/latest/reports/html/index.html").is_file()
