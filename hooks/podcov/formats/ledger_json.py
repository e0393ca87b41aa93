"""`ledger.json`, schema `podcov/ledger/1`: every target and process that was expected, and what became of it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final, get_args

from podcov.formats.json_document import Object, decode, encode
from podcov.ledger import Ledger, ProcessEntry, State, TargetEntry

SCHEMA: Final = "podcov/ledger/1"

_STATES: tuple[State, ...] = get_args(State)


def dump(ledger: Ledger) -> bytes:
    """The ledger as JSON, its counts first: same ledger, same bytes."""
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "complete": ledger.complete,
        "counts": {"targets": asdict(ledger.target_counts), "processes": asdict(ledger.process_counts)},
        "services_without_targets": ledger.services_without_targets,
        "unreported": ledger.unreported,
        "targets": [asdict(target) for target in ledger.targets],
    }
    return encode(document)


def load(data: bytes, *, name: str = "ledger.json") -> Ledger:
    """The ledger that `dump` wrote; `name` is what errors call the file. Raises DamagedError."""
    document = decode(data, name=name, schema=SCHEMA)
    return Ledger(
        targets=tuple(_target(t) for t in document.objects("targets")),
        services_without_targets=document.texts("services_without_targets"),
        unreported=document.texts("unreported"),
    )


def _target(t: Object) -> TargetEntry:
    return TargetEntry(
        service=t.text("service"),
        name=t.text("name"),
        id=t.text("id"),
        state=t.choice("state", _STATES),
        reason=t.text("reason"),
        slug=t.text("slug"),
        start=t.integer("start"),
        ended=t.text("ended"),
        processes=tuple(_process(p) for p in t.objects("processes")),
    )


def _process(p: Object) -> ProcessEntry:
    return ProcessEntry(
        id=p.text("id"),
        argv=p.texts("argv"),
        state=p.choice("state", _STATES),
        reason=p.text("reason"),
        slug=p.text("slug"),
        recording=p.text("recording"),
        note=p.text("note"),
    )
