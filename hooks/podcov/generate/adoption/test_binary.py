"""Manabie's way: the service is a test binary (`go test -c`), ended by a request to a port, and started again. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from contextlib import suppress
from posixpath import basename

from podcov.config import Dump, Tests
from podcov.generate import walk
from podcov.generate.adoption import offers, profiles, signs
from podcov.generate.adoption.contract import Adoption, Handover
from podcov.generate.adoption.signs import Seen, Sign
from podcov.generate.adoption.workspace import DOCKERFILES, GO, MAKEFILES, SHELL, YAML, Workspace

NAME = "Go test binaries"
_BUILDS = "podcov has it write where its sidecar keeps each profile"
_ENDS = "podcov asks it to end, without curl, and waits until it serves again"
_MERGES = "podcov collects, merges and reports"
_WORKLOADS = {"deploy": "deployment", "deployments": "deployment", "sts": "statefulset", "po": "pod", "pods": "pod"}
_MERGED = re.compile(r"\bgocovmerge\b[^\n>|]*>\s*\"?(?P<path>[\w./-]+)")
_OF_A_SERVICE = re.compile(r">\s*\"?(?P<folder>(?:[\w.-]+/)*)(?P<name>\$\{?\w+\}?|[\w-]+)(?P<ending>\.\w+)\"?\s*$", re.MULTILINE)
_TESTS = re.compile(
    r"\bkubectl exec(?: -[it]+)* (?P<pod>[a-z][\w./-]*)(?: (?:-c|--container)[= ](?P<container>[\w-]+))? -- "
    r"(?P<command>\S*test\S*(?: [^\n;&|]*)?)"
)
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
    before, profile = len(space.journal), profiles.for_coverage(space)
    handover = _handover(space, seen)
    scripts = dict.fromkeys(s.evidence.path for s in seen if s.kind in ("merge", "total", "service"))
    offers.take_place_of(space, [path for path in scripts if walk.is_named(path, SHELL)])
    keeps = ["Your test binaries and the loop that starts them stay, and so do your tests, and what you ask of the percentage."]
    return signs.adoption(space, NAME, seen, keeps, handover, profile, before)


def _handover(space: Workspace, seen: Sequence[Seen]) -> Handover:
    usual = Dump("killswitch")
    port = next((int(s.value) for s in seen if s.kind == "port"), usual.port)
    profile = next((basename(s.value) for s in seen if s.kind == "file"), usual.profile)
    return Handover(
        "go",
        Dump("killswitch", port=port, profile=profile),
        f"ended by its killswitch on port {port}",
        tests=_tests(space),
        copies=_copies(space),
    )


def _tests(space: Workspace) -> Tests:
    """Tests that are executed in a pod that runs already."""
    found = (tests for _, text in space.texts(SHELL + MAKEFILES + YAML) for tests in _TESTS.finditer(text))
    for tests in found:
        kind, slash, name = tests["pod"].rpartition("/")
        with suppress(ValueError):  # quotes that a shell would not understand either
            words = tuple(shlex.split(tests["command"]))
            return Tests(
                command=words,
                inside=f"{_WORKLOADS.get(kind, kind) if slash else 'pod'}/{name}",
                container=tests["container"] or "",
            )
    return Tests()


def _copies(space: Workspace) -> dict[str, str]:
    """Where the merged profile, and that of each service, are expected."""
    texts = [text for _, text in space.texts(SHELL + MAKEFILES + YAML) if "gocovmerge" in text]
    merged = [found["path"] for text in texts for found in _MERGED.finditer(text)]
    each = [found for text in texts for found in _OF_A_SERVICE.finditer(text) if found["name"].startswith("$")]
    return dict.fromkeys(merged, "go.txt") | {f"{of['folder']}{{service}}{of['ending']}": "go/{service}.out" for of in each}
