"""What Go's own tools say of a service: built plainly with `-cover`, deployed with GOCOVERDIR, asked, ended by SIGTERM.

The service's own program runs in a pod each, in an image that has Python beside it, because images from scratch can neither
be told to end nor be copied from.
"""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from go_pods import forwarded

END = (Path(__file__).parents[1] / "end_when_idle.py").read_text()
KEEP = "import signal; signal.signal(signal.SIGTERM, lambda *_: exit()); signal.pause()"
DATA = "/reference"
BUILD = re.compile(r"^RUN\b.*\bgo build\b", re.MULTILINE)

Counts = dict[str, int]
"""a block as text profiles name it (`file:from,to statements`), and how often it ran; 0 or 1 in mode `set`"""
Ask = Callable[[Sequence[str]], object]
"""asks the services at these addresses, one a pod"""


def counts_of(profile: str) -> Counts:
    """Of a text profile; blocks that stand in it several times are added up, or joined in mode `set`."""
    mode, *lines = profile.splitlines()
    counts: Counts = {}
    for line in lines:
        block, _, count = line.rpartition(" ")
        counts[block] = counts.get(block, 0) + int(count)
    return {block: min(count, 1) for block, count in counts.items()} if mode == "mode: set" else counts


def ran(counts: Mapping[str, int]) -> dict[str, bool]:
    """Whether, where how often may differ: by readiness probes, for example."""
    return {block: count > 0 for block, count in counts.items()}


@dataclass(frozen=True)
class Subject:
    """A service as it is without podcov."""

    name: str
    folder: Path
    """with its Dockerfile"""
    args: Sequence[str] = ()
    flags: str = "-cover"
    """for GOFLAGS; empty where the Dockerfile has them already"""
    command: Sequence[str] = ()
    """instead of the image's ENTRYPOINT and CMD"""
    build_args: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    port: int = 8080
    ready: str = "/healthz"
    """where it is asked whether it is ready; empty: nowhere, so that what it counts depends on nothing but the questions"""
    replicas: int = 2


def reference(space: Any, subject: Subject, ask: Ask, folder: Path) -> Counts:
    """Deploys the subject into the namespace `space`; `folder` is for files, and is made."""
    folder.mkdir(parents=True)
    program = _program(space.cluster, subject, folder)
    pods = [f"{subject.name}-reference-{number}" for number in range(subject.replicas)]
    space.apply(*(_pod(space, subject, pod, program) for pod in pods))
    space.kubectl("wait", "--for=condition=Ready", *(f"pod/{pod}" for pod in pods), "--timeout=300s", seconds=330)
    with ExitStack() as forwards:
        where = ("--kubeconfig", space.cluster.env["KUBECONFIG"], "--namespace", space.name)
        ask([forwards.enter_context(forwarded(pod, subject.port, *where)) for pod in pods])
    for pod in pods:
        # What ends the container is killed with it.
        space.kubectl("exec", pod, "--container", "app", "--", "python3", "-c", END, check=False)
    for pod in pods:
        ended = "jsonpath={.status.containerStatuses[?(@.name=='app')].state.terminated.exitCode}=0"
        space.kubectl("wait", f"--for={ended}", f"pod/{pod}", "--timeout=300s", seconds=330)
        _copy(space, pod, folder / pod)
    space.kubectl("delete", "pod", *pods, "--wait=false", "--grace-period=0", "--force")
    return merged(space.cluster, folder, pods)


def merged(cluster: Any, folder: Path, pods: Sequence[str]) -> Counts:
    """What `go tool covdata` makes of a folder each."""
    profile = folder / "profile.txt"
    folders = ",".join(str(folder / pod) for pod in pods)
    cluster.run("go", "tool", "covdata", "textfmt", f"-i={folders}", f"-o={profile}")
    return counts_of(profile.read_text())


@dataclass(frozen=True)
class _Program:
    """The subject's, beside a Python."""

    image: str
    command: Sequence[str]
    user: int


def _program(cluster: Any, subject: Subject, folder: Path) -> _Program:
    plain, image = cluster.image(f"{subject.name}:plain"), cluster.image(f"{subject.name}:reference")
    given = {"BASE": cluster.image("golang:1.26"), **subject.build_args}
    options = [word for name, value in given.items() for word in ("--build-arg", f"{name}={value}")]
    cluster.run("docker", "build", "--quiet", "--tag", plain, *options, _context(subject, folder), seconds=600)
    config = json.loads(cluster.run("docker", "image", "inspect", plain).stdout)[0]["Config"]
    recipe = f"FROM {cluster.image('python:3.13')}\nCOPY --from={plain} / /\n"
    cluster.run("docker", "build", "--quiet", "--tag", image, "-", stdin=recipe)
    cluster.run("docker", "push", "--quiet", image)
    command = list(subject.command) or (config["Entrypoint"] or []) + ([] if subject.args else config["Cmd"] or [])
    return _Program(image, [*command, *subject.args], int(config["User"] or 0))


def _context(subject: Subject, folder: Path) -> Path:
    """What is built. With a Dockerfile from outside, which gets a name of chance, Docker's cache would not hold."""
    context = folder / "context"
    shutil.copytree(subject.folder, context, ignore=shutil.ignore_patterns("podcov", "*.podcov", "__pycache__"))
    if subject.flags:
        dockerfile = context / "Dockerfile"
        flags = f'ENV GOFLAGS="$GOFLAGS {subject.flags}"'
        dockerfile.write_text(BUILD.sub(lambda build: f"{flags}\n{build[0]}", dockerfile.read_text(), count=1))
    return context


def _pod(space: Any, subject: Subject, name: str, program: _Program) -> dict[str, Any]:
    mount = {"name": "reference", "mountPath": DATA}
    env = {"GOCOVERDIR": DATA, **subject.env}
    app = {
        "name": "app",
        "image": program.image,
        "imagePullPolicy": "Always",
        "command": list(program.command),
        "securityContext": {"runAsUser": program.user},
        "env": [{"name": key, "value": value} for key, value in env.items()],
        "readinessProbe": probe(subject.ready, subject.port),
        "volumeMounts": [mount],
    }
    keeper = {
        "name": "keeper",
        "image": space.cluster.image("python:3.13"),
        "command": ["python3", "-c", KEEP],
        "volumeMounts": [mount],
    }
    spec = {"restartPolicy": "Never", "containers": [app, keeper], "volumes": [{"name": "reference", "emptyDir": {}}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"reference": subject.name}}, "spec": spec}


def probe(path: str, port: int) -> dict[str, Any]:
    """Without a path, it is enough that the port is open."""
    look = {"httpGet": {"path": path, "port": port}} if path else {"tcpSocket": {"port": port}}
    return {**look, "periodSeconds": 1}


def _copy(space: Any, pod: str, folder: Path) -> None:
    command = ["kubectl", "--namespace", space.name, "exec", pod, "--container", "keeper", "--", "tar", "-cC", DATA, "."]
    packed = subprocess.run(command, env=space.cluster.env, stdout=subprocess.PIPE, check=True, timeout=120).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
