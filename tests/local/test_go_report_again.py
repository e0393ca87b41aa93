"""A run of a Go service is reported again from disk, and says the same, wherever the checkout has moved meanwhile."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

COPIES = '\ncopies:\n  e2e-coverage.txt: go.txt\n  "cover/{service}.out": "go/{service}.out"\n'
Podcov = Callable[..., dict[str, Any]]


@pytest.fixture
def project(example: Callable[[str], Path]) -> Path:
    folder = example("go-hello")
    with (folder / "podcov.yaml").open("a") as file:
        file.write(COPIES)
    return folder


@pytest.fixture
def podcov(project: Path) -> Podcov:
    """Runs a command in the project; its summary. An exit code other than 0 fails the test."""

    def run(*arguments: str) -> dict[str, Any]:
        command = ["nice", sys.executable, "-c", "from podcov.commands.main import main; main()", *arguments, "--json"]
        done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr + done.stdout
        summary: dict[str, Any] = json.loads(done.stdout)
        return summary

    return run


def origins(project: Path) -> dict[str, str]:
    report = json.loads((project / ".podcov" / "runs" / "latest" / "report.json").read_bytes())
    return {file["path"]: file["origin"] for file in report["files"]}


def test_a_run_is_what_it_was_when_sources_and_modules_have_moved_on(project: Path, podcov: Podcov) -> None:
    first = podcov("run", "--platform", "local")
    assert first["ledger"]["complete"]
    assert first["services"]["go-hello"]["language"] == "go"
    assert set(origins(project).values()) == {"local"}
    texts = {name: (project / name).read_bytes() for name in ("e2e-coverage.txt", "cover/go-hello.out")}
    assert texts["e2e-coverage.txt"].startswith(b"mode: ")
    (project / "main.go").write_text("// moved on\n" + (project / "main.go").read_text())
    (project / "go.mod").write_text("module example.com/moved\n")
    again = podcov("report")
    assert again["services"] == first["services"]
    assert {name: (project / name).read_bytes() for name in texts} == texts
    assert origins(project)["main.go"] == "recorded"
    assert [warning.partition(" (")[0] for warning in again["warnings"]] == ["main.go: is not the text that ran"]
