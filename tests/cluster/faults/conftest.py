"""Apps that tests end in hard ways: each test says by a mark what it needs, and all are deployed at once before the first runs.

    @pytest.mark.deployed("deleted", grace=10)
    def test_...(app):
        with app.tested() as tests:         # `podcov run`, whose test command lasts as long as the block
            tests.get("/first")
        assert tests.result.exit_code == 0

The overlay is what `podcov init` makes of a Kustomize base, so the generator is tested with it.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import yaml
from podcov.config import variable_prefix
from podcov.formats import report_json
from podcov.model import Report

SOURCES = Path(__file__).parent / "app"
GATE = 'env >"$0/env.new"; mv "$0/env.new" "$0/env"; read code <"$0/end"; exit "$code"'
"""a test command that shows its environment, and lasts until it is told its exit code"""
ONCE_FUNCTIONS, ONCE_LINES, ONCE_FOR_CHILDREN = 1200, 25, 240
"""how many functions once.py has, how many lines each that run when it is called, and how many are left for children"""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "deployed(name, **how): an app for this test; see Deployed in tests/cluster/faults/conftest.py"
    )


def write_sources(folder: Path) -> None:
    """What the containers have in /srv."""
    shutil.copytree(SOURCES, folder, ignore=shutil.ignore_patterns("__pycache__"))
    functions = (f"def f{number:04}():\n" + " x=1\n" * ONCE_LINES for number in range(ONCE_FUNCTIONS))
    (folder / "once.py").write_text("".join(functions))


@dataclass(frozen=True)
class Once:
    """The lines of once.py: those that `/storm` runs, and those that children run just before they are killed."""

    storm: set[int]
    sacrifice: set[int]


@pytest.fixture(scope="session")
def once() -> Once:
    bodies = [set(range(n * (ONCE_LINES + 1) + 2, (n + 1) * (ONCE_LINES + 1) + 1)) for n in range(ONCE_FUNCTIONS)]
    return Once(set().union(*bodies[ONCE_FOR_CHILDREN:]), set().union(*bodies[:ONCE_FOR_CHILDREN]))


@dataclass(frozen=True)
class Deployed:
    """What a test needs. `spoiled` says what of the overlay is replaced after `podcov init`: a file's text by its path, or None
    by the name of a ConfigMap that shall be missing."""

    name: str
    image: str = "python:3.13"
    command: Sequence[str] = ("python3", "/srv/app.py")
    mode: str = "line"
    replicas: int = 1
    grace: int = 5
    container: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    """of its service in podcov.yaml"""
    spoiled: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def service(self) -> dict[str, Any]:
        """Its entry in podcov.yaml."""
        return {"workload": f"deployment/{self.name}", "source": ["app"], "mode": self.mode, **self.settings}

    def manifest(self, image: str) -> dict[str, Any]:
        container = {
            "name": "app",
            "image": image,
            "command": list(self.command),
            "readinessProbe": {"httpGet": {"path": "/health", "port": 8080}, "periodSeconds": 1},
            "volumeMounts": [{"name": "source", "mountPath": "/srv"}],
        }
        volumes = [{"name": "source", "configMap": {"name": "source"}}]
        spec = {"terminationGracePeriodSeconds": self.grace, "containers": [container | self.container], "volumes": volumes}
        labels = {"app": self.name}
        template = {"metadata": {"labels": labels}, "spec": spec}
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": self.name},
            "spec": {"replicas": self.replicas, "selector": {"matchLabels": labels}, "template": template},
        }


@dataclass(frozen=True, repr=False)
class Result:
    """What podcov said, and what it left on disk."""

    exit_code: int
    stdout: str
    stderr: str
    folder: Path

    def read(self, name: str) -> Any:
        return json.loads((self.folder / ".podcov/runs/latest" / name).read_text())

    @property
    def targets(self) -> list[dict[str, Any]]:
        """Those of the ledger, by name and start."""
        found: list[dict[str, Any]] = self.read("ledger.json")["targets"]
        return sorted(found, key=lambda t: (t["name"], t["start"]))

    @property
    def processes(self) -> list[dict[str, Any]]:
        return [process for target in self.targets for process in target["processes"]]

    @property
    def complete(self) -> bool:
        counts = self.read("summary.json")["ledger"]
        return not (counts["targets"]["failed"] or counts["processes"]["failed"])

    @property
    def report(self) -> Report:
        return report_json.load((self.folder / ".podcov/runs/latest/report.json").read_bytes())

    def lines(self, file: str = "app.py", service: str = "") -> set[int]:
        """The lines of a source file that ran, in one service or in any."""
        files = [f for f in self.report.files if f.path == f"app/{file}" and service in ("", f.service)]
        return {line for f in files for r in f.regions if r.covered for line in range(r.start[0], r.end[0] + 1)}

    def names(self, file: str = "app.py", service: str = "") -> set[str]:
        """The names of those that have one."""
        ran = self.lines(file, service)
        return {name for number, name in named_lines(SOURCES / file).items() if number in ran}

    def __repr__(self) -> str:
        return f"exit {self.exit_code}\n{self.stdout}\n{self.stderr}"


def named_lines(file: Path) -> dict[int, str]:
    found = ((number, re.search(r"  # ([a-z -]+)$", line)) for number, line in enumerate(file.read_text().splitlines(), 1))
    return {number: name[1] for number, name in found if name}


class Tests:
    """Integration tests under way."""

    __test__ = False

    def __init__(self, env: Mapping[str, str], process: subprocess.Popen[str], wait_until: Callable[..., Any]) -> None:
        self.env = env
        self.process = process
        self._wait_until = wait_until
        self.exit_code: int | None = 0
        """what they will end with; None where they will not end by themselves"""
        self.result: Result
        """once they have ended"""

    def get(self, path: str, *, forward: str = "app", seconds: float = 120) -> str:
        """The app's answer; asks again, for so long, until there is one."""
        return str(self._wait_until(lambda: self.try_get(path, forward=forward, seconds=seconds), seconds, f"answer to {path}"))

    def try_get(self, path: str, *, forward: str = "app", seconds: float = 120) -> str | None:
        try:
            with urllib.request.urlopen(self.env[f"{variable_prefix(forward)}_URL"] + path, timeout=seconds) as answer:
                return str(answer.read().decode())
        except (URLError, OSError):
            return None


class App:
    """One deployed app, and a project folder whose podcov.yaml knows only that."""

    def __init__(self, deployed: Deployed, overlay: Path, space: Any, folder: Path, wait_until: Callable[..., Any]) -> None:
        self.overlay = overlay
        self.deployed = deployed
        self.name = deployed.name
        self.space = space
        self.folder = folder
        self.wait_until = wait_until
        write_sources(folder / "app")
        self.configure()

    def configure(self, **changes: Any) -> None:
        """Writes podcov.yaml; `service` changes the service's settings, all else those of the top level."""
        service = self.deployed.service | changes.pop("service", {})
        forward = {"resource": f"deployment/{self.name}", "port": 8080, "name": "app"}
        whole = {"version": 1, "services": {self.name: service}, "port_forwards": [forward], "reports": [], **changes}
        (self.folder / "podcov.yaml").write_text(yaml.safe_dump(whole))

    def pods(self) -> list[dict[str, Any]]:
        """Those that are not ending."""
        found = self.space.get("pods", "--selector", f"app={self.name}")["items"]
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def pod(self) -> str:
        (pod,) = self.pods()
        return str(pod["metadata"]["name"])

    def restarts(self) -> int:
        return sum(pod["status"]["containerStatuses"][0]["restartCount"] for pod in self.pods())

    def ready(self) -> None:
        """The first waits for all the others, too, which start at the same time, and for their images."""
        self.space.kubectl("rollout", "status", f"deployment/{self.name}", "--timeout=300s", seconds=330)

    def deploy_again(self) -> None:
        """The same overlay as it was generated, unchanged."""
        self.space.kubectl("apply", "--kustomize", self.overlay)
        self.ready()

    def podcov(self, *arguments: str | Path, env: Mapping[str, str] | None = None) -> Result:
        done = self.space.podcov(*arguments, cwd=self.folder, check=False, env=env)
        return Result(done.returncode, done.stdout, done.stderr, self.folder)

    def run(self, *command: str, options: Sequence[str] = (), env: Mapping[str, str] | None = None) -> Result:
        """`podcov run`."""
        return self.podcov("run", "-n", self.space.name, "--verbose", *options, "--", *command, env=env)

    @contextmanager
    def tested(self, *options: str) -> Iterator[Tests]:
        """`podcov run`, with tests that last as long as the block; `tests.result` afterwards."""
        gate = self.folder / "gate"
        shutil.rmtree(gate, ignore_errors=True)
        gate.mkdir()
        subprocess.run(["mkfifo", gate / "end"], check=True)
        command = ["podcov", "run", "-n", self.space.name, "--verbose", *options, "--", "sh", "-c", GATE, str(gate)]
        env = {**self.space.cluster.env, **self.space.podcov_env}
        process = subprocess.Popen(
            command, cwd=self.folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL
        )
        try:
            self.wait_until(lambda: (gate / "env").exists() or process.poll() is not None, 120, "the tests have begun")
            if not (gate / "env").exists():
                pytest.fail("podcov ended before the tests began: {}\n{}".format(*process.communicate()))
            env = dict(line.split("=", 1) for line in (gate / "env").read_text().splitlines() if "_URL=" in line)
            tests = Tests(env, process, self.wait_until)
            yield tests
            if tests.exit_code is not None:
                self.wait_until(lambda: told(gate / "end", f"{tests.exit_code}\n") or process.poll() is not None, 60, "they end")
            stdout, stderr = process.communicate(timeout=240)
            tests.result = Result(process.returncode, stdout, stderr, self.folder)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                process.communicate(timeout=60)


def told(pipe: Path, text: str) -> bool:
    """Whether there was somebody who reads. Who opens a pipe to write otherwise waits for that, for ever if need be."""
    try:
        writer = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        return False
    try:
        os.write(writer, text.encode())
    finally:
        os.close(writer)
    return True


def generate(space: Any, folder: Path, manifests: Sequence[Mapping[str, Any]], services: Mapping[str, Any] | None = None) -> Path:
    """Writes a Kustomize base and has `podcov init` make an overlay on it, for these services or for those that it finds."""
    write_sources(folder / "app")
    (folder / "app/manifests.yaml").write_text(yaml.safe_dump_all(manifests))
    sources = {"name": "source", "files": ["app.py", "once.py"]}
    base = {"resources": ["manifests.yaml"], "configMapGenerator": [sources]}
    (folder / "app/kustomization.yaml").write_text(yaml.safe_dump(base))
    if services is not None:
        config = {"version": 1, "services": services, "generate": {"kustomize": "app"}}
        (folder / "podcov.yaml").write_text(yaml.safe_dump(config))
    space.podcov("init", "--quiet", cwd=folder)
    return folder / "podcov/overlay"


def spoil(overlay: Path, spoiled: Mapping[str, str | None]) -> None:
    """See Deployed."""
    kustomization = overlay / "kustomization.yaml"
    content = yaml.safe_load(kustomization.read_text())
    kept = [generator for generator in content["configMapGenerator"] if generator["name"] not in spoiled]
    kustomization.write_text(yaml.safe_dump({**content, "configMapGenerator": kept}))
    for path, text in spoiled.items():
        if text is not None:
            assert (overlay / path).exists()
            (overlay / path).write_text(text)


@pytest.fixture(scope="session")
def faults_namespace(
    create_namespace: Any, cluster: Any, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Any]:
    """One for all apps that need none of their own."""
    space = create_namespace(tmp_path_factory.mktemp("faults") / "namespace-faults")
    failed_before = request.session.testsfailed
    yield space
    if request.session.testsfailed > failed_before:
        sys.stderr.write(f"\n{space.happened()}\n")
    cluster.run("kubectl", "delete", "namespace", space.name, "--wait=false", check=False)


@pytest.fixture(scope="session")
def all_deployed(faults_namespace: Any, request: pytest.FixtureRequest) -> dict[str, Path]:
    """What any of the tests needs starts now, at once. The overlay of each app."""
    marks = [mark for item in request.session.items for mark in item.iter_markers("deployed")]
    everything = {deployed.name: deployed for deployed in (Deployed(*mark.args, **mark.kwargs) for mark in marks)}
    groups: dict[str, list[Deployed]] = {}
    for deployed in everything.values():
        groups.setdefault(repr(deployed.spoiled), []).append(deployed)
    overlays: dict[str, Path] = {}
    for number, deployments in enumerate(groups.values(), 1):
        overlay = deploy(faults_namespace, faults_namespace.folder / f"project-{number}", deployments)
        overlays.update(dict.fromkeys((deployed.name for deployed in deployments), overlay))
    return overlays


def deploy(space: Any, folder: Path, deployments: Sequence[Deployed]) -> Path:
    """Apps whose overlay is spoiled in the same way; returns that."""
    manifests = [d.manifest(space.cluster.image(d.image)) for d in deployments]
    overlay = generate(space, folder, manifests, {d.name: d.service for d in deployments})
    spoil(overlay, deployments[0].spoiled)
    space.kubectl("apply", "--kustomize", overlay)
    return overlay


@pytest.fixture
def app(
    faults_namespace: Any, all_deployed: Mapping[str, Path], request: pytest.FixtureRequest, tmp_path: Path, wait_until: Any
) -> App:
    """The app that the test's mark describes; it runs and is ready."""
    mark = request.node.get_closest_marker("deployed")
    deployed = Deployed(*mark.args, **mark.kwargs)
    app = App(deployed, all_deployed[deployed.name], faults_namespace, tmp_path / "project", wait_until)
    app.ready()
    return app


@pytest.fixture
def deploy_by_hand(tmp_path: Path, wait_until: Any) -> Callable[..., App]:
    """`deploy_by_hand(space, deployment)`: deploys a manifest with the services that `podcov init` finds in it."""

    def make(space: Any, manifest: Mapping[str, Any]) -> App:
        overlay = generate(space, tmp_path / "base", [manifest])
        space.kubectl("apply", "--kustomize", overlay)
        app = App(Deployed(manifest["metadata"]["name"]), overlay, space, tmp_path / "project", wait_until)
        found = yaml.safe_load((tmp_path / "base/podcov.yaml").read_text())["services"]
        app.configure(services={name: service | {"source": ["app"]} for name, service in found.items()})
        app.ready()
        return app

    return make
