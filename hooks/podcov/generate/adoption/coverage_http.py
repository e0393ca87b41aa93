"""py-coverage-http: `coverage_server.py` stands in front of the app and answers on a port, tests ask it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from posixpath import basename, dirname

from podcov.generate import project
from podcov.generate.adoption import dockerfiles, leftovers, python_tools, words, workloads, yamls
from podcov.generate.adoption.contract import Adoption, Evidence
from podcov.generate.adoption.workspace import PYTHON, YAML, Cut, Workspace
from podcov.generate.findings import Finding

NAME = "py-coverage-http"
_SERVER, _CLIENT = "coverage_server.py", "coverage_client.py"
_PORT = "9095"
_VARIABLES = ("COVERAGE_PORT",)
_SERVES = re.compile(r"(?m)^[^#\n]*\bcoverage_server\.py\b")
_ASKS = re.compile(r"CoverageClient\b|\bcollect_coverage_from_pod\b")
_OUTPUT = re.compile(r"[^\n]*\bcoverage-output/[^\n]*")
_NOT_RUN = f"nothing runs {_SERVER} any more"
_PORT_SAID = re.compile(r"\bCOVERAGE_PORT\b[\"', =]{1,5}(\d{2,5})\b")


def recognise(space: Workspace) -> Adoption | None:
    """The adoption, and the workspace without the tool; None where there is no trace of it."""
    evidence = _evidence(space)
    if not evidence:
        return None
    begin, port = len(space.journal), _port(space)
    owners = [
        found.owner for path, text in python_tools.manifests(space) for found in workloads.containers(text) if _is_wrapped(found)
    ]
    findings = _edit(space, port)
    python_tools.drop_package(space)
    decided = python_tools.offered(space, begin)
    if decided:
        found = f"the app is started by {_SERVER}, which answers on port {port}"
        findings.insert(0, Finding(evidence[0].path, found, decided, python_tools.WHY_NOT_BOTH, "warning"))
    keeps = ["Your tests run as they are: `tests: command:` in podcov.yaml names what runs them."]
    findings += _left(space)
    return python_tools.adoption(space, NAME, evidence, keeps, findings, port=[port], container=owners)


def _evidence(space: Workspace) -> list[Evidence]:
    served = [
        e
        for path, _ in [*python_tools.images(space), *python_tools.manifests(space)]
        for e in space.found(path, _SERVES, f"{_SERVER} stands in front of the app")
    ]
    asked = [
        e
        for path, text in space.texts(PYTHON)
        if "collect_coverage_from_pod" in text
        for e in space.found(path, _ASKS, "the client that collects")
    ]
    return served + asked


def _port(space: Workspace) -> str:
    """The port that the server listens on: what Dockerfile or manifest say, else its own default."""
    said = [workloads.variables(text).get(_VARIABLES[0], "") for _, text in python_tools.manifests(space)]
    texts = [*python_tools.images(space), *space.texts((_SERVER,)), *space.texts(PYTHON)]
    found = [m.group(1) for _, text in texts if (m := _PORT_SAID.search(text))]
    return next((port for port in (*said, *found) if port), _PORT)


def _is_wrapped(found: workloads.Found) -> bool:
    return any(_SERVER in word for word in found.words())


def _edit(space: Workspace, port: str) -> list[Finding]:
    unwrap = words.without(_SERVER)
    images = python_tools.edit(
        space,
        [(path, text) for path, text in python_tools.images(space) if _SERVER in text or "COVERAGE_PORT" in text],
        [
            lambda text: dockerfiles.commands(text, unwrap, _NOT_RUN),
            lambda text: dockerfiles.shells(text, lambda start, end: words.shell_without(text, _SERVER, start, end)),
            lambda text: dockerfiles.copies(text, (_SERVER,)),
            lambda text: dockerfiles.runs(text, _is_ours),
            lambda text: dockerfiles.environment(text, _VARIABLES),
            lambda text: dockerfiles.exposed(text, port),
        ],
    )
    findings = _edit_manifests(space, port)
    python_tools.drop_fixtures(space, _ASKS, "CoverageClient")
    findings += python_tools.drop_test_images(space, images)
    _drop_files(space)
    return findings


def _edit_manifests(space: Workspace, port: str) -> list[Finding]:
    unwrap, served = words.without(_SERVER), f"port {port} is not served"
    names = {name for _, text in python_tools.manifests(space) for name in workloads.port_names(text, port)}
    targets = {port, *names}
    findings = [finding for path, _ in python_tools.manifests(space) for finding in _probes(space, path, port, names)]
    edited = python_tools.edit(
        space,
        python_tools.manifests(space),
        [
            lambda text: workloads.commands(text, unwrap, _NOT_RUN),
            lambda text: workloads.shells(text, lambda start, end: words.shell_without(text, _SERVER, start, end)),
            lambda text: workloads.environment(text, _VARIABLES, "COVERAGE_PORT is not needed"),
            lambda text: workloads.service_ports(text, targets, served),
            lambda text: workloads.ports(text, port, served),
        ],
    )
    for path, _ in python_tools.manifests(space):
        _drop_services(space, path, targets)
    leftovers.drop_patches(space, edited)
    return findings


def _probes(space: Workspace, path: str, port: str, names: set[str]) -> list[Finding]:
    def rule(text: str) -> Iterator[Cut]:
        return workloads.probes(text, port, names, f"the probe asked {_SERVER}")

    before = len(space.journal)
    if not space.cut(path, rule):
        return []
    why = f"it asked {_SERVER}, not the app: give the container one that asks the app"
    return [Finding(f"{path}:{space.journal[before].line}", "a probe of the coverage port", "goes with the port", why, "warning")]


def _drop_services(space: Workspace, path: str, targets: set[str]) -> None:
    """Services that lead to the coverage port and nowhere else."""

    def rule(text: str) -> Iterator[Cut]:
        for index in workloads.services_only_for(text, targets):
            yield Cut(*yamls.document_span(text, index), "the Service led to the coverage port only")

    text = space.text(path) or ""
    if len(yamls.documents(text)) > 1:
        space.cut(path, rule)
    elif workloads.services_only_for(text, targets):
        leftovers.drop_manifest(space, path, "the Service led to the coverage port only")


def _drop_files(space: Workspace) -> None:
    for path, _ in space.texts((_SERVER,)):
        leftovers.drop_unused(space, path, "nothing runs it any more")
    for path, _ in space.texts((_CLIENT,)):
        package = project.join(dirname(path), "__init__.py")
        if not leftovers.drop_unused(space, path, "nothing asks for coverage any more", [package]) and space.text(package) == "":
            space.remove(package, f"{dirname(path)} held {basename(path)} only")


def _is_ours(command: str) -> str:
    """Fetching the server, or making it a program."""
    return f"{_SERVER} is not needed in the image" if _SERVER in command and ";" not in command and "|" not in command else ""


def _left(space: Workspace) -> list[Finding]:
    """What still speaks of the tool, and what to do about it."""
    asking = [
        (path, e.line)
        for path, text in space.texts(PYTHON)
        if basename(path) != _CLIENT
        for e in space.found(path, _ASKS, "")[:1]
    ]
    serving = [
        (path, e.line)
        for path, _ in [*python_tools.images(space), *python_tools.manifests(space)]
        for e in space.found(path, _SERVES, "")[:1]
    ]
    reading = [(path, e.line) for path, _ in space.texts(YAML) for e in space.found(path, _OUTPUT, "")[:1]]
    said = [
        (asking, "asks for coverage over HTTP", "podcov collects by itself: take it out of the tests once you use podcov"),
        (serving, f"names {_SERVER} in a way that only a person can take out", python_tools.WHY_NOT_BOTH),
        (reading, "reads coverage-output/", "podcov writes .podcov/runs/latest/reports/: name coverage.xml there"),
    ]
    return [Finding(f"{path}:{line}", found, "kept", why, "warning") for places, found, why in said for path, line in places]
