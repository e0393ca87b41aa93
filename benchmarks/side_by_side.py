"""Measures peers by turns, and compares each with `plain` of the same round: what is printed are ratios, never times alone.

Whatever else the machine does in a round, it does to all peers of that round; the range over the rounds says how much that was.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from interpreters import Interpreter, prepare
from peers import PLAIN, Peer

SCHEMA = "podcov/benchmark/1"

Sample = Mapping[str, float]
"""What was measured of one peer in one round, by quantity."""


@dataclass(frozen=True, slots=True)
class Column:
    """One comparison. `compare` takes a peer's sample and plain's of the same round; `key` is its name in JSON."""

    key: str
    title: str
    compare: Callable[[Sample, Sample], float]
    digits: int = 2


@dataclass(frozen=True, slots=True)
class Spread:
    """The middle and the ends of one comparison over all rounds."""

    median: float
    low: float
    high: float

    def text(self, digits: int) -> str:
        return f"{self.median:.{digits}f}  ({self.low:.{digits}f} to {self.high:.{digits}f})"


Comparison = Mapping[str, Mapping[str, Spread]]
"""By peer and column."""


def times(quantity: str) -> Callable[[Sample, Sample], float]:
    """How many times plain's a peer's quantity is."""
    return lambda peer, plain: peer[quantity] / plain[quantity]


def kept(quantity: str) -> Callable[[Sample, Sample], float]:
    """What is left of plain's speed, where the quantity is time for the same work."""
    return lambda peer, plain: plain[quantity] / peer[quantity]


def added(quantity: str) -> Callable[[Sample, Sample], float]:
    """How much more than plain's a peer's quantity is."""
    return lambda peer, plain: peer[quantity] - plain[quantity]


def by_turns(measures: Mapping[str, Callable[[], Sample]], rounds: int) -> dict[str, list[Sample]]:
    """A warm-up of each peer that does not count, then A B C, A B C, ...: the samples of each peer, one a round."""
    samples: dict[str, list[Sample]] = {name: [] for name in measures}
    for number in range(rounds + 1):
        print(f"  round {number} of {rounds}" if number else "  warm-up", file=sys.stderr)
        for name, measure in measures.items():
            sample = measure()
            if number:
                samples[name].append(sample)
    return samples


def compare(samples: Mapping[str, Sequence[Sample]], columns: Iterable[Column]) -> Comparison:
    """Each round's peer against the same round's plain."""
    columns = tuple(columns)
    return {name: {column.key: _spread(column, own, samples[PLAIN]) for column in columns} for name, own in samples.items()}


def _spread(column: Column, own: Sequence[Sample], plain: Sequence[Sample]) -> Spread:
    values = [column.compare(*pair) for pair in zip(own, plain, strict=True)]
    return Spread(statistics.median(values), min(values), max(values))


def table(title: str, comparison: Comparison, columns: Iterable[Column]) -> str:
    """Medians, and in brackets the lowest and the highest, for people."""
    columns = tuple(columns)
    rows = [[title, *(column.title for column in columns)]]
    for name, spreads in comparison.items():
        if name != PLAIN:
            rows.append([name, *(spreads[column.key].text(column.digits) for column in columns)])
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    return "\n".join("   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)


# What the scripts have in common


def arguments(description: str, rounds: int, *, of_interpreters: bool = True) -> argparse.ArgumentParser:
    """The options of every benchmark; `of_interpreters`: and of those that compare ways to run a program."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    if of_interpreters:
        parser.add_argument(
            "--python", action="append", metavar="PATH", help="an interpreter to measure; repeatable (default: this)"
        )
        parser.add_argument("--peer", action="append", metavar="NAME", help="only these beside plain; repeatable")
    parser.add_argument("--rounds", type=positive, default=rounds, help="how often each peer has its turn, after a warm-up")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of tables")
    return parser


def positive(text: str) -> int:
    """The value of an option that counts something."""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def chosen(peers: Sequence[Peer], names: Sequence[str] | None) -> list[Peer]:
    """Plain, and of the others those that were asked for. Ends the program where there is no such peer."""
    known = [peer.name for peer in peers]
    unknown = set(names or ()) - set(known)
    if unknown:
        sys.exit(f"no peer {', '.join(sorted(unknown))}; there are: {', '.join(known)}")
    return [peer for peer in peers if not names or peer.name in (PLAIN, *names)]


def run(
    options: argparse.Namespace, columns: Sequence[Column], measure: Callable[[Interpreter], Iterable[tuple[str, Comparison]]]
) -> None:
    """Measure every interpreter that was named, and print what `measure` finds: pairs of what was run, and its comparison."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # and not at once: services have to be stopped
    results = []
    for interpreter in map(prepare, options.python or [sys.executable]):
        for what, comparison in measure(interpreter):
            print(f"load average now: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", file=sys.stderr)
            results.append({"python": interpreter.version, "what": what, "peers": plain_values(comparison)})
            if not options.json:
                print(table(f"Python {interpreter.version}, {what}", comparison, columns), end="\n\n", flush=True)
    if options.json:
        print(json.dumps({"schema": SCHEMA, "rounds": options.rounds, "results": results}, indent=1))


def plain_values(comparison: Comparison) -> dict[str, dict[str, dict[str, float]]]:
    """For JSON."""
    return {
        name: {key: {"median": of.median, "low": of.low, "high": of.high} for key, of in spreads.items()}
        for name, spreads in comparison.items()
        if name != PLAIN
    }
