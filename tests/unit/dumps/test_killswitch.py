"""Test binaries in a restart loop: each life's profile is kept and counted once, and the service serves again afterwards."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from podcov.config import Dump, Service
from podcov.dumps.killswitch import is_complete, parse_sockets
from podcov.formats.courier import status_of

SOURCE = (Path(__file__).parent / "programs" / "killswitch" / "main.go").read_text().splitlines()
ONE = next(n for n, line in enumerate(SOURCE, 1) if line.startswith("func one("))
TWO = next(n for n, line in enumerate(SOURCE, 1) if line.startswith("func two("))
LOOP = 'while "$0" -test.coverprofile=cover.out "$@"; do :; done'
KEEPING = 'n=0; while "$0" -test.coverprofile=cover.out "$@"; do mv cover.out cover.out.$n; n=$((n + 1)); done'
"""as podcov's sidecar has it"""


@pytest.fixture(scope="session")
def ended(build: Callable[..., Path]) -> Path:
    return build("killswitch", "test", "-c", "-cover", "-covermode=count", "-coverpkg=./...")


@pytest.fixture(params=[False, True], ids=["overwritten", "kept"])
def app(
    request: pytest.FixtureRequest, ended: Path, tmp_path: Path, free_ports: Callable, make_pod: Callable, wait_until: Callable
) -> Iterator:
    serves, killswitch = free_ports(2)
    service = Service("ended", language="go", dump=Dump("killswitch", folder=str(tmp_path), port=killswitch))
    script = f"cd {tmp_path} && {KEEPING if request.param else LOOP}"
    environment = {"SERVES": str(serves), "KILLSWITCH": str(killswitch)}
    pod = make_pod(service, ["sh", "-c", script, str(ended)], environment, kept=request.param, ports=(serves, killswitch))
    pod.begin()
    pod.get_page = lambda path: urllib.request.urlopen(f"http://127.0.0.1:{serves}{path}", timeout=5).read()
    wait_until(lambda: serves_on(pod), what="it serves")
    return pod


def serves_on(pod: Any) -> bool:
    try:
        pod.get_page("/healthz")
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def test_what_ran_is_handed_over_and_it_serves_again(app: Any, tmp_path: Path) -> None:
    app.mark()
    app.get_page("/one")
    assert not app.dump().targets[0].failures
    app.get_page("/two")  # it serves at once
    pulled = app.pull()
    ran = pulled.ran(tmp_path, 0, 1)
    assert (ONE in ran, TWO in ran) == (True, False)


def test_each_run_has_its_own(app: Any, tmp_path: Path) -> None:
    app.mark("first")
    app.get_page("/one")
    app.dump()
    app.mark("second")
    app.get_page("/two")
    app.dump()
    ran = app.pull().ran(tmp_path, 2)
    assert (ONE in ran, TWO in ran) == (False, True)


def test_what_anybody_does_between_two_runs_is_of_neither(app: Any, tmp_path: Path) -> None:
    app.mark("first")
    app.dump()
    app.get_page("/one")
    app.mark("second")
    app.get_page("/two")
    app.dump()
    ran = app.pull().ran(tmp_path, 0, 2)
    assert (ONE in ran, TWO in ran) == (False, True)


def test_lives_that_another_run_counted_are_neither_expected_nor_moved(app: Any) -> None:
    app.mark("first")
    app.dump()
    app.__post_init__()  # as another machine
    app.reads.clear()
    app.mark("second")
    app.dump()
    pulled = app.pull()
    assert {process.alive for process in pulled.status.targets[0].processes} == {False}
    assert [file.epoch for file in pulled.counters()] == [2]


def test_each_set_of_tests_of_a_run_is_apart(app: Any, tmp_path: Path) -> None:
    app.mark(label="first")
    app.get_page("/one")
    app.mark(label="second")
    app.get_page("/two")
    app.dump()
    ran = app.pull().ran(tmp_path, 2)
    assert (ONE in ran, TWO in ran) == (False, True)


def test_a_mark_that_is_repeated_ends_nobody(app: Any) -> None:
    app.mark()
    app.mark()
    assert not app.pull().counters()


def test_a_pod_that_is_told_to_end_is_asked_once_more(app: Any, tmp_path: Path) -> None:
    """Its loop goes on until it is killed, and with it what it started again."""
    app.mark()
    app.get_page("/one")
    app.deleted = True
    app.dump()
    app.end(kill=True)
    pulled = app.pull()
    assert ONE in pulled.ran(tmp_path, 0, 1)
    assert [process.ended for process in status_of(pulled.bundle.manifest).targets[0].processes] == [True]


def test_one_that_has_ended_is_not_waited_for(app: Any) -> None:
    app.mark()
    app.deleted = True
    app.get = refused_at_last(app)
    assert app.said("dump", "60").targets[0].failures == {}
    assert [process.ended for process in status_of(app.pull().bundle.manifest).targets[0].processes] == [False]


def refused_at_last(app: Any) -> Callable[..., Any]:
    """It ends of something else at the moment that it is asked."""

    async def get(*_: Any) -> str:
        app.end(kill=True)
        return "closed"

    return get


def test_a_port_where_nobody_listens_is_named(app: Any) -> None:
    app.ports = app.ports[:1]
    [reason] = app.dump().targets[0].failures.values()
    assert f"nobody listens on port {app.service.dump.port} for the killswitch" in reason


def test_an_end_without_a_profile_is_told(app: Any) -> None:
    app.mark()
    app.end(kill=True)
    [process] = app.pull().status.targets[0].processes
    assert (process.alive, process.ended) == (False, False)


def test_listening_sockets_are_told_from_connections() -> None:
    table = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:4E1F 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 8544922 1 00000000124d4f36 100 0 0 10 0
   1: 0100007F:4E1F 0100007F:A1B2 01 00000000:00000000 00:00000000 00000000     0        0 8544923 1 00000000124d4f36 100 0 0 10 0
   2: 00000000000000000000000000000000:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 0 0 0 77 1 0
"""
    assert parse_sockets(table) == [(19999, 8544922), (8080, 77)]


@pytest.mark.parametrize("content", [b"", b"mode: count", b"mode: count\nmain.go:1.1,2.2 1"])
def test_a_profile_that_is_still_written_is_not_taken(content: bytes) -> None:
    assert not is_complete(content)


def test_who_was_started_again_and_not_asked_yet_owes_nothing(app: Any) -> None:
    app.mark()
    app.dump()
    app.end(kill=True)
    app.begin()
    *_, began = app.pull().status.targets
    [process] = began.processes
    assert process.start is not None
    assert (process.alive, process.start.recording) == (True, None)
