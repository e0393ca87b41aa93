"""The API server takes the manifests of every shape of the corpus, without coverage and with it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from corpus_shapes import Shape, documents, output, render, shapes
from custom_kinds import defined

SHAPES = [shape for shape in shapes() if shape.base]


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
def shape(request: pytest.FixtureRequest, cluster: Any, wait_until: Callable[..., object]) -> Iterator[Shape]:
    """A shape whose custom resources the cluster knows."""
    with ExitStack() as kinds:
        for crd in request.param.crds:
            kinds.enter_context(defined(cluster, wait_until, **crd))
        yield request.param


def test_the_api_server_takes_it_as_it_is_and_with_coverage(shape: Shape, cluster: Any, judge: Judge, tmp_path: Path) -> None:
    folder = shutil.copytree(shape.project, tmp_path / "project")
    base = render(shape, folder, cluster.env)
    judge(base)
    podcov = str(Path(sys.executable).with_name("podcov"))
    output([podcov, "init", *shape.init], folder, cluster.env)
    judge(output([podcov, "inject"], folder, cluster.env, stdin=base))
