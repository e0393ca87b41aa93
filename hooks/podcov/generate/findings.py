"""What `podcov init` found, what it decided, and why: the table that people read before they trust the result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """`subject` is a container (`deployment/orders orders`) or a file; a `warning` needs a person to look at it."""

    subject: str
    found: str
    decided: str
    why: str = ""
    level: Literal["info", "warning"] = "info"


def below(message: str, findings: Iterable[Finding]) -> str:
    """An error's message, and what was found instead, a line each."""
    return "\n".join((message, *(f"  {f.subject}: {f.found}; {f.why or f.decided}" for f in findings)))


def joined(first: Iterable[Finding], later: Iterable[Finding], guessed: Mapping[str, str]) -> tuple[Finding, ...]:
    """What the first look found, and what was found later: for a container whose Dockerfile is but guessed, one row of both.

    `guessed` has the Dockerfile of each such container, by what findings call it.
    """
    rows, others = list(first), []
    for finding in later:
        theirs = [n for n, row in enumerate(rows) if row.subject in guessed and _is_of(finding, row.subject, guessed)]
        for n in theirs:
            rows[n] = _as_one(rows[n], finding)
        if not theirs:
            others.append(finding)
    return (*rows, *others)


def _is_of(finding: Finding, container: str, guessed: Mapping[str, str]) -> bool:
    return finding.subject in (container, guessed[container])


def _as_one(row: Finding, more: Finding) -> Finding:
    decided = row.decided if row.decided.startswith(more.decided) else f"{row.decided}; {more.decided}"
    level = more.level if more.level == "warning" else row.level
    if more.why.startswith(row.why):
        return replace(row, decided=decided, why=more.why, level=level)
    return replace(row, found=f"{row.found}; {more.found}", decided=decided, why=f"{row.why}; {more.why}", level=level)
