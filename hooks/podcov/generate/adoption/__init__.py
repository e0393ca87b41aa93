"""Repos that measure coverage already: which set-up they have, what of it stays, what podcov would put in its place. Pure.

A set-up is a module with `recognise(workspace)`, and a line in `SETUPS`. It edits the workspace as the project would be
without it; the next one sees the result, so that two of them can share a Dockerfile.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from podcov.generate.adoption import coverage_http, coverage_switch, process_start, skaffold_tutorial, test_binary
from podcov.generate.adoption.contract import Adoption, Evidence, Replacement
from podcov.generate.adoption.workspace import Workspace
from podcov.generate.project import Project

__all__ = ["SETUPS", "Adoption", "Evidence", "Replacement", "recognise"]

SETUPS: tuple[Callable[[Workspace], Adoption | None], ...] = (
    coverage_http.recognise,
    process_start.recognise,
    skaffold_tutorial.recognise,
    test_binary.recognise,
    coverage_switch.recognise,
)


def recognise(files: Project, *, configured: bool = False) -> tuple[Adoption, ...]:
    """The set-ups that a project has, none for most. Nothing is written: `replaces` is what could be.

    `configured`: how podcov gets at what they measure has been decided, though there may be no `podcov.yaml` yet.
    """
    space = Workspace.of(files)
    space.configured |= configured
    found: list[tuple[Adoption, tuple[Evidence, ...]]] = []
    for setup in SETUPS:
        before = len(space.journal)
        adoption = setup(space)
        if adoption:
            found.append((adoption, tuple(space.journal[before:])))
    return tuple(_with_replacements(space, found))


def _with_replacements(space: Workspace, found: list[tuple[Adoption, tuple[Evidence, ...]]]) -> list[Adoption]:
    """Each with the files that it was the first to edit."""
    left = {replacement.path: replacement for replacement in space.replacements()}
    adoptions = []
    for adoption, edits in found:
        paths = dict.fromkeys(edit.path for edit in edits)
        evidence = tuple(dict.fromkeys((*adoption.evidence, *edits)))
        adoptions.append(replace(adoption, evidence=evidence, replaces=tuple(left.pop(p) for p in paths if p in left)))
    return adoptions
