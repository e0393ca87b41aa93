"""Manabie's way: the service is a test binary (`go test -c`), ended by a request to a port, and started again. Pure."""

from __future__ import annotations

import re

from podcov.generate.adoption import signs
from podcov.generate.adoption.contract import Adoption
from podcov.generate.adoption.signs import Sign
from podcov.generate.adoption.workspace import DOCKERFILES, GO, MAKEFILES, SHELL, YAML, Workspace

NAME = "Go test binaries"
_BUILDS = "podcov builds the service itself with -cover: no test binary is needed"
_ENDS = "podcov takes the counters of a running process: nothing has to end"
_MERGES = "podcov collects, merges and reports"
_PLACES = DOCKERFILES + SHELL + MAKEFILES + YAML
_BUILD = re.compile(r"\bgo test\b(?=[^\n]*\s-c\b)(?=[^\n]*-cover)[^\n]*")
_SIGNS = (
    Sign("build", _PLACES, _BUILD, r"\g<0>", _BUILDS),
    Sign(
        "package",
        _PLACES,
        re.compile(r"\bgo test\b(?=[^\n]*\s-c\b)[^\n]*?\s(?P<value>\./\S*)"),
        r"\g<value> is the service",
        _BUILDS,
    ),
    Sign("measured packages", _PLACES, re.compile(r"-coverpkg[= ](?P<value>\S+)"), r"\g<value> is measured"),
    Sign("mode", _PLACES, re.compile(r"-covermode[= ](?P<value>set|count|atomic)"), r"counts in mode \g<value>"),
    Sign("binary", _PLACES, re.compile(r"(?P<value>\S+\.test)\s[^\n]*-test\.coverprofile"), r"\g<value> is started", _BUILDS),
    Sign("file", _PLACES, re.compile(r"-test\.coverprofile[= ](?P<value>[\w./-]+)"), r"writes \g<value> when it ends", _ENDS),
    Sign(
        "loop", SHELL, re.compile(r"while (?:true|:)(?=[\s\S]*-test\.coverprofile)"), "starts the service again and again", _ENDS
    ),
    Sign(
        "test function",
        GO,
        re.compile(r"func (?P<value>TestRun\w*|TestMain|TestServer\w*)\("),
        r"\g<value> is the service",
        _BUILDS,
    ),
    Sign("port", GO, re.compile(r"\":(?P<value>19999)\""), r"a request to port \g<value> ends the service", _ENDS),
    Sign(
        "port",
        SHELL + MAKEFILES + YAML,
        re.compile(r"curl\b[^\n]*localhost:(?P<value>\d+)"),
        r"asks port \g<value> to end",
        _ENDS,
    ),
    Sign(
        "service",
        SHELL + MAKEFILES + YAML,
        re.compile(r"kubectl exec (?P<value>[\w./-]+) -- (?:curl|cat)\b"),
        r"asks \g<value>",
        _MERGES,
    ),
    Sign("merge", SHELL + MAKEFILES + YAML, re.compile(r"\bgocovmerge\b"), "merges the services' profiles", _MERGES),
    Sign("total", SHELL + MAKEFILES + YAML, re.compile(r"\bgo tool cover -func\b"), "prints the total", _MERGES),
)
_NEEDED = {"build", "file"}


def recognise(space: Workspace) -> Adoption | None:
    """What is there of it; None where no test binary that writes a profile is built or started."""
    if "-test.coverprofile" not in "".join(text for _, text in space.texts(_PLACES)):
        return None
    seen = signs.scan(space, _SIGNS)
    if not _NEEDED & {s.kind for s in seen}:
        return None
    return signs.adoption(space, NAME, seen, ["Your tests, and the rule that the percentage may not fall, stay as they are."])
