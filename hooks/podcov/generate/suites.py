"""How the integration tests of a project are run, as far as its files say. Pure.

What tests are written in says nothing of the services, nor these of the tests.
"""

from __future__ import annotations

import re
from posixpath import dirname

from podcov.generate import project, walk
from podcov.generate.project import Project

FOLDERS = ("tests/integration", "tests/e2e", "integration_tests", "tests")
"""where integration tests usually are; the first that is there counts"""
_TAG = re.compile(r"^//go:build[ \t]+(?P<tag>\w+)[ \t]*$", re.MULTILINE)
_PACKAGE = re.compile(r"^package\b", re.MULTILINE)


def command(files: Project) -> tuple[str, ...]:
    """The words that run them; empty where there is no folder of tests."""
    folder = next((folder for folder in FOLDERS if files.names(folder)), "")
    if not folder:
        return ()
    paths = list(walk.walk(files, folder))
    go_tests = [path for path in paths if path.endswith("_test.go")]
    if go_tests and not any(path.endswith(".py") for path in paths):
        return _go_test(files, folder, go_tests)
    return ("python3", "-m", "pytest", folder)


def _go_test(files: Project, folder: str, tests: list[str]) -> tuple[str, ...]:
    """`-count=1`, for Go does not run again what has passed and has not changed, and it cannot see the services change."""
    own_module = "go.mod" in files.names(folder)
    here = "." if own_module else f"./{folder}"
    packages = here if all(dirname(path) == folder for path in tests) else f"{here}/..."
    tags = sorted({tag for path in tests if (tag := _tag(files, path))})
    return (
        "go",
        "test",
        *(("-C", folder) if own_module else ()),
        "-count=1",
        *((f"-tags={','.join(tags)}",) if tags else ()),
        packages,
    )


def _tag(files: Project, path: str) -> str:
    """The build tag without which Go leaves a file out; empty where there is none, or more than one word says."""
    text = walk.text(files, project.join(path)) or ""
    package = _PACKAGE.search(text)
    found = _TAG.search(text, 0, package.start() if package else len(text))
    return found["tag"] if found else ""
