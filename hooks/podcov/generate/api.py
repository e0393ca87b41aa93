"""`podcov init`: from a project's files to what is generated for it. Pure: everything that it needs is passed in.

podcov.yaml --(absent: survey, detect)--> Config ------------+
Kustomize, Helm, plain files --(the real tools)--> Manifests +--> overlay, podcov/Tiltfile, blocks in skaffold.yaml and Tiltfile
Dockerfiles, engines, registries --> commands of images -----+
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from posixpath import dirname

from podcov import assets
from podcov.config import Config, Generate, Way, parse
from podcov.errors import DriftError, ManifestError, UsageError
from podcov.generate import adoption, blocks, detect, findings, make_target, project, seal, sources, survey, tools
from podcov.generate.adoption import Adoption, handover
from podcov.generate.coverage import entering, inject, overlay, rebuilding, verify
from podcov.generate.coverage.entering import CONFIG, Group, Surroundings
from podcov.generate.coverage.inject import Injector, Tracers
from podcov.generate.coverage.rebuilding import Rebuilding
from podcov.generate.findings import Finding
from podcov.generate.images import artifacts, builds, dockerfile
from podcov.generate.images.artifacts import Artifact
from podcov.generate.images.commands import Lookup
from podcov.generate.kubernetes.manifests import Key, Manifests
from podcov.generate.languages.entered import Entered
from podcov.generate.project import Project
from podcov.generate.skaffold import document as skaffold
from podcov.generate.sources import Renderer, Sources
from podcov.generate.tilt import tiltfile
from podcov.generate.tools import Tools

_PROFILES = ("coverage", "podcov", "podcov-coverage")
"""names for a first profile; the first that nobody has"""


@dataclass(frozen=True, slots=True)
class Change:
    """A file that is not as it would be generated now. `content` None: it is to be removed."""

    path: str
    content: bytes | None
    reason: str
    by_hand: bool = False
    """somebody edited it since it was generated"""


@dataclass(frozen=True, slots=True)
class Overlay:
    """`base` and `folder` are folders of the project, `rendered` is what the base renders, `files` all that the overlay holds.

    `measured`: the key of each workload, and its containers that are measured.
    """

    base: str
    rendered: str
    folder: str
    files: Mapping[str, bytes]
    measured: Mapping[Key, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Plan:
    """What the project would have, and what of that it has not. `changes` are in the order of their paths."""

    config: Config
    sources: Sources
    changes: tuple[Change, ...]
    findings: tuple[Finding, ...]
    adoptions: tuple[Adoption, ...] = ()
    """what measures coverage there already"""
    adopted: tuple[Adoption, ...] = ()
    """what did, and is replaced by `changes`"""
    replaceable: Mapping[str, bytes | None] = field(default_factory=dict)
    """the files that `adoptions` could replace, as they are before `changes`"""
    overlay: Overlay | None = None
    """None where coverage gets in by `podcov inject`"""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the user asks of a first `podcov.yaml`: the paths that they named, the way in, and how many replicas."""

    paths: tuple[str, ...] = ()
    by: Way | None = None
    replicas: int | None = None


NOTHING_ASKED = Asked()


@dataclass(frozen=True, slots=True)
class Outside:
    """What is outside the project: the tools that render, who knows images, and the compiled tracers."""

    renderer: Renderer
    lookup: Lookup
    tracers: Tracers


def plan(files: Project, outside: Outside, asked: Asked = NOTHING_ASKED, adopted: Sequence[Adoption] = ()) -> Plan:
    """Generate everything for a project. `asked` matters only where there is no `podcov.yaml` yet, and so does `adopted`: the
    set-ups whose place podcov takes.

    Raises ConfigError and ManifestError; nothing is written by this.
    """
    outside = replace(outside, renderer=sources.Once(outside.renderer))
    adoptions = adoption.recognise(files, configured=bool(adopted))
    text, found = _configuration(files, outside, asked, adoptions, adopted)
    config = parse(text)
    said, beside = tools.read(files, config.generate), tools.beside(files, config.generate)
    rendered = sources.of(config.generate, said)
    known = Surroundings(files, (*said.artifacts, *beside.artifacts), outside.lookup)
    deployed = sources.read(files, outside.renderer, rendered)
    groups = entering.enter(config, deployed, known, [s for s in config.services if s.workload])
    others = builds.found_for([e.container.image for _, group in groups for e in group], known.artifacts, files)
    buildable = rebuilding.Known(*said.sides, unnamed=beside.artifacts, others=others)
    built = rebuilding.plan(groups, buildable, files, _folder(config))
    made = _overlay(files, outside, config, rendered, groups) if config.generate.by == "overlay" else None
    if made is None:
        _try_inject(files, outside.renderer, rendered, Injector(config, known, outside.tracers))
    changes = [
        *_own_configuration(files, text),
        *_whole_files(files, _folder(config), _own_files(files, config, groups, made, said, built)),
        *_edited_files(files, config, said, built),
    ]
    return Plan(
        config=config,
        sources=rendered,
        changes=tuple(sorted(changes, key=lambda change: change.path)),
        findings=findings.joined(
            found,
            (
                *(f for f in survey.unlisted(files, config.generate.manifests) if f not in found),
                *_unnamed(beside),
                *_advice(config, said),
                *built.findings,
                *tiltfile.unreplaced(said.tiltfiles, built),
                *_contexts(said, files),
                *_without_files(config, files),
                *_scaled(config, deployed, groups),
                *entering.isolated(groups),
            ),
            _guessed(groups, others),
        ),
        adoptions=handover.measured(adoptions, config),
        replaceable={r.path: files.read(r.path) for a in adoptions for r in a.replaces},
        overlay=made,
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
            hint="move what was changed into podcov.yaml or the manifests; `podcov init --force` overwrites it.",
        )


def first_config(
    rendered: Manifests, generate: Generate, known: Surroundings, *, name: str, adopted: Sequence[Adoption] = ()
) -> tuple[str, tuple[Finding, ...]]:
    """The text of a first `podcov.yaml` for what these manifests deploy, and what was found. `name` is what errors call them,
    `adopted` the set-ups whose place podcov takes.

    Raises ManifestError where there is nothing to measure.
    """
    detected = handover.applied(detect.detect(rendered, known), adopted)
    if not detected.services:
        raise ManifestError(
            findings.below(f"{name}: there is no service in it that podcov can measure", detected.findings),
            hint=f"where one of these is written in {detect.WRITTEN_IN}, say so in {CONFIG}: docs/podcov-yaml.md has an example.",
        )
    return detect.podcov_yaml(detected, generate), detected.findings


def _configuration(
    files: Project, outside: Outside, asked: Asked, adoptions: Sequence[Adoption], adopted: Sequence[Adoption]
) -> tuple[str, tuple[Finding, ...]]:
    """The text of `podcov.yaml`, the project's or a first one, and what was found for the latter."""
    text = project.text(files, CONFIG)
    if text is not None:
        _refuse_to_ask_twice(asked)
        hands_over = any(a.handover and a.replaces for a in adopted)
        if not (hands_over and seal.is_as_signed(text.encode())):
            return text, ()
    try:
        return _first(files, outside, asked, adoptions, adopted, None if text is None else parse(text).generate)
    except ManifestError as error:
        raise _with_what_is_kept(error, adoptions) from None


def _own_configuration(files: Project, text: str) -> list[Change]:
    """A `podcov.yaml` that is new, or other than it was."""
    present, signed = project.text(files, CONFIG), seal.signed(text)
    if present in (text, signed):
        return []
    reason = "is missing" if present is None else "can be adopted: services go on measuring themselves"
    return [Change(CONFIG, signed.encode(), reason)]


def _first(
    files: Project,
    outside: Outside,
    asked: Asked,
    adoptions: Sequence[Adoption],
    adopted: Sequence[Adoption],
    decided: Generate | None = None,
) -> tuple[str, tuple[Finding, ...]]:
    """`decided` is what an earlier `podcov.yaml` has, which nobody has edited since."""
    looked = survey.look(files, asked.paths, asked.by)
    said = tools.read(files, decided or looked.generate)
    rendered = sources.of(decided or looked.generate, said)
    generate = decided or replace(looked.generate, replicas=asked.replicas, profile=_free_profile(said, adoptions))
    known = Surroundings(files, said.artifacts, outside.lookup)
    deployed = sources.read(files, outside.renderer, rendered)
    text, found = first_config(deployed, generate, known, name=rendered.names, adopted=adopted)
    return text, (replace(looked.chosen, subject=rendered.names), *looked.unread, *found)


def _with_what_is_kept(error: ManifestError, adoptions: Sequence[Adoption]) -> ManifestError:
    """There is nothing for podcov to measure, but something else measures."""
    if not adoptions:
        return error
    kept = [f"  {f.subject}: {f.found}: {f.decided}{f'; {f.why}' if f.why else ''}" for a in adoptions for f in a.findings]
    names = " and ".join(a.name for a in adoptions)
    by_hand = handover.by_hand(adoptions)
    hint = f"{error.hint} Or write {CONFIG} by hand for what is deployed in other ways: {by_hand}" if by_hand else error.hint
    return ManifestError(
        "\n".join([error.message, f"coverage is measured already ({names}), and stays as it is:", *kept]), hint=hint
    )


def _refuse_to_ask_twice(asked: Asked) -> None:
    given = [("--by", "by", asked.by), ("--replicas", "replicas", asked.replicas)]
    for option, key, value in given:
        if value is not None:
            raise UsageError(
                f"{option}: there is a {CONFIG} already, and from then on it says so itself",
                hint=f"write `{key}: {value}` in it under `generate:`, and run `podcov init` again.",
            )


def _free_profile(said: Tools, adoptions: Sequence[Adoption]) -> str:
    taken = {name for one in said.skaffolds for name in one.profiles} | {a.profile_taken for a in adoptions}
    return next((name for name in _PROFILES if name not in taken), _PROFILES[-1])


def _try_inject(files: Project, renderer: Renderer, rendered: Sources, injector: Injector) -> None:
    """See that what `podcov inject` makes of the manifests is them and coverage. Raises ManifestError."""
    text = sources.render(files, renderer, rendered)
    try:
        injected, _ = injector.text(text, name="rendered manifests")
    except ManifestError:
        for part, name in sources.each(files, renderer, rendered):
            injector.text(part, name=name)  # says in which file
        raise
    verify.only_adds_coverage(text, injected, injector.measured(text))


def _folder(config: Config) -> str:
    folder = dirname(project.join(config.generate.overlay))
    if not folder:
        raise ManifestError(
            f"{CONFIG}: generate.overlay: {config.generate.overlay} is not within a folder of podcov's own",
            hint="write for example `podcov/overlay`: a Tiltfile and the list of generated files go beside it.",
        )
    return folder


def _overlay(files: Project, outside: Outside, config: Config, rendered: Sources, groups: Sequence[Group]) -> Overlay:
    generate = config.generate
    base, where = project.join(generate.kustomize), project.join(generate.overlay)
    maps = inject.maps_for(groups, outside.tracers)
    wanted = overlay.files(groups, maps, base=project.relative(base, where), replicas=generate.replicas)
    return Overlay(
        base=base,
        rendered=sources.render(files, outside.renderer, rendered),
        folder=where,
        files=_as_compressed_before(files, where, wanted),
        measured={w.key: tuple(e.container.name for e in group) for w, group in groups},
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
    given: Project, config: Config, groups: Sequence[Group], made: Overlay | None, said: Tools, built: Rebuilding
) -> dict[str, bytes]:
    """The files that are podcov's alone, by their path from podcov's folder."""
    folder, generate = _folder(config), config.generate
    inner = project.relative(project.join(generate.overlay), folder)
    files = {f"{inner}/{name}": content for name, content in made.files.items()} if made else {}
    files |= {project.relative(path, folder): content for path, content in built.files.items()}
    files |= make_target.files(config, given, skaffold=bool(said.skaffolds), tilt=bool(said.tiltfiles))
    if generate.tiltfile:
        files["Tiltfile"] = assets.render(
            "init/Tiltfile.j2",
            by=generate.by,
            base=project.relative(project.join(generate.kustomize), folder),
            overlay=inner,
            root=project.relative(".", folder),
            workloads=[workload.name for workload, _ in groups],
            scaled=[workload.name for workload, entered in groups if any(map(_ends_to_hand_over, entered))],
            **tiltfile.builds(said.tiltfiles, built),
        ).encode()
    return {**files, seal.NAME: seal.write(files)} if files else {}


def _guessed(groups: Sequence[Group], others: Sequence[Artifact]) -> dict[str, str]:
    """By container, as findings name it: the Dockerfile that it may be built from, where nobody says so."""
    containers = [(workload.said(e.container), e.container.image) for workload, group in groups for e in group]
    found = {name: artifacts.of_image(others, image) for name, image in containers}
    return {name: artifact.dockerfile for name, artifact in found.items() if artifact is not None and artifact.guessed}


def _ends_to_hand_over(entered: Entered) -> bool:
    return entered.service.dump is not None and entered.service.dump.by == "exit"


def _whole_files(files: Project, folder: str, wanted: Mapping[str, bytes]) -> list[Change]:
    recorded = seal.read(files.read(project.join(folder, seal.NAME)))
    changes = []
    for name in sorted({*wanted, *recorded}):
        path = project.join(folder, name)
        present, content = files.read(path), wanted.get(name)
        if _same(present, content):
            continue
        if present is None:
            changes.append(Change(path, content, "is missing"))
        elif name != seal.NAME and seal.digest(present) != recorded.get(name):
            changes.append(Change(path, content, "was edited by hand", by_hand=True))
        else:
            changes.append(Change(path, content, "is out of date" if content is not None else "is not needed any more"))
    return changes


def _same(one: bytes | None, other: bytes | None) -> bool:
    return one == other or (one is not None and other is not None and seal.digest(one) == seal.digest(other))


def _edited_files(files: Project, config: Config, said: Tools, built: Rebuilding) -> list[Change]:
    """The user's own files, with podcov's marked blocks in them."""
    generate = config.generate
    base, where = project.join(generate.kustomize), project.join(generate.overlay)
    pairs: list[tuple[str, str, str]] = []
    if said.skaffolds:
        texts = skaffold.with_profiles(
            said.skaffolds,
            name=generate.profile,
            base=base,
            overlay=where,
            config=CONFIG,
            by=generate.by,
            rebuilding=built,
            switch=make_target.switch(config),
        )
        pairs += [(one.path, one.text, texts[one.path]) for one in said.skaffolds]
    if said.tiltfiles:
        own = project.join(_folder(config), "Tiltfile")
        texts = tiltfile.with_loads(said.tiltfiles, base=base, overlay=where, podcov=own, by=generate.by, rebuilding=built)
        pairs += [(one.path, one.text, texts[one.path]) for one in said.tiltfiles if one.path in texts]
    pairs += make_target.with_include(config, _folder(config), files)
    return [_block_change(path, before, after) for path, before, after in pairs if before != after]


def _block_change(path: str, before: str, after: str) -> Change:
    if blocks.find(blocks.split(before)) is None:
        return Change(path, project.encoded(after), "lacks podcov's marked block")
    if blocks.edited(before):
        return Change(path, project.encoded(after), "podcov's marked block was edited by hand", by_hand=True)
    return Change(path, project.encoded(after), "podcov's marked block is out of date")


def _advice(config: Config, said: Tools) -> list[Finding]:
    """What will not work as it stands, though everything can be generated."""
    found = [finding for one in said.skaffolds for finding in one.findings]
    found += skaffold.undeployed(said.skaffolds) if said.skaffolds else ()
    found += [finding for one in said.tiltfiles for finding in one.findings]
    if config.generate.by == "overlay":
        found += _unrendered(project.join(config.generate.kustomize), said)
    for artifact in (artifact for one in said.tiltfiles for artifact in one.artifacts):
        if artifact.entrypoint:
            why = "Tilt puts it in place of the command that podcov sets: the service would run without podcov"
            found.append(
                Finding(artifact.origin, f"docker_build({artifact.image!r}, entrypoint=...)", "left as it is", why, "warning")
            )
    return found


def _unnamed(beside: Tools) -> list[Finding]:
    """What a `podcov.yaml` written by hand may have left out unawares."""
    files = [(one.path, f"skaffold: {one.path}") for one in beside.skaffolds[:1]]
    files += [(one.path, f"tiltfile: {one.path}") for one in beside.tiltfiles[:1]]
    return [
        Finding(
            path, f"{CONFIG} does not name it", "left as it is", f"write `{key}` under `generate` to have coverage come by it"
        )
        for path, key in files
    ]


def _unrendered(base: str, said: Tools) -> list[Finding]:
    groups = (("manifests.kustomize.paths", said.skaffolds), ("k8s_yaml(kustomize(...))", said.tiltfiles))
    return [
        Finding(
            group[0].path,
            f"it does not render {base}",
            "left as it is",
            f"with coverage on, {renders} of another folder is not replaced",
            "warning",
        )
        for renders, group in groups
        if group and not any(base in one.bases for one in group)
    ]


def _without_files(config: Config, files: Project) -> list[Finding]:
    """Sources that are misspelt, or gone."""
    why = "no file is in such a folder: what of it no process loads would not count as missing"
    return [
        Finding(CONFIG, f"services.{service.name}.source: {folder}", "left as it is", why, "warning")
        for service in config.services
        for folder in service.source
        if not files.names(folder)
    ]


def _scaled(config: Config, deployed: Manifests, groups: Sequence[Group]) -> list[Finding]:
    """Autoscalers that would scale what is to have a fixed number of pods."""
    if config.generate.replicas is None:
        return []
    why = "an autoscaler would change their number again; all that it starts are covered"
    return [
        Finding(
            workload.reference, "a HorizontalPodAutoscaler scales it", f"replicas: {config.generate.replicas}", why, "warning"
        )
        for workload, _ in groups
        if (workload.kind, workload.namespace, workload.name) in deployed.autoscaled
    ]


def _contexts(said: Tools, files: Project) -> list[Finding]:
    """Build contexts with podcov's results that images take in; ko takes Go packages alone."""
    around = [a for a in said.artifacts if a.builder != "ko" and _takes_results(a, files)]
    return [
        _let_in(path, files, tilt=bool(said.tiltfiles))
        for path in dict.fromkeys(_dockerignore(artifact, files) for artifact in around)
        if not {"*", "**", ".podcov", ".podcov/", "**/.podcov"} & set((project.text(files, path) or "").split())
    ]


def _takes_results(artifact: Artifact, files: Project) -> bool:
    """Whether the project is in its build context, and all of it may get into the image."""
    if project.relative(".", artifact.context).startswith(".."):
        return False
    text = project.text(files, artifact.dockerfile) if artifact.dockerfile else None
    if text is None:
        return True
    known = {name: value for name, value in artifact.arguments.items() if value is not None}
    taken = dockerfile.taken_from_context(text, known)
    return any(path == "." or files.names(project.join(artifact.context, path)) == files.names(".") for path in taken)


def _let_in(path: str, files: Project, *, tilt: bool) -> Finding:
    found, advice = "it does not leave out .podcov", "name it there"
    if files.read(path) is None:
        found, advice = "there is no such file, which would leave out .podcov", "make it, and name it there"
    built = ", and have Tilt build it anew" if tilt else ""
    why = f"the results in .podcov would change the image with every run{built}: {advice}"
    return Finding(path, found, "left as it is", why, "warning")


def _dockerignore(artifact: Artifact, files: Project) -> str:
    """The file that says what its context leaves out: builders prefer the one named after the Dockerfile."""
    own = f"{artifact.dockerfile}.dockerignore"
    has_own = artifact.dockerfile and files.read(own) is not None
    return own if has_own else project.join(artifact.context, ".dockerignore")
