"""`podcov init` on disk: reads a project, runs the real kustomize, writes what is generated."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from podcov.config import Config, Generate, parse
from podcov.edges import configuration, tracers
from podcov.errors import ManifestError, UsageError
from podcov.generate import api, images, manifests, survey, verify
from podcov.generate.api import Change, Plan
from podcov.generate.entering import Surroundings
from podcov.generate.findings import Finding
from podcov.generate.inject import Injector


@dataclass(frozen=True, slots=True)
class Initialised:
    """What `init` did: the changes that it wrote (or, with `check`, none), and its findings."""

    changes: tuple[Change, ...]
    findings: tuple[Finding, ...]


class DiskProject:
    """A project folder as `podcov.generate` wants to see it."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, path: str) -> bytes | None:
        try:
            return (self._root / path).read_bytes()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return None

    def names(self, folder: str) -> Sequence[str]:
        try:
            return sorted(f"{path.name}/" if path.is_dir() else path.name for path in (self._root / folder).iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return ()


def init(root: Path, paths: Sequence[str] = (), *, check: bool = False, force: bool = False) -> Initialised:
    """Bring what is generated in `root` (the folder of `podcov.yaml`) up to date.

    `paths`, relative to `root`, name the Kustomize base, `skaffold.yaml` and `Tiltfile`, where there is no `podcov.yaml` yet.
    Raises DriftError: with `check`, which writes nothing, for every file that is not up to date; without `force`, for files
    that were edited by hand. Raises ConfigError and ManifestError where the project cannot be understood.
    """
    plan = api.plan(DiskProject(root), lambda folder: kustomize(root / folder), _tracers, paths)
    if check:
        api.refuse_drift(plan.changes)
    if not force:
        api.refuse_hand_edits(plan.changes)
    _try(plan)
    _write(root, {change.path: change.content for change in plan.changes})
    return Initialised(plan.changes, plan.findings)


def inject(path: Path, text: str, *, name: str) -> tuple[str, tuple[Finding, ...]]:
    """Manifests with coverage for the services of the `podcov.yaml` at `path`, and what there is to say about them.

    Where there is no such file, services are found as `init` would find them. Raises ManifestError and ConfigError.
    """
    root = path.resolve().parent
    known = surroundings(root)
    findings: tuple[Finding, ...] = ()
    if path.is_file():
        config = configuration.read(path)
    else:
        written, findings = api.first_config(manifests.read(text, name=name), Generate(), known, name=name)
        config = parse(written, name=f"{path}, as it would be written")
    injected, more = injector(root, config).text(text, name=name)
    return injected, (*findings, *more)


def injector(root: Path, config: Config) -> Injector:
    """Adds coverage for the services of a project."""
    return Injector(config, surroundings(root, config.generate), _tracers)


def surroundings(root: Path, generate: Generate | None = None) -> Surroundings:
    """What the project in `root` builds; where nothing says which files say so, those in their usual places do."""
    files = DiskProject(root)
    return Surroundings(files, survey.tools(files, generate or survey.usual_tools(files)).artifacts, images.nowhere)


def kustomize(folder: Path) -> str:
    """The manifests that `kubectl kustomize` or `kustomize build` renders. Raises ManifestError with what it said."""
    command = _kustomize_command()
    done = subprocess.run([*command, str(folder)], capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().removeprefix("error: ") or f"exit code {done.returncode}"
        raise ManifestError(f"{folder}: {' '.join(command)}: {said}", hint="The base has to render by itself first.")
    return done.stdout


def _kustomize_command() -> list[str]:
    if shutil.which("kubectl"):
        return ["kubectl", "kustomize"]
    if shutil.which("kustomize"):
        return ["kustomize", "build"]
    raise UsageError("neither kubectl nor kustomize is on the PATH", hint="Install one of them: `podcov init` renders with it.")


def _tracers(minors: Iterable[str]) -> Mapping[str, bytes]:
    found = tracers.ensure(minors)
    return {path.name: path.read_bytes() for path in (*found, found[0].with_name(tracers.NOTICE))}


def _try(plan: Plan) -> None:
    """Render the overlay aside, on top of what the base renders, and see that it changes what it should and nothing else."""
    with tempfile.TemporaryDirectory(prefix="podcov-init-") as scratch:
        # Deep enough for a base that lies outside the project.
        project = Path(scratch, *(["outside"] * plan.base.count("..")), "project")
        _write(
            project / plan.base, {"kustomization.yaml": b"resources: [rendered.yaml]\n", "rendered.yaml": plan.rendered.encode()}
        )
        _write(project / plan.overlay, plan.overlay_files)
        verify.only_adds_coverage(plan.rendered, kustomize(project / plan.overlay), plan.measured)


def _write(folder: Path, files: Mapping[str, bytes | None]) -> None:
    """Write files by their path in `folder`; None removes one."""
    for name, content in files.items():
        path = folder / name
        if content is None:
            path.unlink(missing_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
