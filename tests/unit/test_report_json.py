"""`report.json` says everything that the model knows, and what is damaged is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from podcov.errors import DamagedError
from podcov.formats import report_json
from podcov.model import Arc, Counting, Epoch, FileCoverage, Function, Region, Report
from podcov.schemas import schema

LINES = st.integers(1, 99_999)
COUNTS = st.integers(0, 2**40)
EPOCHS = st.lists(st.integers(0, 9), max_size=3).map(tuple)
TEXTS = st.text(st.characters(), max_size=12)
POSITIONS = st.tuples(LINES, st.integers(0, 200))

FILES = st.builds(
    FileCoverage,
    service=TEXTS,
    path=TEXTS,
    language=st.sampled_from(["python", "go"]),
    digest=st.binary(min_size=32, max_size=32).map(lambda raw: f"sha256:{raw.hex()}"),
    origin=st.sampled_from(["local", "recorded", "missing"]),
    mode=st.sampled_from(["line", "branch"]),
    regions=st.lists(st.builds(Region, POSITIONS, POSITIONS, st.integers(0, 9), COUNTS, EPOCHS), max_size=4).map(tuple),
    arcs=st.lists(st.builds(Arc, LINES, st.integers(-99, 99), COUNTS, EPOCHS, st.booleans()), max_size=3).map(tuple),
    functions=st.lists(st.builds(Function, TEXTS, LINES, LINES, st.sampled_from(["function", "class"])), max_size=2).map(tuple),
    excluded=st.lists(LINES, max_size=3).map(tuple),
    package=TEXTS,
    recorded_paths=st.lists(TEXTS, max_size=2).map(tuple),
    counting=st.sampled_from(get_args(Counting)),
)
REPORTS = st.builds(
    Report,
    run=TEXTS,
    epochs=st.lists(st.builds(Epoch, st.integers(0, 9), st.none() | TEXTS, TEXTS), max_size=3).map(tuple),
    files=st.lists(FILES, max_size=3).map(tuple),
    services=st.lists(TEXTS, max_size=2).map(tuple),
    warnings=st.lists(TEXTS, max_size=2).map(tuple),
)


@given(REPORTS)
def test_a_report_comes_back_as_it_was_and_fulfils_the_schema(report: Report) -> None:
    data = report_json.dump(report)
    assert report_json.load(data) == report
    assert report_json.dump(report) == data
    Draft202012Validator(schema("report-1")).validate(json.loads(data))


def test_names_that_are_not_utf8_survive() -> None:
    report = Report("r", (), (), services=("caf\udce9",))
    assert report_json.load(report_json.dump(report)) == report


def test_the_schema_is_a_schema() -> None:
    for name in ("report-1", "ledger-1", "summary-1"):
        Draft202012Validator.check_schema(schema(name))


def written(**changes: Any) -> bytes:
    region = {"start": [1, 0], "end": [1, 0], "statements": 1, "hits": 1, "epochs": [0]}
    file = {
        "service": "orders",
        "path": "app.py",
        "language": "python",
        "digest": "sha256:00",
        "origin": "local",
        "mode": "line",
        "package": "",
        "recorded_paths": [],
        "regions": [region | changes.pop("region", {})],
        "arcs": [],
        "functions": [],
        "excluded": [],
    }
    head = {"schema": "podcov/report/1", "run": "r1", "services": [], "epochs": [], "warnings": []}
    return json.dumps(head | {"files": [file | changes.pop("file", {})]} | changes).encode()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "report.json: this is no JSON: "),
        (b"\xff\xfe", "report.json: this is no JSON: "),
        (b"[" * 100_000, "report.json: this is no JSON: "),
        (b"[]", "report.json must be an object, and is []"),
        (b"{}", "report.json: schema: the key is missing"),
        (written(schema="podcov/report/2"), "report.json: its schema is podcov/report/2, and this podcov reads podcov/report/1"),
        (written(run=3), "report.json: run must be a text, and is 3"),
        (written(services=[1]), "report.json: services must be a list of texts, and is 1"),
        (written(files={}), "report.json: files must be a list, and is {}"),
        (written(files=[7]), "report.json: files[0] must be an object, and is 7"),
        (written(file={"mode": "lines"}), 'report.json: files[0].mode must be one of line, branch, and is "lines"'),
        (written(region={"hits": True}), "report.json: files[0].regions[0].hits must be a whole number, and is true"),
        (written(region={"start": [1]}), "report.json: files[0].regions[0].start must be two numbers, and is [1]"),
        (written()[:-40], "report.json: this is no JSON: "),
    ],
)
def test_what_is_damaged_is_named(data: bytes, expected: str) -> None:
    with pytest.raises(DamagedError) as caught:
        report_json.load(data)
    assert caught.value.message.startswith(expected)


def test_a_report_of_another_name_is_called_by_it() -> None:
    with pytest.raises(DamagedError, match=r"^runs/7/report\.json: "):
        report_json.load(b"", name="runs/7/report.json")


@given(st.binary(max_size=60) | st.recursive(st.none() | st.integers() | TEXTS, st.lists).map(lambda v: json.dumps(v).encode()))
def test_any_bytes_give_a_damaged_error_and_nothing_else(data: bytes) -> None:
    with pytest.raises(DamagedError):
        report_json.load(data)


def keys(part: Any) -> set[str]:
    """Every property that a schema names, however deep."""
    if isinstance(part, list):
        return set().union(*map(keys, part))
    if not isinstance(part, dict):
        return set()
    return set(part.get("properties", ())).union(*map(keys, part.values()))


@pytest.mark.parametrize("name", ["report-1", "ledger-1", "summary-1"])
def test_every_key_is_documented(name: str, root: Path) -> None:
    text = (root / "docs" / "report-json.md").read_text(encoding="utf-8")
    assert {key for key in keys(schema(name)) if f"`{key}`" not in text} <= {"schema"}
