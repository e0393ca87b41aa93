"""What is said of a Go service of which nothing was seen to run."""

from __future__ import annotations

import pytest
from podcov.config import Dump, Service
from podcov.formats.records import EpochRecord, ProcessRecords, StartRecord, TargetRecords
from podcov.languages import ServiceData, Target, number_epochs, of

RAN = b"mode: count\nshop/main.go:3.13,5.2 1 1\n"
RAN_NOT = b"mode: count\nshop/main.go:3.13,5.2 1 0\n"
LIFE = "1-7-aaaaaaaa"


def said(files: dict[str, bytes]) -> tuple[str, ...]:
    """Of processes that wrote these, in a target of which this run began the second epoch, and the third for more tests."""
    epochs = EpochRecord(1, "before", "tests", 5), EpochRecord(2, "run", "tests", 9), EpochRecord(3, "run", "more tests", 12)
    start = StartRecord(1, 7, language="go", state="recording", recording="dumped")
    processes = tuple(
        ProcessRecords(process, start, {}, {}, {}) for process in sorted({name.partition(".")[0] for name in files})
    )
    records = TargetRecords(3, epochs, processes)
    service = Service("shop", language="go", dump=Dump("killswitch"))
    target = Target("ns/pod/app", records, {}, files)
    data = ServiceData(service, (target,), number_epochs([records], "run"), {"main.go": "sha256:0"})
    return of("go").convert(data, {}).failures


def test_builds_of_different_sources_are_told_across_epochs() -> None:
    """The service was deployed anew between two sets of tests of one run."""
    anew = RAN.replace(b"5.2", b"6.2")
    [failure] = said({f"{LIFE}.2.0.profile": RAN, "1-8-bbbbbbbb.3.0.profile": anew})
    assert failure.startswith("service shop: package shop is not the same in ns/pod/app/")
    assert "the blocks of shop/main.go differ" in failure


def test_what_wrote_nothing_in_this_run_is_not_asked_for_its_packages() -> None:
    """The ledger says why it wrote nothing, and that is all that is wrong with it."""
    assert said({f"{LIFE}.1.0.profile": RAN}) == ()


@pytest.mark.parametrize("epoch", [0, 2])
def test_what_wrote_and_ran_nothing_measures_other_packages(epoch: int) -> None:
    [failure] = said({f"{LIFE}.{epoch}.0.profile": RAN_NOT})
    assert failure.startswith("service shop: 0 % of it ran, not even its start: does -coverpkg name")
