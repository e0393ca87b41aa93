"""What the end of an exec says, and how a courier is looked for in a container that nobody described."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podcov.edges.cluster_exec import MOUNTED, UNPACKED, Outcome, Search, parse_status

MISSING = Outcome(None, b"", 'exec: "python9": executable file not found in $PATH: unknown')
NO_SCRIPT = Outcome(2, b"", f"python3: can't open file '{UNPACKED}': [Errno 2] No such file or directory\n")


def failure(**details: object) -> bytes:
    return json.dumps({"status": "Failure", "message": "why", **details}).encode()


def test_success_is_exit_code_0() -> None:
    assert parse_status(b'{"metadata":{},"status":"Success"}') == (0, "")


def test_a_failure_with_an_exit_code_ran_to_its_end() -> None:
    causes = {"causes": [{"reason": "ExitCode", "message": "3"}]}
    assert parse_status(failure(reason="NonZeroExitCode", details=causes)) == (3, "why")


def test_a_failure_without_one_never_began() -> None:
    assert parse_status(failure(reason="InternalError", details={"causes": [{"message": "no such program"}]})) == (None, "why")
    assert parse_status(failure(reason="InternalError")) == (None, "why")


@given(st.binary(max_size=60))
def test_anything_else_is_no_status(frame: bytes) -> None:
    if b'"status"' not in frame:
        with pytest.raises(ValueError):  # noqa: PT011 (JSON's, UTF-8's or ours)
            parse_status(frame)


@given(st.integers(0, 30))
def test_a_status_that_was_cut_is_no_status(length: int) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        parse_status(b'{"metadata":{},"status":"Success"}'[:length])


def test_the_configured_interpreter_and_the_unpacked_wrapper_come_first() -> None:
    way = next(iter(Search(["app"], ["/venv/bin/python"], sidecar=True)))
    assert way.command(["pull"]) == ["/venv/bin/python", "-Es", UNPACKED, "pull"]
    assert next(iter(Search(["app"], ["/venv/bin/python"], sidecar=False))).script == MOUNTED


def test_a_missing_script_is_looked_for_elsewhere_with_the_same_interpreter() -> None:
    search = Search(["app"], ["python3"], sidecar=True)
    ways = iter(search)
    first = next(ways)
    assert search.rule_out(first, NO_SCRIPT)
    second = next(ways)
    assert (second.interpreter, second.script) == (first.interpreter, MOUNTED)
    assert search.rule_out(second, NO_SCRIPT)
    assert list(ways) == []
    assert "ConfigMap" in search.reason


def test_a_missing_interpreter_is_replaced_by_the_next() -> None:
    search = Search(["app", "worker"], ["python9"], sidecar=False)
    tried = []
    for way in search:
        tried.append((way.container, way.interpreter))
        assert search.rule_out(way, MISSING)
    names = ["python9", "python3", "python", "/usr/local/bin/python3", "/usr/bin/python3"]
    assert tried == [(container, name) for container in ("app", "worker") for name in names]
    assert "`interpreter`" in search.reason
    assert "python9" in search.reason


@pytest.mark.parametrize(("exit_code", "signal"), [(137, 9), (143, 15), (0, 0), (1, 0), (128, 0), (255, 0), (None, 0)])
def test_a_command_that_was_killed_is_told_from_one_that_failed(exit_code: int | None, signal: int) -> None:
    assert Outcome(exit_code, b"", "").signal == signal


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome(0, b"{}", ""),
        Outcome(1, b"", "podcov: the data volume is not there"),
        Outcome(2, b"", "usage: podcov_courier.py"),
        Outcome(None, b"", "container is not running"),
        Outcome(137, b"", ""),
    ],
)
def test_what_the_courier_itself_says_rules_nothing_out(outcome: Outcome) -> None:
    search = Search(["app"], ["python3"], sidecar=True)
    assert not search.rule_out(next(iter(search)), outcome)
