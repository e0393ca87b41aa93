"""Marks: each begins an epoch in a running program, and no block that runs meanwhile is lost or counted twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from podcov.formats import go_counters

FUNCTIONS = 2000
WORKERS = 4
PROCESSES = 5
HEAD = """// Every block of these functions runs once, at some moment of a second.
package main

import (
	"fmt"
	"os"
	"sync"
	"time"
)

func main() {
	fmt.Println("ready")
	var done sync.WaitGroup
	for worker := 0; worker < %d; worker++ {
		done.Add(1)
		go func(worker int) {
			defer done.Done()
			for i := worker; i < len(functions); i += %d {
				functions[i](len(os.Args))
				time.Sleep(time.Millisecond)
			}
		}(worker)
	}
	over := make(chan bool)
	hot := make(chan int)
	go spin(over, hot)
	done.Wait()
	close(over)
	fmt.Println(<-hot)
}

// spin says how often its loop ran.
func spin(over chan bool, hot chan int) {
	for n := 0; ; n++ {
		loop(n)
		select {
		case <-over:
			hot <- n + 1
			return
		default:
		}
	}
}

func loop(n int) {
	if n >= 0 {
		n++
	}
	n++
	if n >= 0 {
		n++
	}
	n++
	if n >= 0 {
		n++
	}
	n++
	if n >= 0 {
		n++
	}
}

var functions = []func(int){%s}
"""
FUNCTION = "func f{0}(n int) {{\n\tn++\n\tif n > 0 {{\n\t\tn--\n\t}}\n}}\n"
BLOCKS = 2
"""that run in each function"""
LOOP_BLOCKS = 8


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("load")
    names = ", ".join(f"f{i}" for i in range(FUNCTIONS))
    functions = "\n".join(FUNCTION.format(i) for i in range(FUNCTIONS))
    (folder / "go.mod").write_text("module example.com/load\n\ngo 1.20\n")
    (folder / "main.go").write_text(HEAD % (WORKERS, WORKERS, names) + functions)
    return folder


def counted(files: Any, blocks: int) -> Iterator[tuple[str, tuple[int, int, int], int]]:
    """(process, block, count) of the functions that have so many blocks."""
    for file in files:
        for segment in go_counters.parse(file.content, name=file.name).segments:
            for package, function, counters in segment.functions:
                if len(counters) == blocks:
                    for number, count in enumerate(counters):
                        yield file.process, (package, function, number), count


@pytest.mark.parametrize("mode", ["set", "count", "atomic"])
def test_marks_under_load_lose_nothing(source: Path, podcov_go: Any, container: Any, mode: str) -> None:
    pod = container(podcov_go.build(source / mode, "-cover", f"-covermode={mode}", ".", cwd=source))
    marks, loops = 0, 0
    for _ in range(PROCESSES):
        with pod.started() as process:
            assert process.stdout.readline() == "ready\n"
            while process.poll() is None:
                assert not [target.failures for target in pod.mark().targets if target.failures]
                marks += 1
            loops += int(process.stdout.read())
    pulled = pod.pull()
    counts: Counter[tuple[str, tuple[int, int, int]]] = Counter()
    for process_id, block, count in counted(pulled.counters, BLOCKS):
        counts[process_id, block] += count
    ran = {key for key, count in counts.items() if count}
    assert len(ran) == PROCESSES * FUNCTIONS * BLOCKS, f"{PROCESSES * FUNCTIONS * BLOCKS - len(ran)} are lost"
    assert marks > 2 * PROCESSES
    assert len(pulled.epochs()) > PROCESSES
    if mode == "atomic":
        assert set(counts.values()) == {1}
        assert sum(count for _, _, count in counted(pulled.counters, LOOP_BLOCKS)) == loops * LOOP_BLOCKS


STEPS = """package main

import (
	"bufio"
	"fmt"
	"os"
)

func one() { fmt.Println("one") }
func two() { fmt.Println("two") }

func main() {
	fmt.Println("ready")
	for input := bufio.NewScanner(os.Stdin); input.Scan(); {
		switch input.Text() {
		case "one":
			one()
		case "two":
			two()
		}
	}
}
"""


@pytest.fixture(scope="module")
def steps(podcov_go: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("steps")
    (folder / "go.mod").write_text("module example.com/steps\n\ngo 1.20\n")
    (folder / "main.go").write_text(STEPS)
    return podcov_go.build(folder / "steps", "-cover", ".", cwd=folder)  # type: ignore[no-any-return]


def tell(process: Any, line: str) -> None:
    process.stdin.write(line + "\n")
    process.stdin.flush()
    assert process.stdout.readline() == line + "\n"


def ran(pod: Any, *epochs: int) -> set[int]:
    """The lines at which blocks begin that ran in these epochs."""
    return {int(block.split(":")[1].split(".")[0]) for block, yes in pod.blocks(*epochs).items() if yes}


LINE_OF_MAIN, ONE, TWO = 12, 9, 10


def test_an_epoch_holds_what_ran_in_it_and_nothing_else(steps: Path, container: Any) -> None:
    pod = container(steps)
    with pod.started() as process:
        assert process.stdout.readline() == "ready\n"
        tell(process, "one")
        (target,) = pod.mark("first").targets
        assert (target.epoch, [p.state for p in target.processes]) == (1, ["acknowledged"])
        tell(process, "two")
        assert pod.mark("second").targets[0].epoch == 2
        tell(process, "one")
        tell(process, "two")
        assert {ONE, LINE_OF_MAIN} <= ran(pod, 0)
        assert TWO not in ran(pod, 0)
        assert TWO in ran(pod, 1)
        assert not {ONE, LINE_OF_MAIN} & ran(pod, 1)
        assert {ONE, TWO} <= ran(pod, 2)
        (status,) = pod.status().targets
        assert (status.processes[0].epochs, [(e.number, e.run) for e in status.epochs]) == (
            (0, 1, 2),
            [(1, "first"), (2, "second")],
        )


def test_a_process_that_begins_after_a_mark_begins_in_that_epoch(steps: Path, container: Any) -> None:
    pod = container(steps)
    pod.run()
    pod.mark()
    pod.run()
    assert [process.epochs for process in pod.status().targets[0].processes] == [(0,), (1,)]
    assert pod.pull().epochs() == {0, 1}


def test_what_a_dead_process_ran_stays_in_its_epoch(steps: Path, container: Any) -> None:
    pod = container(steps)
    with pod.started() as process:
        assert process.stdout.readline() == "ready\n"
        tell(process, "one")
        process.kill()
        process.wait(30)
    (target,) = pod.mark().targets
    assert [p.state for p in target.processes] == ["gone"]
    assert ONE in ran(pod, 0)
    assert not ran(pod, 1)
