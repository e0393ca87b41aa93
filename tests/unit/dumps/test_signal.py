"""Services with a signal handler of their own: what they write is whole, sets of tests are apart, every silence is explained."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from podcov.dumps.metas import Metas
from podcov.dumps.signal import NUMBERS
from podcov.schemas import schema

ATOMIC = ("build", "-cover", "-covermode=atomic")
SOURCE = (Path(__file__).parent / "programs" / "signal" / "main.go").read_text().splitlines()
ONE = next(n for n, line in enumerate(SOURCE, 1) if line.startswith("func one()"))
TWO = next(n for n, line in enumerate(SOURCE, 1) if line.startswith("func two()"))


@pytest.fixture(scope="session")
def asked(build: Callable[..., Path]) -> Path:
    return build("signal", *ATOMIC)


def test_each_set_of_tests_is_apart(asked: Path, pod: Callable, tmp_path: Path) -> None:
    app = pod(asked)
    app.mark(label="first")
    app.do("one")
    app.mark(label="second")
    app.do("two")
    app.dump()
    pulled = app.pull()
    assert pulled.status.targets[0].epoch == 2
    assert [(e.number, e.label) for e in pulled.status.targets[0].epochs] == [(1, "first"), (2, "second")]
    start_up, first, second = (pulled.ran(tmp_path, epoch) for epoch in (0, 1, 2))
    assert min(start_up) < ONE
    assert (ONE in first, TWO in first) == (True, False)
    assert (ONE in second, TWO in second) == (False, True)
    process = pulled.status.targets[0].processes[0]
    assert process.start is not None
    assert (process.alive, process.start.recording, process.start.language) == (True, "dumped", "go")


def test_its_own_files_stay_where_they_are(asked: Path, pod: Callable) -> None:
    app = pod(asked)
    app.mark()
    app.do("one")
    app.dump()
    app.pull()
    assert len(list(app.folder.glob("covcounters.*"))) == 2
    assert len(list(app.folder.glob("covmeta.*"))) == 1


def test_a_clean_end_is_told_from_a_kill(asked: Path, pod: Callable, tmp_path: Path) -> None:
    app = pod(asked)
    app.mark()
    app.do("one")
    app.end()
    app.begin()
    app.says("ready")
    app.dump()
    app.do("two")
    app.end(kill=True)
    pulled = app.pull()
    clean, killed = (target.processes[0] for target in pulled.status.targets)
    assert (clean.alive, clean.ended) == (False, True)
    assert (killed.alive, killed.ended) == (False, False)
    assert ONE in pulled.ran(tmp_path, 1)
    assert TWO not in pulled.ran(tmp_path, 1, start=1)


def test_meta_data_are_moved_once_a_build(asked: Path, pod: Callable) -> None:
    metas = Metas()
    pods = [pod(asked, metas=metas) for _ in range(2)]
    for one in pods:
        one.dump()
        assert one.pull().sources
    assert sum(name.startswith("covmeta") for one in pods for name in one.reads) == 1


def test_counters_are_moved_once(asked: Path, pod: Callable) -> None:
    app = pod(asked)
    app.mark()
    app.pull()
    app.reads.clear()
    app.pull()
    assert not [name for name in app.reads if name.startswith("covcounters")]


def test_another_machine_goes_on(asked: Path, pod: Callable) -> None:
    app = pod(asked)
    app.mark("one")
    app.__post_init__()
    app.mark("two")
    assert [e.run for e in app.pull().status.targets[0].epochs] == ["one", "two"]


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        (ATOMIC, {"handler": "none"}, "no process of the container handles SIGUSR1|has the program a handler"),
        (ATOMIC, {"GOCOVERDIR": ""}, "GOCOVERDIR is not set in its environment"),
        (ATOMIC, {"GOCOVERDIR": "/elsewhere"}, "its GOCOVERDIR is /elsewhere"),
        (("build",), {}, "was built without -cover"),
        (
            ("build", "-cover", "-covermode=count"),
            {},
            "-covermode=count, and Go writes counters of a program that runs in mode atomic",
        ),
    ],
    ids=["no handler", "no GOCOVERDIR", "another GOCOVERDIR", "no -cover", "no atomic mode"],
)
def test_silence_is_explained(
    build: Callable[..., Path], pod: Callable, arguments: tuple[str, ...], environment: dict[str, str], said: str
) -> None:
    app = pod(build("signal", *arguments), **environment)
    [failure] = app.dump().targets[0].failures.values()
    assert any(part in failure for part in said.split("|")), failure


def test_a_binary_without_cover_is_unsupported(build: Callable[..., Path], pod: Callable) -> None:
    app = pod(build("signal", "build"))
    app.mark()
    [process] = app.pull().status.targets[0].processes
    assert process.start is not None
    assert process.start.state == "unsupported"
    assert "built without -cover" in (process.start.reason or "")


def test_a_folder_that_is_missing_is_named(asked: Path, pod: Callable) -> None:
    app = pod(asked)
    for file in app.folder.iterdir():
        file.unlink()
    app.folder.rmdir()
    answer = app.ask("dump", "1")
    assert b"cannot be written to (Permission denied)" in answer.stdout


def test_who_has_the_folder_is_meant_where_nobody_is_named(asked: Path, pod: Callable) -> None:
    """The container's first process, a shell perhaps, would end of the signal."""
    app = pod(asked, named="")
    assert not app.dump().targets[0].failures


def test_every_signal_that_podcov_yaml_may_name_is_known_by_linux_own_number() -> None:
    named = schema("podcov-yaml-1")["$defs"]["service"]["properties"]["dump"]["properties"]["signal"]["enum"]
    assert set(named) == set(NUMBERS)
    assert all(NUMBERS[name] == getattr(signal, f"SIG{name}") for name in NUMBERS)
