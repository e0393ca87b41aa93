"""What each process of a container pays at its start: `python -c pass` plain, under podcov and under coverage.py."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from interpreters import Interpreter
from peers import Peer, check_recorded, of_starts
from side_by_side import Column, Comparison, Sample, added, arguments, by_turns, chosen, compare, positive, run, times

COLUMNS = (
    Column("milliseconds_added", "added ms", added("milliseconds"), digits=1),
    Column("time", "time, times plain", times("milliseconds")),
    Column("cpu", "CPU, times plain", times("cpu")),
    Column("memory", "memory, times plain", times("memory")),
)
PRINT_PEAK_MEMORY = "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"


def main() -> None:
    parser = arguments(__doc__ or "", rounds=10)
    parser.add_argument("--starts", type=positive, default=20, help="starts of each peer in a round, of which the median counts")
    options = parser.parse_args()

    def measure(interpreter: Interpreter) -> Iterator[tuple[str, Comparison]]:
        with tempfile.TemporaryDirectory(prefix="podcov-startup-") as scratch:
            peers = chosen(of_starts(interpreter, Path(scratch)), options.peer)
            measures = {peer.name: partial(_sample, peer, options.starts) for peer in peers}
            samples = by_turns(measures, options.rounds)
            check_recorded(peers)
            yield "python -c pass", compare(samples, COLUMNS)

    run(options, COLUMNS, measure)


def _sample(peer: Peer, starts: int) -> Sample:
    """Memory is asked for inside: what the kernel tells the parent is never below the parent's own, which a spawn begins with."""
    took = [_start(peer) for _ in range(starts)]
    return {
        "milliseconds": statistics.median(milliseconds for milliseconds, _ in took),
        "cpu": statistics.median(cpu for _, cpu in took),
        "memory": _peak_memory(peer),
    }


def _start(peer: Peer) -> tuple[float, float]:
    """Start to end of one process in milliseconds, and the CPU time that it took."""
    began = time.perf_counter()
    pid = os.posix_spawn(peer.python, [str(peer.python), "-c", "pass"], peer.environment)
    _, status, usage = os.wait4(pid, 0)
    milliseconds = (time.perf_counter() - began) * 1000
    if status:
        sys.exit(f"{peer.name}: python -c pass ended with exit code {os.waitstatus_to_exitcode(status)}")
    return milliseconds, (usage.ru_utime + usage.ru_stime) * 1000


def _peak_memory(peer: Peer) -> int:
    """In KiB."""
    command: Sequence[str] = [str(peer.python), "-c", PRINT_PEAK_MEMORY]
    return int(subprocess.run(command, env=peer.environment, capture_output=True, check=True).stdout)


if __name__ == "__main__":
    main()
