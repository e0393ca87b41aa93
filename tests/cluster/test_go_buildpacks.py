"""Buildpacks build a Go service with podcov in it: the real Skaffold and lifecycle, and podcov's buildpack before the others.

The builder is made here, and its two buildpacks do what Paketo's do for Go, since public builders are gigabytes of images.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from go_examples import asking, free_port, left, seen, where
from go_pods import ask
from go_reference import merged, ran

BUILDPACKS = Path(__file__).parent / "buildpacks"
LIFECYCLE = "github.com/buildpacks/lifecycle/cmd"
PHASES = ("analyzer", "builder", "creator", "detector", "exporter", "extender", "restorer")
QUESTIONS = ("/hello", "/hello?name=Ada&language=fr", "/hello?language=tlh", "/nothing")
IMAGE = "hello-by-buildpacks"
SKAFFOLD = {
    "apiVersion": "skaffold/v4beta11",
    "kind": "Config",
    "manifests": {"kustomize": {"paths": ["k8s"]}},
}
HERE_BY_DEFAULT = Path("/var/run/docker.sock")


@pytest.fixture
def engine(cluster: Any) -> Iterator[str]:
    """The socket of the Docker engine. What Skaffold's library for buildpacks leaves of a build is removed."""
    had_one = HERE_BY_DEFAULT.exists()
    yield cluster.env.get("DOCKER_HOST", f"unix://{HERE_BY_DEFAULT}").removeprefix("unix://")
    # The library mounts the usual place, wherever the engine listens, and the engine makes a folder of what is not there.
    if not had_one:
        with suppress(FileNotFoundError):
            HERE_BY_DEFAULT.rmdir()
    for volume in cluster.run("docker", "volume", "ls", "--quiet", "--filter", f"name={IMAGE}").stdout.split():
        cluster.run("docker", "volume", "rm", volume)


@pytest.fixture
def builder(cluster: Any, tmp_path: Path) -> str:
    """The builder's image, in the test registry."""
    run_image = image(cluster, "buildpacks-run", BUILDPACKS / "run", {"io.buildpacks.stack.id": "test.stack"})
    context = tmp_path / "builder"
    shutil.copytree(BUILDPACKS / "builder", context)
    programs = context / "cnb/lifecycle"
    command = [
        "env",
        "CGO_ENABLED=0",
        "go",
        "build",
        "-ldflags=-s -w",
        "-o",
        programs,
        f"{LIFECYCLE}/lifecycle",
        f"{LIFECYCLE}/launcher",
    ]
    cluster.run(*command, cwd=BUILDPACKS, seconds=900)
    for phase in PHASES:
        (programs / phase).symlink_to("lifecycle")
    order = [{"id": f"test/go-{name}", "version": "1.0.0"} for name in ("dist", "build")]
    apis = {"buildpack": {"supported": ["0.8", "0.9", "0.10"]}, "platform": {"supported": ["0.11", "0.12", "0.13"]}}
    metadata = {
        "buildpacks": order,
        "stack": {"runImage": {"image": run_image}},
        "images": [{"image": run_image}],
        "lifecycle": {"version": "0.20.5", "apis": apis},
    }
    labels = {
        "io.buildpacks.stack.id": "test.stack",
        "io.buildpacks.builder.metadata": json.dumps(metadata),
        "io.buildpacks.buildpack.order": json.dumps([{"group": order}]),
        "io.buildpacks.buildpack.layers": "{}",
    }
    return image(cluster, "paketo-lookalike", context, labels, f"--build-arg=BASE={cluster.image('golang:1.26')}")


def image(cluster: Any, name: str, context: Path, labels: dict[str, str], *options: str) -> str:
    """An image that was built, in the test registry."""
    full = str(cluster.image(f"{name}:latest"))
    said = [f"--label={key}={value}" for key, value in labels.items()]
    cluster.run("docker", "build", "--quiet", "--tag", full, *said, *options, context)
    cluster.run("docker", "push", "--quiet", full)
    return full


@pytest.fixture
def project(root: Path, tmp_path: Path, builder: str, engine: str) -> Path:
    """The example, built by buildpacks instead of its Dockerfile."""
    folder = tmp_path / "hello"
    folder.mkdir()
    for name in ("go.mod", "main.go", "greeting", "k8s"):
        source = root / "examples/go-hello" / name
        shutil.copytree(source, folder / name) if source.is_dir() else shutil.copy(source, folder / name)
    volumes = [{"host": engine, "target": "/run/engine.sock", "options": "rw"}]
    packs = {"builder": builder, "trustBuilder": True, "volumes": volumes}
    artifacts = {"build": {"artifacts": [{"image": IMAGE, "buildpacks": packs}]}}
    (folder / "skaffold.yaml").write_text(yaml.safe_dump(SKAFFOLD | artifacts))
    deployment = folder / "k8s/deployment.yaml"
    deployment.write_text(deployment.read_text().replace("image: go-hello", f"image: {IMAGE}"))
    return folder


def reference(cluster: Any, source: Path, folder: Path, wait_until: Any) -> dict[str, bool]:
    """What Go's own tools say of the service, run here, asked the same, and ended by SIGTERM. `folder` is made."""
    data = folder / "data"
    data.mkdir(parents=True)
    cluster.run("go", "build", "-cover", "-o", folder / "hello", ".", cwd=source)
    port = free_port()
    address, env = f"http://127.0.0.1:{port}", {**cluster.env, "GOCOVERDIR": str(data)}
    with subprocess.Popen([folder / "hello", "-address", f"127.0.0.1:{port}"], env=env) as service:
        wait_until(lambda: answers(address), 30, "it answers")
        ask([address], QUESTIONS)
        service.terminate()
        assert service.wait(30) == 0
    return ran(merged(cluster, folder, ["data"]))


def answers(address: str) -> bool:
    with suppress(OSError):
        return ask([address], ["/healthz"]) == [200]
    return False


def test_plain_skaffold_run_has_buildpacks_build_what_records(
    restricted_namespace: Any, project: Path, tmp_path: Path, wait_until: Any
) -> None:
    space = restricted_namespace
    plain = (project / "skaffold.yaml").read_text()
    space.podcov("init", cwd=project)
    config = yaml.safe_load((project / "podcov.yaml").read_text())
    (service,) = config["services"].values()
    assert (service["binary"], service.get("dump")) == ("/cnb/process/go-hello", None)
    assert (project / "skaffold.yaml").read_text().startswith(plain)
    tests = {"command": asking("go-hello", QUESTIONS, delete=True)}
    (project / "podcov.yaml").write_text(yaml.safe_dump({**config, "tests": tests, "port_forwards": []}))

    env = {**where(space), "PACK_VOLUME_KEY": "podcov-test"}
    space.skaffold("run", "--cache-artifacts=false", "--profile", "coverage", cwd=project, env=env)
    told = left(project, "summary.json")
    assert told["ledger"]["complete"]
    assert told["ledger"]["targets"]["collected"] == 4, "two that were deleted, and those that took their places"
    starts = left(project, "ledger.json")["targets"]
    assert {process["recording"] for target in starts for process in target["processes"]} == {"mapped"}
    expected = reference(space.cluster, project, tmp_path / "reference", wait_until)
    assert seen(project, "go-hello") == expected
    assert 0 < sum(expected.values()) < len(expected)
