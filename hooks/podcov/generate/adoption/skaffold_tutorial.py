"""Skaffold's tutorial for Go: a profile builds with `-cover`, a signal has counters written, hooks copy them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from posixpath import dirname
from typing import Any

from yaml.nodes import Node, SequenceNode

from podcov.config import Dump, Tests
from podcov.generate import project
from podcov.generate.adoption import offers, profiles, signs, workloads, yamls
from podcov.generate.adoption.contract import Adoption, Evidence, Handover
from podcov.generate.adoption.profiles import Profile
from podcov.generate.adoption.signs import Seen, Sign
from podcov.generate.adoption.workspace import GO, SHELL, YAML, Workspace
from podcov.generate.kubernetes import kustomizations

NAME = "Skaffold's Go coverage tutorial"
_WRITES = "podcov asks for it"
_COLLECTS = "podcov collects and reports"
_VOLUME = "podcov's overlay brings a volume of its own where there is none"
_FLAGS = {"-cover", "-covermode=atomic", "-covermode", "atomic"}
"""what podcov builds such a service with itself"""
_ARTIFACT = {"image", "context", "ko.flags", "ko.fromImage", "docker.buildArgs"}
_PROFILE = {"name", "build.artifacts", "manifests.kustomize.paths", "deploy.kubectl.hooks.after"}
_OVERLAY = {"apiVersion", "kind", "metadata", "name", "namespace", "resources", "bases", "replicas", "count"}
_PATCHES = ("patches", "patchesStrategicMerge")
_PATCHED = {"path", "spec", "template", "containers", "env", "value", "volumeMounts", "mountPath", "volumes", "emptyDir"}
_SIGNS = (
    Sign(
        "handler",
        GO,
        re.compile(r"coverage\.Write(?:Counters|Meta)(?:Dir)?\("),
        "writes coverage data while the app runs",
        _WRITES,
    ),
    Sign("handler", GO, re.compile(r"coverage\.ClearCounters\("), "begins to count anew", _WRITES),
    Sign("signal", GO, re.compile(r"syscall\.SIG(?P<value>USR[12]|HUP|WINCH|CONT)\b"), r"the signal is SIG\g<value>", _WRITES),
    Sign("script", SHELL, re.compile(r"skaffold\.dev/run-id"), "finds the pods of this Skaffold run", _COLLECTS),
    Sign("script", SHELL, re.compile(r"\bgo tool covdata (?P<command>\w+)"), r"`go tool covdata \g<command>`", _COLLECTS),
)
_SIGNAL = re.compile(r"-(?:s\s+)?(?:SIG)?(?P<signal>[A-Z]+[12]?)$")


@dataclass(frozen=True, slots=True)
class _Hooks:
    """What a profile's hooks are there for: words that run the tests on this machine, scripts that fetch data, all else."""

    tests: tuple[tuple[str, ...], ...]
    scripts: tuple[str, ...]
    others: int


def recognise(space: Workspace) -> Adoption | None:
    """The adoption, and the workspace with podcov's profile in mind; None where neither a handler nor a profile that builds
    with `-cover` writes into GOCOVERDIR."""
    code = signs.scan(space, _SIGNS)
    folders = list(_folders(space))
    in_profiles = [s for profile in profiles.of(space) for s in _of_profile(space, profile)]
    handles = any(s.kind == "handler" for s in code)
    if not (handles or (folders and any(s.kind == "image" for s in in_profiles))):
        return None
    caught = code if handles else [s for s in code if s.kind == "script"]
    seen = [*in_profiles, *folders, *caught]
    before, own = len(space.journal), profiles.for_coverage(space)
    hooks = _hooks(space, own) if own else _Hooks((), (), 0)
    if own and handles and _is_replaceable(space, own, hooks):
        profiles.remove(space, own)
        offers.take_place_of(space, hooks.scripts)
    keeps = ["Your tests and your signal handler stay: podcov sends the signal, and knows when the files are whole."]
    return signs.adoption(space, NAME, seen, keeps, _handover(seen, hooks) if handles else None, own, before)


def _handover(seen: Sequence[Seen], hooks: _Hooks) -> Handover:
    def said(kind: str) -> list[str]:
        return list(dict.fromkeys(s.value for s in seen if s.kind == kind and s.value))

    usual = Dump("signal")
    signal, folder = next(iter(said("signal")), usual.signal), next(iter(said("folder")), usual.folder)
    return Handover(
        "go",
        Dump("signal", folder=folder, signal=signal.removeprefix("SIG")),
        f"asked by SIG{signal.removeprefix('SIG')}",
        workloads=tuple(dict.fromkeys(container.partition(" ")[0] for container in said("container"))),
        tests=Tests(command=hooks.tests[0]) if len(hooks.tests) == 1 else Tests(),
    )


def _hooks(space: Workspace, profile: Profile) -> _Hooks:
    tests, scripts, others = [], [], 0
    for node in _list(yamls.get(profile.node, "deploy", "kubectl", "hooks", "after")):
        host, inside = _said(node, "host"), _said(node, "container")
        script = project.join(dirname(profile.path), host[0]) if host else ""
        if offers.only_collects(space.text(script) or "exit"):
            scripts.append(script)
        elif host:
            tests.append(host)
        else:
            others += inside[:1] != ("kill",)
    return _Hooks(tuple(tests), tuple(scripts), others)


def _said(node: Node, where: str) -> tuple[str, ...]:
    return tuple(yamls.scalar(word) for word in _list(yamls.get(node, where, "command")))


def _is_replaceable(space: Workspace, profile: Profile, hooks: _Hooks) -> bool:
    """Whether podcov's does all that this one does: it builds with coverage, renders an overlay for that, runs the tests."""
    said = yamls.value(profile.node)
    artifacts = [yamls.value(node) for node in _list(yamls.get(profile.node, "build", "artifacts"))]
    overlays = [yamls.scalar(node) for node in _list(yamls.get(profile.node, "manifests", "kustomize", "paths"))]
    return (
        not dirname(profile.path)
        and _keys(said, 4) <= _PROFILE
        and all(_keys(artifact, 2) <= _ARTIFACT and _only_covers(artifact) for artifact in artifacts)
        and all(_is_for_coverage(space, project.join(overlay)) for overlay in overlays)
        and len(hooks.tests) < 2
        and not hooks.others
    )


def _keys(value: object, depth: int) -> set[str]:
    """The paths of keys in mappings, down to lists and texts: `build.artifacts`."""
    if not isinstance(value, dict) or not depth:
        return set()
    below = {key: _keys(item, depth - 1) for key, item in value.items()}
    return {f"{key}.{path}" if path else key for key, paths in below.items() for path in (paths or {""})}


def _only_covers(artifact: dict[str, Any]) -> bool:
    flags = (artifact.get("ko") or {}).get("flags") or []
    arguments = (artifact.get("docker") or {}).get("buildArgs") or {}
    words = [*flags, *(word for value in arguments.values() for word in str(value).split())]
    return set(words) <= _FLAGS and set(arguments) <= {"GOFLAGS"}


def _is_for_coverage(space: Workspace, folder: str) -> bool:
    """Whether an overlay adds nothing to its base but GOCOVERDIR, a volume for it, and a number of replicas."""
    texts = (space.text(project.join(folder, name)) for name in kustomizations.NAMES)
    roots = [root for text in texts if text for root in yamls.documents(text)]
    named = [node for root in roots for key in _PATCHES for node in _list(yamls.get(root, key))]
    patches = [yamls.scalar(node, "path") or yamls.scalar(node) for node in named]
    patched = [root for path in patches for root in yamls.documents(space.text(project.join(folder, path)) or "kind: missing")]
    variables = [
        yamls.scalar(node, "name") for root in patched for way in yamls.ways(root, "env") for node in _list(way[-1].node)
    ]
    keys = {key for root in (*roots, *patched) for key in _all_keys(yamls.value(root))}
    return bool(patched) and keys <= _OVERLAY | _PATCHED | {*_PATCHES} and set(variables) == {"GOCOVERDIR"}


def _all_keys(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _all_keys(item)


def _of_profile(space: Workspace, profile: Profile) -> Iterator[Seen]:
    """What a profile builds with `-cover`; where it does, also what it renders and its hooks."""
    images = list(_images(space, profile))
    if not images:
        return
    yield Seen("profile", Evidence(profile.path, profile.line, f"the profile {profile.name!r}"), "", profile.name)
    yield from images
    for node in _list(yamls.get(profile.node, "manifests", "kustomize", "paths")):
        what = f"renders {yamls.scalar(node)} in place of the base"
        yield _seen(space, profile, node, "overlay", what, yamls.scalar(node), "podcov's overlay takes its place")
    for deployer in ("kubectl", "helm"):
        for node in _list(yamls.get(profile.node, "deploy", deployer, "hooks", "after")):
            yield from _hook(space, profile, node)


def _images(space: Workspace, profile: Profile) -> Iterator[Seen]:
    for node in _list(yamls.get(profile.node, "build", "artifacts")):
        flags = [word for word in _words(node) if word.startswith("-cover") or "-cover" in word.split("=")[-1].split(",")]
        if flags:
            what = f"{yamls.scalar(node, 'image')} is built with {' '.join(flags)}"
            yield _seen(space, profile, node, "image", what, yamls.scalar(node, "image"))


def _hook(space: Workspace, profile: Profile, node: Node) -> Iterator[Seen]:
    host = [yamls.scalar(word) for word in _list(yamls.get(node, "host", "command"))]
    inside = [yamls.scalar(word) for word in _list(yamls.get(node, "container", "command"))]
    if host:
        yield _seen(space, profile, node, "hook", f"runs `{' '.join(host)}` after the deploy", " ".join(host))
    signal = next((m["signal"] for word in inside[1:] if (m := _SIGNAL.match(word))), "") if inside[:1] == ["kill"] else ""
    if inside:
        where = f"{yamls.scalar(node, 'container', 'podName')}, container {yamls.scalar(node, 'container', 'containerName')}"
        later = "podcov asks the processes itself" if signal else ""
        yield _seen(space, profile, node, "hook", f"runs `{' '.join(inside)}` in pods {where}", " ".join(inside), later)
    if signal:
        yield _seen(
            space, profile, node, "signal", f"sends {signal} to process {inside[-1]}", signal, "podcov asks the processes itself"
        )


def _folders(space: Workspace) -> Iterator[Seen]:
    """Containers that are told to write into a folder."""
    for path, text in space.texts(YAML):
        for container in workloads.containers(text):
            for way in container.entries("env"):
                node = way[-1].node
                if yamls.scalar(node, "name") == "GOCOVERDIR":
                    folder, line = yamls.scalar(node, "value"), space.line(path, node.start_mark.index)
                    what = f"{container.owner} writes into {folder}"
                    yield Seen("folder", Evidence(path, line, what), _VOLUME, folder)
                    yield Seen("container", Evidence(path, line, what), _VOLUME, container.owner)


def _seen(space: Workspace, profile: Profile, node: Node, kind: str, what: str, value: str, later: str = "") -> Seen:
    return Seen(kind, Evidence(profile.path, profile.line_of(space, node), what), later, value)


def _list(node: Node | None) -> list[Node]:
    return list(node.value) if isinstance(node, SequenceNode) else []


def _words(node: Node) -> list[str]:
    """Every plain text beneath a node."""
    value = yamls.value(node)
    queue, found = [value], []
    while queue:
        item = queue.pop(0)
        queue += item.values() if isinstance(item, dict) else item if isinstance(item, list) else []
        found += [item] if isinstance(item, str) else []
    return found
