"""Skaffold's tutorial for Go: a profile builds with `-cover`, a signal has counters written, hooks copy them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from yaml.nodes import Node, SequenceNode

from podcov.generate.adoption import profiles, signs, workloads, yamls
from podcov.generate.adoption.contract import Adoption, Evidence
from podcov.generate.adoption.profiles import Profile
from podcov.generate.adoption.signs import Seen, Sign
from podcov.generate.adoption.workspace import GO, SHELL, YAML, Workspace

NAME = "Skaffold's Go coverage tutorial"
_WRITES = "podcov writes the counters without a handler: this one can go"
_COPIES = "podcov collects and reports: this script can go"
_SIGNS = (
    Sign(
        "handler",
        GO,
        re.compile(r"coverage\.Write(?:Counters|Meta)(?:Dir)?\("),
        "writes coverage data while the app runs",
        _WRITES,
    ),
    Sign("handler", GO, re.compile(r"coverage\.ClearCounters\("), "begins to count anew", _WRITES),
    Sign("signal", GO, re.compile(r"syscall\.SIG(?P<value>USR[12]|HUP|WINCH|CONT)\b"), r"SIG\g<value> is caught", _WRITES),
    Sign("script", SHELL, re.compile(r"skaffold\.dev/run-id"), "finds the pods of this Skaffold run", _COPIES),
    Sign("script", SHELL, re.compile(r"\bgo tool covdata (?P<command>\w+)"), r"`go tool covdata \g<command>`", _COPIES),
)
_SIGNAL = re.compile(r"-(?:s\s+)?(?:SIG)?(?P<signal>[A-Z]+[12]?)$")


def recognise(space: Workspace) -> Adoption | None:
    """What is there of it; None where neither a handler nor a profile that builds with `-cover` writes into GOCOVERDIR."""
    code = signs.scan(space, _SIGNS)
    folders = list(_folders(space))
    in_profiles = [s for profile in profiles.of(space) for s in _of_profile(space, profile)]
    handles = any(s.kind == "handler" for s in code)
    if not (handles or (folders and any(s.kind == "image" for s in in_profiles))):
        return None
    caught = code if handles else [s for s in code if s.kind == "script"]
    keeps = ["Your tests, your build flags and your signal handler stay: the profile runs as it did."]
    return signs.adoption(space, NAME, [*in_profiles, *folders, *caught], keeps)


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
                    yield Seen("folder", Evidence(path, line, what), "podcov brings a volume of its own", folder)
                    yield Seen("container", Evidence(path, line, what), "podcov brings a volume of its own", container.owner)


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
