"""Pods in manifests and patches, of whatever kind: what of a container is a coverage tool's. Rules for YAML text. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from yaml.nodes import MappingNode, Node, SequenceNode

from podcov.generate.adoption import words, yamls
from podcov.generate.adoption.words import Unwrap
from podcov.generate.adoption.workspace import Cut
from podcov.generate.adoption.yamls import Way

_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")


@dataclass(frozen=True, slots=True)
class Found:
    """A container, the pod that it is in, and the way to it."""

    way: Way
    pod: Node
    owner: str
    """`deployment/orders app`"""

    @property
    def node(self) -> Node:
        return self.way[-1].node

    def entries(self, key: str) -> Iterator[Way]:
        """The ways to the items of one of its lists."""
        return yamls.items(yamls.into(self.way, self.node, key))

    def words(self, *keys: str) -> list[str]:
        """What its `command` and `args` say, or one of them."""
        return [yamls.scalar(way[-1].node) for key in keys or ("command", "args") for way in self.entries(key)]


def containers(text: str) -> Iterator[Found]:
    """Every container and init container of every document, but those that run tests."""
    for root in yamls.documents(text):
        for key in ("containers", "initContainers"):
            for way in yamls.ways(root, key):
                for item in yamls.items(way):
                    found = Found(item, way[-1].parent, _owner(item))
                    if isinstance(found.node, MappingNode) and not words.TESTS.search(" ".join(found.words())):
                        yield found


def environment(text: str, names: Iterable[str], what: str) -> Iterator[Cut]:
    """Containers without environment variables of those names."""
    wanted = set(names)
    for container in containers(text):
        yield from _cuts(text, container.entries("env"), lambda node: yamls.scalar(node, "name") in wanted, what)


def ports(text: str, port: str, what: str) -> Iterator[Cut]:
    """Containers without the tool's port."""
    for container in containers(text):
        yield from _cuts(text, container.entries("ports"), lambda node: _is_tools(node, {port}, "containerPort"), what)


def service_ports(text: str, targets: Iterable[str], what: str) -> Iterator[Cut]:
    """Services without the ports that lead to one of `targets`, numbers or names. One that has no other is left as it is."""
    wanted = set(targets)
    for way in _service_ports(text):
        entries = list(yamls.items(way))
        theirs = [entry for entry in entries if _leads_to(entry[-1].node, wanted)]
        if len(theirs) < len(entries):
            yield from _cuts(text, iter(theirs), lambda _: True, what)


def services_only_for(text: str, targets: Iterable[str]) -> list[int]:
    """Which documents are Services all of whose ports lead to one of `targets`."""
    wanted, found = set(targets), []
    for index, root in enumerate(yamls.documents(text)):
        entries = list(yamls.items(yamls.into(yamls.into((), root, "spec"), yamls.get(root, "spec"), "ports")))
        is_service = yamls.scalar(root, "kind") == "Service"
        if is_service and entries and all(_leads_to(entry[-1].node, wanted) for entry in entries):
            found.append(index)
    return found


def probes(text: str, port: str, names: Iterable[str], what: str) -> Iterator[Cut]:
    """Containers without the probes that ask the tool's port, by its number or one of its names."""
    for container in containers(text):
        entries = [way[-1].node for way in container.entries("ports")]
        taken = any(yamls.scalar(n, "containerPort") == port and not _is_tools(n, {port}, "containerPort") for n in entries)
        wanted = {*names, *(() if taken else (port,))}
        for probe in _PROBES:
            way = yamls.into(container.way, container.node, probe)
            asked = [yamls.scalar(way[-1].node if way else None, how, "port") for how in ("httpGet", "tcpSocket")]
            if wanted.intersection(asked) and (cut := yamls.cut(text, way, what)):
                yield cut


def commands(text: str, unwrap: Unwrap, what: str) -> Iterator[Cut]:
    """What starts the containers, without what `unwrap` finds."""
    for container in containers(text):
        for key in ("command", "args"):
            following = container.words("args") if key == "command" else []
            yield from yamls.command(text, yamls.into(container.way, container.node, key), unwrap, what, following)


def shells(text: str, inner: Callable[[int, int], Iterator[Cut]]) -> Iterator[Cut]:
    """What starts the containers, where it is a text for a shell: `inner` is asked for its cuts between two offsets."""
    for container in containers(text):
        for key in ("command", "args"):
            for way in container.entries(key):
                yield from inner(*yamls.span(way))


def started(text: str) -> str:
    """What starts the containers, a line each."""
    return "\n".join(" ".join(container.words()) for container in containers(text))


def port_names(text: str, port: str) -> set[str]:
    """What containers call the tool's port."""
    entries = (way[-1].node for container in containers(text) for way in container.entries("ports"))
    return {yamls.scalar(node, "name") for node in entries if _is_tools(node, {port}, "containerPort")} - {""}


def volumes_at(text: str, folders: Iterable[str]) -> set[str]:
    """The volumes that containers mount at one of those folders."""
    entries = (way[-1].node for container in containers(text) for way in container.entries("volumeMounts"))
    return {yamls.scalar(node, "name") for node in entries if yamls.scalar(node, "mountPath").rstrip("/") in set(folders)}


def mounts(text: str, folders: Iterable[str], what: str) -> Iterator[Cut]:
    """Containers without mounts at those folders."""
    wanted = set(folders)
    for container in containers(text):
        here = container.entries("volumeMounts")
        yield from _cuts(text, here, lambda node: yamls.scalar(node, "mountPath").rstrip("/") in wanted, what)


def volumes(text: str, names: Iterable[str], what: str) -> Iterator[Cut]:
    """Pods without those of the volumes that none of their containers mounts."""
    for root in yamls.documents(text):
        for way in yamls.ways(root, "volumes"):
            pod = way[-1].parent
            unused = set(names) - _mounted(pod) if yamls.get(pod, "containers") else set()
            for item in yamls.items(way):
                if yamls.scalar(item[-1].node, "name") in unused and (cut := yamls.cut(text, item, what)):
                    yield cut


def variables(text: str) -> dict[str, str]:
    """The environment variables that containers are given as plain values."""
    entries = (way[-1].node for container in containers(text) for way in container.entries("env"))
    return {yamls.scalar(node, "name"): yamls.scalar(node, "value") for node in entries}


def says_nothing(root: Node) -> bool:
    """Whether a document is a patch that changes nothing: it names an object and containers, and that is all."""
    said = {key.value: item for key, item in root.value} if isinstance(root, MappingNode) else {"": root}
    return all(_is_hollow(said[key], key) for key in said if key not in ("apiVersion", "kind", "metadata"))


def _is_hollow(node: Node, key: str) -> bool:
    if isinstance(node, MappingNode):
        return all(_is_hollow(item, str(name.value)) for name, item in node.value)
    if isinstance(node, SequenceNode) and key in ("containers", "initContainers"):
        return all(isinstance(item, MappingNode) and [name.value for name, _ in item.value] == ["name"] for item in node.value)
    return isinstance(node, SequenceNode) and not node.value


def _cuts(text: str, entries: Iterator[Way], is_ours: Callable[[Node], bool], what: str) -> Iterator[Cut]:
    for way in entries:
        if is_ours(way[-1].node) and (cut := yamls.cut(text, way, what)):
            yield cut


def _service_ports(text: str) -> Iterator[Way]:
    for root in yamls.documents(text):
        if yamls.scalar(root, "kind") == "Service":
            yield yamls.into(yamls.into((), root, "spec"), yamls.get(root, "spec"), "ports")


def _leads_to(port: Node, targets: set[str]) -> bool:
    return _is_tools(port, targets, "targetPort" if yamls.scalar(port, "targetPort") else "port")


def _is_tools(port: Node, targets: set[str], key: str) -> bool:
    """Whether a port is one of `targets`, and is not called something else than coverage: another program may use the number."""
    name = yamls.scalar(port, "name")
    return yamls.scalar(port, key) in targets and (not name or "cov" in name.lower())


def _mounted(pod: Node) -> set[str]:
    lists = [yamls.get(pod, key) for key in ("containers", "initContainers")]
    inside = [item for entries in lists if isinstance(entries, SequenceNode) for item in entries.value]
    listed = [yamls.get(container, "volumeMounts") for container in inside]
    return {yamls.scalar(item, "name") for entry in listed if isinstance(entry, SequenceNode) for item in entry.value}


def _owner(way: Way) -> str:
    owner = next((s.parent for s in reversed(way) if yamls.get(s.parent, "kind") is not None), way[0].parent)
    name = f"{yamls.scalar(owner, 'kind').lower()}/{yamls.scalar(owner, 'metadata', 'name')}"
    return f"{name} {yamls.scalar(way[-1].node, 'name')}"
