"""Runs after runs, tests that fail, tests that are stopped."""

from __future__ import annotations

import signal
from typing import Any

import pytest


@pytest.mark.deployed("again")
def test_a_run_counts_only_its_own_epoch_and_start_up(app: Any) -> None:
    with app.tested() as tests:
        tests.get("/first")
    assert tests.result.names() == {"start-up", "first"}, tests.result
    with app.tested() as tests:
        tests.get("/second")
    assert tests.result.names() == {"start-up", "second"}, tests.result
    app.deploy_again()
    with app.tested() as tests:
        pass
    assert tests.result.names() == {"start-up"}, tests.result
    assert tests.result.complete


@pytest.mark.deployed("anew")
def test_a_rollout_ends_what_was_before_it(app: Any) -> None:
    with app.tested() as tests:
        tests.get("/first")
    app.space.kubectl("rollout", "restart", f"deployment/{app.name}")
    app.ready()
    with app.tested() as tests:
        tests.get("/second")
    assert tests.result.exit_code == 0, tests.result
    assert tests.result.names() == {"start-up", "second"}
    assert len(tests.result.targets) == 1


@pytest.mark.deployed("failing")
def test_failing_tests_are_reported_all_the_same_and_give_their_exit_code(app: Any) -> None:
    with app.tested() as tests:
        tests.get("/first")
        tests.exit_code = 7
    result = tests.result
    assert result.exit_code == 7, result
    assert result.read("summary.json")["exit"] == {"code": 7, "reason": "tests failed"}
    assert result.complete
    assert result.names() == {"start-up", "first"}


@pytest.mark.deployed("stopped")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_what_ran_until_the_tests_were_stopped_is_reported(app: Any, number: int, code: int) -> None:
    with app.tested() as tests:
        tests.get("/first")
        tests.process.send_signal(number)
        tests.exit_code = None
    result = tests.result
    assert result.exit_code == code, result
    assert result.complete
    assert result.names() == {"start-up", "first"}
