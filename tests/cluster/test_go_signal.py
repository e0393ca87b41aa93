"""Go services that write their counters at a signal, on a real cluster: block for block what Go's own tools say."""

from __future__ import annotations

import platform
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from go_examples import asking, by_tilt, copy_of, left, module_namespace, seen, where
from go_pods import ask
from go_reference import Subject, ran, reference

NAME = "converter"
QUESTIONS = (
    "/convert?value=26.2188&from=mi&to=km",
    "/convert?value=98.6&from=F&to=C",
    "/convert?value=many&from=m&to=km",
    "/convert?value=1&from=m&to=kg",
    "/convert?value=1&from=ell&to=m",
)
SIGNAL = "import os; os.kill(1, 10)"
KILL_IT = f"""
import os, pathlib
for process in pathlib.Path("/proc").glob("[0-9]*"):
    if (process / "comm").read_text().strip() == "{NAME}":
        os.kill(int(process.name), 9)
"""


@pytest.fixture(scope="module")
def space(create_namespace: Any, tmp_path_factory: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    with module_namespace(create_namespace, tmp_path_factory.mktemp("go-signal") / "namespace-go-signal", request) as made:
        yield made


@pytest.fixture(scope="module")
def expected(space: Any, root: Path) -> dict[str, bool]:
    """What Go's own tools say of two replicas that were asked the same, got one signal each, and ended cleanly."""

    def ask_and_signal(addresses: Sequence[str]) -> None:
        ask(addresses, QUESTIONS)
        for number in range(len(addresses)):
            space.kubectl("exec", f"{NAME}-reference-{number}", "--container", "app", "--", "python3", "-c", SIGNAL)

    subject = Subject(NAME, root / "examples/go-signal", flags="-cover -covermode=atomic")
    return ran(reference(space, subject, ask_and_signal, space.folder / "reference"))


@pytest.fixture
def project(root: Path, tmp_path: Path) -> Path:
    """The example, whose tests ask both of its pods."""
    return copy_of(root / "examples/go-signal", tmp_path / "go-signal", asking(NAME, QUESTIONS))


@pytest.fixture(scope="module")
def deployed(space: Any, root: Path) -> Any:
    """The example, deployed and asked by Skaffold; the ledger of that run, and which blocks ran in it."""
    project = copy_of(root / "examples/go-signal", space.folder / "go-signal", asking(NAME, QUESTIONS))
    space.podcov("init", cwd=project)
    space.skaffold("run", "--profile", "coverage", cwd=project, env=where(space))
    return left(project, "summary.json")["ledger"], seen(project, NAME)


def test_an_image_from_scratch_by_skaffold(space: Any, deployed: Any, project: Path, expected: dict[str, bool]) -> None:
    told, blocks = deployed
    assert (told["complete"], told["targets"]["collected"]) == (True, 2)
    assert blocks == expected
    space.podcov("run", "--namespace", space.name, "--", "true", cwd=project, env=where(space))
    idle = seen(project, NAME)
    assert idle.keys() == expected.keys()
    assert {block for block, yes in idle.items() if yes} < {block for block, yes in expected.items() if yes}
    crash_all(space)
    space.podcov("run", "--namespace", space.name, "--", "true", cwd=project, env=where(space))
    assert left(project, "summary.json")["ledger"]["complete"]
    assert seen(project, NAME) == idle


def crash_all(space: Any) -> None:
    """Go ends a program at SIGQUIT, which writes nothing then."""
    before = restarts(space)
    for pod in before:
        quit_it = (f"/podcov/wrapper/hand-{platform.machine()}", "signal", "QUIT", "1")
        space.kubectl("exec", pod, "--container", "app", "--", *quit_it, check=False)  # it may end with the container
    for step in until_started_again(before):
        space.kubectl(*step)


def test_pods_that_end_meanwhile_are_taken_along(space: Any, deployed: Any, project: Path, expected: dict[str, bool]) -> None:
    """At its end a Go program writes its counters by itself; podcov's sidecar keeps them until they are taken."""
    ask_and_end = asking(NAME, QUESTIONS, delete=True)
    space.podcov("run", "--namespace", space.name, "--", *ask_and_end, cwd=project, env=where(space))
    told = left(project, "summary.json")["ledger"]
    assert told["complete"]
    assert told["targets"]["collected"] >= 2
    assert seen(project, NAME) == expected


def test_a_signal_that_ends_the_service_ends_it_once(space: Any, deployed: Any, project: Path) -> None:
    """Other runs were there before: what this one's own mark ended is in its ledger all the same."""
    config = project / "podcov.yaml"
    settings = yaml.safe_load(config.read_text())
    settings["services"][NAME]["dump"]["signal"] = "ABRT"  # which no parent ever has it ignore, as nohup does with HUP
    config.write_text(yaml.safe_dump(settings))
    before = restarts(space)
    serves_again = "\n".join(shlex.join([*kubectl(space), *step]) for step in until_started_again(before))
    tests = ("sh", "-ec", serves_again)
    done = space.podcov("run", "--namespace", space.name, "--", *tests, cwd=project, env=where(space), check=False)
    assert done.returncode in (3, 5), done.stderr
    assert restarts(space) == {pod: count + 1 for pod, count in before.items()}
    reasons = [p["reason"] for t in left(project, "ledger.json")["targets"] for p in t["processes"]]
    assert sum("it ended of SIGABRT: it has no handler for it" in reason for reason in reasons) == 2
    assert sum("it was not sent SIGABRT, because the one before it ended of that" in reason for reason in reasons) == 2


def restarts(space: Any) -> dict[str, int]:
    """How often the service was started again in each of its pods that is not ending."""
    pods = [p for p in space.get("pods", "--selector", f"app={NAME}")["items"] if "deletionTimestamp" not in p["metadata"]]
    return {
        p["metadata"]["name"]: s["restartCount"] for p in pods for s in p["status"]["containerStatuses"] if s["name"] == "app"
    }


def until_started_again(before: Mapping[str, int]) -> Iterator[tuple[str, ...]]:
    """The words of kubectl that wait until each of the pods has had one start more than that, and serves."""
    for pod, count in before.items():
        restarted = f'jsonpath={{.status.containerStatuses[?(@.name=="app")].restartCount}}={count + 1}'
        yield "wait", f"pod/{pod}", f"--for={restarted}", "--timeout=110s"
        yield "wait", f"pod/{pod}", "--for=condition=Ready", "--timeout=110s"


def kubectl(space: Any) -> list[str]:
    """For the tests of a run: with the rights of an administrator."""
    return ["kubectl", "--kubeconfig", space.cluster.env["KUBECONFIG"], "--namespace", space.name]


def test_as_the_tutorial_has_it(space: Any, tmp_path: Path, expected: dict[str, bool]) -> None:
    """Nothing of podcov is in these pods: the image has tar and a shell, a pattern finds them, the folder is their own.

    Two more show what can go wrong: one cannot write, and one, behind a shell, is killed while the tests run.
    """
    names = ("tutorial", "readonly", "crashing")
    space.apply(
        deployment("tutorial", space, 2),
        deployment("readonly", space, 1, mounted=False),
        deployment("crashing", space, 1, ["sh", "-c", f"/{NAME}; exit 1"]),
    )
    for name in names:
        space.kubectl("rollout", "status", f"deployment/{name}", "--timeout=110s")
    services = {name: service(name) for name in names}
    tests = {"command": ["sh", "-ec", f"{shlex.join(asking('tutorial', QUESTIONS))}\n{crash(space, 'crashing')}"]}
    (tmp_path / "podcov.yaml").write_text(yaml.safe_dump({"version": 1, "services": services, "tests": tests}))
    done = space.podcov("run", "--namespace", space.name, cwd=tmp_path, env=where(space), check=False)
    assert done.returncode == 3
    targets = left(tmp_path, "ledger.json")["targets"]
    assert [t["state"] for t in targets if t["service"] == "tutorial"] == ["collected", "collected"]
    assert seen(tmp_path, "tutorial") == expected
    killed, _ = sorted((t for t in targets if t["service"] == "crashing"), key=lambda target: target["start"])
    assert [p["slug"] for p in killed["processes"]] == ["lost"]
    [broken] = [t for t in targets if t["service"] == "readonly"]
    [process] = broken["processes"]
    assert "its GOCOVERDIR /tmp/coverage cannot be written to" in process["reason"]
    assert "mount a writable volume there" in process["reason"]


def service(name: str) -> dict[str, Any]:
    return {"language": "go", "pods": f"{name}-*", "container": "app", "dump": {"by": "signal"}}


def crash(space: Any, name: str) -> str:
    """Kills the program in the deployment's pod, and waits until it serves again. What kills it may end with the container."""
    started_again = "--for=jsonpath={.status.containerStatuses[0].restartCount}=1"
    wait = [*kubectl(space), "wait", "pod", "--selector", f"app={name}", "--timeout=110s"]
    kill = [*kubectl(space), "exec", f"deployment/{name}", "--", "python3", "-c", KILL_IT]
    steps = (kill, [*wait, started_again], [*wait, "--for=condition=Ready"])
    return "{} || true\n{}\n{}\n".format(*map(shlex.join, steps))


def deployment(
    name: str, space: Any, replicas: int, command: Sequence[str] = (f"/{NAME}",), *, mounted: bool = True
) -> dict[str, Any]:
    """The tutorial's profile, as it adds to a pod by itself."""
    app = {
        "name": "app",
        "image": space.cluster.image(f"{NAME}:reference"),
        "command": list(command),
        "env": [{"name": "GOCOVERDIR", "value": "/tmp/coverage"}],
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}},
        "volumeMounts": [{"name": "coverage", "mountPath": "/tmp/coverage"}] if mounted else [],
        "securityContext": {"readOnlyRootFilesystem": True},
    }
    labels = {"app": name}
    pod = {"containers": [app], "volumes": [{"name": "coverage", "emptyDir": {}}]}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def test_by_tilt(namespace: Any, project: Path, expected: dict[str, bool]) -> None:
    namespace.podcov("init", cwd=project)
    by_tilt(namespace, project)
    assert left(project, "summary.json")["ledger"]["complete"]
    assert seen(project, NAME) == expected
