"""What coverage costs a running service: the shop's services plain, under podcov and under `coverage run`, equally loaded."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from interpreters import Interpreter
from peers import Peer, check_recorded, of_services
from services import SCENARIOS, Deployment, Scenario, deployed, load
from side_by_side import Column, Comparison, Sample, arguments, by_turns, chosen, compare, kept, positive, run, times

COLUMNS = (
    Column("throughput_kept", "throughput kept", kept("seconds")),
    Column("cpu", "CPU a request, times plain", times("cpu")),
    Column("memory", "memory, times plain", times("memory")),
)


def main() -> None:
    parser = arguments(__doc__ or "", rounds=10)
    parser.add_argument("--requests", type=positive, default=2000, help="requests to each peer in a round")
    names = [scenario.name for scenario in SCENARIOS]
    parser.add_argument("--scenario", action="append", choices=names, help="only these services; repeatable (default: all)")
    options = parser.parse_args()

    def measure(interpreter: Interpreter) -> Iterator[tuple[str, Comparison]]:
        with tempfile.TemporaryDirectory(prefix="podcov-throughput-") as scratch:
            peers = chosen(of_services(interpreter, Path(scratch)), options.peer)
            for scenario in SCENARIOS:
                if scenario.name in (options.scenario or names):
                    samples = _samples(scenario, peers, Path(scratch), rounds=options.rounds, requests=options.requests)
                    check_recorded(peers)
                    yield scenario.name, compare(samples, COLUMNS)

    run(options, COLUMNS, measure)


def _samples(scenario: Scenario, peers: list[Peer], scratch: Path, *, rounds: int, requests: int) -> dict[str, list[Sample]]:
    """All peers are up all the time, and each is loaded when it has its turn; the others wait meanwhile."""
    with contextlib.ExitStack() as up:
        deployments = {peer.name: up.enter_context(deployed(scenario, peer, scratch)) for peer in peers}
        return by_turns({name: partial(_sample, deployment, requests) for name, deployment in deployments.items()}, rounds)


def _sample(deployment: Deployment, requests: int) -> Sample:
    before = deployment.cpu_seconds()
    seconds = load(deployment, requests)
    return {"seconds": seconds, "cpu": deployment.cpu_seconds() - before, "memory": deployment.peak_memory()}


if __name__ == "__main__":
    main()
