"""Tens of thousands of lines that run once, while couriers mark and read: every one of them is in the report."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

MARK_AND_READ = """
import os, sys
sys.path.insert(0, "/podcov/data/wrapper")
from podcov_courier_commands import main
sys.stdout = open(os.devnull, "w")
for number in range(int(sys.argv[2])):
    if main(["mark", sys.argv[1], str(number)]) or main(["pull"]):
        sys.exit("mark or pull failed")
"""
ROUNDS = 120
LONGEST = 600
"""seconds that all of the rounds may take"""


@pytest.mark.parametrize(
    "recording",
    [
        pytest.param("mapped", marks=pytest.mark.deployed("lines-313", image="python:3.13")),
        pytest.param("mapped", marks=pytest.mark.deployed("lines-314", image="python:3.14")),
        pytest.param("mapped", marks=pytest.mark.deployed("branches-314", image="python:3.14", mode="branch")),
        pytest.param("saved", marks=pytest.mark.deployed("lines-311", image="python:3.11")),
    ],
)
def test_no_line_is_lost_while_couriers_mark_and_read_and_none_before_a_kill(app: Any, once: Any, recording: str) -> None:
    with app.tested() as tests, ThreadPoolExecutor() as pool:
        (run,) = (folder.name for folder in app.folder.glob(".podcov/runs/2*"))
        storm = pool.submit(tests.get, "/storm", seconds=LONGEST)
        marks = (
            "exec",
            app.pod(),
            "--container",
            "podcov-courier",
            "--",
            "python3",
            "-Es",
            "-c",
            MARK_AND_READ,
            run,
            str(ROUNDS),
        )
        app.space.kubectl(*marks, seconds=LONGEST)
        assert storm.result() == "over"
        assert tests.get("/sacrifice") == "killed"
    result = tests.result
    expected = once.storm if recording == "saved" else once.storm | once.sacrifice
    assert len(expected) >= 24_000
    assert result.exit_code == 0, result
    assert expected - result.lines("once.py") == set()
    assert {process["recording"] for process in result.processes} == {recording}
    ran_in = {epoch for f in result.report.files if f.path == "app/once.py" for r in f.regions for epoch in r.epochs}
    assert len(ran_in) > ROUNDS / 2
