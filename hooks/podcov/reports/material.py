"""What every report is made from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from podcov.ledger import Ledger
from podcov.merge import by_path
from podcov.model import FileCoverage, Report
from podcov.reports.wording import plain

Sources = Callable[[str], str | None]
"""The text with a digest (`sha256:<hex>`), None where it is not known."""


@dataclass(frozen=True)
class Material:
    """A run's results. `summary` is what `podcov.formats.summary.build` made; `root` is the project's folder."""

    report: Report
    ledger: Ledger
    summary: Mapping[str, Any]
    sources: Sources
    root: Path

    @cached_property
    def files(self) -> tuple[FileCoverage, ...]:
        """Every file once, merged over the services that share it."""
        return by_path(self.report.files)

    @cached_property
    def names(self) -> Mapping[tuple[str, str], str]:
        """What to call each file, by (path, digest): its path; where several texts ran under one, the others' with digest."""
        names: dict[tuple[str, str], str] = {}
        taken: set[str] = set()
        for f in sorted(self.files, key=lambda f: (f.path, f.origin != "local", f.digest)):
            path = plain(f.path)
            name = path if path not in taken else f"{path}@{f.digest.removeprefix('sha256:')[:8]}"
            taken.add(name)
            names[f.path, f.digest] = name
        return names

    def name(self, f: FileCoverage) -> str:
        """What to call this file in reports."""
        return self.names[f.path, f.digest]
