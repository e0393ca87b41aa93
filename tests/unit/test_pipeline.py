"""From what a run left on disk to report, ledger and exit code: what cannot be reported is said, and the rest is reported."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from podcov import pipeline
from podcov.config import Config, Service
from podcov.errors import Exit, InterpreterError
from podcov.formats.run_json import RunRecord, SuiteRecord
from podcov.ledger import Ledger, TargetEntry
from podcov.model import FileCoverage, Region, Report
from podcov.raw import StoredTarget, TargetInfo

CHECKOUT = pipeline.Checkout("/project", {}, {}, "3.11")
INCOMPLETE = Ledger((TargetEntry("orders", "shop/orders/app", "id", "failed"),))
COVERED = Report(
    "r", (), (FileCoverage("orders", "a.py", "python", "sha256:0", "local", "line", (Region((1, 0), (1, 0), hits=1),)),)
)


def test_a_service_that_no_interpreter_can_analyse_is_named_and_the_run_is_incomplete():
    async def analyse(needs):
        raise InterpreterError("there is no python3.14", hint="install python3.14")

    record = RunRecord("r", "local", services=("orders",))
    report, ledger = asyncio.run(pipeline.examine(record, (), Config((Service("orders"),)), CHECKOUT, analyse, lambda _: None))
    assert ledger.unreported == ("service orders: there is no python3.14; install python3.14",)
    assert not ledger.complete
    assert report.files == ()
    anything = pipeline.recorded_anything(report, ledger)
    assert pipeline.outcome(SuiteRecord(), ledger, anything=anything, allow_partial=False)[0] == Exit.INCOMPLETE


def test_a_source_that_holds_nothing_is_named():
    async def analyse(needs):
        return {}

    config = Config((Service("orders", source=("orders", "order")), Service("catalog", source=("nowhere",))))
    record = RunRecord("r", "local", services=("orders",))
    checkout = replace(CHECKOUT, digests={"orders/app.py": "sha256:1", "catalog/app.py": "sha256:2"})
    report, _ = asyncio.run(pipeline.examine(record, (), config, checkout, analyse, lambda _: None))
    assert report.warnings == (
        "service catalog took no part in this run, and is not reported",
        "services.orders.source: there is no source file in order: what of it no process loaded is not counted",
    )


NOT_SCANNED = {"unregistered": [], "scanned": False, "scan_reason": "there is nothing to look for"}


class Pulled:
    """A store that holds one target, with these epochs."""

    def __init__(self, epochs: bytes) -> None:
        self.epochs = epochs

    def targets(self, pod_uid=""):
        courier = {"container": "app", "start_id": "s", "epoch": 2, "epochs": [], "processes": [], **NOT_SCANNED}
        yield StoredTarget(TargetInfo("orders", "shop/orders-1/app", "uid-1", "app", "s", courier), {"epochs": self.epochs})


@pytest.mark.parametrize(
    ("run", "marked", "overtaken"),
    [("r1", 10.0, True), ("r2", 20.0, False), ("r3", 30.0, False), ("r3", None, True)],
    ids=["marked before it", "marked last", "marked when it had ended", "never marked"],
)
def test_a_run_whose_pods_another_run_has_marked_since_is_incomplete(run, marked, overtaken):
    targets = pipeline.read_targets(Pulled(b"1\tr1\tpytest\t10\n2\tr2\tpytest\t20\n"), run)
    settled = pipeline.account(
        RunRecord(run, "kubernetes", marked=marked, services=("orders",)), targets, Config((Service("orders"),)), lambda _: None
    )
    assert [target.slug == "overtaken" for target in settled.ledger.targets] == [overtaken]


@pytest.mark.parametrize(
    ("tests", "ledger", "anything", "allowed", "code"),
    [
        (0, Ledger(), True, False, 0),
        (7, INCOMPLETE, False, False, 7),
        (0, INCOMPLETE, False, False, Exit.NO_DATA),
        (0, INCOMPLETE, True, False, Exit.INCOMPLETE),
        (0, INCOMPLETE, True, True, 0),
        (0, Ledger(), False, True, Exit.NO_DATA),
        (None, Ledger(), True, False, 0),
    ],
)
def test_the_tests_own_code_comes_first_then_no_data_then_incomplete_data(tests, ledger, anything, allowed, code):
    told, reason = pipeline.outcome(SuiteRecord(exit_code=tests), ledger, anything=anything, allow_partial=allowed)
    assert told == code
    assert reason


def test_something_was_recorded_where_a_statement_ran():
    assert pipeline.recorded_anything(COVERED, Ledger())
    assert not pipeline.recorded_anything(Report("r", (), ()), Ledger())


def test_a_service_of_which_nothing_ran_has_no_data_whatever_is_said_about_that():
    nothing = replace(
        COVERED, services=("orders",), files=(replace(COVERED.files[0], regions=(Region((1, 0), (1, 0), hits=0),)),)
    )
    assert not pipeline.recorded_anything(nothing, Ledger(unreported=("service orders: 0 % of it ran",)))
    assert pipeline.recorded_anything(replace(nothing, files=()), Ledger(unreported=("service orders: there is no python3.14",)))
