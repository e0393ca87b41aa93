"""Services that write their coverage when they end: podcov ends them, takes it, and starts them again, whatever happens."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from go_pods import ask
from go_reference import Counts, Subject, counts_of, ran, reference

pytestmark = pytest.mark.cluster

ASK = Path(__file__).parent / "go" / "ask_pods.py"
QUESTIONS = ("/entries", "/entries?service=nobody", "/nothing")
WORKLOADS = {"deployment/storage": 2, "statefulset/archive": 1}
"""and their replicas"""
GENERATE = {"kustomize": "k8s", "skaffold": "skaffold.yaml"}
REMEMBERED = "podcov/replicas"
SPOIL = 'for run in .podcov/runs/2*; do test -e "$run/raw" || touch "$run/raw"; done'
"""a test command after which nothing can be stored"""


@pytest.fixture(scope="module")
def space(create_namespace: Any, root: Path, tmp_path_factory: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A namespace in which podcov may scale, too."""
    made = create_namespace(tmp_path_factory.mktemp("exit") / "exit")
    made.kubectl("apply", "--filename", root / "overlays/rbac/exit.yaml")
    made.kubectl("create", "rolebinding", "podcov-exit", "--role", "podcov-exit", f"--serviceaccount={made.name}:podcov")
    failed_before = request.session.testsfailed
    yield made
    if request.session.testsfailed > failed_before:
        sys.stderr.write(f"\n{made.happened()}\n")
    made.kubectl("delete", "namespace", made.name, "--wait=false")


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
        questions = [f"python3 {ASK} app={name} 8080 {' '.join(map(repr, QUESTIONS))}" for name in ("storage", "archive")]
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
        self.deployed = space.skaffold("run", "--profile", "coverage", cwd=self.folder, env=self.env, check=False)

    @property
    def env(self) -> Mapping[str, str]:
        return {
            "PODCOV_TEST_NAMESPACE": self.space.name,
            "PODCOV_TEST_KUBECONFIG": self.space.cluster.env["KUBECONFIG"],
            "BASE": self.space.cluster.image("golang:1.26"),
        }

    def podcov(self, command: str, *arguments: str, check: bool = True) -> Any:
        words = (command, "--context", "podcov-test", "--namespace", self.space.name, *arguments)
        return self.space.podcov(*words, cwd=self.folder, env=self.env, check=check)

    def start(self, *tests: str) -> subprocess.Popen[str]:
        """`podcov run` in the background."""
        return subprocess.Popen(
            ["podcov", "run", "--context", "podcov-test", "--namespace", self.space.name, "--", *tests],
            cwd=self.folder,
            env={**self.space.cluster.env, **self.space.podcov_env, **self.env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def read(self, name: str) -> Any:
        return json.loads((self.folder / ".podcov/runs/latest" / name).read_text())

    def counts(self, service: str) -> Counts:
        return counts_of((self.folder / f".podcov/runs/latest/reports/go/{service}.out").read_text())

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

    def is_as_before(self) -> bool:
        return all(self.state(workload) == (replicas, replicas, False) for workload, replicas in WORKLOADS.items())


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
    assert storage.read("summary.json")["ledger"]["complete"]
    assert storage.read("summary.json")["ledger"]["targets"]["collected"] == sum(WORKLOADS.values())
    assert ran(storage.counts("storage")) == expected
    assert ran(storage.counts("archive")) == expected
    assert storage.is_as_before()


def test_go_s_own_tools_take_what_they_left(storage: Storage, expected: dict[str, bool]) -> None:
    profile = storage.folder / "e2e-coverage.txt"
    storage.space.cluster.run("go", "tool", "covdata", "textfmt", f"-i={storage.folder / 'coverdata'}", f"-o={profile}")
    assert ran(counts_of(profile.read_text())) == expected


def test_they_are_there_again_after_a_failure_in_the_middle(storage: Storage, wait_until: Callable[..., Any]) -> None:
    done = storage.podcov("run", "--", "sh", "-c", SPOIL, check=False)
    assert "starting " in done.stderr, "it failed before the middle"
    assert done.returncode == 1, done.stderr
    wait_until(storage.is_as_before, 60, "they are there again")


def test_they_are_there_again_after_podcov_was_told_to_end(storage: Storage, wait_until: Callable[..., Any]) -> None:
    running = storage.start("true")
    wait_until(lambda: storage.state("deployment/storage")[0] == 0, 60, "it is scaled to 0")
    running.send_signal(signal.SIGTERM)
    running.communicate(timeout=120)
    wait_until(storage.is_as_before, 90, "they are there again")


def test_the_next_command_puts_back_what_a_killed_podcov_left(
    storage: Storage, expected: dict[str, bool], wait_until: Callable[..., Any]
) -> None:
    running = storage.start("true")
    wait_until(lambda: all(storage.state(workload)[0] == 0 for workload in WORKLOADS), 60, "both are scaled to 0")
    running.kill()
    running.communicate()
    assert [storage.state(workload)[::2] for workload in WORKLOADS] == [(0, True), (0, True)]

    clean = (Path(sys.executable).parent / "podcov", "clean", "--dry-run", "--namespace", storage.space.name)
    told = storage.space.cluster.run(*clean, cwd=storage.folder).stdout
    assert all(f"would be scaled back: {workload} in namespace {storage.space.name}" in told for workload in WORKLOADS)
    assert storage.state("deployment/storage")[0] == 0

    done = storage.podcov("run")
    assert f"statefulset/archive in namespace {storage.space.name} was left at 0 replicas" in done.stderr
    assert storage.read("summary.json")["ledger"]["complete"]
    assert ran(storage.counts("storage")) == expected
    assert storage.is_as_before()


def test_who_scaled_down_on_another_machine_is_said_and_what_was_scaled_up_since_stays_so(storage: Storage) -> None:
    storage.leave_at_zero("deployment/storage", replicas=5)
    told = storage.podcov("run", "--", "true", check=False).stderr
    assert f"deployment/storage in namespace {storage.space.name} was scaled to 0 by podcov, process 7 on elsewhere" in told
    assert "`podcov clean` scales it back" in told
    assert storage.state("deployment/storage")[::2] == (0, True)

    storage.space.kubectl("scale", "deployment/storage", "--replicas=2")
    storage.space.kubectl("rollout", "status", "deployment/storage", "--timeout=60s")
    assert storage.podcov("run", "--", "true").returncode == 0
    assert storage.is_as_before()


def test_marks_and_collecting_in_separate_commands(storage: Storage, expected: dict[str, bool]) -> None:
    run = storage.podcov("mark").stdout.strip()
    storage.space.cluster.run("sh", "tests.sh", cwd=storage.folder, env=storage.env)
    told = json.loads(storage.podcov("collect", "--json").stdout)
    assert told["run"] == run
    assert told["ledger"]["complete"]
    assert ran(storage.counts("storage")) == expected
    assert storage.is_as_before()


def test_without_the_role_it_is_said_which_one_allows_it(storage: Storage) -> None:
    storage.space.kubectl("delete", "rolebinding", "podcov-exit")
    done = storage.podcov("run", "--", "true", check=False)
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
