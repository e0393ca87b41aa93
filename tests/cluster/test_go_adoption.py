"""Repos whose Go services measure themselves, as people have them, adopted and then run: on a real cluster."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ports import free_port

Copy = Callable[[str], Path]
GANDALF = "#!/bin/sh\necho 'you shall pass'\n"


@pytest.fixture
def repo(root: Path, tmp_path: Path) -> Copy:
    """A copy of one of the repos that adoptions are tried on."""
    return lambda name: shutil.copytree(root / "tests/manifests/adoption" / name / "repo", tmp_path / name)


def replaced(file: Path, **words: str) -> None:
    """Edit what only holds where the repo is at home."""
    text = file.read_text()
    for word, other in words.items():
        assert word in text
        text = text.replace(word, other)
    file.write_text(text)


def told(folder: Path) -> dict[str, Any]:
    summary: dict[str, Any] = json.loads((folder / ".podcov/runs/latest/summary.json").read_text())
    assert summary["ledger"]["complete"], summary["ledger"]
    assert summary["ledger"]["targets"] == {"expected": 1, "collected": 1, "empty": 0, "failed": 0}
    assert summary["tests"]["exit_code"] == 0
    return summary


def named_alpine(cluster: Any, folder: Path) -> str:
    """An image with a shell whose name says nothing of a language."""
    folder.mkdir()
    (folder / "Dockerfile").write_text(f"FROM {cluster.image('python:3.13')}\n")
    name = str(cluster.image("alpine:with-a-shell"))
    cluster.run("docker", "build", "--quiet", "--tag", name, folder)
    cluster.run("docker", "push", "--quiet", name)
    return name


def test_skaffold_s_tutorial(repo: Copy, namespace: Any) -> None:
    """Built by ko on a base image without `kill` and `tar`; its own script runs the tests."""
    folder = repo("skaffold-tutorial")
    skaffold = folder / "skaffold.yaml"
    words = {
        "registry.example/distroless/static:nonroot": namespace.cluster.image("python:bare"),
        '"default", "4503"': f'"{namespace.name}", "{free_port()}"',
    }
    replaced(skaffold, **words)
    namespace.podcov("init", "--adopt", cwd=folder)
    done = namespace.skaffold("run", "--profile", "coverage", cwd=folder)
    assert "hello" in done.stdout + done.stderr
    summary = told(folder)
    assert 0 < summary["services"]["greeter"]["covered"] < summary["services"]["greeter"]["statements"]
    profile = (folder / ".podcov/runs/latest/reports/go/greeter.out").read_text()
    assert re.search(r"(?m)/main\.go:12\.\S+ 1 1$", profile), "the one request of the tests"


def test_test_binaries(repo: Copy, namespace: Any) -> None:
    """The image and its loop stay; the tests run in a pod that is there already; reports lie where the script had them."""
    folder, space = repo("test-binary"), namespace
    alpine = named_alpine(space.cluster, folder.parent / "alpine")
    words = {"golang:1.19": space.cluster.image("golang:1.26"), "FROM alpine\nRUN apk --no-cache add curl": f"FROM {alpine}"}
    replaced(folder / "build/Dockerfile.coverage", **words)
    space.podcov("init", "--adopt", cwd=folder)
    space.apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "gandalf"}, "data": {"gandalf-tests": GANDALF}},
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "gandalf"},
            "spec": {
                "terminationGracePeriodSeconds": 0,
                "containers": [
                    {
                        "name": "gandalf",
                        "image": alpine,
                        "command": ["sleep", "infinity"],
                        "volumeMounts": [{"name": "tests", "mountPath": "/gandalf-tests", "subPath": "gandalf-tests"}],
                    }
                ],
                "volumes": [{"name": "tests", "configMap": {"name": "gandalf", "defaultMode": 0o555}}],
            },
        },
    )
    space.kubectl("wait", "pod/gandalf", "--for", "condition=Ready", "--timeout", "110s")
    done = space.skaffold("run", "--profile", "coverage", cwd=folder)
    assert "you shall pass" in done.stdout + done.stderr
    summary = told(folder)
    assert 0 < summary["services"]["invoices"]["covered"] < summary["services"]["invoices"]["statements"]
    merged = (folder / "cover/merged.cov").read_text()
    assert merged.startswith("mode: count\n")
    assert (folder / "cover/invoices.out").read_text() == merged
