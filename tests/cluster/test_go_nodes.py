"""The example whose coverage stays on its nodes: copied from the containers that are these, by real docker and real podman.

A container of the node's name that has the node's folder plays the node of a Kind cluster.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from go_examples import asking, by_tilt, copy_of, counted, left, let_it_scale, module_namespace, seen, where
from go_pods import ask
from go_reference import Subject, counts_of, ran, reference

pytestmark = pytest.mark.cluster

QUESTIONS = ("/entries", "/entries?service=nobody", "/nothing")
NODE = "podcov-node"
FOLDER = Path("/tmp/coverage")
LIMITS = ("--ulimit", "nofile=1024:4096", "--ulimit", "nproc=1024:4096")
"""podman sets them, and may raise none where it lacks the right to"""
RUN = {
    "docker": ("docker", "run"),
    "podman": ("podman", "run", "--tls-verify=false", *LIMITS),
}


@pytest.fixture(scope="module")
def space(create_namespace: Any, root: Path, tmp_path_factory: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A namespace in which podcov may scale. The folder of this machine that plays the node's goes when no pod writes into it."""
    was_there = FOLDER.exists()
    FOLDER.mkdir(exist_ok=True)
    with module_namespace(create_namespace, tmp_path_factory.mktemp("nodes") / "nodes", request) as made:
        let_it_scale(made, root)
        yield made
    made.kubectl("wait", f"namespace/{made.name}", "--for=delete", "--timeout=110s", check=False)
    if not was_there:
        shutil.rmtree(FOLDER, ignore_errors=True)


class Storage:
    """The example, whose tests ask both of its pods."""

    def __init__(self, space: Any, example: Path) -> None:
        self.space = space
        self.folder = copy_of(example, space.folder / "storage", asking("storage", QUESTIONS))
        space.podcov("init", cwd=self.folder)

    def by_make(self) -> Any:
        """The generated target, which has Skaffold deploy and podcov run the tests."""
        env = {**self.space.podcov_env, **where(self.space), "SKAFFOLD_NAMESPACE": self.space.name}
        done = self.space.cluster.run("make", "test-e2e-storage-coverage", cwd=self.folder, env=env, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert counts_of((self.folder / "e2e-coverage.txt").read_text()) == counted(self.folder, "storage")
        assert (self.folder / "e2e-coverage.html").exists()
        return done

    def by_tilt(self) -> Any:
        return by_tilt(self.space, self.folder, check=False)

    def run(self) -> Any:
        arguments = ("run", "--context", "podcov-test", "--namespace", self.space.name)
        return self.space.podcov(*arguments, cwd=self.folder, env=where(self.space), check=False)

    @property
    def replicas(self) -> tuple[int, int]:
        document = self.space.get("deployment/storage")
        return document["spec"]["replicas"], document["status"].get("readyReplicas", 0)


@pytest.fixture(scope="module")
def storage(space: Any, root: Path) -> Storage:
    return Storage(space, root / "examples/go-nodes")


@pytest.fixture(scope="module")
def expected(space: Any, root: Path) -> dict[str, bool]:
    subject = Subject("storage", root / "examples/go-nodes", flags="", build_args={"GOFLAGS": "-cover"})
    return ran(reference(space, subject, lambda addresses: ask(addresses, QUESTIONS), space.folder / "reference"))


@contextmanager
def node_container(cluster: Any, engine: str) -> Iterator[None]:
    """The node, as `engine` runs it."""
    cluster.run(engine, "rm", "--force", NODE, check=False)
    options = ("--detach", "--rm", "--name", NODE, "--network", "none", "--volume", f"{FOLDER}:{FOLDER}")
    cluster.run(*RUN[engine], *options, cluster.image("pause:1"))
    try:
        yield
    finally:
        cluster.run(engine, "rm", "--force", NODE)


@pytest.mark.parametrize(("engine", "deploy"), [("docker", Storage.by_make), ("podman", Storage.by_tilt)])
def test_block_for_block_what_go_says(
    storage: Storage, expected: dict[str, bool], engine: str, deploy: Callable[[Storage], Any]
) -> None:
    """The second run finds what the first left in the folder, and does not count it."""
    with node_container(storage.space.cluster, engine):
        done = deploy(storage)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"coverage is on: storage writes into the nodes' {FOLDER} when it ends" in done.stdout + done.stderr
    told = left(storage.folder, "summary.json")
    assert told["ledger"]["complete"]
    assert told["ledger"]["processes"]["collected"] == 2
    assert seen(storage.folder, "storage") == expected
    assert storage.replicas == (2, 2)


def test_what_lies_there_from_before_does_not_count(storage: Storage) -> None:
    config = storage.folder / "podcov.yaml"
    asked = config.read_text()
    config.write_text(yaml.safe_dump({**yaml.safe_load(asked), "tests": {"command": "true"}}))
    with node_container(storage.space.cluster, "docker"):
        done = storage.run()
    config.write_text(asked)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not any(yes for block, yes in seen(storage.folder, "storage").items() if "entries.go" in block)


def test_without_data_it_is_said_why_and_nothing_stays_scaled_down(storage: Storage) -> None:
    done = storage.run()
    assert done.returncode == 5, done.stdout + done.stderr
    assert f"no container is the node {NODE}" in done.stdout
    assert "docker" in done.stdout
    assert "podman" in done.stdout
    assert storage.replicas == (2, 2)
