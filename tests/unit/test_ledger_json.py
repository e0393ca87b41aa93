"""`ledger.json` keeps every target and process, with its counts beside it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from podcov.errors import DamagedError
from podcov.formats import ledger_json
from podcov.ledger import Ledger, ProcessEntry, TargetEntry
from podcov.schemas import schema

TEXTS = st.text(st.characters(), max_size=12)
STATES = st.sampled_from(["collected", "empty", "failed"])
PROCESSES = st.builds(
    ProcessEntry,
    id=TEXTS,
    argv=st.lists(TEXTS, max_size=3).map(tuple),
    state=STATES,
    reason=TEXTS,
    slug=TEXTS,
    recording=st.sampled_from(["", "mapped", "saved"]),
    note=TEXTS,
)
TARGETS = st.builds(
    TargetEntry,
    service=TEXTS,
    name=TEXTS,
    id=TEXTS,
    state=STATES,
    reason=TEXTS,
    slug=TEXTS,
    start=st.integers(0, 9),
    ended=TEXTS,
    processes=st.lists(PROCESSES, max_size=3).map(tuple),
)
LEDGERS = st.builds(
    Ledger,
    targets=st.lists(TARGETS, max_size=3).map(tuple),
    services_without_targets=st.lists(TEXTS, max_size=2).map(tuple),
    unreported=st.lists(TEXTS, max_size=2).map(tuple),
)


@given(LEDGERS)
def test_a_ledger_comes_back_as_it_was_and_fulfils_the_schema(ledger: Ledger) -> None:
    data = ledger_json.dump(ledger)
    assert ledger_json.load(data) == ledger
    assert ledger_json.dump(ledger) == data
    document = json.loads(data)
    Draft202012Validator(schema("ledger-1")).validate(document)
    assert document["complete"] is ledger.complete
    assert document["counts"]["processes"]["expected"] == sum(len(t.processes) for t in ledger.targets)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"{", "ledger.json: this is no JSON: "),
        (b'{"schema": "podcov/report/1"}', "ledger.json: its schema is podcov/report/1, and this podcov reads podcov/ledger/1"),
        (b'{"schema": "podcov/ledger/1", "targets": [{}]}', "ledger.json: targets[0].service: the key is missing"),
    ],
)
def test_what_is_damaged_is_named(data: bytes, expected: str) -> None:
    with pytest.raises(DamagedError) as caught:
        ledger_json.load(data)
    assert caught.value.message.startswith(expected)
