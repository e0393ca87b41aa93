"""ko builds a Go service with podcov in it, without a Docker engine, from a base image in a registry."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import yaml

SKAFFOLD = {
    "apiVersion": "skaffold/v4beta11",
    "kind": "Config",
    "manifests": {"kustomize": {"paths": ["k8s"]}},
}


def base_image(cluster: Any, folder: Path) -> str:
    """An image with nothing in it, in the test registry."""
    folder.mkdir()
    (folder / "Dockerfile").write_text("FROM scratch\nUSER 65532:65532\nLABEL podcov.test=ko-base\n")
    name = cluster.image("ko-base:latest")
    cluster.run("docker", "build", "--quiet", "--tag", name, folder)
    cluster.run("docker", "push", "--quiet", name)
    return str(name)


def test_plain_skaffold_run_has_ko_build_with_the_recording_toolchain(
    root: Path, restricted_namespace: Any, tmp_path: Path
) -> None:
    """The service's own image runs it and its courier: there is no shell, no tar and no other file in it."""
    space = restricted_namespace
    project = tmp_path / "hello"
    project.mkdir()
    for name in ("go.mod", "greeting", "k8s", "tests"):
        source = root / "examples/go-hello" / name
        shutil.copytree(source, project / name) if source.is_dir() else shutil.copy(source, project / name)
    (project / "cmd/hello").mkdir(parents=True)
    shutil.copy(root / "examples/go-hello/main.go", project / "cmd/hello")
    ko = {"fromImage": base_image(space.cluster, tmp_path / "base"), "main": "./cmd/hello", "flags": ["-trimpath"]}
    artifacts = {"build": {"artifacts": [{"image": "hello-by-ko", "ko": ko}]}}
    (project / "skaffold.yaml").write_text(yaml.safe_dump(SKAFFOLD | artifacts))
    deployment = project / "k8s/deployment.yaml"
    deployment.write_text(deployment.read_text().replace("image: go-hello", "image: hello-by-ko"))

    space.podcov("init", cwd=project)
    config = project / "podcov.yaml"
    assert "binary: /ko-app/hello" in config.read_text()
    config.write_text(config.read_text().replace("-m, pytest, tests", "-m, unittest, discover, -s, tests"))

    nowhere = {"DOCKER_HOST": f"unix://{tmp_path}/there-is-no-engine.sock"}
    done = space.skaffold("run", "--cache-artifacts=false", "--profile", "coverage", cwd=project, env=nowhere)
    assert "Ledger: complete" in done.stdout + done.stderr
    told = json.loads((project / ".podcov/runs/latest/summary.json").read_text())
    assert told["ledger"]["targets"] == {"expected": 2, "collected": 2, "empty": 0, "failed": 0}
    service = told["services"]["go-hello"]
    assert service["language"] == "go"
    assert 0 < service["covered"] < service["statements"]
