"""`summary.json`: the numbers of a run, and what they are made of."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from podcov.errors import DamagedError
from podcov.formats import summary
from podcov.ledger import Ledger, ProcessEntry, TargetEntry
from podcov.model import Arc, Epoch, FileCoverage, Region, Report
from podcov.schemas import schema


def python_file(service: str, path: str, *, ran: set[int], lines: int = 4, **other: Any) -> FileCoverage:
    regions = tuple(Region((n, 0), (n, 0), hits=int(n in ran)) for n in range(1, lines + 1))
    return FileCoverage(service, path, "python", f"sha256:{'0' * 64}", "local", "line", regions, **other)


REPORT = Report(
    run="20260102-030405",
    epochs=(Epoch(0), Epoch(1, "20260102-030405")),
    files=(
        python_file("orders", "orders/app.py", ran={1, 2}, package="orders"),
        python_file("orders", "common/money.py", ran={1, 2}, package="common"),
        python_file("stock", "common/money.py", ran={2, 3}, package="common"),
        python_file("stock", "stock/__init__.py", ran=set(), lines=0, package="stock"),
    ),
    services=("stock", "orders", "idle"),
    warnings=("orders/app.py: reported from its recorded source",),
)
LEDGER = Ledger(
    targets=(
        TargetEntry(
            "orders",
            "shop/orders-1/app",
            "t1",
            "collected",
            processes=(ProcessEntry("1-1-a", ("python",), "collected"), ProcessEntry("2-2-b", ("python",), "empty")),
        ),
        TargetEntry("stock", "shop/stock-1/app", "t2", "failed", reason="node lost", slug="lost"),
    ),
    services_without_targets=("idle",),
    unreported=("a.py: its source could not be had",),
)


def built(report: Report = REPORT, ledger: Ledger = LEDGER, **changes: Any) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "run": "20260102-030405",
        "platform": "kubernetes",
        "git": {"commit": "a" * 40, "branch": None, "dirty": True},
        "tests": {"command": ["pytest"], "exit_code": 0, "seconds": 1.5},
        "exit": {"code": 3, "reason": "incomplete"},
    }
    return summary.build(report, ledger, **(facts | changes))


def test_a_file_that_services_share_counts_once_in_the_total_with_what_any_ran() -> None:
    made = built()
    assert made["total"] == {
        "statements": 8,
        "covered": 5,
        "percent": 62.5,
        "branches": 0,
        "covered_branches": 0,
        "partial_branches": 0,
        "files": 3,
    }
    assert made["services"]["orders"]["covered"] == 4
    assert made["services"]["stock"]["covered"] == 2


def test_every_service_stands_there_in_its_order_also_without_files() -> None:
    services = built()["services"]
    assert list(services) == ["stock", "orders", "idle"]
    assert services["idle"] == {**summary.numbers(summary.total(())), "language": None, "packages": {}}
    assert services["orders"]["language"] == "python"
    assert list(services["orders"]["packages"]) == ["common", "orders"]


def test_where_nothing_can_be_covered_percent_is_null() -> None:
    assert built()["services"]["stock"]["packages"]["stock"]["percent"] is None
    assert built(Report("r", (), ()))["total"]["percent"] is None


def test_files_without_a_package_are_counted_in_their_folder() -> None:
    report = Report("r", (), (python_file("a", "x/y/z.py", ran={1}), python_file("a", "top.py", ran={1})))
    assert list(built(report)["services"]["a"]["packages"]) == [".", "x/y"]


def test_the_ledger_is_summed_up_and_says_whether_it_is_complete() -> None:
    assert built()["ledger"] == {
        "complete": False,
        "targets": {"expected": 2, "collected": 1, "empty": 0, "failed": 1},
        "processes": {"expected": 2, "collected": 1, "empty": 1, "failed": 0},
        "services_without_targets": ["idle"],
        "unreported": ["a.py: its source could not be had"],
    }
    assert built(ledger=Ledger(LEDGER.targets[:1]))["ledger"]["complete"] is True


def test_branches_count_towards_percent_as_in_coverage_py() -> None:
    branching = replace(REPORT.files[0], mode="branch", arcs=(Arc(1, 2, hits=1), Arc(1, 4), Arc(3, 4), Arc(3, -1)))
    assert built(Report("r", (), (branching,)))["total"] == {
        "statements": 4,
        "covered": 2,
        "percent": 37.5,
        "branches": 4,
        "covered_branches": 1,
        "partial_branches": 1,
        "files": 1,
    }


@pytest.mark.parametrize("changes", [{}, {"git": None}, {"tests": None}, {"platform": "local"}])
def test_what_is_written_fulfils_the_schema_and_comes_back(changes: dict[str, Any]) -> None:
    made = built(**changes)
    data = summary.dump(made)
    Draft202012Validator(schema("summary-1")).validate(json.loads(data))
    assert summary.load(data) == made


def test_a_summary_of_another_schema_is_refused() -> None:
    with pytest.raises(DamagedError, match="its schema is podcov/summary/9"):
        summary.load(b'{"schema": "podcov/summary/9"}')
