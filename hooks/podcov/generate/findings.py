"""What `podcov init` found, what it decided, and why: the table that people read before they trust the result."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
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
