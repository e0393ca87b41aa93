"""`summary.json`, schema `podcov/summary/1`: the numbers of a run and what they are made of, for scripts and CI.

No percentage stands here without the ledger beside it. docs/report-json.md describes every key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any, Final

from podcov.formats.json_document import decode, encode
from podcov.ledger import Ledger
from podcov.merge import by_path
from podcov.model import FileCoverage, Numbers, Report, total

SCHEMA: Final = "podcov/summary/1"


def build(
    report: Report,
    ledger: Ledger,
    *,
    run: str,
    platform: str,
    git: Mapping[str, object] | None,
    tests: Mapping[str, object] | None,
    exit: Mapping[str, object],
) -> dict[str, Any]:
    """The summary of a run. `git` is {commit, branch, dirty}, `tests` {command, exit_code, seconds}, `exit` {code, reason}.

    In `total` a file that several services share counts once, with what any of them ran; in `services` it counts in each.
    """
    return {
        "schema": SCHEMA,
        "run": run,
        "platform": platform,
        "git": None if git is None else dict(git),
        "tests": None if tests is None else dict(tests),
        "exit": dict(exit),
        "ledger": {
            "complete": ledger.complete,
            "targets": asdict(ledger.target_counts),
            "processes": asdict(ledger.process_counts),
            "services_without_targets": list(ledger.services_without_targets),
            "unreported": list(ledger.unreported),
        },
        "total": numbers(total(by_path(report.files))),
        "services": {name: _service(report.of_service(name)) for name in service_names(report)},
        "warnings": list(report.warnings),
    }


def dump(summary: Mapping[str, Any]) -> bytes:
    """The summary as JSON: same summary, same bytes."""
    return encode(summary)


def load(data: bytes, *, name: str = "summary.json") -> dict[str, Any]:
    """The summary that `dump` wrote. Raises DamagedError where it is no JSON object or of another schema."""
    summary: dict[str, Any] = decode(data, name=name, schema=SCHEMA).value
    return summary


def numbers(counted: Numbers) -> dict[str, int | float | None]:
    """Numbers as they stand in `summary.json`; percent is unrounded, and null where there is nothing that can be covered."""
    return {
        "statements": counted.statements,
        "covered": counted.covered,
        "percent": counted.percent,
        "branches": counted.branches,
        "covered_branches": counted.covered_branches,
        "partial_branches": counted.partial_branches,
        "files": counted.files,
    }


def service_names(report: Report) -> tuple[str, ...]:
    """All services of the run in their order, and those that only files know after them."""
    return tuple(dict.fromkeys((*report.services, *sorted(f.service for f in report.files))))


def package_name(f: FileCoverage) -> str:
    """The package that a file is counted in: its own, else its folder; `.` at the top."""
    return f.package or f.path.rpartition("/")[0] or "."


def by_package(files: Iterable[FileCoverage]) -> dict[str, list[FileCoverage]]:
    """Files by the package that they are counted in, sorted by name."""
    packages: dict[str, list[FileCoverage]] = {}
    for f in files:
        packages.setdefault(package_name(f), []).append(f)
    return dict(sorted(packages.items()))


def _service(files: tuple[FileCoverage, ...]) -> dict[str, Any]:
    return {
        "language": ", ".join(sorted({f.language for f in files})) or None,
        **numbers(total(files)),
        "packages": {name: numbers(total(members)) for name, members in by_package(files).items()},
    }
