"""What a process counted in each epoch, out of the files that it left. Pure.

Of a process that podcov records, the files of one epoch may hold the same hits: the larger count of each stands. A process that
measures itself writes dumps, one after the other, and what they hold depends on its own code:

* it clears its counters with each dump (`ClearCounters`, which Go allows in mode `atomic` only): a dump is what ran since the
one before;
* it does not: a dump is what ran since its start, and what ran since the one before is the difference.

The counts tell which. Counters that only grow never shrink, so where any is smaller than before they were cleared in between.
And what runs once in a process (`main.main`, the `init` functions) is in one dump only, if they are cleared.
"""

from __future__ import annotations

import operator
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from podcov.formats import go_counters
from podcov.formats.go_bytes import LARGEST, WORD
from podcov.formats.go_counters import CounterFile, Segment
from podcov.formats.go_meta import Meta
from podcov.formats.go_profile import Block, Profile

FunctionKey = tuple[int, int]
"""the number of a package in its meta-data, and of a function in that package"""
Key = FunctionKey | str
"""of a text profile the name of a file"""
Counts = Mapping[Key, Sequence[int]]
"""the counts of all blocks of a function, or of a file"""

Habit = Literal["cleared", "kept", "unknown"]
"""what the processes of a build do to their counters when they write a dump"""


@dataclass(frozen=True, slots=True)
class Dump:
    """One file of a process that wrote it itself."""

    epoch: int
    counts: Counts


def counts_of(file: CounterFile) -> Counts:
    """All segments together; they are of different runs."""
    found: dict[Key, Sequence[int]] = {}
    for segment in file.segments:
        for package, function, counters in segment.functions:
            before = found.get((package, function))
            found[package, function] = counters if before is None else list(map(operator.add, before, counters))
    return found


def counter_file(meta_hash: str, counts: Counts) -> bytes:
    """As Go's own tools write it; counts stop at `LARGEST`, as theirs do."""
    words = array(WORD)
    for (package, function), counters in sorted(_of_functions(counts)):
        if any(counters):
            words.extend((len(counters), package, function, *(min(count, LARGEST) for count in counters)))
    return go_counters.dump(CounterFile(meta_hash, (Segment({}, words),)))


def _of_functions(counts: Counts) -> Iterator[tuple[FunctionKey, Sequence[int]]]:
    return ((key, counters) for key, counters in counts.items() if not isinstance(key, str))


def counts_of_profile(profile: Profile) -> Counts:
    """By file, in the order of the blocks."""
    found: dict[Key, list[int]] = defaultdict(list)
    for block in sorted(profile.counts):
        found[block.file].append(profile.counts[block])
    return found


def profile_with(profile: Profile, counts: Counts) -> Profile:
    """The blocks of a profile with other counts, as `counts_of_profile` has them."""
    files: dict[str, Iterator[int]] = {str(key): iter(counters) for key, counters in counts.items()}
    recounted: dict[Block, int] = {block: next(files[block.file], 0) for block in sorted(profile.counts) if block.file in files}
    return Profile(profile.mode, dict.fromkeys(profile.counts, 0) | recounted)


def largest(several: Iterable[Counts]) -> Counts:
    """The largest count of each block."""
    return _together(several, max)


def added(several: Iterable[Counts]) -> Counts:
    """The sum of each block's counts."""
    return _together(several, operator.add)


def _together(several: Iterable[Counts], of_two: Callable[[int, int], int]) -> Counts:
    found: dict[Key, Sequence[int]] = {}
    for counts in several:
        for key, counters in counts.items():
            before = found.get(key)
            found[key] = counters if before is None else list(map(of_two, before, counters))
    return found


def habit(processes: Iterable[Sequence[Dump]], meta: Meta | None) -> Habit:
    """What the processes of one build do, as far as their dumps, each process's in order, tell."""
    pairs = [(before.counts, after.counts) for dumps in processes for before, after in pairwise(dumps)]
    if meta is not None and meta.mode != "atomic":
        return "kept"
    once = _run_once(meta) if meta else frozenset()
    if any(_ran(before, key) and _ran(after, key) for before, after in pairs if not _shrunk(before, after) for key in once):
        return "kept"
    return "cleared" if any(_shrunk(*pair) for pair in pairs) else "unknown"


def _run_once(meta: Meta) -> frozenset[Key]:
    return frozenset(
        (number, index)
        for number, package in enumerate(meta.packages)
        for index, function in enumerate(package.functions)
        if function.name == "init" or (function.name == "main" and package.name == "main")
    )


def _ran(counts: Counts, key: Key) -> bool:
    """The first block is the one that a function is entered by."""
    return key in counts and counts[key][0] > 0


def _shrunk(before: Counts, after: Counts) -> bool:
    return any(any(map(operator.lt, after.get(key, (0,) * len(counters)), counters)) for key, counters in before.items())


def by_epoch(dumps: Sequence[Dump], habit: Habit) -> Mapping[int, Counts]:
    """What ran in each epoch, of the dumps of one process in order.

    Where the habit is unknown, what only grew is taken to be kept: then nothing is counted for an epoch that may have run before
    it.
    """
    ran: dict[int, list[Counts]] = defaultdict(list)
    before: Counts = {}
    for dump in dumps:
        cleared = habit == "cleared" or _shrunk(before, dump.counts)
        ran[dump.epoch].append(dump.counts if cleared else _less(dump.counts, before))
        before = dump.counts
    return {epoch: added(counts) for epoch, counts in ran.items()}


def _less(after: Counts, before: Counts) -> Counts:
    return {key: list(map(operator.sub, counters, before[key])) if key in before else counters for key, counters in after.items()}
