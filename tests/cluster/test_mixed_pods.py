"""Pods whose containers are measured in several ways, on a real cluster: each recorder has a courier of its own."""

from __future__ import annotations

import json
import shlex
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from go_examples import asking, left, module_namespace, seen, where
from go_reference import probe


@dataclass(frozen=True)
class Part:
    """A container: the folder of the examples that its image is built from, and how it runs and is asked."""

    folder: str
    port: int
    question: str
    args: Sequence[str] = ()
    command: Sequence[str] = ()
    build_args: Mapping[str, str] = field(default_factory=dict)


PARTS = {
    "greeter": Part("go-hello", 8081, "/hello?name=Ada&language=fr", ["-address", ":8081"], build_args={"BASE": "{{.BASE}}"}),
    "shipping": Part("shop/shipping", 8082, "/quote?to=DE&grams=10", ["-address", ":8082"], build_args={"GO": "{{.BASE}}"}),
    "hello": Part(
        "hello", 8083, f"/hello?name={'A' * 41}", command=["python3", "hello.py", "8083"], build_args={"BASE": "{{.RUNTIME}}"}
    ),
    "converter": Part("go-signal", 8080, "/convert?value=1&from=m&to=km", build_args={"BASE": "{{.BASE}}"}),
}
PODS = {"recorded": ("greeter", "shipping", "hello"), "itself": ("hello", "converter")}
COURIERS = {
    "recorded": {"podcov-courier": "greeter", "podcov-courier-2": "hello"},
    "itself": {"podcov-courier": "hello", "podcov-courier-2": "converter"},
}
"""by the pod: its sidecars, and the container whose image each runs"""
NOT_THE_SERVICE = shutil.ignore_patterns(
    "podcov*", ".podcov", "k8s", "tests", "Tiltfile", "skaffold.yaml", "*.podcov", "__pycache__"
)


@pytest.fixture(scope="module")
def space(create_namespace: Any, tmp_path_factory: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    with module_namespace(create_namespace, tmp_path_factory.mktemp("mixed") / "namespace-mixed", request) as made:
        yield made


@pytest.fixture(scope="module")
def project(root: Path, tmp_path_factory: Any) -> Path:
    """A project of both pods, with plain manifests and a skaffold.yaml."""
    folder: Path = tmp_path_factory.mktemp("mixed") / "project"
    for name, part in PARTS.items():
        shutil.copytree(root / "examples" / part.folder, folder / name, ignore=NOT_THE_SERVICE)
    (folder / "k8s").mkdir()
    (folder / "k8s/kustomization.yaml").write_text("resources: [pods.yaml]\n")
    (folder / "k8s/pods.yaml").write_text(yaml.safe_dump_all([manifest(name, parts) for name, parts in PODS.items()]))
    artifacts = [{"image": n, "context": n, "docker": {"buildArgs": dict(p.build_args)}} for n, p in PARTS.items()]
    skaffold = {
        "apiVersion": "skaffold/v4beta11",
        "kind": "Config",
        "build": {"artifacts": artifacts},
        "manifests": {"kustomize": {"paths": ["k8s"]}},
    }
    (folder / "skaffold.yaml").write_text(yaml.safe_dump(skaffold, sort_keys=False))
    return folder


def manifest(name: str, parts: Sequence[str]) -> dict[str, Any]:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container(part, PARTS[part]) for part in parts]}}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def container(name: str, part: Part) -> dict[str, Any]:
    return {
        "name": name,
        "image": name,
        "imagePullPolicy": "IfNotPresent",
        **({"command": list(part.command)} if part.command else {}),
        **({"args": list(part.args)} if part.args else {}),
        "readinessProbe": probe("/healthz", part.port),
    }


@pytest.fixture(scope="module")
def tested(space: Any, project: Path) -> Path:
    """The project, after all of its containers were asked; the pods of `recorded` were deleted then."""
    space.podcov("init", cwd=project)
    config = project / "podcov.yaml"
    asked = [
        asking(pod, [PARTS[part].question], PARTS[part].port, delete=pod == "recorded" and part == parts[-1])
        for pod, parts in PODS.items()
        for part in parts
    ]
    (project / "tests.sh").write_text("set -e\n" + "".join(f"{shlex.join(words)}\n" for words in asked))
    config.write_text(yaml.safe_dump({**yaml.safe_load(config.read_text()), "tests": {"command": ["sh", "tests.sh"]}}))
    space.skaffold("run", "--profile", "coverage", cwd=project, env=where(space))
    return project


def test_each_recorder_has_its_own_sidecar(tested: Path, space: Any) -> None:
    for pod, couriers in COURIERS.items():
        live = space.get("deployment", pod)["spec"]["template"]["spec"]
        images = {c["name"]: c["image"] for c in live["containers"]}
        assert {c["name"]: c["image"] for c in live["initContainers"]} == {
            courier: images[host] for courier, host in couriers.items()
        }


def test_every_container_of_every_pod_is_accounted_for(tested: Path) -> None:
    summary, ledger = left(tested, "summary.json"), left(tested, "ledger.json")
    assert summary["ledger"]["complete"], ledger
    assert {name for name, service in summary["services"].items() if service["percent"] > 20} == {
        f"{pod}-{part}" for pod, parts in PODS.items() for part in parts
    }
    starts = Counter((target["service"], target["name"].split("/")[2]) for target in ledger["targets"])
    assert starts == {(f"{p}-{part}", part): 2 if p == "recorded" else 1 for p, parts in PODS.items() for part in parts}


def test_what_they_ran_is_there_to_the_end_of_the_deleted_pod(tested: Path) -> None:
    for service, after_the_end in (("recorded-greeter", "serve"), ("recorded-shipping", "finish")):
        blocks = seen(tested, service)
        assert sum(blocks.values()) > len(blocks) / 2, (service, after_the_end)
    files = left(tested, "report.json")["files"]
    (hello,) = (file for file in files if file["service"] == "recorded-hello")
    ran = {region["start"][0] for region in hello["regions"] if region["hits"]}
    refusal = next(n for n, line in enumerate((tested / hello["path"]).read_text().splitlines(), 1) if "raise ValueError" in line)
    assert refusal in ran


def test_it_comes_off_again(tested: Path, space: Any) -> None:
    space.podcov("detach", *(f"deployment/{name}" for name in PODS), "--namespace", space.name, cwd=tested)
    for name, parts in PODS.items():
        live = space.get("deployment", name)
        assert "podcov" not in json.dumps({**live, "metadata": live["metadata"]["annotations"]})
        assert [c["name"] for c in live["spec"]["template"]["spec"]["containers"]] == list(parts)
