"""What the end of an exec says, and how a courier is looked for in a container that nobody described."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podcov.config import Service
from podcov.edges.cluster.exec import Invocation, Search, parse_status
from podcov.languages.couriers import Courier, Outcome
from podcov.languages.go_courier import GoCourier
from podcov.languages.python_courier import MOUNTED, UNPACKED, PythonCourier

COURIERS: Mapping[str, Courier] = {"python": PythonCourier(), "go": GoCourier()}
MISSING = Outcome(None, b"", 'exec: "python9": executable file not found in $PATH: unknown')
NO_PROGRAM = Outcome(None, b"", 'exec: "/app": stat /app: no such file or directory: unknown')
NO_LINK = Outcome(None, b"", 'exec: "/podcov/data/programs/app": stat /podcov/data/programs/app: no such file or directory')
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


def search(service: Service, *containers: str, sidecar: bool, command: tuple[str, ...] = ()) -> Search:
    courier = COURIERS[service.language]
    ways = [
        Invocation(name, words, courier) for name in containers for words in courier.ways(service, name, command, sidecar=sidecar)
    ]
    return Search(ways, nowhere=courier.unknown)


def python(interpreter: str = "python3") -> Service:
    return Service("shop", interpreter=interpreter)


def go(binary: str = "") -> Service:
    return Service("shop", language="go", binary=binary)


def test_the_configured_interpreter_and_the_unpacked_wrapper_come_first() -> None:
    way = next(iter(search(python("/venv/bin/python"), "app", sidecar=True)))
    assert way.command(["pull"]) == ["/venv/bin/python", "-Es", UNPACKED, "pull"]
    assert next(iter(search(python("/venv/bin/python"), "app", sidecar=False))).words[-1] == MOUNTED


def test_a_missing_script_is_looked_for_elsewhere_with_the_same_interpreter() -> None:
    looked = search(python(), "app", sidecar=True)
    ways = iter(looked)
    first = next(ways)
    assert looked.rule_out(first, NO_SCRIPT)
    second = next(ways)
    assert (second.words[0], second.words[-1]) == (first.words[0], MOUNTED)
    assert looked.rule_out(second, NO_SCRIPT)
    assert list(ways) == []
    assert "ConfigMap" in looked.reason


def test_a_missing_interpreter_is_replaced_by_the_next() -> None:
    looked = search(python("python9"), "app", "worker", sidecar=False)
    tried = []
    for way in looked:
        tried.append((way.container, way.words[0]))
        assert looked.rule_out(way, MISSING)
    names = ["python9", "python3", "python", "/usr/local/bin/python3", "/usr/bin/python3"]
    assert tried == [(container, name) for container in ("app", "worker") for name in names]
    assert "`interpreter`" in looked.reason
    assert "python9" in looked.reason


@pytest.mark.parametrize("service", [go(), go("/app")])
def test_a_go_service_is_its_own_courier_by_the_link_that_it_has_left(service: Service) -> None:
    """Its program itself is never called: without podcov in it, it would be the service once more."""
    way = next(iter(search(service, "app", sidecar=False, command=("/srv/shop", "--port=80"))))
    assert way.command(["mark", "run-1", "tests"]) == [
        "/podcov/data/programs/app",
        "--podcov-courier",
        "mark",
        "run-1",
        "tests",
    ]


def test_each_container_has_its_own_link() -> None:
    looked = search(go("/app"), "app", "beside", sidecar=False)
    assert looked.rule_out(next(iter(looked)), NO_LINK)
    assert next(iter(looked)).words[0] == "/podcov/data/programs/beside"


def test_without_a_link_it_is_said_what_that_means() -> None:
    looked = search(go("/app"), "app", sidecar=False)
    assert looked.rule_out(next(iter(looked)), NO_LINK)
    assert list(looked) == []
    assert looked.reason.startswith("no program with podcov in it has begun in the container")
    assert "coverage profile" in looked.reason


def test_a_link_may_come_yet_where_every_container_lacks_its_own_and_nothing_else_may() -> None:
    """A program leaves it when it begins; what an image does not have, it will not get."""
    looked = search(go(), "app", "beside", sidecar=False)
    assert not looked.unbegun
    for way in looked:
        looked.rule_out(way, NO_LINK)
    assert looked.unbegun
    other = Outcome(3, b"", "unknown argument: --podcov-courier")
    for ended, service, sidecar in [(NO_PROGRAM, go("/app"), True), (MISSING, python(), False), (other, go(), False)]:
        looked = search(service, "app", sidecar=sidecar)
        for way in looked:
            assert looked.rule_out(way, ended)
        assert not looked.unbegun


def test_the_sidecar_says_which_program_it_is() -> None:
    looked = search(go(), "podcov-courier", sidecar=True, command=("/ko-app/shop", "--podcov-courier", "serve"))
    assert next(iter(looked)).words == ("/ko-app/shop", "--podcov-courier")


def test_what_the_sidecar_runs_is_called_and_nothing_else() -> None:
    looked = search(go("/cnb/process/web"), "podcov-courier", sidecar=True, command=("/app", "--podcov-courier", "serve"))
    assert looked.rule_out(next(iter(looked)), NO_PROGRAM)
    assert list(looked) == []


def test_a_sidecar_that_does_not_say_it_runs_the_configured_program_and_else_nothing() -> None:
    assert next(iter(search(go("/app"), "podcov-courier", sidecar=True))).words == ("/app", "--podcov-courier")
    nowhere = search(go(), "podcov-courier", sidecar=True)
    assert list(nowhere) == []
    assert "`binary`" in nowhere.reason


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome(2, b"", "flag provided but not defined: -podcov-courier\nUsage of /app:\n"),
        Outcome(0, b"usage: app [options]\n", ""),
        Outcome(1, b"", "listen tcp :8080: bind: address already in use"),
    ],
)
def test_a_program_without_podcov_is_no_courier(outcome: Outcome) -> None:
    looked = search(go("/app"), "podcov-courier", sidecar=True)
    assert looked.rule_out(next(iter(looked)), outcome)
    assert list(looked) == []
    assert "coverage profile" in looked.reason


def test_a_program_that_is_not_there_is_named() -> None:
    looked = search(go("/app"), "podcov-courier", sidecar=True)
    assert looked.rule_out(next(iter(looked)), NO_PROGRAM)
    assert "`binary`" in looked.reason
    assert "/app is not in the image" in looked.reason


@pytest.mark.parametrize(("exit_code", "signal"), [(137, 9), (143, 15), (0, 0), (1, 0), (128, 0), (255, 0), (None, 0)])
def test_a_command_that_was_killed_is_told_from_one_that_failed(exit_code: int | None, signal: int) -> None:
    assert Outcome(exit_code, b"", "").signal == signal


@pytest.mark.parametrize(
    ("service", "outcome"),
    [
        (python(), Outcome(0, b"{}", "")),
        (python(), Outcome(1, b"", "podcov: the data volume is not there")),
        (python(), Outcome(2, b"", "usage: podcov_courier.py")),
        (python(), Outcome(None, b"", "container is not running")),
        (python(), Outcome(137, b"", "")),
        (go("/app"), Outcome(0, b'{"protocol":1}', "")),
        (go("/app"), Outcome(0, b"podcov-bundle 1 2\n{}", "")),
        (go("/app"), Outcome(1, b"", "podcov courier: pull: the data volume is not there")),
        (go("/app"), Outcome(None, b"", "container is not running")),
        (go("/app"), Outcome(137, b"", "")),
    ],
)
def test_what_the_courier_itself_says_rules_nothing_out(service: Service, outcome: Outcome) -> None:
    looked = search(service, "app", sidecar=True, command=("/app", "--podcov-courier", "serve"))
    assert not looked.rule_out(next(iter(looked)), outcome)
