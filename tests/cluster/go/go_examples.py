"""What the tests of Go services on a real cluster share: a namespace for a module, copies of examples, what a run left."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from go_reference import Counts, counts_of, ran
from ports import free_port

ASK = Path(__file__).with_name("ask_pods.py")


@contextmanager
def module_namespace(create_namespace: Callable[..., Any], folder: Path, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A namespace for the tests of a module; where one of them fails, it is said what happened there. `folder` is made."""
    space = create_namespace(folder)
    failed_before = request.session.testsfailed
    yield space
    if request.session.testsfailed > failed_before:
        sys.stderr.write(f"\n{space.happened()}\n")
    space.kubectl("delete", "namespace", space.name, "--wait=false", check=False)


def let_it_scale(space: Any, root: Path) -> None:
    """Gives podcov the Role that it needs where services hand over their coverage at their end."""
    space.kubectl("apply", "--filename", root / "overlays/rbac/exit.yaml")
    space.kubectl("create", "rolebinding", "podcov-exit", "--role", "podcov-exit", f"--serviceaccount={space.name}:podcov")


def where(space: Any) -> dict[str, str]:
    """For the scripts beside this file, and for the builds of the examples."""
    return {
        "PODCOV_TEST_NAMESPACE": space.name,
        "PODCOV_TEST_KUBECONFIG": space.cluster.env["KUBECONFIG"],
        "BASE": space.cluster.image("golang:1.26"),
        "RUNTIME": space.cluster.image("python:3.13"),
    }


def asking(name: str, questions: Sequence[str], port: int = 8080, *, delete: bool = False) -> list[str]:
    """The command that asks the pods of a service in turns, and with `delete` deletes them then."""
    return ["python3", str(ASK), *(["--delete"] if delete else []), f"app={name}", str(port), *questions]


def copy_of(example: Path, folder: Path, tests: Sequence[str]) -> Path:
    """A copy of an example whose tests are this command; `folder` is made."""
    shutil.copytree(example, folder, ignore=shutil.ignore_patterns(".podcov", "__pycache__"))
    config = folder / "podcov.yaml"
    settings = yaml.safe_load(config.read_text())
    config.write_text(yaml.safe_dump({**settings, "tests": {"command": list(tests)}, "port_forwards": []}))
    return folder


def by_tilt(space: Any, project: Path, *, check: bool = True) -> Any:
    """`tilt ci` with coverage."""
    return space.tilt(*ci(space, project), cwd=project, env={**where(space), "PODCOV": "1"}, check=check)


@contextmanager
def tilt_in_the_background(space: Any, project: Path) -> Iterator[tuple[subprocess.Popen[bytes], Callable[[], str]]]:
    """The same, and what it has printed up to now."""
    log = project / "tilt.log"
    command = ["tilt", *ci(space, project), "--namespace", space.name]
    env = {**space.cluster.env, **space.podcov_env, **where(space), "PODCOV": "1"}
    with log.open("wb") as output, subprocess.Popen(command, cwd=project, env=env, stdout=output, stderr=output) as running:
        try:
            yield running, log.read_text
        finally:
            running.terminate()
            with suppress(subprocess.TimeoutExpired):
                running.wait(60)
            running.kill()


def ci(space: Any, project: Path) -> list[str]:
    """The words of `tilt ci`. Tilt has to be told that it may deploy to a cluster that it doesn't know to be a local one."""
    context = space.cluster.run("kubectl", "config", "current-context").stdout.strip()
    tiltfile = project / "Tiltfile"
    head = f"allow_k8s_contexts({context!r})\ndefault_registry({space.cluster.env['SKAFFOLD_DEFAULT_REPO']!r})\n"
    said = tiltfile.read_text().removeprefix(head)
    # A port of the machine is not the test's to take.
    tiltfile.write_text(head + re.sub(r", port_forwards=[^,)]+", "", said))
    return ["ci", "--port", str(free_port())]


def left(folder: Path, name: str) -> Any:
    """A document that the latest run left: `summary.json`, `ledger.json`."""
    return json.loads((folder / ".podcov/runs/latest" / name).read_text())


def counted(folder: Path, service: str) -> Counts:
    """What the latest run says of each block."""
    return counts_of((folder / f".podcov/runs/latest/reports/go/{service}.out").read_text())


def seen(folder: Path, service: str) -> dict[str, bool]:
    """Which blocks ran in the latest run."""
    return ran(counted(folder, service))
