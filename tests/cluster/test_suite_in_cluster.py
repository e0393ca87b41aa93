"""Tests that are a program inside the cluster: their log is seen while they run, their status is kept, nothing of them stays."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.cluster

GREET = """
import os, sys, urllib.request
where = "http://" + os.environ["HELLO_SERVICE_HOST"] + "/hello?name=" + os.environ["WHOM"]
print("they said", urllib.request.urlopen(where).read().decode(), flush=True)
print("and that is that", end="", flush=True)
sys.exit(int(sys.argv[1]))
"""
WAIT = "import signal; print('waiting', flush=True); signal.pause()"


@pytest.fixture(scope="module")
def hello(create_namespace: Callable[..., Any], root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The example, deployed with coverage by Skaffold, whose hook ran the tests as a Job; and a pod to execute tests in."""
    space = create_namespace(tmp_path_factory.mktemp("suite") / "suite")
    space.kubectl("apply", "--filename", root / "overlays/rbac/suite.yaml")
    let_it_run_tests(space)
    folder = shutil.copytree(root / "examples/hello", space.folder / "hello", ignore=shutil.ignore_patterns(".podcov"))
    yield Hello(space, folder)
    space.kubectl("delete", "namespace", space.name, "--wait=false")


def let_it_run_tests(space: Any) -> None:
    account = f"--serviceaccount={space.name}:podcov"
    space.kubectl("create", "rolebinding", "podcov-suite", "--role", "podcov-suite", account)


class Hello:
    def __init__(self, space: Any, folder: Path) -> None:
        self.space, self.folder = space, folder
        self.image = space.cluster.image("python:3.13")
        gandalf = {"name": "tests", "image": self.image, "command": ["python3", "-c", WAIT]}
        self.space.apply(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": "gandalf"},
                "spec": {"terminationGracePeriodSeconds": 0, "containers": [gandalf]},
            }
        )
        self.tests = {"job": {"image": self.image}, "command": ["python3", "-c", GREET, "0"], "env": {"WHOM": "Ada"}}
        self.deployed = space.skaffold("run", "--profile", "coverage", cwd=folder, env={"BASE": self.image}, check=False)
        space.kubectl("wait", "--for", "condition=Ready", "pod/gandalf", "--timeout", "110s")

    @property
    def tests(self) -> Any:
        return yaml.safe_load((self.folder / "podcov.yaml").read_text())["tests"]

    @tests.setter
    def tests(self, tests: Any) -> None:
        config = self.folder / "podcov.yaml"
        document = yaml.safe_load(config.read_text())
        document.pop("port_forwards", None)
        config.write_text(yaml.safe_dump(document | {"tests": tests}))

    def run(self, *arguments: str, **tests: Any) -> subprocess.CompletedProcess[str]:
        """`podcov run` with these tests."""
        self.tests = tests
        command = ("run", "--context", "podcov-test", "--namespace", self.space.name, *arguments)
        done: subprocess.CompletedProcess[str] = self.space.podcov(*command, cwd=self.folder, check=False)
        return done

    def start(self, **tests: Any) -> subprocess.Popen[str]:
        """As `run`, with its standard error to be read while it goes on."""
        self.tests = tests
        return subprocess.Popen(
            ["podcov", "run", "--context", "podcov-test", "--namespace", self.space.name],
            cwd=self.folder,
            env={**self.space.cluster.env, **self.space.podcov_env},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    @property
    def summary(self) -> Any:
        return json.loads((self.folder / ".podcov/runs/latest/summary.json").read_text())

    @property
    def jobs(self) -> list[str]:
        """Those that are left; and their pods, but for what is being ended: Kubernetes ends them when it gets to it."""
        pods = self.space.get("pods", "--selector", "app.kubernetes.io/component=tests")["items"]
        left = [pod["metadata"]["name"] for pod in pods if "deletionTimestamp" not in pod["metadata"]]
        return [job["metadata"]["name"] for job in self.space.get("jobs")["items"]] + left


def test_skaffold_runs_the_tests_as_a_job(hello: Hello) -> None:
    assert hello.deployed.returncode == 0, hello.deployed.stdout + hello.deployed.stderr
    assert "they said Hello, Ada" in hello.deployed.stdout + hello.deployed.stderr
    assert "and that is that" in hello.deployed.stdout + hello.deployed.stderr
    assert hello.summary["tests"]["exit_code"] == 0
    assert hello.summary["total"]["covered"] > 0


@pytest.mark.parametrize("place", ["job", "inside"])
def test_a_failing_suite_s_status_is_the_run_s(hello: Hello, place: str, wait_until: Any) -> None:
    where = {"job": {"image": hello.image}} if place == "job" else {"inside": "pod/gandalf", "container": "tests"}
    env = {"WHOM": "Bob"}
    if place == "inside":
        env["HELLO_SERVICE_HOST"] = hello.space.get("service/hello")["spec"]["clusterIP"]
    done = hello.run("--json", **where, command=["python3", "-c", GREET, "7"], env=env)
    assert done.returncode == 7, done.stderr
    assert "they said Hello, Bob" in done.stderr
    assert json.loads(done.stdout)["ledger"]["complete"]
    wait_until(lambda: not hello.jobs, 60, "nothing of the Job is left")


@pytest.mark.parametrize("place", ["job", "inside"])
def test_neither_the_name_of_the_context_nor_its_nodes_matter(hello: Hello, place: str) -> None:
    """A minikube's, for example; podcov's account may read no node."""
    config = hello.space.folder / "podcov.kubeconfig"
    given = yaml.safe_load(config.read_text())["contexts"][0]["context"]
    kubectl = ("kubectl", "--kubeconfig", config)
    known = (f"--cluster={given['cluster']}", f"--user={given['user']}")
    hello.space.cluster.run(*kubectl, "config", "set-context", "minikube", *known)
    for verb in ("get", "list", "watch"):
        allowed = hello.space.cluster.run(*kubectl, "--context", "minikube", "auth", "can-i", verb, "nodes", check=False)
        assert allowed.stdout.strip() == "no", allowed.stderr
    where = {"job": {"image": hello.image}} if place == "job" else {"inside": "pod/gandalf"}
    done = hello.run("--context", "minikube", "--json", **where, command=["python3", "-c", "print('asked')"])
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["ledger"]["complete"]


@pytest.mark.parametrize("place", ["job", "inside"])
def test_what_they_print_is_seen_while_they_run_and_ctrl_c_ends_the_run(hello: Hello, place: str, wait_until: Any) -> None:
    where = {"job": {"image": hello.image}} if place == "job" else {"inside": "pod/gandalf"}
    running = hello.start(**where, command=["python3", "-c", WAIT])
    assert running.stderr
    assert any(line == "waiting\n" for line in running.stderr), "the run ended before its tests had printed anything"
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=120)
    assert running.returncode == 128 + signal.SIGINT
    assert hello.summary["tests"]["exit_code"] == 128 + signal.SIGINT
    wait_until(lambda: not hello.jobs, 60, "nothing of the Job is left")


@pytest.mark.parametrize("place", ["job", "inside"])
def test_a_time_out_ends_the_run_and_a_job(hello: Hello, place: str, wait_until: Any) -> None:
    where = {"job": {"image": hello.image}} if place == "job" else {"inside": "pod/gandalf"}
    done = hello.run(**where, command=["python3", "-c", WAIT], timeout=2)
    assert done.returncode == 124, done.stderr
    assert "longer than 2 s" in done.stderr
    assert ("may go on" in done.stderr) == (place == "inside")
    wait_until(lambda: not hello.jobs, 60, "nothing of the Job is left")


@pytest.mark.parametrize(
    ("tests", "said"),
    [
        ({"job": {"image": "localhost:5000/absent:1"}}, "cannot be run: ImagePullBackOff"),
        ({"job": {"image": "{image}"}, "command": ["/absent"]}, "cannot be run: StartError"),
        ({"inside": "pod/gandalf", "command": ["/absent"]}, "/tests: /absent: "),
        ({"inside": "pod/saruman", "command": ["true"]}, "no pod of pod/saruman runs"),
        ({"inside": "pod/gandalf", "container": "x", "command": ["true"]}, "has no container 'x'"),
    ],
)
def test_tests_that_cannot_begin_are_an_error_that_says_why(hello: Hello, tests: Any, said: str, wait_until: Any) -> None:
    if tests.get("job", {}).get("image") == "{image}":
        tests = tests | {"job": {"image": hello.image}}
    done = hello.run(**tests)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    wait_until(lambda: not hello.jobs, 60, "nothing of the Job is left")


def test_without_the_role_it_is_said_which_one_allows_it(hello: Hello, wait_until: Any) -> None:
    hello.space.kubectl("delete", "rolebinding", "podcov-suite")
    asked = ("auth", "can-i", "create", "jobs", "--as", f"system:serviceaccount:{hello.space.name}:podcov")
    wait_until(lambda: hello.space.kubectl(*asked, check=False).strip() == "no", 60, "the API server has heard of it")
    done = hello.run(job={"image": hello.image})
    let_it_run_tests(hello.space)
    assert done.returncode == 2
    assert "forbidden: create on jobs" in done.stderr
    assert "overlays/rbac/suite.yaml" in done.stderr
