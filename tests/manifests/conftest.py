"""Projects on disk, and the real kustomize."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import yaml
from podcov.edges import project
from podcov.generate import blocks

Documents = dict[str, dict]
Write = Callable[[Mapping[str, str]], Path]


@pytest.fixture(autouse=True)
def tools(monkeypatch: pytest.MonkeyPatch) -> None:
    """kubectl, skaffold and others on the PATH: the machine's, or those that `tests/cluster/cluster build` makes; no cluster."""
    home = Path(os.environ.get("PODCOV_CLUSTER_HOME") or Path.home() / ".cache" / "podcov-cluster")
    monkeypatch.setenv("PATH", os.pathsep.join([os.environ["PATH"], str(home / "bin")]))
    monkeypatch.setenv("KUBECONFIG", os.devnull)
    for name in [name for name in os.environ if name == "PODCOV" or name.startswith("SKAFFOLD_")]:
        monkeypatch.delenv(name)
    for tool in ("kubectl", "kustomize", "skaffold", "tilt", "helm", "helm4"):
        if not shutil.which(tool):
            pytest.skip(f"there is no {tool}: `tests/cluster/cluster build` makes one")


@pytest.fixture
def fresh(example: Callable[[str], Path]) -> Callable[[str], Path]:
    """An example as it was before podcov: nothing of it in any file."""

    def make(name: str) -> Path:
        folder = example(name)
        shutil.rmtree(folder / "podcov")
        for path in (folder / "podcov.yaml", *folder.rglob("*.podcov")):
            path.unlink()
        for file in ("skaffold.yaml", "Tiltfile"):
            path = folder / file
            path.write_text(blocks.remove(path.read_text()))
        return folder

    return make


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Makes a project of the given files."""

    def files(contents: Mapping[str, str]) -> Path:
        for name, text in contents.items():
            path = tmp_path / "project" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path / "project"

    return files


@pytest.fixture
def render() -> Callable[[Path], Documents]:
    """What kubectl renders of a folder, by `Kind/name`; ConfigMaps without the hash of their content."""

    def documents(folder: Path) -> Documents:
        found = [document for document in yaml.safe_load_all(project.kustomize(folder)) if document]
        return {f"{d['kind']}/{_without_hash(d)}": d for d in found}

    return documents


def _without_hash(document: dict) -> str:
    name = document["metadata"]["name"]
    return name.rpartition("-")[0] if document["kind"] == "ConfigMap" and name.startswith("podcov-") else name
