"""What is not needed any more once a coverage tool is gone: patches that say nothing, overlays of nothing, unused files. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import partial
from posixpath import basename, dirname

from podcov.generate import project
from podcov.generate.adoption import workloads, yamls
from podcov.generate.adoption.contract import Evidence
from podcov.generate.adoption.workspace import Cut, Workspace
from podcov.generate.adoption.yamls import Way
from podcov.generate.kubernetes import kustomizations

_LISTS = ("resources", "patches", "patchesStrategicMerge", "components")
_PLAIN = ("apiVersion", "kind", "resources", "bases", "metadata")


def drop_patches(space: Workspace, edited: Iterable[str]) -> None:
    """Remove the edited patches that say nothing any more, and what names them; then the overlays that are their base."""
    for path in edited:
        text = space.text(path)
        roots = yamls.documents(text) if text and _is_patch(space, path) else ()
        if roots and all(workloads.says_nothing(root) for root in roots):
            drop_manifest(space, path, "the patch says nothing else")


def drop_manifest(space: Workspace, path: str, what: str) -> bool:
    """Remove a manifest and its entries in kustomizations. False, and nothing is done, where something else names it."""
    naming = [p for p, _ in space.texts(kustomizations.NAMES) if _entries(space, p, path)]
    if space.uses(path, naming):
        return False
    for kustomization in naming:
        if not all(yamls.cut(space.text(kustomization) or "", way, "") for way in _entries(space, kustomization, path)):
            return False
    space.remove(path, what)
    for kustomization in naming:
        space.cut(kustomization, partial(_entry_cuts, kustomization=kustomization, path=path))
        _drop_overlay(space, kustomization)
    return True


def drop_unused(space: Workspace, path: str, what: str, besides: Iterable[str] = ()) -> list[Evidence]:
    """Remove a file that nobody names; else who does. `besides` are files whose word does not count."""
    used = space.uses(path, besides)
    if not used:
        space.remove(path, what)
    return used


def _drop_overlay(space: Workspace, kustomization: str) -> None:
    """Remove a kustomization that is nothing but its base, where nobody names its folder."""
    roots = yamls.documents(space.text(kustomization) or "")
    plain = all(key.value in _PLAIN for root in roots for key, _ in root.value)
    named = yamls.get(roots[0], "resources") if roots else None
    resources = yamls.value(named) if named else []
    folder = dirname(kustomization)
    only_base = len(resources) == 1 and space.text(project.join(folder, resources[0])) is None
    name = f"{basename(dirname(folder))}/{basename(folder)}" if dirname(folder) else basename(folder)
    word = basename(folder)
    used = space.mentions(word, rf"(?<![\w-])(?:{re.escape(name)}|\.\./{re.escape(word)})(?![\w-])")
    if folder and plain and only_base and not used:
        space.remove(kustomization, f"without the patch it is its base, {project.join(folder, resources[0])}")


def _is_patch(space: Workspace, path: str) -> bool:
    return any(
        way[0].parent.value[way[0].index][0].value != "resources"
        for kustomization, _ in space.texts(kustomizations.NAMES)
        for way in _entries(space, kustomization, path)
    )


def _entries(space: Workspace, kustomization: str, path: str) -> list[Way]:
    return list(_naming(space.text(kustomization) or "", kustomization, path))


def _naming(text: str, kustomization: str, path: str) -> Iterator[Way]:
    """The ways to the entries of a kustomization that name a file."""
    for root in yamls.documents(text):
        for key in _LISTS:
            for way in yamls.items(yamls.into((), root, key)):
                named = yamls.scalar(way[-1].node, "path") or yamls.scalar(way[-1].node)
                if named and project.join(dirname(kustomization), named) == path:
                    yield way


def _entry_cuts(text: str, *, kustomization: str, path: str) -> Iterator[Cut]:
    for way in _naming(text, kustomization, path):
        found = yamls.cut(text, way, f"{basename(path)} is not needed")
        if found:
            yield found
