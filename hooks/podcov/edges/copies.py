"""Copies of reports at other places of the project, where other tools look for them (`copies` in podcov.yaml)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from podcov.config import SERVICE, Config
from podcov.edges import whole_files


def copy(config: Config, reports: Path, root: Path) -> Iterator[str]:
    """Makes them, one after the other; yields what was done, for people.

    `reports` is the run's folder of reports, `root` the project's. A report that was not made is said and left out.
    """
    for place, report in _pairs(config):
        source = reports / report
        if source.is_dir():
            _copy_folder(source, root / place)
            yield f"wrote {place}/"
        elif source.is_file():
            whole_files.write(root / place, source.read_bytes())
            yield f"wrote {place}"
        else:
            yield f"{place}: not written, for this run made no report {report}"


def _copy_folder(source: Path, place: Path) -> None:
    """What an earlier run left there goes: files of the same kind, which the first part of their names says."""
    kinds = {path.name.partition(".")[0] for path in source.iterdir()}
    for old in place.glob("*"):
        if old.is_file() and old.name.partition(".")[0] in kinds:
            old.unlink()
    for path in source.iterdir():
        whole_files.write(place / path.name, path.read_bytes())


def _pairs(config: Config) -> Iterator[tuple[str, str]]:
    """Files of the project, and the reports that belong there."""
    for place, report in config.copies.items():
        if SERVICE in place:
            for service in config.services:
                yield place.replace(SERVICE, service.name), report.replace(SERVICE, service.name)
        else:
            yield place, report
