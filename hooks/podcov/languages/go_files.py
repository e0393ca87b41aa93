"""Which files of a project are Go: sources that a program may be built from, and what says where modules lie. Pure."""

from __future__ import annotations

from typing import Final

_MODULES: Final = ("go.mod", "go.work")


def is_source(path: str) -> bool:
    """Whether a file can be a source of a program. `path` is relative to the project, with `/`.

    The go command itself passes over tests, and over folders that are called `testdata` or begin with `_`.
    """
    *folders, name = path.split("/")
    if any(folder == "testdata" or folder.startswith("_") for folder in folders):
        return False
    return name in _MODULES or (name.endswith(".go") and not name.endswith("_test.go"))
