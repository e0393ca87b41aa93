"""A mark begins an epoch everywhere, and says what became of it in each process."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

COUNTING = """\
import sys

def step(line):
    return line

for line in sys.stdin:
    if "later" in line:
        later = True
    print(step(line), end="", flush=True)
"""

MANY = """\
import os, sys, signal

for number in range(int(sys.argv[1])):
    if not os.fork():
        work = number
        signal.pause()
print("forked", flush=True)
sys.stdin.read()
os.killpg(0, signal.SIGKILL)
"""


def states(answer: Any) -> dict[str, str]:
    return {process.id: process.state for process in answer.processes}


def reason(answer: Any) -> str:
    (process,) = answer.processes
    return str(process.reason)


@pytest.fixture
def talk() -> Callable[..., None]:
    def say(process: Any, line: str) -> None:
        process.stdin.write(line + "\n")
        process.stdin.flush()
        assert process.stdout.readline() == line + "\n"

    return say


def test_what_runs_after_a_mark_is_in_the_new_epoch(mapped_pod: Any, couriers: Any, talk: Any) -> None:
    program = mapped_pod.write("app.py", COUNTING)
    courier = couriers(mapped_pod.data)
    with mapped_pod.started(program) as process:
        talk(process, "first")
        answer = courier.marked()
        assert answer.epoch == 1
        assert set(states(answer).values()) == {"acknowledged"}
        talk(process, "later")
    assert mapped_pod.lines("app.py", [0]) == {1, 3, 4, 6, 7, 9}
    waits_for_input = {6}  # may have begun before the mark
    assert mapped_pod.lines("app.py", [1]) | waits_for_input == {4, 6, 7, 8, 9}


def test_every_mark_begins_an_epoch_of_its_own(pods: Any, couriers: Any, talk: Any) -> None:
    pod = pods("3.13")
    courier = couriers(pod.data)
    with pod.started(pod.write("app.py", COUNTING)) as process:
        talk(process, "first")
        before = time.time_ns()
        assert [courier.marked().epoch for _ in range(3)] == [1, 2, 3]
        (target,) = courier.status().targets
    assert [(epoch.number, epoch.run) for epoch in target.epochs] == [(1, "run"), (2, "run"), (3, "run")]
    assert all(before < epoch.time < time.time_ns() for epoch in target.epochs)
    assert target.processes[0].epochs == (0, 1, 2, 3)


def test_a_process_that_begins_later_begins_in_the_epoch(pods: Any, couriers: Any) -> None:
    pod = pods("3.13")
    courier = couriers(pod.data)
    program = pod.write("app.py", "x = 1\n")
    pod.check(program)
    courier.mark()
    pod.check(program)
    assert sorted(tuple(process.epochs) for process in pod.processes()) == [(0,), (1,)]


def test_hundreds_of_processes_acknowledge(pods: Any, couriers: Any) -> None:
    pod = pods("3.13")
    with pod.started(pod.write("app.py", MANY), "300", start_new_session=True) as process:
        assert process.stdout.readline() == "forked\n"
        answer = couriers(pod.data).marked()
        assert len(answer.processes) == 301
        assert set(states(answer).values()) == {"acknowledged"}
        process.stdin.close()
        process.wait()
        assert set(states(couriers(pod.data).marked()).values()) == {"gone"}


def test_processes_that_do_not_answer_are_named_and_keep_nobody_waiting(pods: Any, couriers: Any, wait_until: Any) -> None:
    pod = pods("3.13")
    with pod.started(pod.write("app.py", MANY), "20", start_new_session=True) as process:
        assert process.stdout.readline() == "forked\n"
        wait_until(lambda: len(list(pod.target.glob("*.sock"))) == 21, what="20 children listen")
        children = [p for p in pod.processes() if p.start.parent]
        for child in children[:15]:
            os.kill(child.start.pid, signal.SIGSTOP)
        answer = couriers(pod.data).marked("1")
        process.stdin.close()
        process.wait()
    assert set(answer.failures) == {child.id for child in children[:15]}
    assert set(answer.failures.values()) == {"did not answer within 1 s: is it stopped, or busy in C code that keeps the GIL?"}
    assert list(states(answer).values()).count("acknowledged") == 6


def test_a_dead_process_has_nothing_to_mark(pods: Any, couriers: Any) -> None:
    pod = pods("3.13")
    with pod.started(pod.write("app.py", COUNTING)) as process:
        process.stdin.write("x\n")
        process.stdin.flush()
        process.stdout.readline()
        process.kill()
        process.wait()
    assert set(states(couriers(pod.data).marked()).values()) == {"gone"}


def test_all_targets_of_a_volume_count_together(courier: Any, fake: Any) -> None:
    fake("answers", start="one")
    courier.mark("r1")
    fake("answers", start="two")
    fake("answers", container="other")
    answers = courier.mark("r2")
    assert {target.name: target.epoch for target in answers.targets} == {"app/one": 2, "app/two": 2, "other/one": 2}
    epochs = {target.name: [epoch.run for epoch in target.epochs] for target in courier.status().targets}
    assert epochs == {"app/one": ["r1", "r2"], "app/two": ["r2"], "other/one": ["r2"]}


def test_a_process_that_does_not_listen_yet_is_waited_for(courier: Any, fake: Any) -> None:
    fake("listens-late")
    assert set(states(courier.marked()).values()) == {"acknowledged"}


def test_a_process_that_hung_up_is_asked_again(courier: Any, fake: Any) -> None:
    fake("hangs-up-twice")
    assert set(states(courier.marked()).values()) == {"acknowledged"}


def test_a_process_that_refuses_is_named_with_its_own_words(courier: Any, fake: Any) -> None:
    process = fake("refuses")
    assert courier.marked().failures == {process.id: "the table is gone"}


def test_a_living_process_without_a_socket_is_a_failure(couriers: Any, tmp_path: Path, fake: Any) -> None:
    inside = couriers(tmp_path / "data", container="app", start="one")
    process = fake("has-no-socket", time=0)
    assert inside.marked().failures == {process.id: "it runs and has no socket"}
    process.process.kill()
    process.process.wait()
    assert states(inside.marked()) == {process.id: "gone"}


def test_processes_that_do_not_record_are_not_asked(courier: Any, fake: Any) -> None:
    fake("has-no-socket", state="unsupported", reason="too old")
    assert courier.marked().processes == ()


def test_a_run_and_a_label_cannot_break_the_list_of_epochs(courier: Any, fake: Any) -> None:
    fake("answers")
    courier.mark("a\trun", "two\nlines\u2028three")
    (epoch,) = courier.target().epochs
    assert (epoch.run, epoch.label) == ("a run", "two lines three")


def test_a_line_of_epochs_that_was_cut_off_spoils_no_other(courier: Any, fake: Any) -> None:
    fake("answers")
    courier.mark("r1")
    epochs = courier.data / "targets" / "app" / "one" / "epochs"
    with epochs.open("ab") as file:
        file.write(b"2\tr")
    courier.mark("r2")
    assert [(epoch.number, epoch.run) for epoch in courier.target().epochs] == [(1, "r1"), (2, "r2")]


def test_epochs_go_on_where_the_file_of_the_current_one_is_damaged(courier: Any, fake: Any) -> None:
    fake("answers")
    courier.mark()
    (courier.data / "targets" / "app" / "one" / "epoch").write_text("x")
    assert courier.marked().epoch == 2


def test_every_user_may_read_and_replace_what_a_mark_wrote(courier: Any, fake: Any) -> None:
    fake("answers")
    courier.mark()
    folder = courier.data / "targets" / "app" / "one"
    assert {name: (folder / name).stat().st_mode & 0o777 for name in ("epoch", "epochs")} == {"epoch": 0o666, "epochs": 0o666}
