"""The benchmarks run and print their tables. What they measure is not asserted: it is a matter of the machine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PEERS = ("podcov line", "coverage line")
STARTUP = ("startup.py", "--starts", "1")
THROUGHPUT = ("throughput.py", "--scenario", "shop", "--requests", "8")


def run(root: Path, script: str, *options: str) -> str:
    only = [word for peer in PEERS for word in ("--peer", peer)]
    command = [sys.executable, str(root / "benchmarks" / script), "--rounds", "1", *only, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_starting_is_compared_in_a_table(root: Path) -> None:
    heading, *rows = run(root, *STARTUP).splitlines()
    assert "python -c pass" in heading
    assert "added ms" in heading
    assert [row.partition("  ")[0] for row in rows if row] == list(PEERS)


def test_throughput_is_compared_in_json(root: Path) -> None:
    document = json.loads(run(root, *THROUGHPUT, "--json"))
    assert (document["schema"], document["rounds"]) == ("podcov/benchmark/1", 1)
    (result,) = document["results"]
    assert result["what"] == "shop"
    assert list(result["peers"]) == list(PEERS)
    for columns in result["peers"].values():
        assert set(columns) == {"throughput_kept", "cpu", "memory"}
        assert all(0 < of["low"] <= of["median"] <= of["high"] for of in columns.values())


def test_writing_html_is_compared_with_coverage_py_in_the_same_run(root: Path) -> None:
    command = [sys.executable, str(root / "benchmarks/html_report.py"), "--rounds", "1", "--lines", "500"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    heading, *rows = done.stdout.splitlines()
    assert "times coverage html" in heading
    assert [row.partition("  ")[0] for row in rows] == ["podcov html", "coverage xml"]


@pytest.mark.parametrize("options", [("--peer", "nobody"), ("--python", "no-such-python")])
def test_what_cannot_be_measured_is_named(root: Path, options: tuple[str, str]) -> None:
    command = [sys.executable, str(root / "benchmarks" / "startup.py"), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert options[1] in done.stderr
