"""Test binaries that a killswitch ends, on a real cluster: block for block what Go's own tools say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from go_examples import asking, by_tilt, copy_of, left, module_namespace, seen, where
from go_pods import ask
from go_reference import Subject, ran, reference

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
def space(create_namespace: Any, tmp_path_factory: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("go-killswitch") / "namespace-go-killswitch"
    with module_namespace(create_namespace, folder, request) as made:
        yield made


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


@pytest.fixture
def project(root: Path, tmp_path: Path) -> Path:
    """The example, whose tests ask both of its pods."""
    return copy_of(root / "examples/go-killswitch", tmp_path / "go-killswitch", asking(NAME, QUESTIONS))


@pytest.fixture(scope="module")
def deployed(space: Any, root: Path) -> Any:
    """The example, deployed and asked by Skaffold; the summary of that run, and which blocks ran in it."""
    project = copy_of(root / "examples/go-killswitch", space.folder / "go-killswitch", asking(NAME, QUESTIONS))
    space.podcov("init", cwd=project)
    space.skaffold("run", "--profile", "coverage", cwd=project, env=where(space))
    return left(project, "summary.json")["ledger"], seen(project, NAME)


def test_each_life_of_the_binary_is_kept_by_skaffold(space: Any, deployed: Any, project: Path, expected: dict[str, bool]) -> None:
    told, blocks = deployed
    assert (told["complete"], told["targets"]["collected"]) == (True, 2)
    assert blocks == expected
    serves_again_without_a_restart(space, NAME)
    space.podcov("run", "--namespace", space.name, "--", "true", cwd=project, env=where(space))
    idle = {block for block, yes in seen(project, NAME).items() if yes}
    assert idle < {block for block, yes in expected.items() if yes}


def serves_again_without_a_restart(space: Any, name: str) -> None:
    for pod in space.get("pods", "--selector", f"app={name}")["items"]:
        assert all(status["ready"] and not status["restartCount"] for status in pod["status"]["containerStatuses"])


def test_pods_that_are_deleted_meanwhile_hand_over_what_they_ran(
    space: Any, deployed: Any, project: Path, expected: dict[str, bool]
) -> None:
    """Their loop does not end at SIGTERM."""
    ask_and_delete = asking(NAME, QUESTIONS, delete=True)
    space.podcov("run", "--namespace", space.name, "--", *ask_and_delete, cwd=project, env=where(space))
    told = left(project, "summary.json")["ledger"]
    assert (told["complete"], told["targets"]["collected"]) == (True, 4)
    notes = [process["note"] for target in left(project, "ledger.json")["targets"] for process in target["processes"]]
    assert sum("what was started again in that pod before it was gone is not here" in note for note in notes) == 2
    assert seen(project, NAME) == expected


def test_without_a_loop_the_container_is_started_again(namespace: Any, project: Path, expected: dict[str, bool]) -> None:
    """Its profile outlives it in podcov's volume."""
    manifest = project / "k8s/deployment.yaml"
    deployment = yaml.safe_load(manifest.read_text())
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    container["command"] = ["/calendar.test"]
    manifest.write_text(yaml.safe_dump(deployment))
    namespace.podcov("init", cwd=project)
    namespace.skaffold("run", "--profile", "coverage", cwd=project, env=where(namespace))
    told = left(project, "summary.json")["ledger"]
    assert (told["complete"], told["targets"]["collected"], told["targets"]["failed"]) == (True, 2, 0)
    assert seen(project, NAME) == expected


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
    space.kubectl("rollout", "status", "deployment/plain", "--timeout=110s")
    service = {"language": "go", "workload": "deployment/plain", "dump": {"by": "killswitch", "folder": "/tmp"}}
    config = {"version": 1, "services": {NAME: service}, "tests": {"command": asking("plain", QUESTIONS)}}
    (tmp_path / "podcov.yaml").write_text(yaml.safe_dump(config))
    for _ in range(2):
        space.podcov("run", "--namespace", space.name, cwd=tmp_path, env=where(space))
        told = left(tmp_path, "summary.json")["ledger"]
        assert (told["complete"], told["targets"]["collected"]) == (True, 2)
        assert seen(tmp_path, NAME) == expected
        serves_again_without_a_restart(space, "plain")


def test_by_tilt(namespace: Any, project: Path, expected: dict[str, bool]) -> None:
    namespace.podcov("init", cwd=project)
    by_tilt(namespace, project)
    assert left(project, "summary.json")["ledger"]["complete"]
    assert seen(project, NAME) == expected
