"""Folders that kustomize renders, and what is broken in them. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from podcov.errors import ManifestError
from podcov.generate import project
from podcov.generate.kubernetes import kubernetes_yaml
from podcov.generate.project import Project

NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")


def of_folder(files: Project, folder: str) -> str | None:
    """The path of a folder's kustomization; None where it has none."""
    return next((path for name in NAMES if files.read(path := project.join(folder, name)) is not None), None)


def broken_manifest(files: Project, base: str) -> ManifestError | None:
    """What is no YAML among the files that a base is made of, by file and line; None where all of them are."""
    try:
        for path in _resources(files, base, set()):
            kubernetes_yaml.load(project.text(files, path) or "", name=path)
    except ManifestError as error:
        return error
    return None


def _resources(files: Project, folder: str, seen: set[str]) -> Iterator[str]:
    """The kustomization of a folder, then what it names, folders too."""
    path = of_folder(files, folder)
    if path is None or path in seen:
        return
    seen.add(path)
    yield path
    for document in kubernetes_yaml.load(project.text(files, path) or "", name=path):
        entries = [*(document.get("resources") or ()), *(document.get("bases") or ()), *(document.get("components") or ())]
        entries += [patch["path"] for patch in document.get("patches") or () if isinstance(patch, dict) and "path" in patch]
        for entry in (project.join(folder, e) for e in entries if isinstance(e, str) and "://" not in e):
            if files.read(entry) is not None:
                yield entry
            else:
                yield from _resources(files, entry, seen)
