"""Test binaries that a killswitch ends, on a real cluster: block for block what Go's own tools say."""

from __future__ import annotations

import json
import shutil
import socket
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from go_pods import ask
from go_reference import Subject, counts_of, ran, reference

HERE = Path(__file__).parent
ASK = HERE / "go" / "ask_pods.py"
NAME = "calendar"
QUESTIONS = (
    "/healthz",
    "/between?from=2026-01-01&to=2027-01-01",
    "/week?of=2026-11-21",
    "/leap?year=2000",
    "/leap?year=2026",
    "/between?from=now&to=then",
)
KILL = "import urllib.request; urllib.request.urlopen('http://127.0.0.1:19999')"


@pytest.fixture(scope="module")
def space(create_namespace: Any, cluster: Any, tmp_path_factory: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    made = create_namespace(tmp_path_factory.mktemp("go-killswitch") / "namespace-go-killswitch")
    failed_before = request.session.testsfailed
    yield made
    if request.session.testsfailed > failed_before:
        sys.stderr.write(f"\n{made.happened()}\n")
    cluster.run("kubectl", "delete", "namespace", made.name, "--wait=false", check=False)


@pytest.fixture(scope="module")
def expected(space: Any, root: Path) -> dict[str, bool]:
    """What Go's own tools say of two replicas of the same test binary that were asked the same, and ended by their killswitch."""

    def ask_and_end(addresses: Sequence[str]) -> None:
        ask(addresses, QUESTIONS)
        for number in range(len(addresses)):
            pod = f"{NAME}-reference-{number}"
            end = ("exec", pod, "--container", "app", "--", "python3", "-c", KILL)
            space.kubectl(*end, check=False)  # it ends with the container

    subject = Subject(
        NAME,
        root / "examples/go-killswitch",
        flags="",
        command=["/calendar.test", "-test.gocoverdir=/reference", "-week-start=sunday"],
        build_args={"RUNTIME": space.cluster.image("python:3.13")},
    )
    return ran(reference(space, subject, ask_and_end, space.folder / "reference"))


def where(space: Any) -> dict[str, str]:
    return {
        "PODCOV_TEST_NAMESPACE": space.name,
        "PODCOV_TEST_KUBECONFIG": space.cluster.env["KUBECONFIG"],
        "BASE": space.cluster.image("golang:1.26"),
        "RUNTIME": space.cluster.image("python:3.13"),
    }


def asking(name: str) -> list[str]:
    return ["python3", str(ASK), f"app={name}", "8080", *QUESTIONS]


@pytest.fixture
def project(root: Path, tmp_path: Path) -> Path:
    """The example, whose tests ask both of its pods."""
    folder = tmp_path / "go-killswitch"
    shutil.copytree(root / "examples/go-killswitch", folder, ignore=shutil.ignore_patterns(".podcov", "__pycache__"))
    config = folder / "podcov.yaml"
    settings = yaml.safe_load(config.read_text())
    config.write_text(yaml.safe_dump({**settings, "tests": {"command": asking(NAME)}, "port_forwards": []}))
    return folder


def left(folder: Path, name: str) -> Any:
    return json.loads((folder / ".podcov/runs/latest" / name).read_text())


def seen(folder: Path, service: str = NAME) -> dict[str, bool]:
    return ran(counts_of((folder / f".podcov/runs/latest/reports/go/{service}.out").read_text()))


def test_each_life_of_the_binary_is_kept_by_skaffold(space: Any, project: Path, expected: dict[str, bool]) -> None:
    space.podcov("init", cwd=project)
    space.skaffold("run", "--profile", "coverage", cwd=project, env=where(space))
    told = left(project, "summary.json")["ledger"]
    assert (told["complete"], told["targets"]["collected"]) == (True, 2)
    assert seen(project) == expected
    serves_again_without_a_restart(space, NAME)
    space.podcov("run", "--namespace", space.name, "--", "true", cwd=project, env=where(space))
    idle = {block for block, yes in seen(project).items() if yes}
    assert idle < {block for block, yes in expected.items() if yes}


def serves_again_without_a_restart(space: Any, name: str) -> None:
    for pod in space.get("pods", "--selector", f"app={name}")["items"]:
        assert all(status["ready"] and not status["restartCount"] for status in pod["status"]["containerStatuses"])


def test_what_a_deleted_pod_did_not_hand_over_is_said(space: Any, project: Path) -> None:
    """Nobody asked it, and its loop does not end at SIGTERM."""
    ask_and_delete = ["python3", str(ASK), "--delete", *asking(NAME)[2:]]
    done = space.podcov("run", "--namespace", space.name, "--", *ask_and_delete, cwd=project, env=where(space), check=False)
    assert done.returncode == 3
    targets = left(project, "ledger.json")["targets"]
    assert sorted(process["slug"] for target in targets for process in target["processes"] if process["slug"]) == ["lost", "lost"]


def test_without_a_loop_the_container_is_started_again(space: Any, project: Path, expected: dict[str, bool]) -> None:
    """Its profile outlives it in podcov's volume."""
    manifest = project / "k8s/deployment.yaml"
    deployment = yaml.safe_load(manifest.read_text())
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    container["command"] = ["/calendar.test"]
    manifest.write_text(yaml.safe_dump(deployment))
    space.podcov("init", cwd=project)
    space.skaffold("run", "--profile", "coverage", cwd=project, env=where(space))
    told = left(project, "summary.json")["ledger"]
    assert (told["complete"], told["targets"]["collected"], told["targets"]["failed"]) == (True, 2, 0)
    assert seen(project) == expected


def test_as_it_stands(space: Any, tmp_path: Path, expected: dict[str, bool]) -> None:
    """Nothing of podcov is in these pods, nor a curl; the loop overwrites cover.out in its own working directory."""
    app = {
        "name": NAME,
        "image": space.cluster.image(f"{NAME}:reference"),
        "command": ["/restart.sh"],
        "args": ["-week-start=sunday"],
        "workingDir": "/tmp",
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}},
    }
    labels = {"app": "plain"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [app], "terminationGracePeriodSeconds": 1}}
    spec = {"replicas": 2, "selector": {"matchLabels": labels}, "template": template}
    space.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "plain"}, "spec": spec})
    space.kubectl("rollout", "status", "deployment/plain", "--timeout=90s")
    service = {"language": "go", "workload": "deployment/plain", "dump": {"by": "killswitch", "folder": "/tmp"}}
    config = {"version": 1, "services": {NAME: service}, "tests": {"command": asking("plain")}}
    (tmp_path / "podcov.yaml").write_text(yaml.safe_dump(config))
    for _ in range(2):
        space.podcov("run", "--namespace", space.name, cwd=tmp_path, env=where(space))
        told = left(tmp_path, "summary.json")["ledger"]
        assert (told["complete"], told["targets"]["collected"]) == (True, 2)
        assert seen(tmp_path) == expected
        serves_again_without_a_restart(space, "plain")


def test_by_tilt(namespace: Any, project: Path, expected: dict[str, bool]) -> None:
    namespace.podcov("init", cwd=project)
    context = namespace.cluster.run("kubectl", "config", "current-context").stdout.strip()
    tiltfile = project / "Tiltfile"
    head = f"allow_k8s_contexts({context!r})\ndefault_registry({namespace.cluster.env['SKAFFOLD_DEFAULT_REPO']!r})\n"
    tiltfile.write_text(head + tiltfile.read_text().replace(", port_forwards=8080", ""))
    namespace.tilt("ci", "--port", free_port(), cwd=project, env={"PODCOV": "1", **where(namespace)})
    assert left(project, "summary.json")["ledger"]["complete"]
    assert seen(project) == expected


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])
