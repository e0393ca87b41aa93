"""What the set-ups for Python have in common: images, scripts and tests that a coverage tool was brought into. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from posixpath import basename

from podcov.generate.adoption import dockerfiles, leftovers, profiles
from podcov.generate.adoption.contract import Adoption, Evidence
from podcov.generate.adoption.workspace import DOCKERFILES, MAKEFILES, PYTHON, SHELL, YAML, Cut, Rule, Workspace
from podcov.generate.findings import Finding

WHY_NOT_BOTH = (
    "two tools in one process: on Python 3.11, and with branches up to 3.13, one takes the trace function from the other, "
    "whose lines are missing then; from 3.12 both record, and the app runs as slowly as the other makes it"
)
_CI = re.compile(r"(?:^|/)(?:\.(?:github|circleci)/|\.(?:gitlab-ci|travis|drone)\.ya?ml|[\w-]+-pipelines\.ya?ml)")
_IMPORTS_COVERAGE = re.compile(r"(?m)^\s*(?:import coverage\b|from coverage\b)")
_NEEDS_COVERAGE = re.compile(
    r"(?m)^[^#\n]*(?:pytest|(?<![\w./-])coverage (?:run|report|combine|xml|html|--)|-m\s+coverage\b|--cov\b)"
)
_GATE = re.compile(r"(?m)^.*?(coverage report\b[^\n]*--fail-under[= ]?\S+)")


def images(space: Workspace) -> list[tuple[str, str]]:
    """(path, text) of the Dockerfiles of services; those of tests measure the tests' own process."""
    return [(path, text) for path, text in space.texts(DOCKERFILES) if not dockerfiles.runs_tests(text)]


def manifests(space: Workspace) -> list[tuple[str, str]]:
    """(path, text) of YAML files but those of CI, where tests are measured."""
    return [(path, text) for path, text in space.texts(YAML) if not _CI.search(path)]


def edit(space: Workspace, files: Iterable[tuple[str, str]], rules: Sequence[Rule]) -> list[str]:
    """Apply rules to files; the paths of those that they changed."""
    return [path for path, _ in files if space.cut(path, *rules)]


def drop_package(space: Workspace) -> None:
    """Leave the package coverage out of images in which nothing needs it any more."""
    using = [path for path, text in space.texts(PYTHON) if _IMPORTS_COVERAGE.search(text) and not _is_test(path)]
    using += [path for path, text in space.texts(SHELL) if _NEEDS_COVERAGE.search(text)]
    for path, text in images(space):
        if not using and not _NEEDS_COVERAGE.search(text):
            space.cut(path, lambda text: dockerfiles.runs(text, _package))
            space.cut(path, dockerfiles.pip_coverage)


def drop_test_images(space: Workspace, edited: Iterable[str]) -> list[Finding]:
    """Do without edited Dockerfiles that stand beside the service's own, where nobody names them; else say who does."""
    findings = []
    for path in edited:
        own = path.removesuffix(basename(path)) + "Dockerfile"
        if basename(path) != "Dockerfile" and space.text(own) is not None and space.text(path) is not None:
            users = leftovers.drop_unused(space, path, f"{own} is the service's own")
            findings += [_second_image(path, own, users)] if users else []
    return findings


def _second_image(path: str, own: str, users: Sequence[Evidence]) -> Finding:
    found = f"an image for coverage, which {users[0].path}:{users[0].line} names"
    return Finding(path, found, "edited, not removed", f"podcov needs no image of its own: let {own} be built instead")


def drop_fixtures(space: Workspace, pattern: re.Pattern[str], name: str) -> None:
    """Leave fixtures that use what `pattern` fits out of tests, where no test asks for them; then the unused import of `name`."""
    for path, text in space.texts(PYTHON):
        if pattern.search(text):
            space.cut(path, lambda text: _fixture_cuts(space, text, pattern))
            space.cut(path, lambda text: _import_cuts(text, name))


def gates(space: Workspace) -> list[Evidence]:
    """Thresholds of the user's on coverage.py's own command line."""
    return [found for path, _ in space.texts(SHELL + MAKEFILES + YAML) for found in space.found(path, _GATE, r"\1")]


def keep_gates(found: Iterable[Evidence]) -> list[Finding]:
    """What lets thresholds judge what the services ran, too."""
    why = (
        "it goes on judging the data that it reads; those of the services are in .podcov/runs/latest/reports/python.coverage "
        "(`--data-file`), with `coverage` among `reports` in podcov.yaml"
    )
    return [Finding(f"{e.path}:{e.line}", f"a threshold: `{e.what}`", "kept", why) for e in found]


def adoption(
    space: Workspace,
    name: str,
    evidence: Sequence[Evidence],
    keeps: Sequence[str],
    findings: Sequence[Finding],
    **facts: Iterable[str],
) -> Adoption:
    """An Adoption whose replacements are taken from the workspace later, with what is said of the user's coverage profile."""
    profile = profiles.for_coverage(space)
    said = {kind.replace("_", " "): tuple(dict.fromkeys(values)) for kind, values in facts.items()}
    return Adoption(
        name,
        tuple(evidence),
        keeps=tuple(keeps),
        findings=(*findings, *([profiles.kept(profile)] if profile else [])),
        facts={kind: values for kind, values in said.items() if values},
        profile_taken=profile.name if profile else "",
    )


def _package(command: str) -> str:
    return "coverage is not needed in the image" if dockerfiles.installs_only_coverage(command) else ""


def _is_test(path: str) -> bool:
    name = basename(path)
    return (
        name.startswith("test_")
        or name.endswith("_test.py")
        or name == "conftest.py"
        or re.search(r"(?:^|/)tests?/", path) is not None
    )


def _fixture_cuts(space: Workspace, text: str, pattern: re.Pattern[str]) -> Iterator[Cut]:
    lines = text.split("\n")
    for function in _functions(text):
        if not any("fixture" in ast.unparse(decorator) for decorator in function.decorator_list):
            continue
        first, last = min(d.lineno for d in function.decorator_list) - 1, function.end_lineno or function.lineno
        own = "\n".join(lines[first:last])
        name = re.compile(rf"(?<![\w.]){function.name}\b")
        everywhere = sum(len(name.findall(other)) for _, other in space.texts(PYTHON))
        if pattern.search(own) and everywhere == len(name.findall(own)):
            while first and not lines[first - 1].strip():
                first -= 1
            yield _line_cut(lines, first, last, f"the fixture {function.name} was there to collect coverage")


def _import_cuts(text: str, name: str) -> Iterator[Cut]:
    lines = text.split("\n")
    if len(re.findall(rf"\b{name}\b", text)) == 1:
        for number, line in enumerate(lines):
            if re.fullmatch(rf"\s*from [\w.]+ import {name}\s*(?:#.*)?", line):
                yield _line_cut(lines, number, number + 1, f"{name} is not used any more")


def _functions(text: str) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return []
    return [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.decorator_list]


def _line_cut(lines: list[str], first: int, last: int, what: str) -> Cut:
    start = len("\n".join(lines[:first])) + bool(first)
    return Cut(start, min(len("\n".join(lines[:last])) + 1, len("\n".join(lines))), what)
