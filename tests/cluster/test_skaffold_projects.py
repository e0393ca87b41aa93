"""`skaffold run --profile coverage` of projects that are more than one Kustomize base: Helm's releases, and modules."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

HEAD = "apiVersion: skaffold/v4beta11\nkind: Config\n"
ARGUMENTS = "docker: {buildArgs: {BASE: '{{default \"python:3.13-slim\" .BASE}}'}}"
SUMMARY = ".podcov/runs/latest/summary.json"


@pytest.fixture
def fresh(root: Path, tmp_path: Path) -> Any:
    """`fresh("shop")`: an example without any file of podcov's, Skaffold's and Tilt's."""

    def make(name: str) -> Path:
        ignored = shutil.ignore_patterns(".podcov", "__pycache__", "podcov", "Tiltfile", "skaffold.yaml", "podcov.yaml")
        return shutil.copytree(root / "examples" / name, tmp_path / name, ignore=ignored)

    return make


@pytest.mark.parametrize("place", ["deploy", "manifests"])
def test_a_release_that_helm_installs_is_measured_and_upgraded(place: str, namespace: Any, fresh: Any, tmp_path: Path) -> None:
    hello = fresh("hello")
    (hello / "k8s/kustomization.yaml").unlink()
    (hello / "k8s").rename(hello / "templates")
    (hello / "chart").mkdir()
    (hello / "templates").rename(hello / "chart/templates")
    (hello / "chart/Chart.yaml").write_text("apiVersion: v2\nname: hello\nversion: 1.0.0\n")
    releases = f"{place}: {{helm: {{releases: [{{name: {namespace.name}, chartPath: chart, namespace: {namespace.name}}}]}}}}\n"
    releases += "deploy: {helm: {}}\n" if place == "manifests" else ""
    (hello / "skaffold.yaml").write_text(f"{HEAD}build: {{artifacts: [{{image: hello, {ARGUMENTS}}}]}}\n{releases}")
    environment = {"BASE": namespace.cluster.image("python:3.13")}
    environment |= {f"HELM_{kind}_HOME": str(tmp_path / f"helm-{kind.lower()}") for kind in ("DATA", "CACHE", "CONFIG")}

    namespace.podcov("init", cwd=hello)
    for _ in ("install", "upgrade"):
        done = namespace.skaffold("run", "--profile", "coverage", cwd=hello, env=environment)
        assert "Ledger: complete" in done.stdout + done.stderr
        told = json.loads((hello / SUMMARY).read_text())
        assert told["ledger"]["targets"] == {"expected": 1, "collected": 1, "empty": 0, "failed": 0}
        assert told["services"]["hello"]["percent"] > 0
        shutil.rmtree(hello / ".podcov/runs")

    namespace.skaffold("run", cwd=hello, env=environment)
    spec = namespace.get("deployment", "hello")["spec"]["template"]["spec"]
    assert "initContainers" not in spec
    namespace.skaffold("delete", cwd=hello, env=environment)
    assert namespace.get("deployments,configmaps", "--selector", "app.kubernetes.io/managed-by=Helm")["items"] == []


def test_the_tests_run_once_after_all_modules_are_deployed(namespace: Any, fresh: Any) -> None:
    shop = fresh("shop")
    for name in ("catalog", "orders"):
        (shop / f"k8s/{name}.yaml").rename(shop / name / "deployed.yaml")
        build = f"build: {{artifacts: [{{image: shop-{name}, {ARGUMENTS}}}]}}\n"
        deployed = "manifests: {rawYaml: [deployed.yaml]}\ndeploy: {kubectl: {}}\n"
        (shop / name / "skaffold.yaml").write_text(f"{HEAD}metadata: {{name: {name}}}\n{build}{deployed}")
    shutil.rmtree(shop / "k8s")
    (shop / "tests/integration/test_shipping.py").unlink()
    (shop / "skaffold.yaml").write_text(f"{HEAD}metadata: {{name: shop}}\nrequires: [{{path: catalog}}, {{path: orders}}]\n")

    namespace.podcov("init", cwd=shop)
    done = namespace.skaffold("run", "--profile", "coverage", cwd=shop, env={"BASE": namespace.cluster.image("python:3.13")})
    assert "Ledger: complete" in done.stdout + done.stderr
    (run,) = [path for path in (shop / ".podcov/runs").iterdir() if not path.is_symlink()]
    told = json.loads((run / "summary.json").read_text())
    assert told["tests"]["exit_code"] == 0
    assert told["ledger"]["targets"] == {"expected": 4, "collected": 4, "empty": 0, "failed": 0}
    assert {name: service["percent"] > 0 for name, service in told["services"].items()} == {"catalog": True, "orders": True}
