"""The wrapper is missing or damaged, cannot write or record: the app answers as without it, and the ledger says why."""

from __future__ import annotations

from typing import Any

import pytest

NO_PYTHON = "def nothing(:\n"
FULL_BEFORE_IT_BEGINS = ("sh", "-c", "head -c 1G /dev/zero >/podcov/data/filler; exec python3 /srv/app.py")


@pytest.mark.parametrize(
    ("slug", "reason"),
    [
        pytest.param(
            "lost",
            "podcov_courier.py is not there: is the wrapper's ConfigMap missing, or damaged?",
            marks=pytest.mark.deployed("missing", spoiled={"podcov-wrapper": None}),
            id="missing",
        ),
        pytest.param(
            "no-records",
            "SyntaxError",
            marks=pytest.mark.deployed("recorder-damaged", spoiled={"wrapper/podcov_monitoring.py": NO_PYTHON}),
            id="recorder-damaged",
        ),
        pytest.param(
            "no-records",
            "is the wrapper's ConfigMap missing or damaged",
            marks=pytest.mark.deployed("entry-damaged", spoiled={"wrapper/sitecustomize.py": NO_PYTHON}),
            id="entry-damaged",
        ),
        pytest.param(
            "lost",
            "SyntaxError",
            marks=pytest.mark.deployed("courier-damaged", spoiled={"wrapper/podcov_courier_volume.py": NO_PYTHON}),
            id="courier-damaged",
        ),
        pytest.param(
            "no-records",
            "full",
            marks=pytest.mark.deployed("full", command=FULL_BEFORE_IT_BEGINS),
            id="full-before-it-begins",
        ),
        pytest.param(
            "no-records",
            "is needed to record this Python",
            marks=pytest.mark.deployed("unsupported", image="python:3.11", spoiled={"podcov-tracers": None}),
            id="unsupported",
        ),
    ],
)
def test_the_app_runs_as_without_it_and_the_ledger_says_why_there_are_no_data(app: Any, slug: str, reason: str) -> None:
    with app.tested() as tests:
        assert tests.get("/first") == "first"
    result = tests.result
    (target,) = result.targets
    assert (target["state"], target["slug"]) == ("failed", slug), result
    assert reason in " ".join([target["reason"], *(process["reason"] for process in target["processes"])])
    assert result.exit_code == 5
    assert app.restarts() == 0
    logs = app.space.kubectl("logs", app.pod(), "--container", "app")
    assert "Traceback" not in logs


@pytest.mark.deployed("filled")
def test_a_volume_that_gets_full_while_the_app_runs(app: Any) -> None:
    with app.tested() as tests:
        tests.get("/first")
        assert tests.get("/fill") == "No space left on device"
        assert tests.get("/second") == "second"
    result = tests.result
    assert result.exit_code == 3, result
    assert "first" in result.names()
    assert [process["slug"] for process in result.processes] == ["volume-full"]
    assert app.restarts() == 0
