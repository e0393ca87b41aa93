"""`summary.md`: the numbers and the ledger for CI job summaries and pull requests."""

from __future__ import annotations

import string
from collections.abc import Iterator
from pathlib import Path

from podcov.formats.summary import service_names
from podcov.ledger import Ledger
from podcov.model import Numbers, total
from podcov.reports import wording
from podcov.reports.facts import facts
from podcov.reports.material import Material

_ESCAPES = str.maketrans(
    {char: f"\\{char}" for char in string.punctuation if char not in ".,:;/-@%'\"="} | {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
)
_MOST_FAILURES = 50
"""more than that say nothing new, and comments have a limit"""


def write(material: Material, folder: Path) -> tuple[Path, ...]:
    """Write `summary.md`."""
    path = folder / "summary.md"
    path.write_text("\n".join(_lines(material)) + "\n", encoding="utf-8")
    return (path,)


def _lines(material: Material) -> Iterator[str]:
    whole = total(material.files)
    yield f"## Integration coverage: {_escape(wording.percent(whole.percent))}"
    yield ""
    yield from _ledger(material.ledger)
    yield ""
    yield from _table(material, whole)
    yield ""
    yield " · ".join(f"{name}: {_escape(value)}" for name, value in facts(material.summary))
    for warning in material.report.warnings:
        yield ""
        yield f"> {_escape(warning)}"


def _ledger(ledger: Ledger) -> Iterator[str]:
    if not ledger.targets and ledger.complete:
        yield "❌ **Ledger: EMPTY, nothing was ever seen.**"
    elif ledger.complete:
        yield "✅ **Ledger: complete.**"
    else:
        yield "❌ **Ledger: INCOMPLETE, the numbers below may be too low.**"
    yield ""
    yield f"- targets: {wording.counts(ledger.target_counts)}"
    yield f"- processes: {wording.counts(ledger.process_counts)}"
    found = wording.failures(ledger)
    for failure in found[:_MOST_FAILURES]:
        yield f"- ❌ {_escape(failure.where)}: {_escape(failure.reason)}"
    if len(found) > _MOST_FAILURES:
        yield f"- ❌ and {len(found) - _MOST_FAILURES} more: see the HTML report or ledger.json"
    for note in wording.notes(ledger):
        yield f"- {_escape(note)}"


def _table(material: Material, whole: Numbers) -> Iterator[str]:
    branches = any(f.mode == "branch" for f in material.report.files)
    headings = ["Stmts", "Miss", *(["Branch", "BrPart"] if branches else []), "Cover"]
    yield _row("Service", *headings)
    yield _row("---", *(["---:"] * len(headings)))
    for service in service_names(material.report):
        yield _row(_escape(service), *_cells(total(material.report.of_service(service)), branches=branches))
    yield _row("**Total**", *(f"**{cell}**" for cell in _cells(whole, branches=branches)))


def _cells(numbers: Numbers, *, branches: bool) -> list[str]:
    counted = [numbers.statements, numbers.missing]
    if branches:
        counted += [numbers.branches, numbers.partial_branches]
    return [*map(str, counted), wording.percent(numbers.percent)]


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _escape(text: str) -> str:
    """Text that Markdown and HTML leave as it is, on one line."""
    return wording.plain(text).translate(_ESCAPES)
