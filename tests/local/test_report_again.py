"""A run's report can be made again from disk at any time, and says the same, wherever the checkout has moved meanwhile."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

FILES = {
    "podcov.yaml": f"""\
version: 1
platform: local
services:
  job:
    source: [app]
    interpreter: {sys.executable}
    local: {{command: [{sys.executable}, app/main.py]}}
tests:
  command: ["true"]
""",
    "app/main.py": "import used\n\nused.work()\n",
    "app/used.py": "def work():\n    return 1\n\n\ndef rest():\n    return 2\n",
    "app/idle.py": "A = 1\nB = 2\nC = 3\n",
    "app/old.py": "A = 1\n",
    "app/broken.py": "def (:\n",
}

Podcov = Callable[..., dict[str, Any]]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return tmp_path


@pytest.fixture
def podcov(project: Path) -> Podcov:
    """Runs a command in the project; its summary. An exit code other than 0 fails the test."""

    def run(*arguments: str) -> dict[str, Any]:
        command = [sys.executable, "-c", "from podcov.commands.main import main; main()", *arguments, "--json"]
        done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr + done.stdout
        summary: dict[str, Any] = json.loads(done.stdout)
        return summary

    return run


def reported(project: Path, run: str) -> Mapping[str, tuple[str, str, int]]:
    """Of each file in the run's report its digest, origin, and how many statements it has."""
    report = json.loads((project / ".podcov/runs" / run / "report.json").read_bytes())
    return {f["path"]: (f["digest"], f["origin"], len(f["regions"])) for f in report["files"]}


def move_on(project: Path) -> None:
    """What a checkout does in a week."""
    app = project / "app"
    (app / "idle.py").write_text("A = 1\n" * 40)
    (app / "old.py").unlink()
    (app / "new.py").write_text("A = 1\n" * 7)
    (app / "broken.py").write_text("mended = True\n")
    (app / "used.py").rename(app / "renamed.py")
    (app / "main.py").write_text("import renamed\n\nrenamed.work()\n")


def test_an_old_run_counts_the_files_that_there_were(project: Path, podcov: Podcov) -> None:
    first = podcov("run")
    before = reported(project, first["run"])
    assert sorted(before) == ["app/idle.py", "app/main.py", "app/old.py", "app/used.py"]
    move_on(project)
    again = podcov("report", "--run", first["run"])
    after = reported(project, first["run"])
    assert again["total"] == first["total"]
    assert {path: (digest, count) for path, (digest, _, count) in after.items()} == {
        path: (digest, count) for path, (digest, _, count) in before.items()
    }
    assert {origin for _, origin, _ in before.values()} == {"local"}
    assert {origin for _, origin, _ in after.values()} == {"recorded"}


def test_a_run_outlives_the_sources_that_it_measured(project: Path, podcov: Podcov) -> None:
    first = podcov("run")
    shutil.rmtree(project / "app")
    assert podcov("report")["total"] == first["total"]


def test_its_pages_still_have_the_text(project: Path, podcov: Podcov) -> None:
    run = podcov("run")["run"]
    move_on(project)
    podcov("report")
    pages = {p.name.rpartition("-")[0]: p.read_text() for p in (project / ".podcov/runs" / run / "reports/html/files").iterdir()}
    assert "The text that ran is not known" not in "".join(pages.values())
    assert 'id="L3"' in pages["app-idle-py"]
    assert 'id="L4"' not in pages["app-idle-py"]


def test_what_the_configuration_leaves_out_by_now_is_left_out(project: Path, podcov: Podcov) -> None:
    run = podcov("run")["run"]
    (project / ".coveragerc").write_text("[run]\nomit = app/idle.py\n")
    podcov("report")
    assert "app/idle.py" not in reported(project, run)


def test_a_run_that_an_earlier_podcov_examined_counts_the_files_of_today(project: Path, podcov: Podcov) -> None:
    run = podcov("run")["run"]
    kept = project / ".podcov/runs" / run / "checkout.json"
    kept.unlink()
    (project / "app/new.py").write_text("A = 1\n")
    podcov("report")
    assert "app/new.py" in reported(project, run)
    assert not kept.exists()


def test_a_damaged_record_of_the_checkout_is_named_with_what_to_do(project: Path, podcov: Podcov) -> None:
    run = podcov("run")["run"]
    (project / ".podcov/runs" / run / "checkout.json").write_text('{"schema": "podcov/checkout/1"}')
    done = subprocess.run(
        [sys.executable, "-c", "from podcov.commands.main import main; main()", "report"],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert "checkout.json: is not the record of a checkout" in done.stderr
    assert "delete it" in done.stderr
