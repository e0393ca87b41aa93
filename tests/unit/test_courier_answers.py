"""The courier's JSON, typed: whole documents are read, everything else is damaged and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podcov.errors import DamagedError
from podcov.formats.courier import (
    ProcessAnswer,
    ProcessStatus,
    SourceStatus,
    UnregisteredProcess,
    read_answers,
    read_ended,
    run_input,
    status_of,
    target_status,
)
from podcov.formats.records import EpochRecord, StartRecord

ID = "12-3456-0a1b2c3d"
STATUS: dict[str, Any] = {
    "protocol": 1,
    "time": 5,
    "targets": [
        {
            "container": "app",
            "start_id": "1-2",
            "epoch": 1,
            "epochs": [{"epoch": 1, "run": "r", "label": "l", "time": 4}],
            "processes": [
                {
                    "id": ID,
                    "start": {"protocol": 1, "pid": 12, "start_time": 3456, "state": "recording"},
                    "alive": True,
                    "reason": "",
                    "ended": False,
                    "epochs": [0, 1],
                    "flags": 1,
                },
                {"id": "7-8-00000000", "start": None, "alive": None, "reason": "torn", "ended": True, "epochs": [], "flags": 0},
            ],
            "unregistered": [{"pid": 9, "start_time": 10, "argv": ["python3", "-I"]}],
            "scanned": True,
            "scan_reason": "",
            "sources": [
                {"path": "/app/a.py", "size": 1, "mtime": 2, "digest": "sha256:00", "reason": ""},
                {"path": "/app/b.py", "size": -1, "mtime": -1, "digest": None, "reason": "deleted"},
            ],
        }
    ],
}
ANSWERS: dict[str, Any] = {
    "protocol": 1,
    "time": 5,
    "targets": [
        {
            "container": "app",
            "start_id": "1-2",
            "epoch": 3,
            "processes": [
                {"id": ID, "state": "acknowledged", "reason": ""},
                {"id": "7-8-00000000", "state": "failed", "reason": "did not answer"},
            ],
        }
    ],
}


def test_a_status_is_read() -> None:
    status = status_of(STATUS)
    (target,) = status.targets
    assert (status.time, target.name, target.epoch, target.scanned) == (5, "app/1-2", 1, True)
    assert target.epochs == (EpochRecord(1, "r", "l", 4),)
    assert target.processes == (
        ProcessStatus(ID, StartRecord(pid=12, start_time=3456), True, epochs=(0, 1), flags=1),
        ProcessStatus("7-8-00000000", None, None, reason="torn", ended=True),
    )
    assert target.unregistered == (UnregisteredProcess(9, 10, ("python3", "-I")),)
    assert target.sources[1] == SourceStatus("/app/b.py", -1, -1, None, "deleted")
    assert target.digests() == {("/app/a.py", 1, 2): "sha256:00"}
    assert target_status(STATUS["targets"][0]) == target


def test_answers_are_read_and_failures_named() -> None:
    (target,) = read_answers(json.dumps(ANSWERS).encode()).targets
    assert target.epoch == 3
    assert target.processes[0] == ProcessAnswer(ID, "acknowledged")
    assert target.failures == {"7-8-00000000": "did not answer"}


def test_the_end_is_read() -> None:
    assert read_ended(b'{"protocol": 1, "ended": true}') is True


def test_what_run_reads() -> None:
    assert run_input(b"PK", b"5\nhello") == b"2\nPK5\nhello"


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"{}", b"\xff", b'{"protocol": 2}', b'{"protocol": 1, "targets": 3, "time": 1}']
)
def test_what_is_no_answer_is_damaged(data: bytes) -> None:
    for read in (read_answers, read_ended):
        with pytest.raises(DamagedError) as caught:
            read(data)
        assert caught.value.hint


@pytest.mark.parametrize("manifest", [{}, {"time": 1}, {"time": 1, "targets": 3}])
def test_a_manifest_that_says_no_status_is_damaged(manifest: dict[str, Any]) -> None:
    with pytest.raises(DamagedError) as caught:
        status_of(manifest)
    assert caught.value.hint


def test_a_newer_protocol_is_named() -> None:
    with pytest.raises(DamagedError, match="protocol 2, this podcov reads 1"):
        read_answers(json.dumps(ANSWERS | {"protocol": 2}).encode())


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) at which something can be changed."""
    if isinstance(value, dict):
        return [(value, key) for key in value] + [p for v in value.values() for p in places(v)]
    if isinstance(value, list):
        return [p for v in value for p in places(v)]
    return []


@given(st.data())
def test_an_answer_with_something_else_in_it_is_read_or_damaged(data: st.DataObject) -> None:
    for document, read in ((STATUS, status_of), (ANSWERS, lambda changed: read_answers(json.dumps(changed).encode()))):
        changed = json.loads(json.dumps(document))
        container, key = data.draw(st.sampled_from(range(len(places(changed)))).map(places(changed).__getitem__))
        container[key] = data.draw(st.sampled_from([None, True, -1, 1.5, "x", [], {}, [1], ["x"], {"x": 1}]))
        try:
            read(changed)
        except DamagedError:
            continue
