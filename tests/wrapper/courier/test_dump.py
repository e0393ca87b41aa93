"""A dump says of every process whether its records hold everything."""

from __future__ import annotations

import os
import signal
from typing import Any

APP = 'import sys\nprint("up", flush=True)\nfor line in sys.stdin:\n    later = line\n    print("done", flush=True)\n'


def states(answer: Any) -> set[tuple[str, str]]:
    return {(process.state, process.reason) for process in answer.processes}


def test_what_is_mapped_is_complete_without_being_asked(pods: Any, couriers: Any) -> None:
    pod = pods("3.13")
    courier = couriers(pod.data)
    with pod.started(pod.write("app.py", APP)) as process:
        process.stdout.readline()
        os.kill(process.pid, signal.SIGSTOP)
        assert states(courier.dumped()) == {("complete", "")}
        process.kill()
        process.wait()
    assert states(courier.dumped()) == {("complete", "")}


def test_what_is_saved_is_saved_when_asked(pods: Any, couriers: Any) -> None:
    pod = pods("3.11", PODCOV_SAVE_INTERVAL="1000")
    courier = couriers(pod.data)
    with pod.started(pod.write("app.py", APP)) as process:
        process.stdout.readline()
        process.stdin.write("x\n")
        process.stdin.flush()
        process.stdout.readline()
        assert states(courier.dumped()) == {("complete", "")}
        assert {1, 2, 3, 4, 5} <= pod.lines("app.py")
        process.kill()
        process.wait()
    assert states(courier.dumped()) == {("bounded", "it ended without a last save: at most its last 1000 s are missing")}


def test_what_was_saved_at_the_end_is_complete(pods: Any, couriers: Any) -> None:
    pod = pods("3.11")
    pod.check(pod.write("app.py", "x = 1\n"))
    assert states(couriers(pod.data).dumped()) == {("complete", "")}


def test_a_process_that_does_not_save_is_named(courier: Any, fake: Any) -> None:
    process = fake("answers", recording="saved", save_interval=2)
    refusing = fake("refuses", recording="saved", save_interval=2)
    babbling = fake("talks-nonsense", recording="saved", save_interval=2)
    os.kill(process.process.pid, signal.SIGSTOP)
    assert courier.dumped("0.5").failures == {
        process.id: "did not answer within 0.5 s: is it stopped, or busy in C code that keeps the GIL?",
        refusing.id: "the table is gone",
        babbling.id: "answered b'ok source many'",
    }
