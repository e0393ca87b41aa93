"""Pods whose containers are measured in several ways, on a real cluster: each recorder has a courier of its own."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from go_examples import asking, left, let_it_scale, module_namespace, seen, where
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
PODS = {"recorded": ("greeter", "shipping", "hello"), "itself": ("hello", "converter"), "ending": ("converter", "hello")}
COURIERS = {
    "recorded": {"podcov-courier": "greeter", "podcov-courier-2": "shipping", "podcov-courier-3": "hello"},
    "itself": {"podcov-courier": "hello", "podcov-courier-2": "converter"},
    "ending": {"podcov-courier": "converter", "podcov-courier-2": "hello"},
}
"""by the pod: its sidecars, and the container whose image each runs"""
NOT_THE_SERVICE = shutil.ignore_patterns(
    "podcov*", ".podcov", "k8s", "tests", "Tiltfile", "skaffold.yaml", "*.podcov", "__pycache__"
)


@pytest.fixture(scope="module")
def space(create_namespace: Any, root: Path, tmp_path_factory: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    with module_namespace(create_namespace, tmp_path_factory.mktemp("mixed") / "namespace-mixed", request) as made:
        let_it_scale(made, root)
        made.kubectl("apply", "--filename", root / "overlays/rbac/attach.yaml")
        made.kubectl("create", "rolebinding", "podcov-attach", "--role", "podcov-attach", f"--serviceaccount={made.name}:podcov")
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
    pod = {"containers": [container(part, PARTS[part]) for part in parts]}
    template = {"metadata": {"labels": labels}, "spec": pod}
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
    """The project, once all containers were asked. `recorded` had its pods deleted then, `ending` was scaled to 0."""
    space.podcov("init", cwd=project)
    config = project / "podcov.yaml"
    settings = yaml.safe_load(config.read_text())
    settings["services"]["ending-converter"]["dump"] = {"by": "exit"}
    asked = [
        asking(pod, [PARTS[part].question], PARTS[part].port, delete=pod == "recorded" and part == parts[-1])
        for pod, parts in PODS.items()
        for part in parts
    ]
    (project / "tests.sh").write_text("set -e\n" + "".join(f"{shlex.join(words)}\n" for words in asked))
    config.write_text(yaml.safe_dump({**settings, "tests": {"command": ["sh", "tests.sh"]}}))
    space.podcov("init", cwd=project)
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


@pytest.mark.parametrize(
    ("service", "ran"),
    [
        pytest.param("recorded-greeter", "context.WithTimeout(", id="at the end of the deleted pod"),
        pytest.param("recorded-shipping", "context.WithTimeout(", id="at its end, beside another program in Go"),
        pytest.param("itself-converter", "units.Convert(", id="asked by a signal"),
        pytest.param("ending-converter", "units.Convert(", id="ended to hand over"),
    ],
)
def test_what_programs_in_go_ran_is_there_and_nothing_of_others(tested: Path, service: str, ran: str) -> None:
    folder = tested / service.partition("-")[2]
    line = next(n for n, text in enumerate((folder / "main.go").read_text().splitlines(), 1) if ran in text)
    module = (folder / "go.mod").read_text().split()[1]
    blocks = seen(tested, service)
    assert all(block.startswith(f"{module}/") for block in blocks)
    spans = ((re.search(r"/main\.go:(\d+)\.\d+,(\d+)\.", block), yes) for block, yes in blocks.items())
    assert [yes for found, yes in spans if found and int(found[1]) <= line <= int(found[2])] == [True]


@pytest.mark.parametrize("service", ["recorded-hello", "itself-hello", "ending-hello"])
def test_what_ran_in_python_beside_them_is_there(tested: Path, service: str) -> None:
    files = left(tested, "report.json")["files"]
    (file,) = (file for file in files if file["service"] == service and file["path"].endswith("/hello.py"))
    ran = {region["start"][0] for region in file["regions"] if region["hits"]}
    lines = (tested / file["path"]).read_text().splitlines()
    assert {n for n, text in enumerate(lines, 1) if "raise ValueError" in text or "BAD_REQUEST" in text} <= ran


def test_it_comes_off_again_and_is_attached_again(tested: Path, space: Any) -> None:
    space.podcov("detach", *(f"deployment/{name}" for name in PODS), "--namespace", space.name, cwd=tested)
    for name, parts in PODS.items():
        live = space.get("deployment", name)
        assert "podcov" not in json.dumps(live["spec"])
        assert [c["name"] for c in live["spec"]["template"]["spec"]["containers"]] == list(parts)
    space.podcov("attach", "deployment/itself", "--namespace", space.name, cwd=tested)
    others = [f"{pod}-{part}" for pod, parts in PODS.items() if pod != "itself" for part in parts]
    without = [word for service in others for word in ("--without", service)]
    space.podcov("run", "--namespace", space.name, *without, "--", "true", cwd=tested)
