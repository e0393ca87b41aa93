"""`tilt ci` and `tilt up` with the resource `coverage`."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ports import free_port


@pytest.fixture
def example(example: Callable[[str], Path], namespace: Any) -> Callable[[str], Path]:
    """The same, for here: Tilt has to be told that it may deploy to a cluster that it doesn't know to be a local one."""

    def copy(name: str) -> Path:
        folder = example(name)
        context = namespace.cluster.run("kubectl", "config", "current-context").stdout.strip()
        tiltfile = folder / "Tiltfile"
        head = f"allow_k8s_contexts({context!r})\ndefault_registry({namespace.cluster.env['SKAFFOLD_DEFAULT_REPO']!r})\n"
        # A port of the machine is not the test's to take.
        tiltfile.write_text(head + re.sub(r", port_forwards=[^,)]+", "", tiltfile.read_text()))
        return folder

    return copy


@pytest.fixture
def hello(example: Callable[[str], Path]) -> Path:
    """The smallest example."""
    return example("hello")


@pytest.fixture
def settings(namespace: Any) -> dict[str, str]:
    return {"PODCOV": "1", "BASE": namespace.cluster.image("python:3.13"), "GO": namespace.cluster.image("golang:1.26")}


def summary(folder: Path) -> dict[str, Any] | None:
    path = folder / ".podcov/runs/latest/summary.json"
    return json.loads(path.read_text()) if path.exists() else None


def test_tilt_ci_ends_with_coverage_done(namespace: Any, hello: Path, settings: dict[str, str]) -> None:
    namespace.tilt("ci", "--port", str(free_port()), cwd=hello, env=settings)
    told = summary(hello)
    assert told is not None
    assert told["ledger"]["complete"]
    assert told["ledger"]["targets"]["collected"] == 1
    assert told["services"]["hello"]["percent"] > 50


def test_services_in_python_and_in_go_are_in_one_report(
    namespace: Any, example: Callable[[str], Path], settings: dict[str, str]
) -> None:
    shop = example("shop")
    namespace.tilt("ci", "--port", str(free_port()), cwd=shop, env=settings)
    told = summary(shop)
    assert told is not None
    assert told["ledger"]["complete"]
    assert told["ledger"]["targets"]["collected"] == 6
    assert {name for name, service in told["services"].items() if service["percent"] > 50} == {"catalog", "orders", "shipping"}


def test_tilt_ci_fails_when_the_tests_fail(namespace: Any, hello: Path, settings: dict[str, str]) -> None:
    config = hello / "podcov.yaml"
    config.write_text(config.read_text().replace("[python3, -m, unittest, discover, -s, tests/integration]", "['false']"))
    done = namespace.tilt("ci", "--port", str(free_port()), cwd=hello, env=settings, check=False)
    assert done.returncode != 0
    told = summary(hello)
    assert told is not None
    assert told["exit"] == {"code": 1, "reason": "tests failed"}


def test_without_the_switch_tilt_deploys_the_base(namespace: Any, hello: Path, settings: dict[str, str]) -> None:
    namespace.tilt("ci", "--port", str(free_port()), cwd=hello, env={**settings, "PODCOV": ""})
    [deployment] = namespace.get("deployments")["items"]
    assert "podcov" not in json.dumps(deployment["spec"])
    assert summary(hello) is None


@pytest.fixture
def tilt_up(namespace: Any, hello: Path, settings: dict[str, str]) -> Iterator[Callable[..., str]]:
    """`tilt up` in the background; calls of the fixture's value are commands to it."""
    port = str(free_port())
    env = {**namespace.cluster.env, **namespace.podcov_env, **settings}
    log = (hello / "tilt.log").open("w")
    command = ["tilt", "up", "--stream", "--port", port, "--namespace", namespace.name]
    up = subprocess.Popen(command, cwd=hello, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def ask(*arguments: str) -> str:
        done = subprocess.run(
            ["tilt", *arguments, "--port", port], cwd=hello, env=env, capture_output=True, text=True, check=False
        )
        return done.stdout

    yield ask
    os.killpg(up.pid, signal.SIGTERM)
    up.wait(60)
    log.close()


def test_under_tilt_up_it_is_triggered_by_hand_and_again_after_a_change(
    tilt_up: Callable[..., str], namespace: Any, hello: Path, wait_until: Callable[..., Any]
) -> None:
    def running() -> bool:
        answer = tilt_up("get", "uiresource", "hello", "--output", "json")
        return bool(answer) and json.loads(answer)["status"].get("runtimeStatus") == "ok"

    def triggered() -> dict[str, Any]:
        before = (summary(hello) or {}).get("run")
        tilt_up("trigger", "coverage")

        def later() -> dict[str, Any] | None:
            told = summary(hello)
            return told if told and told["run"] != before else None

        told: dict[str, Any] = wait_until(later, 240, "coverage ran")
        return told

    wait_until(running, 240, "hello runs under tilt up")
    assert summary(hello) is None, "nothing runs before it is asked to"
    first = triggered()
    assert first["ledger"]["complete"]

    def pods() -> set[str]:
        return {pod["metadata"]["uid"] for pod in namespace.get("pods")["items"] if "deletionTimestamp" not in pod["metadata"]}

    old = pods()
    source = hello / "src/hello.py"
    source.write_text(source.read_text().replace("GREETINGS = ", 'EXTRA = "one more statement"\nGREETINGS = '))
    wait_until(lambda: pods() and not pods() & old, 240, "the changed service was deployed")
    wait_until(running, 240, "the changed service is up")
    second = triggered()
    assert second["ledger"]["complete"]
    assert second["total"]["statements"] == first["total"]["statements"] + 1
