"""The example whose coverage stays on its nodes: copied from the containers that are these, by real docker and real podman.

A container of the node's name that has the node's folder plays the node of a Kind cluster.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
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
LIMITS = ("--ulimit", "nofile=1024:4096", "--ulimit", "nproc=1024:4096")
"""podman sets them, and may raise none where it lacks the right to"""
RUN = {
    "docker": ("docker", "run"),
    "podman": ("podman", "run", "--tls-verify=false", *LIMITS),
}


@pytest.fixture(scope="module")
def node_folder() -> Iterator[Path]:
    """The folder of this machine that plays one of the node's: nobody else's, because what others left there might be counted."""
    folder = Path(tempfile.mkdtemp(prefix="coverage-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def space(create_namespace: Any, root: Path, node_folder: Path, tmp_path_factory: Any, request: Any) -> Iterator[Any]:
    """A namespace in which podcov may scale. Its pods have gone before the folder of the node does."""
    with module_namespace(create_namespace, tmp_path_factory.mktemp("nodes") / "nodes", request) as made:
        let_it_scale(made, root)
        yield made
    made.kubectl("wait", f"namespace/{made.name}", "--for=delete", "--timeout=110s", check=False)


@pytest.fixture(scope="module")
def nobody_is_the_node(alone: Callable[[Path], AbstractContextManager[None]]) -> Callable[[], AbstractContextManager[None]]:
    """While no container has the node's name: that is all of this machine's, and so whoever runs these tests takes turns."""
    return lambda: alone(Path(tempfile.gettempdir(), NODE))


@dataclass(frozen=True)
class Told:
    """What a run said and left, and how many replicas there were to be then, and were."""

    done: Any
    ledger: Any
    seen: dict[str, bool]
    replicas: tuple[int, int]

    @property
    def said(self) -> str:
        return f"{self.done.stdout}{self.done.stderr}"


class Storage:
    """The example, whose tests ask both of its pods."""

    def __init__(self, space: Any, example: Path, node_folder: Path) -> None:
        self.space = space
        self.folder = copy_of(example, space.folder / "storage", asking("storage", QUESTIONS))
        config = yaml.safe_load((self.folder / "podcov.yaml").read_text())
        config["services"]["storage"]["dump"]["folder"] = str(node_folder)
        (self.folder / "podcov.yaml").write_text(yaml.safe_dump(config))
        space.podcov("init", cwd=self.folder)

    def by_make(self) -> Told:
        """The generated target, which has Skaffold deploy and podcov run the tests."""
        env = {**self.space.podcov_env, **where(self.space), "SKAFFOLD_NAMESPACE": self.space.name}
        command = ("make", "test-e2e-storage-coverage")
        told = self._told(self.space.cluster.run(*command, cwd=self.folder, env=env, check=False, seconds=600))
        assert counts_of((self.folder / "e2e-coverage.txt").read_text()) == counted(self.folder, "storage")
        assert (self.folder / "e2e-coverage.html").exists()
        return told

    def by_tilt(self) -> Told:
        return self._told(by_tilt(self.space, self.folder, check=False))

    def run(self, *tests: str) -> Any:
        """`podcov run` of what is deployed, with these tests instead of its own."""
        instead = ("--", *tests) if tests else ()
        arguments = ("run", "--context", "podcov-test", "--namespace", self.space.name, *instead)
        return self.space.podcov(*arguments, cwd=self.folder, env=where(self.space), check=False)

    def _told(self, done: Any) -> Told:
        assert done.returncode == 0, done.stdout + done.stderr
        return Told(done, left(self.folder, "summary.json")["ledger"], seen(self.folder, "storage"), self.replicas)

    @property
    def replicas(self) -> tuple[int, int]:
        document = self.space.get("deployment/storage")
        return document["spec"]["replicas"], document["status"].get("readyReplicas", 0)


@pytest.fixture(scope="module")
def storage(space: Any, root: Path, node_folder: Path) -> Storage:
    return Storage(space, root / "examples/go-nodes", node_folder)


@pytest.fixture(scope="module")
def expected(space: Any, root: Path) -> dict[str, bool]:
    subject = Subject("storage", root / "examples/go-nodes", flags="", build_args={"GOFLAGS": "-cover"})
    return ran(reference(space, subject, lambda addresses: ask(addresses, QUESTIONS), space.folder / "reference"))


@pytest.fixture(scope="module")
def node(cluster: Any, node_folder: Path, nobody_is_the_node: Any) -> Callable[[str], AbstractContextManager[None]]:
    """`node("podman")`: the node, as that engine runs it."""

    @contextmanager
    def runs(engine: str) -> Iterator[None]:
        with nobody_is_the_node():
            cluster.run(engine, "rm", "--force", NODE, check=False)  # of tests that were killed
            options = ("--detach", "--rm", "--name", NODE, "--network", "none", "--volume", f"{node_folder}:{node_folder}")
            cluster.run(*RUN[engine], *options, cluster.image("pause:1"))
            try:
                yield
            finally:
                cluster.run(engine, "rm", "--force", NODE)

    return runs


@pytest.fixture(scope="module")
def by_make_and_docker(storage: Storage, node: Any) -> Told:
    """It is deployed from now on, and what it ran lies in the folder."""
    with node("docker"):
        return storage.by_make()


@pytest.fixture(scope="module")
def by_tilt_and_podman(storage: Storage, node: Any, by_make_and_docker: Told) -> Told:
    """It finds what the other left in the folder."""
    with node("podman"):
        return storage.by_tilt()


@pytest.mark.parametrize("way", ["by_make_and_docker", "by_tilt_and_podman"])
def test_block_for_block_what_go_says(way: str, node_folder: Path, expected: dict[str, bool], request: Any) -> None:
    told: Told = request.getfixturevalue(way)
    assert f"coverage is on: storage writes into the nodes' {node_folder} when it ends" in told.said
    assert told.ledger["complete"]
    assert told.ledger["processes"]["collected"] == 2
    assert told.seen == expected
    assert told.replicas == (2, 2)


def test_what_lies_there_from_before_does_not_count(storage: Storage, node: Any, by_make_and_docker: Told) -> None:
    assert any(yes for block, yes in by_make_and_docker.seen.items() if "entries.go" in block)
    with node("docker"):
        done = storage.run("true")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not any(yes for block, yes in seen(storage.folder, "storage").items() if "entries.go" in block)


def test_without_data_it_is_said_why_and_nothing_stays_scaled_down(
    storage: Storage, nobody_is_the_node: Any, by_make_and_docker: Told
) -> None:
    with nobody_is_the_node():
        done = storage.run()
    assert done.returncode == 5, done.stdout + done.stderr
    assert f"no container is the node {NODE}" in done.stdout
    assert "docker" in done.stdout
    assert "podman" in done.stdout
    assert storage.replicas == (2, 2)
