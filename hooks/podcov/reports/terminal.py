"""The table that a run ends with, and under it, always, the ledger."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from podcov.formats.summary import service_names
from podcov.ledger import Ledger
from podcov.merge import by_path
from podcov.model import FileCoverage, Numbers, Report, total
from podcov.reports import wording
from podcov.reports.lines import missing

_UNBOUNDED = 10_000
"""columns where the output is no terminal: nothing is cut off or wrapped"""


def print_report(report: Report, ledger: Ledger, out: TextIO, *, files: bool = False, show_missing: bool = False) -> None:
    """Write the services' numbers and the ledger to `out`; `files` adds a row a file, `show_missing` what did not run in it.

    Colours only where `out` is a terminal; elsewhere lines are as long as they have to be.
    """
    console = Console(file=out, highlight=False, emoji=False)
    if console.is_terminal:
        _print(console, report, ledger, files=files, show_missing=show_missing)
        return
    wide = Console(file=io.StringIO(), highlight=False, emoji=False, width=_UNBOUNDED, color_system=None)
    with wide.capture() as captured:
        _print(wide, report, ledger, files=files, show_missing=show_missing)
    out.writelines(f"{line.rstrip()}\n" for line in captured.get().splitlines())


def _print(console: Console, report: Report, ledger: Ledger, *, files: bool, show_missing: bool) -> None:
    console.print(_table(report, files=files or show_missing, show_missing=show_missing))
    for line in _ledger_lines(ledger):
        console.print(line)
    for warning in report.warnings:
        console.print(Text(f"note: {wording.plain(warning)}", style="yellow"))


def _table(report: Report, *, files: bool, show_missing: bool) -> Table:
    branches = any(f.mode == "branch" for f in report.files)
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("Service", overflow="fold")
    for heading in ("Stmts", "Miss", *(("Branch", "BrPart") if branches else ()), "Cover"):
        table.add_column(heading, justify="right", no_wrap=True)
    if show_missing:
        table.add_column("Missing", overflow="fold")

    def add(name: Text, numbers: Numbers, missed: str = "") -> None:
        table.add_row(name, *_cells(numbers, branches=branches), *((missed,) if show_missing else ()))

    for service in service_names(report):
        own = report.of_service(service)
        add(Text(wording.plain(service), style="bold"), total(own))
        for f in _sorted(own) if files else ():
            add(Text(f"  {wording.plain(f.path)}"), f.numbers, missing(f))
    table.add_section()
    add(Text("TOTAL", style="bold"), total(by_path(report.files)))
    return table


def _sorted(files: Iterable[FileCoverage]) -> list[FileCoverage]:
    return sorted(files, key=lambda f: (f.path, f.digest))


def _cells(numbers: Numbers, *, branches: bool) -> list[Text]:
    counted = [numbers.statements, numbers.missing]
    if branches:
        counted += [numbers.branches, numbers.partial_branches]
    return [*(Text(str(n)) for n in counted), Text(wording.percent(numbers.percent), style=_colour(numbers.percent))]


def _colour(percent: float | None) -> str:
    if percent is None:
        return "dim"
    return "green" if percent >= 80 else "yellow" if percent >= 50 else "red"


def _ledger_lines(ledger: Ledger) -> Iterable[Text]:
    yield Text()
    if not ledger.targets and ledger.complete:
        yield Text("Ledger: EMPTY, nothing was ever seen", style="red bold")
    elif ledger.complete:
        yield Text("Ledger: complete", style="green bold")
    else:
        yield Text("Ledger: INCOMPLETE, the numbers above may be too low", style="red bold")
    yield Text(f"  targets    {wording.counts(ledger.target_counts)}")
    yield Text(f"  processes  {wording.counts(ledger.process_counts)}")
    for failure in wording.failures(ledger):
        yield Text(f"  failed: {failure.where}: {failure.reason}", style="red")
    for note in wording.notes(ledger):
        yield Text(f"  note: {note}", style="yellow")
