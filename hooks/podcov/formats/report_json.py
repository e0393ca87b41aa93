"""`report.json`, schema `podcov/report/1`: what a run covered, for podcov itself and for other tools.

Lines are derived from regions; numbers are not written, they follow from the rest. docs/report-json.md describes every key.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final, get_args

from podcov.formats.json_document import Object, decode
from podcov.model import Arc, Counting, Epoch, FileCoverage, Function, Mode, Origin, Region, Report

SCHEMA: Final = "podcov/report/1"

_MODES: tuple[Mode, ...] = get_args(Mode)
_ORIGINS: tuple[Origin, ...] = get_args(Origin)
_COUNTINGS: tuple[Counting, ...] = get_args(Counting)


def dump(report: Report) -> bytes:
    """The report as JSON, a file a line: same report, same bytes."""
    head = json.dumps(
        {
            "schema": SCHEMA,
            "run": report.run,
            "services": report.services,
            "epochs": [{"number": e.number, "run": e.run, "label": e.label} for e in report.epochs],
            "warnings": report.warnings,
        }
    )
    files = ",\n".join(_compact(_file(f)) for f in report.files)
    return f'{head[:-1]}, "files": [\n{files}\n]}}\n'.encode("ascii")


def load(data: bytes, *, name: str = "report.json") -> Report:
    """The report that `dump` wrote; `name` is what errors call the file. Raises DamagedError."""
    document = decode(data, name=name, schema=SCHEMA)
    return Report(
        run=document.text("run"),
        epochs=tuple(Epoch(e.integer("number"), e.text_or_none("run"), e.text("label")) for e in document.objects("epochs")),
        files=tuple(_load_file(f) for f in document.objects("files")),
        services=document.texts("services"),
        warnings=document.texts("warnings"),
    )


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _file(f: FileCoverage) -> dict[str, Any]:
    return {
        "service": f.service,
        "path": f.path,
        "language": f.language,
        "digest": f.digest,
        "origin": f.origin,
        "mode": f.mode,
        "package": f.package,
        "recorded_paths": f.recorded_paths,
        "regions": [_region(r) for r in f.regions],
        "arcs": [_arc(a) for a in f.arcs],
        "functions": [{"name": x.name, "kind": x.kind, "start": x.start, "end": x.end} for x in f.functions],
        "excluded": f.excluded,
        **({"counting": f.counting} if f.counting else {}),
    }


def _region(r: Region) -> dict[str, Any]:
    return {"start": r.start, "end": r.end, "statements": r.statements, "hits": r.hits, "epochs": r.epochs}


def _arc(a: Arc) -> dict[str, Any]:
    return {"from": a.from_line, "to": a.to, "hits": a.hits, "epochs": a.epochs, "assumed": a.assumed}


def _load_file(f: Object) -> FileCoverage:
    return FileCoverage(
        service=f.text("service"),
        path=f.text("path"),
        language=f.text("language"),
        digest=f.text("digest"),
        origin=f.choice("origin", _ORIGINS),
        mode=f.choice("mode", _MODES),
        package=f.text("package"),
        recorded_paths=f.texts("recorded_paths"),
        regions=tuple(_load_regions(f.objects("regions"))),
        arcs=tuple(
            Arc(a.integer("from"), a.integer("to"), a.integer("hits"), a.integers("epochs"), a.flag("assumed"))
            for a in f.objects("arcs")
        ),
        functions=tuple(
            Function(x.text("name"), x.integer("start"), x.integer("end"), x.choice("kind", ("function", "class")))
            for x in f.objects("functions")
        ),
        excluded=f.integers("excluded"),
        counting=f.choice("counting", _COUNTINGS) if f.has("counting") else "",
    )


def _load_regions(regions: Iterable[Object]) -> Iterable[Region]:
    for r in regions:
        yield Region(r.pair("start"), r.pair("end"), r.integer("statements"), r.integer("hits"), r.integers("epochs"))
