"""Services with a signal handler of their own: what they write is whole, sets of tests are apart, every silence is explained."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from podcov import languages, signals
from podcov.dumps.folders import WHOLE_SECOND
from podcov.dumps.metas import Metas
from podcov.formats.records import parse_target
from podcov.languages import Target
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


def start_again(app: Any, wait_until: Callable) -> None:
    """As a kubelet does, which does not tell what happens in the same second apart."""
    app.end(kill=True)
    ended = time.time()
    app.begin()
    app.says("ready")
    wait_until(lambda: time.time() > ended + WHOLE_SECOND, what="a second passes")


def test_a_container_that_was_started_again_between_two_runs_has_its_start_up(
    asked: Path, pod: Callable, tmp_path: Path, wait_until: Callable
) -> None:
    app = pod(asked)
    app.mark("one")
    app.dump()
    start_up = app.pull().ran(tmp_path, 0)
    start_again(app, wait_until)
    app.__post_init__()  # as another machine
    app.mark("two")
    app.do("two")
    app.dump()
    pulled = app.pull()
    assert start_up <= pulled.ran(tmp_path, 0, start=1)
    assert TWO in pulled.ran(tmp_path, 2, start=1)
    assert [[e.run for e in target.epochs] for target in pulled.status.targets] == [["one", "two"], ["two"]]


def test_what_a_container_ran_that_was_started_again_meanwhile_is_of_the_run(
    asked: Path, pod: Callable, tmp_path: Path, wait_until: Callable
) -> None:
    app = pod(asked)
    app.mark("one")
    start_again(app, wait_until)
    app.do("one")
    app.mark("one")  # as the collector does, which sees it start
    app.do("two")
    app.dump()
    pulled = app.pull()
    assert pulled.status.targets[1].epoch == 2
    unmarked, marked = (pulled.ran(tmp_path, epoch, start=1) for epoch in (0, 2))
    assert (ONE in unmarked, TWO in unmarked) == (True, False)
    assert (ONE in marked, TWO in marked) == (False, True)


def test_who_is_killed_after_somebody_else_asked_it_has_lost_what_it_ran_since(
    asked: Path, pod: Callable, wait_until: Callable
) -> None:
    app = pod(asked)
    app.mark()
    app.do("one")
    files = len(list(app.folder.glob("covcounters.*")))
    app.process.send_signal(signal.SIGUSR1)
    wait_until(lambda: len(list(app.folder.glob("covcounters.*"))) > files, what="it writes")
    written = time.time()
    app.do("two")
    wait_until(lambda: time.time() > written + 2 * WHOLE_SECOND, what="seconds pass")
    app.end(kill=True)
    [process] = app.pull().status.targets[0].processes
    assert (process.alive, process.ended) == (False, False)


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


def test_where_another_folder_is_meant_no_other_build_is_advised(asked: Path, pod: Callable) -> None:
    app = pod(asked, GOCOVERDIR="/elsewhere")
    app.mark()
    pulled = app.pull()
    target = Target("ns/pod/app", parse_target(pulled.files()), {}, pulled.files())
    [seen] = languages.of("go").observe(target, (0, 1), lambda _: None).values()
    assert seen.slug == ""
    [start] = [process.start for process in target.records.processes]
    assert start is not None
    assert start.reason == "its GOCOVERDIR is /elsewhere: write that as `services.asked.dump.folder`"


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


def test_a_program_that_ends_of_the_signal_is_ended_once_and_the_ledger_says_so(asked: Path, pod: Callable) -> None:
    app = pod(asked, signal="TERM", again=True)  # which nobody has a program begin without, as nohup does with HUP
    answers = app.mark()
    reason = next(iter(answers.targets[0].failures.values()))
    assert reason.startswith("it ended of SIGTERM: it has no handler for it; write the signal that its handler waits for")
    app.mark()
    [spared] = app.dump().targets[-1].failures.values()
    assert spared == "it was not sent SIGTERM, because the one before it ended of that"
    assert len(app.life) == 2
    ended, running = app.pull().status.targets
    assert [[process.alive for process in target.processes] for target in (ended, running)] == [[False], [True]]
    assert set(answers.targets[0].failures) == {process.id for process in ended.processes}
    assert app.life[0].finished is not None
    assert min(epoch.time for epoch in ended.epochs) / 1e9 <= app.life[0].finished


def test_a_program_that_ends_in_its_handler_and_wrote_before_is_not_reproached(asked: Path, pod: Callable) -> None:
    app = pod(asked, handler="end", again=True)
    answers = app.dump()
    assert not any(target.failures for target in answers.targets)


def test_every_signal_is_known_by_linux_own_number() -> None:
    assert all(number == getattr(signal, f"SIG{name}") for name, number in signals.NUMBERS.items())
    named = schema("podcov-yaml-1")["$defs"]["service"]["properties"]["dump"]["properties"]["signal"]
    assert all(re.search(named["pattern"], f"{before}{name}") for name in signals.NUMBERS for before in ("", "SIG"))
    numbers = (str(number) for number in range(1, signals.LAST + 1))
    assert all(re.search(named["pattern"], number) for number in numbers)
    assert named["maximum"] == signals.LAST


def test_gos_own_table_says_which_signals_end_a_program_and_which_it_cannot_wait_for(
    build: Callable[..., Path],
) -> None:
    root = subprocess.run(["go", "env", "GOROOT"], capture_output=True, text=True, check=True).stdout.strip()
    table = (Path(root) / "src/runtime/sigtab_linux_generic.go").read_text()
    flags = {signals.named(number): said for number, said in re.findall(r"/\* (\d+) \*/ \{([^,]*),", table) if number != "0"}
    assert len(flags) == signals.LAST
    assert {name for name, said in flags.items() if "_SigNotify" not in said} == signals.NOT_FOR_GO
    ends = {name for name, said in flags.items() if "_SigKill" in said or "_SigThrow" in said}
    assert ends - signals.NOT_FOR_GO == signals.ENDS_GO
