"""Where a project's Kustomize base, `skaffold.yaml` and `Tiltfile` are, where nobody has said so yet. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from posixpath import basename

from podcov.config import Generate
from podcov.errors import ManifestError
from podcov.generate import manifests, project, skaffold, tiltfile
from podcov.generate.artifacts import Artifact
from podcov.generate.project import Project
from podcov.generate.skaffold import Skaffold
from podcov.generate.tiltfile import Tiltfile

KUSTOMIZATIONS = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_DEPTH = 4
_NOT_SEARCHED = ("node_modules", "venv", "site-packages", "__pycache__", "podcov")


@dataclass(frozen=True, slots=True)
class Tools:
    """The files of Skaffold and Tilt, each None where the project has none."""

    skaffold: Skaffold | None
    tiltfile: Tiltfile | None

    @property
    def artifacts(self) -> tuple[Artifact, ...]:
        """Skaffold's first: where both build an image they mean the same."""
        both = (self.skaffold.artifacts if self.skaffold else (), self.tiltfile.artifacts if self.tiltfile else ())
        return both[0] + both[1]


def look(files: Project, paths: Sequence[str] = ()) -> Generate:
    """What a first `podcov.yaml` has under `generate`. `paths` are those that the user named: files, and folders that are bases.

    Raises ManifestError where there is no base, or several and nothing says which.
    """
    named = {"skaffold": "", "tiltfile": "", "kustomize": ""}
    for path in map(project.join, paths):
        named[_role(files, path)] = path
    usual = usual_tools(files)
    found = Generate(skaffold=named["skaffold"] or usual.skaffold, tiltfile=named["tiltfile"] or usual.tiltfile)
    base = named["kustomize"] or _base(files, tools(files, found))
    return Generate(kustomize=base, skaffold=found.skaffold, tiltfile=found.tiltfile)


def usual_tools(files: Project) -> Generate:
    """Skaffold's and Tilt's files where one would look for them."""
    return Generate(skaffold=_present(files, "skaffold.yaml"), tiltfile=_present(files, "Tiltfile"))


def tools(files: Project, generate: Generate) -> Tools:
    """Read what `podcov.yaml` names. Raises ManifestError for a file that is not there."""
    return Tools(
        skaffold.read(_text(files, generate.skaffold), path=generate.skaffold) if generate.skaffold else None,
        tiltfile.read(_text(files, generate.tiltfile), path=generate.tiltfile) if generate.tiltfile else None,
    )


def broken_manifest(files: Project, base: str) -> ManifestError | None:
    """What is no YAML among the files that a base is made of, by file and line; None where all of them are."""
    try:
        for path in _resources(files, base, set()):
            manifests.load(_text(files, path), name=path)
    except ManifestError as error:
        return error
    return None


def _resources(files: Project, folder: str, seen: set[str]) -> Iterator[str]:
    """The kustomization of a folder, then what it names, folders too."""
    path = _kustomization(files, folder)
    if path is None or path in seen:
        return
    seen.add(path)
    yield path
    for document in manifests.load(_text(files, path), name=path):
        entries = [*(document.get("resources") or ()), *(document.get("bases") or ()), *(document.get("components") or ())]
        entries += [patch["path"] for patch in document.get("patches") or () if isinstance(patch, dict) and "path" in patch]
        for entry in (project.join(folder, e) for e in entries if isinstance(e, str) and "://" not in e):
            if files.read(entry) is not None:
                yield entry
            else:
                yield from _resources(files, entry, seen)


def _role(files: Project, path: str) -> str:
    if _kustomization(files, path):
        return "kustomize"
    if basename(path) == "Tiltfile" or path.endswith(".tilt"):
        return "tiltfile"
    if basename(path) in KUSTOMIZATIONS:
        raise ManifestError(f"{path}: name its folder", hint=f"podcov init {project.join(path, '..')}")
    if files.read(path) is not None and path.endswith((".yaml", ".yml")):
        return "skaffold"
    raise ManifestError(
        f"{path}: neither a folder with a kustomization.yaml, nor a Tiltfile, nor a skaffold.yaml",
        hint="Name these, or nothing: `podcov init` finds them in the current folder.",
    )


def _base(files: Project, tools: Tools) -> str:
    said = [*(tools.skaffold.bases if tools.skaffold else ()), *(tools.tiltfile.bases if tools.tiltfile else ())]
    bases = list(dict.fromkeys(said)) or [folder for folder in _folders(files, ".", _DEPTH) if _kustomization(files, folder)]
    if not said and len(bases) > 1:
        bases = [folder for folder in bases if basename(folder) == "base"] or bases
    if not bases:
        raise ManifestError(
            "there is no Kustomize base: neither skaffold.yaml nor Tiltfile names one, and no folder has a kustomization.yaml",
            hint="Write one (`kustomize create --autodetect` in the folder of the manifests), then run `podcov init` again.",
        )
    if len(bases) > 1:
        raise ManifestError(
            f"several Kustomize bases: {', '.join(bases)}",
            hint=f"Say which: `podcov init {bases[0]}`.",
        )
    return bases[0]


def _folders(files: Project, folder: str, depth: int) -> Iterator[str]:
    yield folder
    inner = [name.rstrip("/") for name in files.names(folder) if name.endswith("/")] if depth else []
    for name in inner:
        if not name.startswith(".") and name not in _NOT_SEARCHED:
            yield from _folders(files, project.join(folder, name), depth - 1)


def _kustomization(files: Project, folder: str) -> str | None:
    present = set(files.names(folder))
    return next((project.join(folder, name) for name in KUSTOMIZATIONS if name in present), None)


def _present(files: Project, path: str) -> str:
    return path if files.read(path) is not None else ""


def _text(files: Project, path: str) -> str:
    text = project.text(files, path)
    if text is None:
        raise ManifestError(f"{path}: there is no such file", hint="Correct the path in podcov.yaml under `generate`.")
    return text
