"""One switch for Go services (`E2E_COVERAGE=true`): with it GOCOVERDIR is set, and files are copied at the end. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from podcov.config import Dump
from podcov.generate.adoption import offers, profiles, signs
from podcov.generate.adoption.contract import Adoption, Handover
from podcov.generate.adoption.signs import Seen, Sign
from podcov.generate.adoption.workspace import DOCKERFILES, GO, MAKEFILES, SHELL, YAML, Cut, Workspace

NAME = "a coverage switch for Go"
_ENDS = "podcov scales it to 0 after the tests, and back"
_COPIES = "podcov copies from every node that its pods ran on"
_REPORTS = "podcov reports, in Go's own format too"
_SCRIPTS = SHELL + MAKEFILES + YAML
_BETWEEN = r"[\"', ]+"
_RUNS = re.compile(
    r"(?m)^(?P<before>[ \t]*(?:[@-]+[ \t]*)?(?:\w+=\S*[ \t]+)*\w*COVERAGE\w*=(?:true|1)[ \t]+(?:\w+=\S*[ \t]+)*)"
    r"(?:go test|ginkgo|gotestsum|\$\((?:GO|GINKGO)\))(?=[ \t])"
)
"""the tests, with the switch on"""
_AFTERWARDS = re.compile(
    r"(?:go tool covdata|go tool cover -(?:func|html)|(?:podman|docker) cp \S+:|kubectl(?: \S+)* scale (?:\S+ )*--replicas=0)"
    r"[^\n;&|>]*"
)
"""what is done for coverage once they have run"""
_TEXT = re.compile(rf"covdata{_BETWEEN}textfmt\b[^\n]*?-o[=\"', ]+(?P<path>[\w.-][\w./-]*)")
_PAGE = re.compile(r"-html=\S+?[\"', ]+-o[=\"', ]+(?P<path>[\w.-][\w./-]*)")
_SIGNS = (
    Sign("switch", GO, re.compile(r"os\.(?:Getenv|LookupEnv)\(\"(?P<value>\w*COVERAGE\w*)\"\)"), r"\g<value> turns coverage on"),
    Sign("switch", _SCRIPTS, re.compile(r"\b(?P<value>\w*COVERAGE\w*)=(?:true|1)\b"), r"\g<value> turns coverage on"),
    Sign(
        "folder", GO, re.compile(r"\"GOCOVERDIR\",\s*(?:Value:\s*)?\"(?P<value>[^\"]+)\""), r"the service writes into \g<value>"
    ),
    Sign("folder", _SCRIPTS, re.compile(r"\bGOCOVERDIR[=:]\s*(?P<value>/\S+)"), r"the service writes into \g<value>"),
    Sign("folder", YAML, re.compile(r"name: GOCOVERDIR\s+value: (?P<value>/\S+)"), r"the service writes into \g<value>"),
    Sign("build", DOCKERFILES, re.compile(r"ARG (?P<value>GOFLAGS)\b"), r"\g<value> is a build argument"),
    Sign("build", _SCRIPTS, re.compile(r"(?P<value>GOFLAGS=\S*-cover\S*)"), r"builds with \g<value>"),
    Sign(
        "service",
        GO + _SCRIPTS,
        re.compile(rf"scale{_BETWEEN}(?P<value>[\w./-]+){_BETWEEN}--replicas=0"),
        r"\g<value> is scaled to 0, so that its runtime writes",
        _ENDS,
    ),
    Sign(
        "node",
        GO + _SCRIPTS,
        re.compile(rf"(?:podman|docker){_BETWEEN}cp{_BETWEEN}(?P<value>[\w.-]+):"),
        r"copies out of the node \g<value>",
        _COPIES,
    ),
    Sign(
        "report",
        GO + _SCRIPTS,
        re.compile(rf"covdata{_BETWEEN}(?P<value>textfmt|percent|func|merge)"),
        r"covdata \g<value>",
        _REPORTS,
    ),
    Sign("report", GO + _SCRIPTS, re.compile(r"-html=(?P<value>[\w./-]+)"), r"makes HTML of \g<value>", _REPORTS),
)


def recognise(space: Workspace) -> Adoption | None:
    """What is there of it; None where no variable turns GOCOVERDIR on."""
    seen = signs.scan(space, _SIGNS)
    kinds = {s.kind for s in seen}
    if not {"switch", "folder"} <= kinds:
        return None
    before, profile = len(space.journal), profiles.for_coverage(space)
    handover = _handover(space, seen)
    for path, text in space.texts(SHELL + MAKEFILES):
        if _RUNS.search(text):
            space.cut(path, _with_podcov)
            offers.drop_commands(space, path, _AFTERWARDS, "`podcov run` does that")
    keeps = ["Your switch, your make targets and your tests stay: the target runs them by `podcov run`."]
    return signs.adoption(space, NAME, seen, keeps, handover, profile, before)


def _handover(space: Workspace, seen: Sequence[Seen]) -> Handover:
    usual = Dump("exit")
    folder = next((s.value for s in seen if s.kind == "folder"), usual.folder)
    from_nodes = any(s.kind == "node" for s in seen)
    return Handover(
        "go",
        Dump("exit", folder=folder, source="nodes" if from_nodes else "pods"),
        "scaled to 0, for it writes when it ends",
        workloads=tuple(dict.fromkeys(s.value for s in seen if s.kind == "service" and "/" in s.value)),
        copies=_copies(space),
    )


def _copies(space: Workspace) -> dict[str, str]:
    """Where Go's text profile and its page are expected."""
    texts = [text for _, text in space.texts(GO + _SCRIPTS)]
    profiles_made = [found["path"] for text in texts for found in _TEXT.finditer(text)]
    pages = [found["path"] for text in texts for found in _PAGE.finditer(text)]
    return dict.fromkeys(profiles_made, "go.txt") | dict.fromkeys(pages, "go.html")


def _with_podcov(text: str) -> Iterator[Cut]:
    for run in _RUNS.finditer(text):
        yield Cut(run.end("before"), run.end("before"), "`podcov run` asks for the coverage", "podcov run -- ")
