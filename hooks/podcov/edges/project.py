"""`podcov init` on disk: reads a project, runs the real kustomize, writes what is generated."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from podcov.config import Config, Generate, parse
from podcov.edges import configuration, tracers
from podcov.edges.adopted_copy import adopted_copy
from podcov.edges.images import lookup
from podcov.errors import ManifestError, UsageError
from podcov.generate import adoption, api, sources, tools
from podcov.generate.adoption import Adoption
from podcov.generate.adoption.adopted import AdoptedProject
from podcov.generate.api import NOTHING_ASKED, Asked, Change, Outside, Overlay, Plan
from podcov.generate.coverage import verify
from podcov.generate.coverage.entering import Surroundings
from podcov.generate.coverage.inject import Injector
from podcov.generate.findings import Finding
from podcov.generate.kubernetes import manifests
from podcov.generate.project import Project
from podcov.generate.skaffold.sources import HelmRelease
from podcov.generate.sources import Renderer


class DiskProject:
    """A project folder as `podcov.generate` wants to see it."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, path: str) -> bytes | None:
        try:
            return (self._root / path).read_bytes()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return None
        except OSError as error:
            raise UsageError(f"{path}: it cannot be read: {error.strerror}", hint="make it readable for this user.") from None

    def names(self, folder: str) -> Sequence[str]:
        try:
            with os.scandir(self._root / folder) as entries:
                return sorted(f"{entry.name}/" if entry.is_dir(follow_symlinks=False) else entry.name for entry in entries)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return ()


class DiskRenderer:
    """The real kustomize and Helm, on the project in `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def kustomize(self, folder: str) -> str:
        return kustomize(self._root / folder)

    def helm(self, release: HelmRelease) -> str:
        return helm(self._root, release)


class AdoptedRenderer:
    """The real kustomize and Helm, on the copy of a project that replacements are tried on; errors name the project itself."""

    def __init__(self, root: Path, copy: Path) -> None:
        self._root, self._copy = root, copy
        self._renderer = DiskRenderer(copy)

    def kustomize(self, folder: str) -> str:
        with self._named():
            return self._renderer.kustomize(folder)

    def helm(self, release: HelmRelease) -> str:
        with self._named():
            return self._renderer.helm(release)

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except ManifestError as error:
            raise ManifestError(error.message.replace(str(self._copy), str(self._root)), hint=error.hint) from None


def plan(root: Path, asked: Asked = NOTHING_ASKED, *, adopt: bool = False) -> Plan:
    """What would be generated in `root` (the folder of `podcov.yaml`); nothing is written.

    With `adopt`, the plan is that of the project without what measures coverage there already, and has the changes for that.

    Raises ConfigError and ManifestError where the project cannot be understood, or the result would change more than it should.
    """
    files = DiskProject(root)
    adopted = adoption.recognise(files) if adopt else ()
    replaced = {r.path: r.content for found in adopted for r in found.replaces}
    if not replaced:
        return replace(_plan(files, DiskRenderer(root), asked, adopted), adopted=adopted)
    with adopted_copy(root, files, replaced) as copy:
        made = _plan(AdoptedProject(files, replaced), AdoptedRenderer(root, copy), asked, adopted)
    changed = {change.path for change in made.changes}
    changes = [Change(r.path, r.content, f"can be adopted: {r.reason}") for found in adopted for r in found.replaces]
    more = (change for change in changes if change.path not in changed)
    return replace(made, adopted=adopted, changes=tuple(sorted((*made.changes, *more), key=lambda change: change.path)))


def init(root: Path, asked: Asked = NOTHING_ASKED, *, check: bool = False, force: bool = False, adopt: bool = False) -> Plan:
    """Bring what is generated in `root` up to date; the plan that was carried out (or, with `check`, would be) is returned.

    Raises DriftError: with `check`, which writes nothing, for every file that is not up to date; without `force`, for files
    that were edited by hand. Raises as `plan` does. Whatever is raised, nothing is written, nor adopted.
    """
    made = plan(root, asked, adopt=adopt)
    if check:
        api.refuse_drift(made.changes)
    if not force:
        api.refuse_hand_edits(made.changes)
    _write(root, {change.path: change.content for change in made.changes})
    return made


def _plan(files: Project, renderer: Renderer, asked: Asked, adopted: Sequence[Adoption] = ()) -> Plan:
    made = api.plan(files, Outside(renderer, lookup.lookup, _tracers), asked, adopted)
    if made.overlay:
        _try(made.overlay)
    return made


def inject(path: Path, text: str, *, name: str) -> tuple[str, tuple[Finding, ...]]:
    """Manifests with coverage for the services of the `podcov.yaml` at `path`, and what there is to say about them.

    Where there is no such file, services are found as `init` would find them. Raises ManifestError and ConfigError.
    """
    root = path.resolve().parent
    findings: tuple[Finding, ...] = ()
    if path.is_file():
        config = configuration.read(path)
    else:
        written, findings = api.first_config(manifests.read(text, name=name), Generate(), surroundings(root), name=name)
        config = parse(written, name=f"{path}, as it would be written")
    injected, more = injector(root, config).text(text, name=name)
    return injected, (*findings, *more)


def manifests_at(folder: Path, paths: Sequence[str]) -> str:
    """What files and folders of manifests deploy, as one stream; kustomizations are rendered. Raises ManifestError."""
    files = DiskProject(folder)
    return sources.stream(files, DiskRenderer(folder), sources.of_paths(files, paths))


def injector(root: Path, config: Config) -> Injector:
    """Adds coverage for the services of a project."""
    return Injector(config, surroundings(root, config.generate), _tracers)


def surroundings(root: Path, generate: Generate | None = None) -> Surroundings:
    """What the project in `root` builds; where nothing says which files say so, those in their usual places do."""
    files = DiskProject(root)
    named = tools.read(files, generate or tools.usual(files)).artifacts
    artifacts = (*named, *tools.beside(files, generate).artifacts) if generate else named
    return Surroundings(files, artifacts, lookup.lookup, os.environ.get("SKAFFOLD_DEFAULT_REPO", ""))


def kustomize(folder: Path) -> str:
    """The manifests that `kubectl kustomize` or `kustomize build` renders. Raises ManifestError with what it said."""
    return _rendered([*_kustomize_command(), str(folder)], f"{folder}", "the base has to render by itself first.")


def helm(root: Path, release: HelmRelease) -> str:
    """The manifests that `helm template` renders of a chart of the project in `root`. Raises ManifestError with what it said."""
    if not shutil.which("helm"):
        raise UsageError("helm is not on the PATH", hint=f"install it: `podcov init` renders the chart {release.chart} with it.")
    chart = root / release.chart if release.local else release.chart
    options = [
        *(option for file in release.values for option in ("--values", str(root / file))),
        *(option for name, value in release.settings for option in ("--set", f"{name}={value}")),
        *(("--namespace", release.namespace) if release.namespace else ()),
        *(("--repo", release.repo) if release.repo else ()),
        *(("--version", release.version) if release.version else ()),
    ]
    command = ["helm", "template", release.name, str(chart), *options]
    return _rendered(
        command, f"chart {release.chart}", "the chart has to render by itself first; `helm dependency build` may be missing."
    )


def _rendered(command: Sequence[str], what: str, hint: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().removeprefix("error: ").removeprefix("Error: ") or f"exit code {done.returncode}"
        raise ManifestError(f"{what}: {' '.join(command[:2])}: {said}", hint=hint)
    return done.stdout


def _kustomize_command() -> list[str]:
    if shutil.which("kubectl"):
        return ["kubectl", "kustomize"]
    if shutil.which("kustomize"):
        return ["kustomize", "build"]
    raise UsageError("neither kubectl nor kustomize is on the PATH", hint="install one of them: `podcov init` renders with it.")


def _tracers(minors: Iterable[str]) -> Mapping[str, bytes]:
    found = tracers.ensure(minors)
    return {path.name: path.read_bytes() for path in (*found, found[0].with_name(tracers.NOTICE))}


def _try(made: Overlay) -> None:
    """Render the overlay aside, on top of what the base renders, and see that it changes what it should and nothing else."""
    with tempfile.TemporaryDirectory(prefix="podcov-init-") as scratch:
        # Deep enough for a base that lies outside the project.
        project = Path(scratch, *(["outside"] * made.base.count("..")), "project")
        _write(
            project / made.base, {"kustomization.yaml": b"resources: [rendered.yaml]\n", "rendered.yaml": made.rendered.encode()}
        )
        _write(project / made.folder, made.files)
        verify.only_adds_coverage(made.rendered, kustomize(project / made.folder), made.measured)


def _write(folder: Path, files: Mapping[str, bytes | None]) -> None:
    """Write files by their path in `folder`; None removes one."""
    for name, content in files.items():
        path = folder / name
        if content is None:
            path.unlink(missing_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
