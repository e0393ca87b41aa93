"""`podcov init`: from a project's files to what is generated for it. Pure: everything that it needs is passed in.

podcov.yaml --(absent: survey, detect)--> Config --+
Kustomize base --(the real kustomize)--> Manifests +--> overlay, podcov/Tiltfile, blocks in skaffold.yaml and Tiltfile
Dockerfiles --(Skaffold's, Tilt's artifacts)-------+
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from posixpath import dirname

from podcov import assets
from podcov.config import Config, Generate, parse
from podcov.errors import DriftError, ManifestError
from podcov.generate import (
    blocks,
    detect,
    entering,
    images,
    inject,
    manifests,
    overlay,
    project,
    seal,
    skaffold,
    survey,
    tiltfile,
)
from podcov.generate.entering import CONFIG, Group, Surroundings
from podcov.generate.findings import Finding
from podcov.generate.images import Lookup
from podcov.generate.inject import Tracers
from podcov.generate.manifests import Manifests
from podcov.generate.project import Kustomize, Project
from podcov.generate.survey import Tools


@dataclass(frozen=True, slots=True)
class Change:
    """A file that is not as it would be generated now. `content` None: it is to be removed."""

    path: str
    content: bytes | None
    reason: str
    by_hand: bool = False
    """somebody edited it since it was generated"""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the project would have, and what of that it has not. `changes` are in the order of their paths.

    `base` and `overlay` are folders of the project, `rendered` is what the base renders, `overlay_files` all that the overlay
    holds. `measured`: (kind, namespace, name) of each workload, and its containers that are measured.
    """

    config: Config
    changes: tuple[Change, ...]
    findings: tuple[Finding, ...]
    base: str
    rendered: str
    overlay: str
    overlay_files: Mapping[str, bytes]
    measured: Mapping[tuple[str, str, str], tuple[str, ...]]


def plan(
    files: Project, kustomize: Kustomize, tracers: Tracers, paths: Sequence[str] = (), *, lookup: Lookup = images.nowhere
) -> Plan:
    """Generate everything for a project. `paths` matter only where there is no `podcov.yaml` yet.

    Raises ConfigError and ManifestError; nothing is written by this.
    """
    text, findings = _configuration(files, kustomize, paths, lookup)
    config = parse(text)
    base, where = project.join(config.generate.kustomize), project.join(config.generate.overlay)
    if not config.generate.kustomize:
        raise ManifestError(f"{CONFIG}: `generate: kustomize:` is missing", hint="It names the folder of the Kustomize base.")
    rendered = _render(files, kustomize, base)
    tools = survey.tools(files, config.generate)
    known = Surroundings(files, tools.artifacts, lookup)
    groups = entering.enter(config, _read(rendered, base), known, [s for s in config.services if s.workload])
    overlay_files = _as_compressed_before(files, where, _overlay(config, groups, tracers))
    changes = [
        *([] if files.read(CONFIG) is not None else [Change(CONFIG, text.encode(), "is missing")]),
        *_whole_files(files, _folder(config), _own_files(config, groups, overlay_files)),
        *_edited_files(config, tools),
    ]
    return Plan(
        config=config,
        changes=tuple(sorted(changes, key=lambda change: change.path)),
        findings=(*findings, *_advice(config, tools), *_contexts(tools, files), *entering.isolated(groups)),
        base=base,
        rendered=rendered,
        overlay=where,
        overlay_files=overlay_files,
        measured={w.key: tuple(e.container.name for e in group) for w, group in groups},
    )


def refuse_drift(changes: Iterable[Change]) -> None:
    """For `--check`. Raises DriftError that names every file that is not as it would be generated now."""
    found = [f"{change.path}: {change.reason}" for change in changes]
    if found:
        raise DriftError(
            "\n".join(found), hint="`podcov init` writes them anew; those that were edited by hand only with --force."
        )


def refuse_hand_edits(changes: Iterable[Change]) -> None:
    """Raises DriftError that names every file that writing would take somebody's edits from."""
    found = [f"{change.path}: {change.reason}" for change in changes if change.by_hand]
    if found:
        raise DriftError(
            "\n".join(found),
            hint="Move what was changed into podcov.yaml or the Kustomize base; `podcov init --force` overwrites it.",
        )


def _configuration(files: Project, kustomize: Kustomize, paths: Sequence[str], lookup: Lookup) -> tuple[str, tuple[Finding, ...]]:
    """The text of `podcov.yaml`, the project's or a first one, and what was found for the latter."""
    text = project.text(files, CONFIG)
    if text is not None:
        return text, ()
    generate = survey.look(files, paths)
    rendered = _render(files, kustomize, generate.kustomize)
    known = Surroundings(files, survey.tools(files, generate).artifacts, lookup)
    return first_config(_read(rendered, generate.kustomize), generate, known, name=generate.kustomize)


def first_config(rendered: Manifests, generate: Generate, known: Surroundings, *, name: str) -> tuple[str, tuple[Finding, ...]]:
    """The text of a first `podcov.yaml` for what these manifests deploy, and what was found. `name` is what errors call them.

    Raises ManifestError where there is nothing to measure.
    """
    detected = detect.detect(rendered, known)
    if not detected.services:
        looked_at = "\n".join(f"  {f.subject}: {f.found}; {f.why or f.decided}" for f in detected.findings)
        raise ManifestError(
            f"{name}: there is no service in it that podcov can measure\n{looked_at}".rstrip(),
            hint=f"Where one of these is written in Python, say so in {CONFIG}: docs/podcov-yaml.md has an example.",
        )
    return detect.podcov_yaml(detected, generate), detected.findings


def _render(files: Project, kustomize: Kustomize, base: str) -> str:
    try:
        return kustomize(base)
    except ManifestError as error:
        raise survey.broken_manifest(files, base) or error from None


def _read(rendered: str, base: str) -> Manifests:
    return manifests.read(rendered, name=f"{base}, rendered")


def _folder(config: Config) -> str:
    folder = dirname(project.join(config.generate.overlay))
    if not folder:
        raise ManifestError(
            f"{CONFIG}: generate.overlay: {config.generate.overlay} is not within a folder of podcov's own",
            hint="Write for example `podcov/overlay`: a Tiltfile and the list of generated files go beside it.",
        )
    return folder


def _overlay(config: Config, groups: Sequence[Group], tracers: Tracers) -> dict[str, bytes]:
    """The overlay's files, by their path in it."""
    generate = config.generate
    base = project.relative(project.join(generate.kustomize), project.join(generate.overlay))
    return overlay.files(groups, inject.maps_for(groups, tracers), base=base, replicas=generate.replicas)


def _as_compressed_before(files: Project, folder: str, wanted: Mapping[str, bytes]) -> dict[str, bytes]:
    """Compressed files as the project has them, where they hold the same: compressors of two machines need not agree."""
    present = {name: files.read(project.join(folder, name)) for name in wanted if name.endswith(".z")}
    return {
        name: was if (was := present.get(name)) and _holds_the_same(was, content) else content for name, content in wanted.items()
    }


def _holds_the_same(one: bytes, other: bytes) -> bool:
    try:
        return zlib.decompress(one) == zlib.decompress(other)
    except zlib.error:
        return False


def _own_files(config: Config, groups: Sequence[Group], overlay_files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files that are podcov's alone, by their path in podcov's folder."""
    folder, generate = _folder(config), config.generate
    inner = project.relative(project.join(generate.overlay), folder)
    files = {f"{inner}/{name}": content for name, content in overlay_files.items()}
    if generate.tiltfile:
        files["Tiltfile"] = assets.render(
            "init/Tiltfile.j2",
            base=project.relative(project.join(generate.kustomize), folder),
            overlay=inner,
            root=project.relative(".", folder),
            workloads=[workload.name for workload, _ in groups],
        ).encode()
    return {**files, seal.NAME: seal.write(files)}


def _whole_files(files: Project, folder: str, wanted: Mapping[str, bytes]) -> list[Change]:
    recorded = seal.read(files.read(project.join(folder, seal.NAME)))
    changes = []
    for name in sorted({*wanted, *recorded}):
        path = project.join(folder, name)
        present, content = files.read(path), wanted.get(name)
        if present == content:
            continue
        if present is None:
            changes.append(Change(path, content, "is missing"))
        elif name != seal.NAME and seal.digest(present) != recorded.get(name):
            changes.append(Change(path, content, "was edited by hand", by_hand=True))
        else:
            changes.append(Change(path, content, "is out of date" if content is not None else "is not needed any more"))
    return changes


def _edited_files(config: Config, tools: Tools) -> list[Change]:
    """The user's own files, with podcov's marked block in them."""
    generate = config.generate
    base, where = project.join(generate.kustomize), project.join(generate.overlay)
    pairs: list[tuple[str, str, str]] = []
    if tools.skaffold:
        text = skaffold.with_profile(tools.skaffold, name=generate.profile, base=base, overlay=where, config=CONFIG)
        pairs.append((tools.skaffold.path, tools.skaffold.text, text))
    if tools.tiltfile:
        own = project.join(_folder(config), "Tiltfile")
        pairs.append(
            (tools.tiltfile.path, tools.tiltfile.text, tiltfile.with_load(tools.tiltfile, base=base, overlay=where, podcov=own))
        )
    return [_block_change(path, before, after) for path, before, after in pairs if before != after]


def _block_change(path: str, before: str, after: str) -> Change:
    block = blocks.find(before.splitlines(keepends=True))
    if block is None:
        return Change(path, after.encode(), "lacks podcov's marked block")
    if block.edited:
        return Change(path, after.encode(), "podcov's marked block was edited by hand", by_hand=True)
    return Change(path, after.encode(), "podcov's marked block is out of date")


def _advice(config: Config, tools: Tools) -> list[Finding]:
    """What will not work as it stands, though everything can be generated."""
    base = project.join(config.generate.kustomize)
    found = []
    for tool, renders in ((tools.skaffold, "manifests.kustomize.paths"), (tools.tiltfile, "k8s_yaml(kustomize(...))")):
        if tool and base not in tool.bases:
            why = f"with coverage on, {renders} of another folder is not replaced"
            found.append(Finding(tool.path, f"it does not render {base}", "left as it is", why, "warning"))
    for artifact in tools.tiltfile.artifacts if tools.tiltfile else ():
        if artifact.entrypoint:
            why = "Tilt puts it in place of the command that the overlay sets: the service would run without podcov"
            found.append(
                Finding(artifact.origin, f"docker_build({artifact.image!r}, entrypoint=...)", "left as it is", why, "warning")
            )
    return found


def _contexts(tools: Tools, files: Project) -> list[Finding]:
    """Build contexts that podcov's results would be part of."""
    found = []
    for context in dict.fromkeys(artifact.context for artifact in tools.artifacts):
        inside = not project.relative(".", context).startswith("..")
        ignored = (project.text(files, project.join(context, ".dockerignore")) or "").split()
        if inside and not {"*", "**", ".podcov", ".podcov/", "**/.podcov"} & set(ignored):
            why = "the results in .podcov would change the image with every run, and have Tilt build it anew: name it there"
            found.append(
                Finding(project.join(context, ".dockerignore"), "it does not leave out .podcov", "left as it is", why, "warning")
            )
    return found
