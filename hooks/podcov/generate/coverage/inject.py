"""`podcov inject`: manifests in, the same manifests with coverage out. Pure.

What has nothing to do with us comes out byte for byte as it came in, comments and all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from podcov import assets
from podcov.config import Config
from podcov.errors import ManifestError
from podcov.generate.coverage import entering, instrument, verify
from podcov.generate.coverage.entering import Group, Surroundings
from podcov.generate.coverage.volumes import WrapperMaps
from podcov.generate.findings import Finding
from podcov.generate.kubernetes import config_maps, kubernetes_yaml, manifests, yaml_text
from podcov.generate.kubernetes.config_maps import ConfigMap
from podcov.generate.kubernetes.kubernetes_yaml import Piece
from podcov.generate.kubernetes.manifests import Key
from podcov.generate.languages import language
from podcov.generate.languages.entered import Entered

Tracers = Callable[[Iterable[str]], Mapping[str, bytes]]
"""Python minor versions in, their tracers' files by name out."""


@dataclass(frozen=True, slots=True)
class Injected:
    """`documents` are those that came in, in order; `measured` has containers by their workload's key."""

    documents: tuple[Mapping[str, Any], ...]
    config_maps: tuple[Mapping[str, Any], ...]
    measured: Mapping[Key, tuple[str, ...]]
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Injector:
    """Adds coverage for the services of a `podcov.yaml`. `builds`: their images are built for it, too."""

    config: Config
    known: Surroundings
    tracers: Tracers
    builds: bool = True

    def text(self, text: str, *, name: str) -> tuple[str, tuple[Finding, ...]]:
        """A stream of YAML documents, of which lists and Kustomize's `ResourceList` are looked into, and what there is to say.

        Raises ManifestError for what is no YAML, and for a service that cannot be measured as podcov.yaml says.
        """
        pieces = kubernetes_yaml.split(text, name=name)
        places = [manifests.place(name, piece.line, number) for number, piece in enumerate(pieces, 1)]
        injected = self.documents([piece.document for piece in pieces], name=name, places=places)
        _refuse_doubled_keys([p for p, d in zip(pieces, injected.documents, strict=True) if p.document is not d], name)
        return _joined(pieces, injected), injected.findings

    def measured(self, text: str) -> Mapping[Key, tuple[str, ...]]:
        """The containers of these manifests that are measured, by their workload's key."""
        return self.documents(kubernetes_yaml.load(text, name="manifests")).measured

    def documents(
        self, documents: Sequence[Mapping[str, Any]], *, name: str = "manifests", places: Sequence[str] = ()
    ) -> Injected:
        """The documents with coverage; those that are not concerned are the same objects. `places`: where each stands.

        Raises as `text` does.
        """
        rendered = manifests.of_documents([_plain(document) for document in documents], places)
        here = [
            s
            for s in self.config.services
            if s.workload and rendered.candidates(s.workload, s.namespace or self.config.namespace)
        ]
        groups = entering.enter(self.config, rendered, self.known, here)
        maps = maps_for(groups, self.tracers) if groups else ()
        names = names_by_wrapper(maps, attrgetter("hashed_name"))
        replicas = self.config.generate.replicas
        by_key = {
            workload.key: instrument.instrument(
                workload.document,
                group,
                names,
                replicas=replicas,
                where=workload.where,
            )
            for workload, group in groups
        }
        for workload, _ in groups:
            verify.comes_off_again(workload.document, by_key[workload.key])
        missing = [s.name for s in self.config.services if s.workload and s not in here]
        return Injected(
            documents=tuple(_replaced(document, by_key) for document in documents),
            config_maps=tuple(config_map.document(namespace) for namespace, config_map in maps_by_namespace(groups, maps)),
            measured={w.key: tuple(e.container.name for e in group) for w, group in groups},
            findings=(
                *_missing(missing, name),
                *entering.isolated(groups),
                *([] if self.builds else entering.built_elsewhere(groups)),
            ),
        )


def maps_for(groups: Sequence[Group], tracers: Tracers) -> tuple[ConfigMap, ...]:
    """The ConfigMaps that these containers need."""
    added = [language.additions(e) for _, group in groups for e in group]
    minors = sorted({minor for one in added for minor in one.tracers})
    wrappers = {name: assets.wrapper_files(name) for name in sorted({one.wrapper.name for one in added if one.wrapper})}
    return config_maps.plan(wrappers, tracers(minors) if minors else {})


def _maps_of(group: Sequence[Entered], maps: Sequence[ConfigMap]) -> list[ConfigMap]:
    """Those of `maps` that pods with these containers need."""
    wrappers = {added.wrapper.name for e in group if (added := language.additions(e)).wrapper}
    return [config_map for config_map in maps if config_map.wrapper in wrappers]


def names_by_wrapper(maps: Iterable[ConfigMap], name: Callable[[ConfigMap], str]) -> WrapperMaps:
    """`name` says what a workload calls one of them."""
    named: dict[str, list[str]] = {}
    for config_map in maps:
        named.setdefault(config_map.wrapper, []).append(name(config_map))
    return named


def maps_by_namespace(groups: Sequence[Group], maps: Sequence[ConfigMap]) -> Iterator[tuple[str, ConfigMap]]:
    """Each of `maps` with each namespace that has pods which need it."""
    for namespace in sorted({workload.namespace for workload, _ in groups}):
        members = [e for workload, group in groups if workload.namespace == namespace for e in group]
        yield from ((namespace, config_map) for config_map in _maps_of(members, maps))


def _plain(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Without coverage that is there already; the same object where there is none."""
    if manifests.is_list(document):
        items = [_plain(item) if isinstance(item, dict) else item for item in document["items"]]
        return document if all(a is b for a, b in zip(items, document["items"], strict=True)) else {**document, "items": items}
    return instrument.remove(document) if instrument.is_instrumented(document) else document


def _replaced(document: Mapping[str, Any], by_key: Mapping[Key, Mapping[str, Any]]) -> Mapping[str, Any]:
    """The document with coverage, where it is to have some; without, where it has some that it is not to have."""
    if manifests.is_list(document):
        items = [_replaced(item, by_key) if isinstance(item, dict) else item for item in document["items"]]
        return document if all(a is b for a, b in zip(items, document["items"], strict=True)) else {**document, "items": items}
    key = manifests.key(document)
    wanted = by_key[key] if key in by_key and manifests.of_document(document) else _plain(document)
    return document if wanted == document else wanted


def _missing(names: Sequence[str], where: str) -> list[Finding]:
    if not names:
        return []
    why = "they have to come along in another call, or podcov will wait for them in vain"
    return [Finding(", ".join(names), f"not in {where}", "nothing to inject", why)]


def _refuse_doubled_keys(pieces: Iterable[Piece], name: str) -> None:
    """What is written anew has one of them, and nobody would be told any more that there were two."""
    for piece in pieces:
        if doubled := kubernetes_yaml.doubled_key(piece.text):
            line, key = doubled
            raise ManifestError(
                f"{name}:{piece.line + line - 1}: `{key}` stands twice",
                hint="leave one of them: of two, Kubernetes takes the last.",
            )


def _joined(pieces: Sequence[Piece], injected: Injected) -> str:
    """The stream, what changed written anew. ConfigMaps precede what needs them: `kubectl apply` goes from top to bottom."""
    present = {manifests.key(item) for piece in pieces for item in manifests.flatten(piece.document)}
    pending = [config_map for config_map in injected.config_maps if manifests.key(config_map) not in present]
    if not pending and all(p.document is d for p, d in zip(pieces, injected.documents, strict=True)):
        return "".join(piece.text for piece in pieces)
    newline = "\r\n" if any("\r\n" in piece.text for piece in pieces) else "\n"
    written: list[str] = []
    for piece, document in zip(pieces, injected.documents, strict=True):
        if document.get("kind") == "ResourceList":
            written.append(_document({**document, "items": [*pending, *document["items"]]}, newline))
            pending = []
            continue
        if any(manifests.key(item) in injected.measured for item in manifests.flatten(document)):
            written += [_document(config_map, newline) for config_map in pending]
            pending = []
        same = document is piece.document
        written.append((piece.text if piece.text.endswith("\n") else f"{piece.text}\n") if same else _document(document, newline))
    return "".join(_separated(written))


def _separated(written: Iterable[str]) -> Iterable[str]:
    for number, text in enumerate(written):
        begins = next((line for line in text.splitlines() if line.strip() and not line.startswith("#")), "")
        yield text if not number or begins.startswith(("---", "%")) else f"---\n{text}"


def _document(document: Mapping[str, Any], newline: str) -> str:
    return f"---\n{yaml_text.dump(document)}".replace("\n", newline)
