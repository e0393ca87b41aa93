"""One switch for Go services (`E2E_COVERAGE=true`): with it GOCOVERDIR is set, and files are copied at the end. Pure."""

from __future__ import annotations

import re

from podcov.generate.adoption import signs
from podcov.generate.adoption.contract import Adoption
from podcov.generate.adoption.signs import Sign
from podcov.generate.adoption.workspace import DOCKERFILES, GO, MAKEFILES, SHELL, YAML, Workspace

NAME = "a coverage switch for Go"
_ENDS = "podcov takes the counters of a running process: nothing has to end"
_COPIES = "podcov pulls the data out of the pods, and not out of the node"
_REPORTS = "podcov reports, in Go's own format too"
_SCRIPTS = SHELL + MAKEFILES + YAML
_BETWEEN = r"[\"', ]+"
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
    return signs.adoption(space, NAME, seen, ["Your switch, your make targets and your tests stay as they are."])
