"""`skaffold run --profile coverage`: the main job, as people type it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest


def summary(folder: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((folder / ".podcov/runs/latest/summary.json").read_text())
    return read


def use(folder: Path, old: str, new: str) -> None:
    """Changes a line of the project's podcov.yaml."""
    path = folder / "podcov.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_the_shop_is_deployed_tested_and_reported_with_nothing_missing(namespace: Any, example: Any) -> None:
    shop = example("shop")
    base = {"BASE": namespace.cluster.image("python:3.13"), "GO": namespace.cluster.image("golang:1.26")}
    done = namespace.skaffold("run", "--profile", "coverage", cwd=shop, env=base)
    told = summary(shop)
    assert "Ledger: complete" in done.stdout + done.stderr
    assert told["ledger"]["targets"] == {"expected": 6, "collected": 6, "empty": 0, "failed": 0}
    assert told["ledger"]["processes"]["failed"] == 0
    assert {name for name, s in told["services"].items() if s["percent"] > 0} == {"catalog", "orders", "shipping"}
    assert told["tests"]["exit_code"] == 0
    assert (shop / ".podcov/runs/latest/reports/html/index.html").is_file()


def test_failing_tests_fail_skaffold_and_are_reported_all_the_same(namespace: Any, example: Any) -> None:
    hello = example("hello")
    use(hello, "[python3, -m, unittest, discover, -s, tests/integration]", "[sh, -c, 'curl -fs $HELLO_URL/hello; exit 7']")
    base = {"BASE": namespace.cluster.image("python:3.14")}
    done = namespace.skaffold("run", "--profile", "coverage", cwd=hello, env=base, check=False)
    told = summary(hello)
    assert done.returncode != 0
    assert told["exit"] == {"code": 7, "reason": "tests failed"}
    assert told["ledger"]["targets"]["collected"] == 1
    assert told["services"]["hello"]["percent"] > 0


def test_without_the_profile_image_and_manifests_are_those_of_a_project_without_podcov(namespace: Any, example: Any) -> None:
    hello = example("hello")
    base = {"BASE": namespace.cluster.image("python:3.13")}

    def build(*profile: str) -> Any:
        return json.loads(namespace.skaffold("build", "--quiet", *profile, cwd=hello, env=base).stdout)

    def render() -> str:
        tags = hello / "tags.json"
        tags.write_text(json.dumps(build()))
        rendered: str = namespace.skaffold("render", "--build-artifacts", tags, cwd=hello, env=base).stdout
        return rendered

    assert build() == build("--profile", "coverage")
    with_podcov = render()
    skaffold = hello / "skaffold.yaml"
    skaffold.write_text(skaffold.read_text().partition("profiles:")[0])
    shutil.rmtree(hello / "podcov")
    assert render() == with_podcov
    assert "PODCOV" not in with_podcov


def test_a_later_run_counts_only_itself_and_start_up(namespace: Any, example: Any) -> None:
    hello = example("hello")
    base = {"BASE": namespace.cluster.image("python:3.13")}
    namespace.skaffold("run", "--profile", "coverage", cwd=hello, env=base)
    first = summary(hello)
    namespace.podcov("run", "--context", "podcov-test", "--namespace", namespace.name, "--", "true", cwd=hello)
    idle = summary(hello)
    assert idle["run"] != first["run"]
    assert 0 < idle["total"]["covered"] < first["total"]["covered"]
    namespace.podcov("run", "--context", "podcov-test", "--namespace", namespace.name, cwd=hello)
    assert summary(hello)["total"] == first["total"]


@pytest.mark.parametrize("sidecar", ["true", "false"])
def test_by_environment_alone_it_is_the_same(namespace: Any, example: Any, sidecar: str) -> None:
    """Where a command is not known: nothing is put in front of it, and without a sidecar the service's own container answers."""
    hello = example("hello")
    use(hello, "    source: [src]\n", f"    source: [src]\n    entry: environment\n    sidecar: {sidecar}\n")
    namespace.podcov("init", cwd=hello)
    base = {"BASE": namespace.cluster.image("python:3.13")}
    namespace.skaffold("run", "--profile", "coverage", cwd=hello, env=base)
    [pod] = namespace.get("pods")["items"]
    assert "command" not in next(c for c in pod["spec"]["containers"] if c["name"] == "hello")
    assert ("initContainers" in pod["spec"]) == (sidecar == "true")
    told = summary(hello)
    assert told["ledger"]["complete"]
    assert told["ledger"]["processes"]["collected"] == 1
    assert told["total"]["covered"] == 37
