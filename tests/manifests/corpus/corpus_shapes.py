"""The shapes of the corpus, and their manifests as the project's own tool renders them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CORPUS = Path(__file__).parent
_MANIFESTS = (".yaml", ".yml", ".json")
_SKAFFOLD = ("skaffold", "render", "--offline=true", "--digest-source=none")

Document = dict[str, Any]
Key = tuple[str, str, str]


@dataclass(frozen=True)
class Shape:
    """One project, as `shape.yaml` tells of it."""

    name: str
    says: str
    base: tuple[Mapping[str, Any], ...]
    """how people render it without coverage, one entry a tool: `files`, `kustomize`, `helm` or `skaffold`; none: it is refused"""
    init: tuple[str, ...]
    """the arguments of `podcov init`"""
    crds: tuple[Mapping[str, str], ...]
    """custom resources that a cluster has to know before: group, version, kind and plural"""

    @property
    def project(self) -> Path:
        return CORPUS / self.name / "project"

    @property
    def expected(self) -> Path:
        return CORPUS / self.name / "expected"


def shapes() -> list[Shape]:
    """All of them, by name."""
    return [_read(path) for path in sorted(CORPUS.glob("*/shape.yaml"))]


def _read(path: Path) -> Shape:
    said = yaml.safe_load(path.read_text())
    return Shape(path.parent.name, said["says"], tuple(said["base"]), tuple(said.get("init", ())), tuple(said.get("crds", ())))


def render(shape: Shape, folder: Path, env: Mapping[str, str], *, helm: str = "helm", kustomize: str = "kubectl") -> str:
    """What is deployed of the project in `folder`, a copy of the shape's, without coverage: one stream of documents.

    `helm` and `kustomize` are the programs that do it; `kubectl` and `kustomize` are both kustomize.
    """
    return joined(_rendered(step, folder, env, helm, kustomize) for step in shape.base)


def _rendered(step: Mapping[str, Any], folder: Path, env: Mapping[str, str], helm: str, kustomize: str) -> str:
    (how, what), *_ = step.items()
    match how:
        case "files":
            return joined(path.read_bytes().decode() for name in what for path in _files(folder / name))
        case "kustomize":
            return output([*kustomize_command(kustomize), what], folder, env)
        case "helm":
            return output(_helm_command(helm, what), folder, env)
        case "skaffold":
            return skaffold(folder, env, *what)
    raise ValueError(f"shape.yaml: base: {how}")


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else sorted(file for file in path.iterdir() if file.suffix in _MANIFESTS)


def kustomize_command(program: str) -> list[str]:
    return ["kubectl", "kustomize"] if program == "kubectl" else [program, "build"]


def _helm_command(program: str, what: Mapping[str, Any]) -> list[str]:
    values = [word for path in what.get("values", ()) for word in ("--values", path)]
    namespace = ["--namespace", what["namespace"]] if "namespace" in what else []
    return [program, "template", what["release"], what["chart"], *values, *namespace]


def skaffold(folder: Path, env: Mapping[str, str], *arguments: str) -> str:
    """What Skaffold renders, and nothing that it says beside."""
    rendered = folder.with_name(f"{folder.name}-rendered.yaml")
    output([*_SKAFFOLD, "--output", str(rendered), *arguments], folder, env)
    return rendered.read_text()


def output(command: Sequence[str], folder: Path, env: Mapping[str, str], stdin: str | None = None) -> str:
    """A command's standard output; one that fails raises with what it said."""
    given = None if stdin is None else stdin.encode()
    done = subprocess.run(command, cwd=folder, env=dict(env), input=given, capture_output=True, check=False, timeout=120)
    assert not done.returncode, f"exit {done.returncode}: {' '.join(command)}\n{done.stderr.decode()}"
    return done.stdout.decode()


def joined(streams: Iterable[str]) -> str:
    return "---\n".join(stream if stream.endswith("\n") else f"{stream}\n" for stream in streams)


def documents(text: str) -> dict[Key, Document]:
    """The objects in a stream, those in lists too, by kind, namespace and name, in their order.

    Two may be one and the same only where they say the same: modules that are rendered one by one bring the wrapper each.
    """
    found: dict[Key, Document] = {}
    for document in _flat(yaml.load_all(text, yaml.CSafeLoader)):
        metadata = document["metadata"]
        key = document["kind"], metadata.get("namespace", ""), metadata["name"]
        assert found.setdefault(key, document) == document, f"{key} is there twice, and not the same"
    return found


def _flat(values: Iterable[Any]) -> Iterator[Document]:
    for value in values:
        if isinstance(value, dict) and str(value.get("kind", "")).endswith("List"):
            yield from _flat(value["items"])
        elif value:
            yield value
