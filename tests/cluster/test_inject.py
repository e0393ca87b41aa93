"""Manifests that went through `podcov inject`, on a real cluster: every road and every kind of workload, nothing missing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
RENDER_HOOK = """\
  hooks:
    after:
      - host:
          command: [podcov, inject]
          withChange: true
"""


@pytest.fixture
def example(root: Path, tmp_path: Path) -> Callable[[str], Path]:
    """`example("shop")`: a copy of an example."""

    def copy(name: str) -> Path:
        return shutil.copytree(root / "examples" / name, tmp_path / name, ignore=shutil.ignore_patterns(".podcov", "__pycache__"))

    return copy


def summary(folder: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((folder / ".podcov/runs/latest/summary.json").read_text())
    return read


def run(space: Any, folder: Path, *command: str) -> dict[str, Any]:
    """`podcov run`, and the summary of what it found."""
    space.podcov("run", "--context", "podcov-test", "--namespace", space.name, *command, cwd=folder)
    return summary(folder)


# Every kind of workload ------------------------------------------------------------------------------------------------


@pytest.fixture
def kinds(namespace: Any, tmp_path: Path) -> Path:
    """A project with a workload of each kind, and their image; nothing is deployed yet."""
    folder = shutil.copytree(HERE / "kinds", tmp_path / "kinds", ignore=shutil.ignore_patterns("__pycache__"))
    image = namespace.cluster.image("kinds:1")
    base = f"BASE={namespace.cluster.image('python:3.13')}"
    namespace.cluster.run("docker", "build", "--quiet", "--build-arg", base, "--tag", image, folder)
    namespace.cluster.run("docker", "push", "--quiet", image)
    for manifest in folder.glob("*.yaml"):
        manifest.write_text(manifest.read_text().replace("image: kinds", f"image: {image}"))
    return folder


def inject(space: Any, folder: Path, manifest: str) -> Path:
    """The file that `podcov inject < MANIFEST` writes."""
    covered = folder / f"covered-{manifest}"
    given = (folder / manifest).read_text()
    covered.write_text(space.cluster.run("podcov", "inject", cwd=folder, stdin=given, env=space.podcov_env).stdout)
    return covered


def test_workloads_of_every_kind_are_reported_by_way_of_a_pipe(
    namespace: Any, kinds: Path, wait_until: Callable[..., Any]
) -> None:
    namespace.kubectl("apply", "--filename", inject(namespace, kinds, "lasting.yaml"))
    running = 5
    wait_until(lambda: len(namespace.get("pods")["items"]) == running, 60, "all pods are there")
    namespace.kubectl("wait", "pods", "--all", "--for=condition=Ready", "--timeout=120s")
    job = inject(namespace, kinds, "job.yaml")
    kubectl = f"kubectl --kubeconfig {namespace.cluster.env['KUBECONFIG']} --namespace {namespace.name}"
    tests = (
        f"{kubectl} apply --filename {job} && {kubectl} create job often-1 --from cronjob/often"
        f" && {kubectl} wait jobs --all --for=condition=Complete --timeout=120s"
    )
    told = run(namespace, kinds, "--", "sh", "-ec", tests)
    assert told["ledger"]["targets"] == {"expected": 7, "collected": 7, "empty": 0, "failed": 0}
    assert told["ledger"]["processes"]["failed"] == 0
    percents = {name: service["percent"] for name, service in told["services"].items()}
    batch, server = {"once", "often"}, {"agent", "lone", "store", "twins"}
    assert percents.keys() == batch | server
    assert len({percents[name] for name in batch}) == 1
    assert len({percents[name] for name in server}) == 1
    assert min(percents.values()) > 0


def test_a_job_completes_where_nobody_collects(namespace: Any, kinds: Path) -> None:
    """Its courier waits to be asked, but no longer than its pod may take to end."""
    manifest = kinds / "job.yaml"
    manifest.write_text(
        manifest.read_text().replace("restartPolicy: Never", "restartPolicy: Never\n      terminationGracePeriodSeconds: 3")
    )
    namespace.kubectl("apply", "--filename", inject(namespace, kinds, "job.yaml"))
    namespace.kubectl("wait", "job/once", "--for=condition=Complete", "--timeout=100s")
    assert namespace.kubectl("logs", "job/once", "--container", "app").strip() == "45"
