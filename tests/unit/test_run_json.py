"""run.json keeps everything that the ledger needs, and says when it is not one."""

from __future__ import annotations

import pytest
from podcov.errors import DamagedError
from podcov.formats.run_json import RunRecord, SuiteRecord, dump, load
from podcov.platform import ContainerStart, CourierAddress

POD = CourierAddress("orders", "shop", "orders-1", "uid-1", "podcov-courier", True, ("app", "web"))
RECORD = RunRecord(
    id="20260102-030405-ab",
    platform="kubernetes",
    started=1.5,
    marked=2.5,
    services=("orders",),
    git={"commit": "c0ffee", "branch": None, "dirty": True},
    tests=SuiteRecord(("pytest", "-q"), 1, 3.25),
    starts=(ContainerStart(POD, "orders", "app", "containerd://a", 1, 100.0, None, ""),),
    unmarked={"uid-1/app/s": {"1-2-aa": "busy"}},
    lost={"uid-2": "gone"},
    unreached={"uid-1": "no answer"},
    missed={"uid-1": ["app/1"]},
)


def test_it_reads_back_as_written():
    assert load(dump(RECORD)) == RECORD


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"schema": "podcov/run/2"}', dump(RECORD).replace(b'"id"', b'"ID"')])
def test_what_is_no_run_is_named(content):
    with pytest.raises(DamagedError, match=r"runs/x/run\.json: is not a run"):
        load(content, name="runs/x/run.json")
