"""`podcov init`: from a project's files to what is generated for it. Pure: everything that it needs is passed in.

podcov.yaml --(absent: survey, detect)--> Config --+
Kustomize base --(the real kustomize)--> Manifests +--> overlay, podcov/Tiltfile, blocks in skaffold.yaml and Tiltfile
Dockerfiles --(Skaffold's, Tilt's artifacts)-------+
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from posixpath import dirname

from podcov import assets
from podcov.config import Config, Service, parse
from podcov.errors import DriftError, ManifestError
from podcov.generate import blocks, detect, images, manifests, overlay, project, seal, skaffold, survey, tiltfile
from podcov.generate.findings import Finding
from podcov.generate.language import LANGUAGES
from podcov.generate.manifests import Container, Manifests, Workload
from podcov.generate.overlay import Entered
from podcov.generate.project import Kustomize, Project
from podcov.generate.survey import Tools

CONFIG = "podcov.yaml"
Tracers = Callable[[Iterable[str]], Mapping[str, bytes]]
"""Python minor versions in, their tracers' files by name out."""


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


def plan(files: Project, kustomize: Kustomize, tracers: Tracers, paths: Sequence[str] = ()) -> Plan:
    """Generate everything for a project. `paths` matter only where there is no `podcov.yaml` yet.

    Raises ConfigError and ManifestError; nothing is written by this.
    """
    text, findings = _configuration(files, kustomize, paths)
    config = parse(text)
    base, where = project.join(config.generate.kustomize), project.join(config.generate.overlay)
    if not config.generate.kustomize:
        raise ManifestError(f"{CONFIG}: `generate: kustomize:` is missing", hint="It names the folder of the Kustomize base.")
    rendered = _render(files, kustomize, base)
    tools = survey.tools(files, config.generate)
    entered = _entered(config, _read(rendered, base), tools, files)
    overlay_files = _as_compressed_before(files, where, _overlay(config, entered, tracers))
    changes = [
        *([] if files.read(CONFIG) is not None else [Change(CONFIG, text.encode(), "is missing")]),
        *_whole_files(files, _folder(config), _own_files(config, entered, overlay_files)),
        *_edited_files(config, tools),
    ]
    return Plan(
        config=config,
        changes=tuple(sorted(changes, key=lambda change: change.path)),
        findings=(*findings, *_advice(config, tools), *_contexts(tools, files), *_isolated(entered)),
        base=base,
        rendered=rendered,
        overlay=where,
        overlay_files=overlay_files,
        measured={(w.kind, w.namespace, w.name): tuple(e.container.name for e in group) for w, group in entered},
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


def _configuration(files: Project, kustomize: Kustomize, paths: Sequence[str]) -> tuple[str, tuple[Finding, ...]]:
    """The text of `podcov.yaml`, the project's or a first one, and what was found for the latter."""
    text = project.text(files, CONFIG)
    if text is not None:
        return text, ()
    generate = survey.look(files, paths)
    rendered = _render(files, kustomize, generate.kustomize)
    detected = detect.detect(_read(rendered, generate.kustomize), survey.tools(files, generate).artifacts, files)
    if not detected.services:
        looked_at = "\n".join(f"  {f.subject}: {f.found}; {f.why or f.decided}" for f in detected.findings)
        raise ManifestError(
            f"{generate.kustomize}: there is no service in it that podcov can measure\n{looked_at}".rstrip(),
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


def _entered(config: Config, rendered: Manifests, tools: Tools, files: Project) -> list[tuple[Workload, list[Entered]]]:
    """The containers to be measured, by workload, both in the order of the manifests."""
    found: dict[str, list[Entered]] = {}
    for service in config.services:
        if service.workload:
            workload = _workload(service, rendered)
            found.setdefault(_key(workload), []).append(_enter(service, workload, config, tools, files))
    return [
        (workload, [e for c in workload.containers for e in found[_key(workload)] if e.container is c])
        for workload in rendered.workloads
        if _key(workload) in found
    ]


def _key(workload: Workload) -> str:
    return f"{workload.namespace} {workload.reference}"


def _workload(service: Service, rendered: Manifests) -> Workload:
    workload = rendered.workload(service.workload, service.namespace)
    if workload is None:
        raise ManifestError(
            f"{CONFIG}: services.{service.name}.workload: there is no {service.workload} in the manifests",
            hint=f"There are: {', '.join(w.reference for w in rendered.workloads) or 'no Deployments and no StatefulSets'}.",
        )
    return workload


def _enter(service: Service, workload: Workload, config: Config, tools: Tools, files: Project) -> Entered:
    if service.language not in LANGUAGES:
        raise ManifestError(
            f"{CONFIG}: services.{service.name}.language: podcov cannot get into containers in {service.language}",
            hint=f"It knows: {', '.join(LANGUAGES)}.",
        )
    container = _container(service, workload)
    built = images.find(container.image, tools.artifacts, files)
    entered = Entered(service, container, service.mode or config.mode, image=built.image)
    if service.entry == "environment":
        return entered
    if container.command:
        return replace(entered, own_command=container.command)
    words = service.command or images.image_words(container, built.image)
    if words is None:
        raise ManifestError(
            f"{workload.reference}, container {container.name}: no command, and that of image {container.image} is not known",
            hint=f"Write the image's ENTRYPOINT and CMD as `command:` of the service {service.name} in {CONFIG}, "
            "or `entry: environment`, which needs none.",
        )
    return replace(entered, own_command=tuple(map(overlay.literal, words)))


def _container(service: Service, workload: Workload) -> Container:
    names = [container.name for container in workload.containers]
    if not service.container and len(names) == 1:
        return workload.containers[0]
    if service.container not in names:
        wrong = f"there is no container {service.container!r}" if service.container else "`container` is missing"
        raise ManifestError(
            f"{CONFIG}: services.{service.name}.container: {wrong} in {workload.reference}",
            hint=f"There are: {', '.join(names)}.",
        )
    return workload.containers[names.index(service.container)]


def _folder(config: Config) -> str:
    folder = dirname(project.join(config.generate.overlay))
    if not folder:
        raise ManifestError(
            f"{CONFIG}: generate.overlay: {config.generate.overlay} is not within a folder of podcov's own",
            hint="Write for example `podcov/overlay`: a Tiltfile and the list of generated files go beside it.",
        )
    return folder


def _overlay(config: Config, entered: Sequence[tuple[Workload, Sequence[Entered]]], tracers: Tracers) -> dict[str, bytes]:
    """The overlay's files, by their path in it."""
    minors = sorted({minor for _, group in entered for e in group for minor in e.language.tracers_for(e.image, e.mode)})
    languages = sorted({e.service.language for _, group in entered for e in group})
    return overlay.files(
        entered,
        base=project.relative(project.join(config.generate.kustomize), project.join(config.generate.overlay)),
        wrapper={name: content for lang in languages for name, content in assets.wrapper_files(lang).items()},
        tracers=tracers(minors) if minors else {},
    )


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


def _own_files(
    config: Config, entered: Sequence[tuple[Workload, Sequence[Entered]]], overlay_files: Mapping[str, bytes]
) -> dict[str, bytes]:
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
            workloads=[workload.name for workload, _ in entered],
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


def _isolated(entered: Sequence[tuple[Workload, Sequence[Entered]]]) -> list[Finding]:
    """Commands that keep the wrapper out."""
    return [
        Finding(
            f"{workload.reference} {e.container.name}",
            f"it runs with {option}",
            "left as it is",
            "nothing is recorded",
            "warning",
        )
        for workload, group in entered
        for e in group
        if (option := e.language.keeps_out(e.own_command))
    ]
