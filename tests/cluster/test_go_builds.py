"""Docker builds Go services from derived Dockerfiles, and scripts with the toolchain of this machine: they run and record."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from ports import free_port

DOCKERFILE = """\
ARG BASE=golang:1.26
FROM ${BASE} AS build
ARG GOFLAGS=""
WORKDIR /src
COPY . .
RUN if [ "${GOFLAGS}" = "-trimpath" ]; then \\
      CGO_ENABLED=0 GOFLAGS=${GOFLAGS} go build -o /service .; \\
    else \\
      exit 9; \\
    fi

FROM scratch
COPY --from=build /service /service
USER 65532
ENTRYPOINT ["/service"]
"""
SCRIPT = """\
#!/bin/sh
set -eu
image=${IMAGE-$EXPECTED_REF}
CGO_ENABLED=0 GOFLAGS=-trimpath go build -o service .
printf 'FROM scratch\\nCOPY service /service\\nUSER 65532\\nENTRYPOINT ["/service"]\\n' >by-script
docker build --quiet --file by-script --tag "$image" .
docker push --quiet "$image"
"""
TILTFILE = """\
allow_k8s_contexts('{context}')
default_registry('{registry}')
docker_build('by-docker', 'docker', build_args={{'BASE': os.getenv('BASE'), 'GOFLAGS': '-trimpath'}})
custom_build('by-script', 'cd script && ./build.sh', deps=['script'], skips_local_docker=True)
k8s_yaml(kustomize('k8s'))
"""
TESTS = """\
import os
import unittest
import urllib.request


class Test(unittest.TestCase):
    def test_it_greets(self) -> None:
        for name in ("BY_DOCKER_URL", "BY_SCRIPT_URL"):
            with urllib.request.urlopen(os.environ[name] + "/hello?name=Ada") as answer:
                self.assertEqual(answer.status, 200)
"""
CONFIG = """\
version: 1
services:
  by-docker: {language: go, workload: deployment/by-docker, source: [docker], binary: /service}
  by-script: {language: go, workload: deployment/by-script, source: [script], binary: /service}
tests: {command: [python3, -m, unittest, discover, -s, tests/integration]}
port_forwards: [{resource: service/by-docker, port: 80}, {resource: service/by-script, port: 80}]
generate: {kustomize: k8s, skaffold: skaffold.yaml, tiltfile: Tiltfile}
"""
SERVICES = ("by-docker", "by-script")


@pytest.fixture
def project(root: Path, tmp_path: Path, namespace: Any) -> Path:
    """Two services of one source: the Dockerfile of the first looks at GOFLAGS, the script that builds the second sets them."""
    folder = tmp_path / "builds"
    example = root / "examples/go-hello"
    for name, place in zip(SERVICES, ("docker", "script"), strict=True):
        shutil.copytree(example / "greeting", folder / place / "greeting")
        for file in ("go.mod", "main.go"):
            shutil.copy(example / file, folder / place / file)
        shutil.copytree(example / "k8s", folder / "k8s" / name)
        for manifest in (folder / "k8s" / name).iterdir():
            manifest.write_text(manifest.read_text().replace("go-hello", name).replace("replicas: 2", "replicas: 1"))
    (folder / "k8s/kustomization.yaml").write_text(yaml.safe_dump({"resources": list(SERVICES)}))
    (folder / "docker/Dockerfile").write_text(DOCKERFILE)
    script = folder / "script/build.sh"
    script.write_text(SCRIPT)
    script.chmod(0o755)
    artifacts = [
        {
            "image": "by-docker",
            "context": "docker",
            "docker": {"buildArgs": {"BASE": "{{.BASE}}", "GOFLAGS": "-trimpath"}},
        },
        {"image": "by-script", "context": "script", "custom": {"buildCommand": "./build.sh", "dependencies": {"paths": ["."]}}},
    ]
    manifests = {"kustomize": {"paths": ["k8s"]}}
    skaffold = {"apiVersion": "skaffold/v4beta11", "kind": "Config", "build": {"artifacts": artifacts}, "manifests": manifests}
    (folder / "skaffold.yaml").write_text(yaml.safe_dump(skaffold))
    context = namespace.cluster.run("kubectl", "config", "current-context").stdout.strip()
    registry = namespace.cluster.env["SKAFFOLD_DEFAULT_REPO"]
    (folder / "Tiltfile").write_text(TILTFILE.format(context=context, registry=registry))
    (folder / "podcov.yaml").write_text(CONFIG)
    (folder / "tests/integration").mkdir(parents=True)
    (folder / "tests/integration/test_greeting.py").write_text(TESTS)
    return folder


def test_skaffold_and_tilt_build_both_so_that_they_record(project: Path, namespace: Any) -> None:
    namespace.podcov("init", cwd=project)
    assert (project / "docker/Dockerfile.podcov").is_file()
    environment = {"BASE": namespace.cluster.image("golang:1.26"), "PODCOV": "1"}

    tilt, skaffold = ("ci", "--port", str(free_port())), ("run", "--cache-artifacts=false", "--profile", "coverage")
    for command, arguments in ((namespace.skaffold, skaffold), (namespace.tilt, tilt)):
        command(*arguments, cwd=project, env=environment)
        told = json.loads((project / ".podcov/runs/latest/summary.json").read_text())
        assert told["ledger"]["targets"] == {"expected": 2, "collected": 2, "empty": 0, "failed": 0}
        services = told["services"]
        assert services["by-docker"]["covered"] == services["by-script"]["covered"] > 0
        assert services["by-docker"]["statements"] == services["by-script"]["statements"]
        shutil.rmtree(project / ".podcov/runs")
