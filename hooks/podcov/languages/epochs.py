"""Epochs of a run: targets count their own, a report has one numbering for all of them. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from podcov.formats.records import EpochRecord, TargetRecords
from podcov.model import Epoch

_Key = tuple[str, int]
"""label, and how many times a target had been marked with it before"""


@dataclass(frozen=True, slots=True)
class Numbering:
    """The epochs of one run: start-up is 0, marks of the run follow in the order in which they began anywhere."""

    run: str
    epochs: tuple[Epoch, ...]
    numbers: Mapping[_Key, int]

    def counted(self, records: TargetRecords) -> Mapping[int, int]:
        """The epochs of a target that belong to the run: its own number -> the report's. Epoch 0 always does."""
        return {0: 0} | {record.number: self.numbers[key] for key, record in _keys(records, self.run) if key in self.numbers}


def number_epochs(targets: Iterable[TargetRecords], run: str) -> Numbering:
    """One numbering for all targets of the run."""
    began: dict[_Key, int] = {}
    for records in targets:
        for key, record in _keys(records, run):
            began[key] = min(record.time, began.get(key, record.time))
    ordered = sorted(began, key=lambda key: (began[key], key))
    marks = tuple(Epoch(number, run, label) for number, (label, _) in enumerate(ordered, 1))
    return Numbering(run, (Epoch(0), *marks), {key: number for number, key in enumerate(ordered, 1)})


def _keys(records: TargetRecords, run: str) -> Iterator[tuple[_Key, EpochRecord]]:
    seen: Counter[str] = Counter()
    for record in records.epochs:
        if record.run == run:
            yield (record.label, seen[record.label]), record
            seen[record.label] += 1
