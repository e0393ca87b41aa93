"""py-coverage-http: `coverage_server.py` stands in front of the app and answers on a port, tests ask it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from posixpath import basename, dirname

from podcov.generate import project
from podcov.generate.adoption import dockerfiles, leftovers, offers, python_tools, words, workloads, yamls
from podcov.generate.adoption.contract import Adoption, Evidence
from podcov.generate.adoption.workspace import PYTHON, SHELL, YAML, Cut, Workspace
from podcov.generate.findings import Finding

NAME = "py-coverage-http"
_SERVER, _CLIENT = "coverage_server.py", "coverage_client.py"
_PORT = "9095"
_VARIABLES = ("COVERAGE_PORT",)
_NAMED = re.compile(r"(?m)^[^#\n]*\bcoverage_server\b")
_STARTED = re.compile(r"(?m)^[^#\n]*\b(?:python[\d.]*|run|exec)\b[^#|&;\n]*\bcoverage_server\b")
_ASKS = re.compile(r"CoverageClient\b|\bcollect_coverage_from_pod\b")
_IMPORTS = re.compile(r"(?m)^\s*(?:import|from)\s[^#\n]*\bcoverage_server\b")
_IMPORTS_COVERAGE = re.compile(r"(?m)^\s*(?:import|from) coverage\b")
_RUNS_ANOTHER = re.compile(r"\brunpy\b|\bexec\(")
_OUTPUT = re.compile(r"[^\n]*\bcoverage-output/[^\n]*")
_NOT_RUN = f"nothing runs {_SERVER} any more"
_PORT_SAID = re.compile(r"\bCOVERAGE_PORT\b[\"', =]{1,5}(\d{2,5})\b")


def recognise(space: Workspace) -> Adoption | None:
    """The adoption, and the workspace without the tool; None where there is no trace of it."""
    served, asked, tools = _served(space), _asked(space), _tools(space)
    evidence = [*served, *asked, *tools]
    if not evidence:
        return None
    begin, port = len(space.journal), _port(space)
    owners = [
        found.owner for path, text in python_tools.manifests(space) for found in workloads.containers(text) if _is_wrapped(found)
    ]
    findings = _edit(space, port, in_use=bool(served or asked))
    decided = offers.offered(space, begin)
    if decided:
        does = "the app is started by" if served else "there is"
        found = f"{does} {_SERVER}, which answers on port {port}"
        findings.insert(0, Finding(evidence[0].path, found, decided, python_tools.WHY_NOT_BOTH, "warning"))
    keeps = ["Your tests run as they are: `tests: command:` in podcov.yaml names what runs them."]
    findings += _left(space)
    return python_tools.adoption(space, NAME, evidence, keeps, findings, port=[port], container=owners)


def _served(space: Workspace) -> list[Evidence]:
    """Where a command starts the server in front of an app. A module of that name that is no such tool is copied and imported."""
    found = [(path, cut) for path, text in python_tools.images(space) for cut in _image_cuts(text)]
    found += [(path, cut) for path, text in python_tools.manifests(space) for cut in _manifest_cuts(text)]
    what = f"{_SERVER} stands in front of the app"
    scripts = [(path, text) for path, text in space.texts(SHELL) if any(words.shell_without(text, _SERVER))]
    return [
        *(Evidence(path, space.line(path, cut.start), what) for path, cut in found),
        *(e for path, _ in scripts for e in space.found(path, _STARTED, what)),
    ]


def _asked(space: Workspace) -> list[Evidence]:
    return [
        e
        for path, text in space.texts(PYTHON)
        if "collect_coverage_from_pod" in text
        for e in space.found(path, _ASKS, "the client that collects")
    ]


def _tools(space: Workspace) -> list[Evidence]:
    """Files of the server's name that are it: they run another program under coverage.py, and answer."""
    return [
        e
        for path, text in space.texts((_SERVER,))
        if _RUNS_ANOTHER.search(text) and "http.server" in text
        for e in space.found(path, _IMPORTS_COVERAGE, "runs a program under coverage.py, and answers over HTTP")[:1]
    ]


def _image_cuts(text: str) -> Iterator[Cut]:
    """A Dockerfile's commands without the server."""
    yield from dockerfiles.commands(text, words.without(_SERVER), _NOT_RUN)
    yield from dockerfiles.shells(text, lambda start, end: words.shell_without(text, _SERVER, start, end))


def _manifest_cuts(text: str) -> Iterator[Cut]:
    """Containers' commands without the server."""
    yield from workloads.commands(text, words.without(_SERVER), _NOT_RUN)
    yield from workloads.shells(text, lambda start, end: words.shell_without(text, _SERVER, start, end))


def _port(space: Workspace) -> str:
    """The port that the server listens on: what Dockerfile or manifest say, else its own default."""
    said = [workloads.variables(text).get(_VARIABLES[0], "") for _, text in python_tools.manifests(space)]
    texts = [*python_tools.images(space), *space.texts((_SERVER,)), *space.texts(PYTHON)]
    found = [m.group(1) for _, text in texts if (m := _PORT_SAID.search(text))]
    return next((port for port in (*said, *found) if port), _PORT)


def _is_wrapped(found: workloads.Found) -> bool:
    return any(_SERVER in word for word in found.words())


def _edit(space: Workspace, port: str, *, in_use: bool) -> list[Finding]:
    findings: list[Finding] = []
    theirs = [path for path, text in python_tools.images(space) if _SERVER in text or "COVERAGE_PORT" in text]
    images = python_tools.edit(space, python_tools.images(space), [_image_cuts])
    manifests = python_tools.edit(space, python_tools.manifests(space), [_manifest_cuts])
    needed = _needed(space)
    if in_use and not needed:
        images += _edit_images(space, theirs, port)
        findings += _edit_manifests(space, port)
        python_tools.drop_fixtures(space, _ASKS, "CoverageClient")
    leftovers.drop_patches(space, manifests)
    findings += python_tools.drop_test_images(space, dict.fromkeys(images))
    if not needed:
        _drop_files(space)
        python_tools.drop_package(space)
    return findings


def _needed(space: Workspace) -> list[Evidence]:
    """What still starts the server, or imports it: what it needs stays for as long as there is any."""
    texts = [(path, text, dockerfiles.started(text)) for path, text in python_tools.images(space)]
    for path, text in python_tools.manifests(space):
        texts.append((path, text, workloads.started(text) if yamls.documents(text) else text))
    found = [e for path, _, started in texts if _NAMED.search(started) for e in space.found(path, _NAMED, "")[-1:]]
    found += [e for path, _ in space.texts(SHELL) for e in space.found(path, _STARTED, "")[:1]]
    return found + [e for path, _ in space.texts(PYTHON) for e in space.found(path, _IMPORTS, "")[:1]]


def _edit_images(space: Workspace, paths: list[str], port: str) -> list[str]:
    return python_tools.edit(
        space,
        [(path, text) for path, text in python_tools.images(space) if path in paths],
        [
            lambda text: dockerfiles.copies(text, (_SERVER,)),
            lambda text: dockerfiles.runs(text, _is_ours),
            lambda text: dockerfiles.environment(text, _VARIABLES),
            lambda text: dockerfiles.exposed(text, port),
        ],
    )


def _edit_manifests(space: Workspace, port: str) -> list[Finding]:
    served = f"port {port} is not served"
    names = {name for _, text in python_tools.manifests(space) for name in workloads.port_names(text, port)}
    targets = {port, *names}
    findings = [finding for path, _ in python_tools.manifests(space) for finding in _probes(space, path, port, names)]
    edited = python_tools.edit(
        space,
        python_tools.manifests(space),
        [
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
    serving = [(e.path, e.line) for e in _needed(space)]
    reading = [(path, e.line) for path, _ in space.texts(YAML) for e in space.found(path, _OUTPUT, "")[:1]]
    said = [
        (asking, "asks for coverage over HTTP", "podcov collects by itself: take it out of the tests once you use podcov"),
        (serving, f"starts or imports {_SERVER}, in a way that only a person can take out", python_tools.WHY_NOT_BOTH),
        (reading, "reads coverage-output/", "podcov writes .podcov/runs/latest/reports/: name coverage.xml there"),
    ]
    return [Finding(f"{path}:{line}", found, "kept", why, "warning") for places, found, why in said for path, line in places]
