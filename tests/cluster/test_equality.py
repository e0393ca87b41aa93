"""What podcov reports is what `coverage run` reports of the same programs, asked the same, line for line and jump for jump.

Each subject is a project as its users have it. It is deployed twice: with podcov, by `podcov init` and what that wrote; and
without, each command run by `coverage run` in the same image. Both are asked the same questions, and ended alike.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from podcov.formats import report_json

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
VERSIONS = ("3.11", "3.13", "3.14")
READY_SECONDS = 240
"""that pods get to be ready, whose images may have to be pulled first"""

SETTINGS = """
[run]
branch = true
core = ctrace
data_file = /reference/data
parallel = true
{measured}
[json]
output = -
"""
COVERAGE = "/reference-coverage"
UNDER_COVERAGE = """
import os, shutil, sys
command = sys.argv[1:]
program = command[1:] if command[0] == "python3" else [shutil.which(command[0]), *command[1:]]
os.execvp("python3", ["python3", "-m", "coverage", "run", *program])
"""
KEEP = "import signal; signal.signal(signal.SIGTERM, lambda *_: exit()); signal.pause()"
END = (HERE / "end_when_idle.py").read_text()


@dataclass(frozen=True)
class Subject:
    """A project, what of it is measured, and where it is asked."""

    folder: Path
    ask: tuple[str, ...]
    services: Mapping[str, str]
    """deployment, which is also the name of its container -> what coverage.py is to measure there"""
    builds: Mapping[str, str] = field(default_factory=dict)
    """image of the manifests -> the folder that it is built from; without them, the image is `applications`"""
    sources: Mapping[str, str] = field(default_factory=dict)
    """folder of the project -> where it lies in the container"""


SUBJECTS = {
    "hello": Subject(
        ROOT / "examples" / "hello",
        ("python3", "-m", "unittest", "discover", "-s", "tests/integration"),
        {"hello": "source = /app"},
        {"hello": "."},
        {"src": "/app"},
    ),
    "shop": Subject(
        ROOT / "examples" / "shop",
        ("python3", "-m", "pytest", "-q", "tests/integration", "--ignore", "tests/integration/test_shipping.py"),
        {"catalog": "source = /app", "orders": "source = /app"},
        {"shop-catalog": "catalog", "shop-orders": "orders"},
        {"catalog": "/app", "orders": "/app"},
    ),
    "applications": Subject(
        HERE / "applications",
        ("python3", "ask.py"),
        {name: f"source_pkgs = {name}" for name in ("datasette", "httpbin", "radicale")},
    ),
}


@dataclass(frozen=True)
class Lines:
    """What is known of one file; a branch is (from line, to line), as coverage.py's JSON has it."""

    covered: frozenset[int]
    missing: frozenset[int]
    covered_branches: frozenset[tuple[int, int]] = frozenset()
    missing_branches: frozenset[tuple[int, int]] = frozenset()

    def without_branches(self) -> Lines:
        return Lines(self.covered, self.missing)


Files = Mapping[tuple[str, str], Lines]
"""(service, path in the container) -> lines"""


@pytest.fixture(scope="module")
def references() -> dict[tuple[str, str], Files]:
    """By subject and Python: `coverage run` is asked once for both modes."""
    return {}


@pytest.mark.parametrize("mode", ["line", "branch"])
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", SUBJECTS)
def test_lines_and_branches_equal_those_of_coverage_run(
    cluster: Any, make_namespace: Callable[..., Any], references: dict[tuple[str, str], Files], name: str, version: str, mode: str
) -> None:
    subject = SUBJECTS[name]
    if (name, version) not in references:
        references[name, version] = ask_coverage(cluster, make_namespace(), subject, version)
    expected = references[name, version]

    seen = ask_podcov(make_namespace(), subject, version, mode)

    if mode == "line":
        expected = {key: lines.without_branches() for key, lines in expected.items()}
    ran = {key for key, lines in expected.items() if lines.covered}
    assert {service for service, _ in ran} == subject.services.keys()
    assert ran <= seen.keys()
    assert differences(seen, expected) == {}


def differences(seen: Files, expected: Files) -> dict[tuple[str, str], dict[str, tuple[list[Any], list[Any]]]]:
    """By file and kind: (what only podcov has, what only coverage.py has)."""
    found: dict[tuple[str, str], dict[str, tuple[list[Any], list[Any]]]] = {}
    for key, lines in seen.items():
        for kind in ("covered", "missing", "covered_branches", "missing_branches"):
            ours, theirs = getattr(lines, kind), getattr(expected[key], kind)
            if ours != theirs:
                found.setdefault(key, {})[kind] = (sorted(ours - theirs), sorted(theirs - ours))
    return found


def ask_podcov(namespace: Any, subject: Subject, version: str, mode: str) -> Files:
    """Deploys the project with what `podcov init` made of it, runs its tests, reads the report."""
    project = copy_of(subject, namespace, version)
    settings = yaml.safe_load((project / "podcov.yaml").read_text())
    settings["mode"] = mode
    settings["tests"] = {"command": ["python3", str(HERE / "end_after.py"), *subject.ask]}
    (project / "podcov.yaml").write_text(yaml.safe_dump(settings))
    namespace.podcov("init", cwd=project)
    env = {"BASE": namespace.cluster.image(f"python:{version}"), **where(namespace)}
    if (project / "skaffold.yaml").exists():
        namespace.skaffold("run", "--profile", "coverage", cwd=project, env=env)
    else:
        namespace.kubectl("apply", "--kustomize", project / "podcov" / "overlay")
        namespace.kubectl("rollout", "status", "deployment", f"--timeout={READY_SECONDS}s", seconds=READY_SECONDS + 30)
        namespace.podcov("run", "--namespace", namespace.name, cwd=project, env=env)
    ledger = json.loads((project / ".podcov/runs/latest/summary.json").read_text())["ledger"]
    assert ledger["complete"]
    return files_of_report((project / ".podcov/runs/latest/report.json").read_bytes(), subject)


def where(namespace: Any) -> dict[str, str]:
    """For the scripts beside this file."""
    return {"PODCOV_TEST_NAMESPACE": namespace.name, "PODCOV_TEST_KUBECONFIG": namespace.cluster.env["KUBECONFIG"]}


def copy_of(subject: Subject, namespace: Any, version: str) -> Path:
    """The project as it was before podcov came to it, in a folder of the test."""
    project = namespace.folder / "project"
    shutil.copytree(subject.folder, project, ignore=shutil.ignore_patterns("podcov", ".podcov", "__pycache__"))
    for name in ("skaffold.yaml", "Tiltfile"):
        file = project / name
        if file.exists():
            file.write_text(
                re.sub(r"(profiles:\n)? *# >>> podcov.*?# <<< podcov[^\n]*\n?", "", file.read_text(), flags=re.DOTALL)
            )
    if subject.builds:
        leave_out_others(project, subject)
    else:
        kustomization = project / "k8s" / "kustomization.yaml"
        image, tag = namespace.cluster.image(f"applications:{version}").rsplit(":", 1)
        with kustomization.open("a") as file:
            file.write(yaml.safe_dump({"images": [{"name": "applications", "newName": image, "newTag": tag}]}))
    return project


def leave_out_others(project: Path, subject: Subject) -> None:
    """Services that coverage.py says nothing about: those in another language."""
    settings = yaml.safe_load((project / "podcov.yaml").read_text())
    others = settings["services"].keys() - subject.services.keys()
    if not others:
        return
    settings["services"] = {name: settings["services"][name] for name in subject.services}
    settings["port_forwards"] = [f for f in settings["port_forwards"] if f["resource"].partition("/")[2] not in others]
    (project / "podcov.yaml").write_text(yaml.safe_dump(settings))
    kustomization = project / "k8s" / "kustomization.yaml"
    resources = yaml.safe_load(kustomization.read_text())["resources"]
    kept = [name for name in resources if name.removesuffix(".yaml") not in others]
    kustomization.write_text(yaml.safe_dump({"resources": kept}))
    skaffold = project / "skaffold.yaml"
    built = yaml.safe_load(skaffold.read_text())
    built["build"]["artifacts"] = [a for a in built["build"]["artifacts"] if a["image"] in subject.builds]
    skaffold.write_text(yaml.safe_dump(built))


def files_of_report(report: bytes, subject: Subject) -> Files:
    files = {}
    for file in report_json.load(report).files:
        path = file.recorded_paths[0] if file.recorded_paths else path_in_container(file.path, subject)
        files[file.service, path] = Lines(
            frozenset(r.start[0] for r in file.regions if r.covered),
            frozenset(r.start[0] for r in file.regions if not r.covered),
            frozenset((a.from_line, a.to) for a in file.arcs if a.covered),
            frozenset((a.from_line, a.to) for a in file.arcs if not a.covered),
        )
    return files


def path_in_container(path: str, subject: Subject) -> str:
    """Of a file that no process loaded."""
    folder = next(folder for folder in subject.sources if path.startswith(f"{folder}/"))
    return subject.sources[folder] + path.removeprefix(folder)


def ask_coverage(cluster: Any, namespace: Any, subject: Subject, version: str) -> Files:
    """Deploys the project with each command run by `coverage run`, runs its tests, ends it, reads coverage.py's JSON."""
    project = copy_of(subject, namespace, version)
    images = {name: reference_image(cluster, name, project / folder, version) for name, folder in subject.builds.items()}
    if not images:
        images = {cluster.image(f"applications:{version}"): reference_image(cluster, "applications", None, version)}
    manifests = list(yaml.safe_load_all(cluster.run("kubectl", "kustomize", project / "k8s").stdout))
    namespace.apply(*(as_reference(cluster, m, images, subject) if m["kind"] == "Deployment" else m for m in manifests))
    ready = ("wait", "--for=condition=Ready", "pod", "--all", f"--timeout={READY_SECONDS}s")
    namespace.kubectl(*ready, seconds=READY_SECONDS + 30)
    cluster.run("python3", HERE / "reach_services.py", env=where(namespace))

    with ExitStack() as forwards:
        urls = {f"{name.upper()}_URL": forwards.enter_context(forwarded(namespace, name)) for name in subject.services}
        cluster.run(*subject.ask, cwd=project, env={**namespace.podcov_env, **urls})
    files = {}
    for service in subject.services:
        # What ends the container is killed with it.
        namespace.kubectl("exec", service, "--container", service, "--", "python3", "-c", END, check=False)
        ended = "jsonpath={.status.containerStatuses[?(@.name=='" + service + "')].state.terminated.reason}"
        namespace.kubectl("wait", f"--for={ended}", f"pod/{service}", "--timeout=110s")
        coverage = ("exec", service, "--container", "keeper", "--", "python3", "-m", "coverage")
        namespace.kubectl(*coverage, "combine", "--quiet")
        for path, found in json.loads(namespace.kubectl(*coverage, "json", "--quiet"))["files"].items():
            files[service, "/" + path.lstrip("/")] = Lines(
                frozenset(found["executed_lines"]),
                frozenset(found["missing_lines"]),
                frozenset(map(tuple, found["executed_branches"])),
                frozenset(map(tuple, found["missing_branches"])),
            )
    return files


def reference_image(cluster: Any, name: str, folder: Path | None, version: str) -> str:
    """The subject's image, which is built first where there is a folder, with coverage.py beside it."""
    plain = cluster.image(f"{name}:{version}")
    if folder:
        base = f"BASE={cluster.image(f'python:{version}')}"
        cluster.run("docker", "build", "--quiet", "--tag", plain, "--build-arg", base, folder)
    image = cluster.image(f"reference-{name}:{version}")
    packages = f"/coverage/lib/python{version}/site-packages"
    recipe = f"FROM {plain}\nCOPY --from={cluster.image(f'coverage:{version}')} {packages}/coverage {COVERAGE}/coverage\n"
    cluster.run("docker", "build", "--quiet", "--tag", image, "-", stdin=recipe)
    cluster.run("docker", "push", "--quiet", image)
    return image


def as_reference(cluster: Any, deployment: Mapping[str, Any], images: Mapping[str, str], subject: Subject) -> dict[str, Any]:
    """The Deployment's pod, once, with its command under `coverage run` and a second container that outlives it."""
    service = deployment["metadata"]["name"]
    template = deployment["spec"]["template"]
    (container,) = template["spec"]["containers"]
    built = json.loads(cluster.run("docker", "image", "inspect", images[container["image"]]).stdout)[0]["Config"]
    own = container.get("command", []) + container.get("args", [])
    command = own or (built["Entrypoint"] or []) + (built["Cmd"] or [])
    container |= {
        "image": images[container["image"]],
        "imagePullPolicy": "Always",
        "command": ["python3", "-c", UNDER_COVERAGE, *command],
        "env": [
            *container.get("env", []),
            {"name": "PYTHONPATH", "value": COVERAGE},
            {"name": "COVERAGE_RCFILE", "value": "/reference-settings/coveragerc"},
        ],
        "volumeMounts": [
            *container.get("volumeMounts", []),
            {"name": "reference", "mountPath": "/reference"},
            {"name": "reference-settings", "mountPath": "/reference-settings"},
        ],
    }
    inherited = ("image", "env", "volumeMounts", "securityContext")
    keeper = {"name": "keeper", "workingDir": "/", "command": ["python3", "-c", KEEP]}
    keeper |= {key: container[key] for key in inherited if key in container}
    settings = {"name": "reference-settings", "configMap": {"name": f"{service}-reference"}}
    spec = template["spec"] | {
        "containers": [container, keeper],
        "restartPolicy": "Never",
        "volumes": [*template["spec"].get("volumes", []), {"name": "reference", "emptyDir": {}}, settings],
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": service, "labels": template["metadata"]["labels"]},
        "spec": spec,
    }
    data = {"coveragerc": SETTINGS.format(measured=subject.services[service])}
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"{service}-reference"}, "data": data}
    return {"apiVersion": "v1", "kind": "List", "items": [config, pod]}


@contextmanager
def forwarded(namespace: Any, pod: str) -> Iterator[str]:
    """The address at which the pod's port 8080 can be reached."""
    command = ["kubectl", "--namespace", namespace.name, "port-forward", f"pod/{pod}", ":8080"]
    with subprocess.Popen(command, env=namespace.cluster.env, stdout=subprocess.PIPE, text=True) as forwarder:
        try:
            said = forwarder.stdout.readline() if forwarder.stdout else ""
            port = re.search(r"127\.0\.0\.1:(\d+)", said)
            assert port, f"no port was forwarded: {said}"
            yield f"http://127.0.0.1:{port[1]}"
        finally:
            forwarder.terminate()
