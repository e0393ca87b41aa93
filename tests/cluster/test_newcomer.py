"""From nothing to a report: what somebody types who has a project with Skaffold, and has never heard of podcov."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from podcov.generate import blocks

COMMANDS = ("pip install podcov", "podcov init", "skaffold run --profile coverage")
FIVE_MINUTES = 300.0


@pytest.fixture
def shop(root: Path, tmp_path: Path) -> Path:
    """The shop as it would be without podcov: nothing of it in any file."""
    folder = tmp_path / "shop"
    shutil.copytree(
        root / "examples/shop", folder, ignore=shutil.ignore_patterns("podcov", "podcov.yaml", ".podcov", "__pycache__")
    )
    for name in ("skaffold.yaml", "Tiltfile"):
        (folder / name).write_text(blocks.remove((folder / name).read_text()))
    assert not any(b"podcov" in path.read_bytes() for path in folder.rglob("*") if path.suffix in (".yaml", ".py"))
    return folder


@pytest.fixture
def environment(root: Path, tmp_path: Path) -> dict[str, str]:
    """A virtual environment with what the shop's own tests need, and a package index that has the podcov of this checkout."""
    wheels, venv = tmp_path / "wheels", tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", wheels, root], check=True)
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    subprocess.run([venv / "bin/pip", "install", "--quiet", "pytest"], check=True)
    return {
        "VIRTUAL_ENV": str(venv),
        "PIP_FIND_LINKS": str(wheels),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "BIN": str(venv / "bin"),
    }


def test_three_commands_and_less_than_five_minutes(namespace: Any, shop: Path, environment: dict[str, str]) -> None:
    path = os.pathsep.join([environment["BIN"], namespace.cluster.env["PATH"]])
    images = {"BASE": namespace.cluster.image("python:3.13"), "GO": namespace.cluster.image("golang:1.26")}
    settings = {**environment, **images, "PATH": path, "SKAFFOLD_NAMESPACE": namespace.name}
    end = time.monotonic() + FIVE_MINUTES
    for command in COMMANDS:
        namespace.cluster.run(*shlex.split(command), cwd=shop, env=settings, seconds=end - time.monotonic())
    told = json.loads((shop / ".podcov/runs/latest/summary.json").read_text())
    assert told["ledger"]["targets"] == {"expected": 6, "collected": 6, "empty": 0, "failed": 0}
    assert told["tests"]["exit_code"] == 0
    assert all(service["percent"] > 50 for service in told["services"].values())
    assert (shop / ".podcov/runs/latest/reports/html/index.html").is_file()
