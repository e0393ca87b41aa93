"""How numbers and the ledger are said to people, the same in every report. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from podcov.ledger import Counts, Ledger, ProcessEntry, TargetEntry

NOT_APPLICABLE = "n/a"


def percent(value: float | None, precision: int = 0) -> str:
    """A percentage with coverage.py's rounding: `100%` only where all is covered, `0%` only where nothing is.

    `n/a` where there is nothing that can be covered.
    """
    if value is None:
        return NOT_APPLICABLE
    step = 10.0**-precision
    if 0 < value < step:
        value = step
    elif 100 - step < value < 100:
        value = 100 - step
    return f"{round(value, precision):.{precision}f}%"


def plural(count: int, one: str, many: str = "") -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"


def counts(counted: Counts) -> str:
    """`4 expected, 3 collected, 0 empty, 1 failed`."""
    return f"{counted.expected} expected, {counted.collected} collected, {counted.empty} empty, {counted.failed} failed"


@dataclass(frozen=True, slots=True)
class Failure:
    """Something that is missing from the data: where it should have been, and why it is not here."""

    where: str
    reason: str


def failures(ledger: Ledger) -> list[Failure]:
    """Everything that failed, in the ledger's order, and the services that nothing was ever seen of."""
    found: list[Failure] = []
    for target in ledger.targets:
        if target.state == "failed":
            found.append(Failure(target_name(target), target.reason or target.slug))
        for process in target.processes:
            if process.state == "failed":
                found.append(Failure(f"{target_name(target)}, {process_name(process)}", process.reason or process.slug))
    for service in ledger.services_without_targets:
        found.append(Failure(f"service {service}", "no pod or process of it was ever seen"))
    found += [Failure("not reported", sentence) for sentence in ledger.unreported]
    return [Failure(plain(f.where), plain(f.reason)) for f in found]


def notes(ledger: Ledger) -> list[str]:
    """What is true of collected processes and of empty targets all the same; said once, with how many there are."""
    targets = Counter(t.reason for t in ledger.targets if t.state == "empty" and t.reason)
    processes = Counter(p.note for t in ledger.targets for p in t.processes if p.note)
    return [
        *(f"{plural(count, 'container')}: {plain(reason)}" for reason, count in targets.items()),
        *(f"{plural(count, 'process', 'processes')}: {plain(note)}" for note, count in processes.items()),
    ]


def target_name(target: TargetEntry) -> str:
    """Its name, with the number of the start where its container was started more than once."""
    return plain(f"{target.name} (restart {target.start})" if target.start else target.name)


def process_name(process: ProcessEntry) -> str:
    """`process 17 (python -m orders)`."""
    command = " ".join(process.argv)
    pid = process.id.partition("-")[0]
    return plain(f"process {pid} ({_shorten(command)})" if command else f"process {pid}")


def plain(text: str) -> str:
    """Text from elsewhere without anything that a terminal would act on, or that is no character."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def _shorten(text: str, longest: int = 60) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
