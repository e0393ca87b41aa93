"""Writes reports. A new one is a module with a `Writer`, and a line in `WRITERS`.

`write_all` writes those that `podcov.yaml` asks for into a run's folder; `terminal.print_report` is what a run ends with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from podcov.ledger import Ledger
from podcov.model import Report
from podcov.reports import coveragepy, go_profiles, html, markdown
from podcov.reports.material import Material, Sources

Writer = Callable[[Material, Path], tuple[Path, ...]]
"""Writes into an existing folder; returns what people should open, nothing where there was nothing to say."""

WRITERS: Final[Mapping[str, Writer]] = {
    "html": html.write,
    "xml": coveragepy.write_xml,
    "lcov": coveragepy.write_lcov,
    "json": coveragepy.write_json,
    "markdown": markdown.write,
    "coverage": coveragepy.write_data,
    "go": go_profiles.write,
}


def write_all(
    names: Iterable[str],
    report: Report,
    ledger: Ledger,
    summary: Mapping[str, Any],
    sources: Sources,
    folder: Path,
    *,
    root: Path,
) -> tuple[Path, ...]:
    """Write the reports called `names` into `folder`, which is made where it is missing; returns the paths to open.

    `summary` is what `podcov.formats.summary.build` made, `sources` gives the text of a digest, `root` is the folder of
    podcov.yaml, to which the paths of local files are relative. A name that is not in `WRITERS` is a KeyError.
    """
    material = Material(report, ledger, summary, sources, root)
    folder.mkdir(parents=True, exist_ok=True)
    return tuple(path for name in names for path in WRITERS[name](material, folder))
