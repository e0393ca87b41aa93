"""The API server takes the manifests of every shape of the corpus, without coverage and with it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from corpus_shapes import Shape, documents, output, render, shapes

SHAPES = [shape for shape in shapes() if shape.base]
OPEN_SCHEMA = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


Judge = Callable[[str], None]


@pytest.fixture(scope="module")
def judge(cluster: Any, create_namespace: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judge]:
    """`judge(manifests)`: a dry run of the API server's; fails the test with what it has against them."""
    home = create_namespace(tmp_path_factory.mktemp("corpus") / "corpus")
    config = home.folder / "kubeconfig"
    config.write_text(cluster.run("kubectl", "config", "view", "--minify", "--flatten").stdout)
    kubectl = ("kubectl", "--kubeconfig", config)
    cluster.run(*kubectl, "config", "set-context", "--current", "--namespace", home.name)
    made = {home.name}

    def apply(manifests: str) -> None:
        for namespace in {namespace for _, namespace, _ in documents(manifests) if namespace} - made:
            cluster.run(*kubectl, "create", "namespace", namespace)
            made.add(namespace)
        cluster.run(*kubectl, "apply", "--dry-run=server", "--filename", "-", stdin=manifests)

    yield apply
    cluster.run("kubectl", "delete", "namespace", *made)


@pytest.fixture(params=SHAPES, ids=lambda shape: shape.name)
def shape(request: pytest.FixtureRequest, cluster: Any) -> Iterator[Shape]:
    """A shape whose custom resources the cluster knows."""
    definitions = [definition(**crd) for crd in request.param.crds]
    for crd in definitions:
        cluster.run("kubectl", "apply", "--filename", "-", stdin=yaml.safe_dump(crd))
        cluster.run("kubectl", "wait", "--for=condition=established", f"crd/{crd['metadata']['name']}")
    yield request.param
    for crd in definitions:
        cluster.run("kubectl", "delete", "crd", crd["metadata"]["name"])


def test_the_api_server_takes_it_as_it_is_and_with_coverage(shape: Shape, cluster: Any, judge: Judge, tmp_path: Path) -> None:
    folder = shutil.copytree(shape.project, tmp_path / "project")
    base = render(shape, folder, cluster.env)
    judge(base)
    podcov = str(Path(sys.executable).with_name("podcov"))
    output([podcov, "init", *shape.init], folder, cluster.env)
    judge(output([podcov, "inject"], folder, cluster.env, stdin=base))


def definition(*, group: str, version: str, kind: str, plural: str) -> dict[str, Any]:
    """A CustomResourceDefinition that takes anything."""
    served = {"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": OPEN_SCHEMA}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {"group": group, "scope": "Namespaced", "names": {"kind": kind, "plural": plural}, "versions": [served]},
    }
