"""The cluster of the tests, a namespace for each of them, and what happened there when one fails.

`cluster` and `namespace` are the two fixtures that tests ask for; see the classes of the same names.
"""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pytest
import yaml
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
HOME = Path(os.environ.get("PODCOV_CLUSTER_HOME") or Path.home() / ".cache/podcov-cluster")
STARTED_BY_TESTS = HOME / "run" / "started-by-tests"
TOGETHER = dict.fromkeys(("test_attach.py", "test_corpus.py"), "custom resources")
"""Files whose tests one process runs, though others run beside it."""
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
"""Labels of a namespace that admits only pods that give up every privilege."""

Completed = subprocess.CompletedProcess[str]
failed = pytest.StashKey[bool]()


@dataclass(frozen=True)
class Cluster:
    """A Kubernetes that runs, and the tools that find it."""

    env: Mapping[str, str]
    """the whole environment of a command that uses it"""

    def run(
        self,
        *command: str | Path,
        check: bool = True,
        cwd: Path = ROOT,
        env: Mapping[str, str] | None = None,
        stdin: str | None = None,
        seconds: float = 300,
    ) -> Completed:
        """Runs a command to its end, with `env` added to the cluster's.

        With `check`, a command that fails also fails the test, with what it printed.
        """
        arguments = [str(part) for part in command]
        done = subprocess.run(
            arguments,
            cwd=cwd,
            env={**self.env, **(env or {})},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        if check and done.returncode:
            pytest.fail(f"exit {done.returncode}: {' '.join(arguments)}\n{done.stdout}\n{done.stderr}")
        return done

    def image(self, name: str) -> str:
        """`python:3.13`, `python:bare`, `applications:3.14`, `coverage:3.11`, as a pod names it."""
        return f"{self.env['PODCOV_TEST_IMAGES']}/{name}"


@dataclass(frozen=True)
class Namespace:
    """A fresh namespace. An administrator deploys into it; podcov has only the Roles that it ships."""

    name: str
    cluster: Cluster
    folder: Path
    """for files of the test"""
    podcov_env: dict[str, str] = field(default_factory=dict)

    def kubectl(self, *arguments: str | Path, check: bool = True, stdin: str | None = None, seconds: float = 120) -> str:
        """Standard output of kubectl in this namespace."""
        return self.cluster.run("kubectl", "--namespace", self.name, *arguments, check=check, stdin=stdin, seconds=seconds).stdout

    def get(self, *arguments: str) -> Any:
        """What `kubectl get -o json` prints."""
        return json.loads(self.kubectl("get", *arguments, "--output", "json"))

    def apply(self, *manifests: Mapping[str, object]) -> None:
        self.kubectl("apply", "--filename", "-", stdin=yaml.safe_dump_all(manifests))

    def skaffold(
        self, verb: str, *arguments: str, cwd: Path, check: bool = True, env: Mapping[str, str] | None = None
    ) -> Completed:
        """Skaffold in this namespace; its hooks find the podcov of this checkout, which has podcov's own rights only."""
        command = ("skaffold", verb, "--namespace", self.name, *arguments)
        return self.cluster.run(*command, cwd=cwd, check=check, env={**self.podcov_env, **(env or {})}, seconds=600)

    def tilt(self, verb: str, *arguments: str, cwd: Path, check: bool = True, env: Mapping[str, str] | None = None) -> Completed:
        """Tilt in this namespace, with the same podcov."""
        command = ("tilt", verb, "--namespace", self.name, *arguments)
        return self.cluster.run(*command, cwd=cwd, check=check, env={**self.podcov_env, **(env or {})}, seconds=600)

    def podcov(self, *arguments: str | Path, cwd: Path, check: bool = True, env: Mapping[str, str] | None = None) -> Completed:
        """The command line, as installed."""
        return self.cluster.run("podcov", *arguments, cwd=cwd, check=check, env={**self.podcov_env, **(env or {})}, seconds=600)

    def happened(self) -> str:
        """Pods, events and logs, for whoever reads why a test failed."""
        pods = self.kubectl("get", "pods", "--output", "name", check=False).split()
        looks = [("get", "pods", "--output", "wide"), ("get", "events", "--sort-by", ".lastTimestamp")]
        looks += [("logs", pod, "--all-containers", "--prefix", "--tail", "60", "--ignore-errors") for pod in pods]
        answers = [self.cluster.run("kubectl", "--namespace", self.name, *look, check=False) for look in looks]
        return "\n".join(f"$ kubectl {' '.join(look)}\n{a.stdout}{a.stderr}" for look, a in zip(looks, answers, strict=True))


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Comes up for the first test that asks. Where tests started it, the last stops it, unless PODCOV_CLUSTER_KEEP is set."""
    command = str(HERE / "cluster")
    HOME.mkdir(parents=True, exist_ok=True)
    with (HOME / "users").open("w") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        ran_before = subprocess.run([command, "status"], capture_output=True, check=False).returncode == 0
        for step in ("build", "up"):
            done = subprocess.run([command, step], stderr=subprocess.PIPE, text=True, check=False)
            if done.returncode:
                pytest.fail(f"tests/cluster/cluster {step}: exit {done.returncode}\n{done.stderr}", pytrace=False)
        if not ran_before:
            STARTED_BY_TESTS.touch()
        shell = ["bash", "-c", 'eval "$("$0" env)" && env --null', command]
        variables = subprocess.run(shell, capture_output=True, text=True, check=True).stdout.split("\0")
        env = dict(variable.split("=", 1) for variable in variables if variable)
        # Skaffold tags, and then pushes: what two processes build at once of one project may differ, and has the same name.
        if worker := os.environ.get("PYTEST_XDIST_WORKER"):
            env["SKAFFOLD_DEFAULT_REPO"] += f"/{worker}"
        yield Cluster(env)
        if STARTED_BY_TESTS.exists() and not os.environ.get("PODCOV_CLUSTER_KEEP") and nobody_else_holds(users):
            subprocess.run([command, "down"], check=True)


def nobody_else_holds(users: IO[str]) -> bool:
    """The lock that is shared by all who use the cluster is then nobody's but ours."""
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class ByWhatTheyShare(LoadScopeScheduling):
    """Gives processes whole files or folders: the tests of a folder share apps, and some files kinds that the whole cluster has.

    xdist's own `loadgroup` would do, but does nothing with pytest 9.2: it marks tests in a name that pytest remembers meanwhile.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = ROOT / nodeid.partition("::")[0]
        name = file.parent.name if file.parent != HERE else file.name
        return TOGETHER.get(name, name)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByWhatTheyShare | None:
    """Where `--dist loadgroup` is asked for."""
    return ByWhatTheyShare(config, log) if config.getvalue("dist") == "loadgroup" else None


@pytest.fixture(scope="session")
def create_namespace(cluster: Cluster, wait_until: Callable[..., object]) -> Callable[..., Namespace]:
    """`create_namespace(folder, restricted=False)` -> Namespace, which is the caller's to delete."""

    def create(folder: Path, *, restricted: bool = False) -> Namespace:
        folder.mkdir()
        name = f"podcov-{os.getpid()}-{folder.name}"
        labels = RESTRICTED if restricted else {}
        manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
        cluster.run("kubectl", "create", "--filename", "-", stdin=json.dumps(manifest))
        space = Namespace(name, cluster, folder)
        space.kubectl("apply", "--kustomize", rbac_in(space))
        space.podcov_env.update(podcov_environment(space, kubeconfig_of("podcov", space)))
        wait_until(lambda: space.kubectl("get", "serviceaccount", "default", check=False), 90, "the default account is there")
        return space

    return create


@pytest.fixture
def make_namespace(
    cluster: Cluster, request: pytest.FixtureRequest, tmp_path: Path, create_namespace: Callable[..., Namespace]
) -> Iterator[Callable[..., Namespace]]:
    """`make_namespace(restricted=False)` -> Namespace; all are deleted when the test ends."""
    made: list[Namespace] = []

    def make(*, restricted: bool = False) -> Namespace:
        made.append(create_namespace(tmp_path / f"namespace-{next(numbers)}", restricted=restricted))
        return made[-1]

    yield make
    for space in made:
        if request.node.stash.get(failed, False):
            sys.stderr.write(f"\n{space.happened()}\n")
        cluster.run("kubectl", "delete", "namespace", space.name, "--wait=false", check=False)


numbers = itertools.count(1)


@pytest.fixture
def namespace(make_namespace: Callable[..., Namespace]) -> Namespace:
    return make_namespace()


@pytest.fixture
def restricted_namespace(make_namespace: Callable[..., Namespace]) -> Namespace:
    """One that enforces the Pod Security level `restricted`."""
    return make_namespace(restricted=True)


def rbac_in(space: Namespace) -> Path:
    """The shipped Roles and their bindings, moved to this namespace in the way that they tell users to."""
    kustomization = space.folder / "rbac" / "kustomization.yaml"
    kustomization.parent.mkdir()
    shipped = os.path.relpath(ROOT / "overlays" / "rbac", kustomization.parent.resolve())
    kustomization.write_text(yaml.safe_dump({"namespace": space.name, "resources": [shipped]}))
    return kustomization.parent


def kubeconfig_of(account: str, space: Namespace) -> Path:
    """A kubeconfig with the rights of a service account; its context has the name of the administrator's."""
    token = space.kubectl("create", "token", account, "--duration", "2h").strip()
    config = yaml.safe_load(space.cluster.run("kubectl", "config", "view", "--minify", "--flatten").stdout)
    config["users"] = [{"name": user["name"], "user": {"token": token}} for user in config["users"]]
    file = space.folder / f"{account}.kubeconfig"
    file.write_text(yaml.safe_dump(config))
    return file


def podcov_environment(space: Namespace, kubeconfig: Path) -> dict[str, str]:
    """Puts a `podcov` first on the PATH that is this checkout's, run with that kubeconfig whoever calls it."""
    command = space.folder / "bin" / "podcov"
    command.parent.mkdir()
    scripts = Path(sys.executable).parent
    command.write_text(f'#!/bin/sh\nKUBECONFIG="{kubeconfig}" exec "{scripts}/podcov" "$@"\n')
    command.chmod(0o755)
    return {"PATH": f"{command.parent}:{scripts}:{space.cluster.env['PATH']}"}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        item.stash[failed] = True
    return report
