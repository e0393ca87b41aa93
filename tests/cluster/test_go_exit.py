"""Services that write their coverage when they end: podcov ends them, takes it, and starts them again, whatever happens."""

from __future__ import annotations

import json
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from go_examples import asking, left, let_it_scale, module_namespace, seen, where
from go_pods import ask
from go_reference import Subject, counts_of, ran, reference

pytestmark = pytest.mark.cluster

QUESTIONS = ("/entries", "/entries?service=nobody", "/nothing")
WORKLOADS = {"deployment/storage": 2, "statefulset/archive": 1}
"""and their replicas"""
GENERATE = {"kustomize": "k8s", "skaffold": "skaffold.yaml"}
REMEMBERED = "podcov/replicas"
HOLD = "podcov.test/hold"
"""a finalizer: with it a pod that has ended stays"""
SPOIL = 'for run in .podcov/runs/2*; do test -e "$run/raw" || touch "$run/raw"; done'
"""a test command after which nothing can be stored"""


@pytest.fixture(scope="module")
def space(create_namespace: Any, root: Path, tmp_path_factory: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A namespace in which podcov may scale, too."""
    with module_namespace(create_namespace, tmp_path_factory.mktemp("exit") / "exit", request) as made:
        let_it_scale(made, root)
        yield made


class Storage:
    """The example, with its coverage in its pods, and the same program once more as a StatefulSet."""

    def __init__(self, space: Any, example: Path) -> None:
        self.space = space
        self.folder: Path = shutil.copytree(example, space.folder / "storage", ignore=shutil.ignore_patterns(".podcov", "podcov"))
        manifests = self.folder / "k8s"
        deployment = yaml.safe_load((manifests / "deployment.yaml").read_text())
        deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 10
        deployment["spec"]["template"]["spec"]["containers"][0]["readinessProbe"]["periodSeconds"] = 1
        (manifests / "deployment.yaml").write_text(yaml.safe_dump(deployment))
        archive = json.dumps(deployment | {"kind": "StatefulSet", "spec": deployment["spec"] | {"replicas": 1}})
        for key in ("app", "name"):
            archive = archive.replace(f'"{key}": "storage"', f'"{key}": "archive"')
        (manifests / "statefulset.yaml").write_text(archive)
        (manifests / "kustomization.yaml").write_text("resources: [deployment.yaml, service.yaml, statefulset.yaml]\n")
        questions = [shlex.join(asking(name, QUESTIONS)) for name in ("storage", "archive")]
        (self.folder / "tests.sh").write_text("set -e\n" + "\n".join(questions) + "\n")
        services = {
            workload.partition("/")[2]: {
                "language": "go",
                "workload": workload,
                "binary": "/storage",
                "source": ["."],
                "dump": {"by": "exit"},
            }
            for workload in WORKLOADS
        }
        config = {
            "version": 1,
            "services": services,
            "tests": {"command": "sh tests.sh"},
            "copies": {"coverdata": "go/coverdata"},
            "generate": GENERATE,
        }
        (self.folder / "podcov.yaml").write_text(yaml.safe_dump(config))
        space.podcov("init", cwd=self.folder)
        self.deployed = space.skaffold("run", "--profile", "coverage", cwd=self.folder, env=where(space), check=False)

    def podcov(self, command: str, *arguments: str, check: bool = True) -> Any:
        words = (command, "--context", "podcov-test", "--namespace", self.space.name, *arguments)
        return self.space.podcov(*words, cwd=self.folder, env=where(self.space), check=check)

    @contextmanager
    def started(self, *tests: str) -> Iterator[subprocess.Popen[str]]:
        """`podcov run` in the background. A test that fails meanwhile ends it, and shows what it said."""
        with subprocess.Popen(
            ["podcov", "run", "--context", "podcov-test", "--namespace", self.space.name, "--", *tests],
            cwd=self.folder,
            env={**self.space.cluster.env, **self.space.podcov_env, **where(self.space)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as running:
            try:
                yield running
            except BaseException:
                if running.poll() is None:
                    running.terminate()
                    print(f"podcov said: {running.communicate(timeout=120)[0]}")
                raise

    def state(self, workload: str) -> tuple[int, int, bool]:
        """Replicas that are wanted, that are ready, and whether podcov has noted how many there were."""
        document = self.space.get(workload)
        noted = REMEMBERED in document["metadata"].get("annotations", {})
        return document["spec"]["replicas"], document["status"].get("readyReplicas", 0), noted

    def leave_at_zero(self, workload: str, *, replicas: int) -> None:
        """As a podcov does that is killed on another machine."""
        note = {"replicas": replicas, "host": "elsewhere", "pid": 7, "since": time.time()}
        self.space.kubectl("annotate", "--overwrite", workload, f"{REMEMBERED}={json.dumps(note)}")
        self.space.kubectl("scale", workload, "--replicas=0")

    @contextmanager
    def held(self) -> Iterator[None]:
        """Pods that end meanwhile are not gone before this ends, and podcov scales nothing back while it waits for that."""
        pods = self.space.get("pods", "--selector", "app in (storage, archive)")["items"]
        names = [f"pod/{pod['metadata']['name']}" for pod in pods if "deletionTimestamp" not in pod["metadata"]]
        self._set_finalizers(names, [HOLD])
        try:
            yield
        finally:
            self._set_finalizers(names, [])

    def _set_finalizers(self, names: Sequence[str], finalizers: Sequence[str]) -> None:
        patch = json.dumps({"metadata": {"finalizers": finalizers}})
        self.space.kubectl("patch", *names, "--type=merge", f"--patch={patch}")

    def is_at_zero(self, running: subprocess.Popen[str]) -> bool:
        """Whether this podcov has scaled everything to 0. Fails, with what it said, where it has ended."""
        if running.poll() is not None:
            pytest.fail(f"podcov ended with exit code {running.returncode}, and said: {running.communicate()[0]}")
        return all(self.state(workload)[::2] == (0, True) for workload in WORKLOADS)

    def is_as_before(self) -> bool:
        """A StatefulSet counts a pod that is ending as ready for as long as its containers run: so the pods are counted, too."""
        return all(
            self.state(workload) == (replicas, replicas, False) and self._ready(workload) == replicas
            for workload, replicas in WORKLOADS.items()
        )

    def _ready(self, workload: str) -> int:
        """Its pods that are ready, and stay."""
        pods = self.space.get("pods", "--selector", f"app={workload.partition('/')[2]}")["items"]
        stay = [pod["status"].get("conditions") or [] for pod in pods if "deletionTimestamp" not in pod["metadata"]]
        return sum(any((c["type"], c["status"]) == ("Ready", "True") for c in conditions) for conditions in stay)


@pytest.fixture(scope="module")
def storage(space: Any, root: Path) -> Storage:
    return Storage(space, root / "examples/go-nodes")


@pytest.fixture(scope="module")
def expected(space: Any, root: Path, storage: Storage) -> dict[str, bool]:
    """What Go's own tools say of the program that was asked the same."""
    subject = Subject("storage", root / "examples/go-nodes", flags="", build_args={"GOFLAGS": "-cover"})
    return ran(reference(space, subject, lambda addresses: ask(addresses, QUESTIONS), space.folder / "reference"))


def test_block_for_block_what_go_says_and_all_pods_are_there_again(storage: Storage, expected: dict[str, bool]) -> None:
    assert storage.deployed.returncode == 0, storage.deployed.stdout + storage.deployed.stderr
    assert left(storage.folder, "summary.json")["ledger"]["complete"]
    assert left(storage.folder, "summary.json")["ledger"]["targets"]["collected"] == sum(WORKLOADS.values())
    assert seen(storage.folder, "storage") == expected
    assert seen(storage.folder, "archive") == expected
    assert storage.is_as_before()


def test_go_s_own_tools_take_what_they_left(storage: Storage, expected: dict[str, bool]) -> None:
    profile = storage.folder / "e2e-coverage.txt"
    storage.space.cluster.run("go", "tool", "covdata", "textfmt", f"-i={storage.folder / 'coverdata'}", f"-o={profile}")
    assert ran(counts_of(profile.read_text())) == expected


def test_they_are_there_again_after_a_failure_in_the_middle(storage: Storage, wait_until: Callable[..., Any]) -> None:
    done = storage.podcov("run", "--", "sh", "-c", SPOIL, check=False)
    assert "starting " in done.stderr, "it failed before the middle"
    assert done.returncode == 2, done.stderr
    assert "Not a directory" in done.stderr
    wait_until(storage.is_as_before, 120, "they are there again")


def test_they_are_there_again_after_podcov_was_told_to_end(storage: Storage, wait_until: Callable[..., Any]) -> None:
    with storage.held(), storage.started("true") as running:
        wait_until(lambda: storage.is_at_zero(running), 120, "both are scaled to 0")
        running.send_signal(signal.SIGTERM)
        said, _ = running.communicate(timeout=120)
    wait_until(storage.is_as_before, 120, f"they are there again after podcov said: {said}")


def test_the_next_command_puts_back_what_a_killed_podcov_left(
    storage: Storage, expected: dict[str, bool], wait_until: Callable[..., Any]
) -> None:
    with storage.held(), storage.started("true") as running:
        wait_until(lambda: storage.is_at_zero(running), 120, "both are scaled to 0")
        running.kill()
        running.communicate()
    assert [storage.state(workload)[::2] for workload in WORKLOADS] == [(0, True), (0, True)]

    clean = (Path(sys.executable).parent / "podcov", "clean", "--dry-run", "--namespace", storage.space.name)
    told = storage.space.cluster.run(*clean, cwd=storage.folder).stdout
    assert all(f"would be scaled back: {workload} in namespace {storage.space.name}" in told for workload in WORKLOADS)
    assert storage.state("deployment/storage")[0] == 0

    done = storage.podcov("run")
    assert f"statefulset/archive in namespace {storage.space.name} was left at 0 replicas" in done.stderr
    assert left(storage.folder, "summary.json")["ledger"]["complete"]
    assert seen(storage.folder, "storage") == expected
    assert storage.is_as_before()


def test_who_scaled_down_on_another_machine_is_said_and_what_was_scaled_up_since_stays_so(storage: Storage) -> None:
    storage.leave_at_zero("deployment/storage", replicas=5)
    told = storage.podcov("run", "--", "true", check=False).stderr
    assert f"deployment/storage in namespace {storage.space.name} was scaled to 0 by podcov, process 7 on elsewhere" in told
    assert "`podcov clean` scales it back" in told
    assert storage.state("deployment/storage")[::2] == (0, True)

    storage.space.kubectl("scale", "deployment/storage", "--replicas=2")
    storage.space.kubectl("rollout", "status", "deployment/storage", "--timeout=110s")
    assert storage.podcov("run", "--", "true").returncode == 0
    assert storage.is_as_before()


def test_marks_and_collecting_in_separate_commands(storage: Storage, expected: dict[str, bool]) -> None:
    run = storage.podcov("mark").stdout.strip()
    storage.space.cluster.run("sh", "tests.sh", cwd=storage.folder, env=where(storage.space))
    told = json.loads(storage.podcov("collect", "--json").stdout)
    assert told["run"] == run
    assert told["ledger"]["complete"]
    assert seen(storage.folder, "storage") == expected
    assert storage.is_as_before()


def test_without_the_role_it_is_said_which_one_allows_it(storage: Storage, root: Path, wait_until: Callable[..., Any]) -> None:
    storage.space.kubectl("delete", "rolebinding", "podcov-exit")
    asked = ("auth", "can-i", "patch", "deployments", "--as", f"system:serviceaccount:{storage.space.name}:podcov")
    wait_until(lambda: storage.space.kubectl(*asked, check=False).strip() == "no", 60, "the API server has heard of it")
    done = storage.podcov("run", "--", "true", check=False)
    let_it_scale(storage.space, root)
    assert done.returncode == 5, done.stdout + done.stderr
    assert "overlays/rbac/exit.yaml" in done.stderr
    assert "it still runs" in done.stdout
    assert storage.is_as_before()


def test_clean_scales_back_whoever_scaled_down(storage: Storage) -> None:
    storage.leave_at_zero("deployment/storage", replicas=2)
    clean = (Path(sys.executable).parent / "podcov", "clean", "--namespace", storage.space.name)
    told = storage.space.cluster.run(*clean, cwd=storage.folder).stdout
    assert f"scaled back: deployment/storage in namespace {storage.space.name}" in told
    assert storage.is_as_before()
