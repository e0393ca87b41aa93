"""`tilt ci` where what Tilt sees of the pods is not what it is to judge by: podcov ends them, or others are still to come."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from go_examples import asking, by_tilt, copy_of, left, let_it_scale, module_namespace, tilt_in_the_background

pytestmark = pytest.mark.cluster

QUESTIONS = ("/entries", "/entries?service=nobody", "/nothing")
HANDLED = "\tif err := server.Shutdown(context.Background()); err != nil {\n\t\tlog.Fatal(err)\n\t}\n"
COMPLAINS = "\tlog.Fatal(server.Shutdown(context.Background()))\n"


@pytest.fixture(scope="module")
def space(create_namespace: Any, root: Path, tmp_path_factory: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    with module_namespace(create_namespace, tmp_path_factory.mktemp("tilt") / "tilt", request) as made:
        let_it_scale(made, root)
        yield made


@pytest.fixture
def project(space: Any, root: Path, tmp_path: Path) -> Path:
    """A service that writes its coverage when it ends, and ends with exit code 1 whenever it is told to."""
    folder = copy_of(root / "examples/go-nodes", tmp_path / "storage", asking("storage", QUESTIONS))
    config = folder / "podcov.yaml"
    settings = yaml.safe_load(config.read_text())
    settings["services"]["storage"]["dump"] = {"by": "exit"}
    config.write_text(yaml.safe_dump(settings))
    program = folder / "main.go"
    said = program.read_text()
    assert HANDLED in said
    program.write_text(said.replace(HANDLED, COMPLAINS))
    space.podcov("init", cwd=folder)
    return folder


def test_pods_that_podcov_ends_may_end_with_any_exit_code(space: Any, project: Path) -> None:
    done = by_tilt(space, project, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert left(project, "summary.json")["ledger"]["complete"]
    deployment = space.get("deployment/storage")
    assert (deployment["spec"]["replicas"], deployment["status"]["readyReplicas"]) == (2, 2)


def test_it_begins_when_all_that_was_deployed_is_there(space: Any, project: Path, wait_until: Callable[..., Any]) -> None:
    """Those of the test before serve meanwhile, and a quota keeps the new ones from being made."""
    manifest = project / "k8s/deployment.yaml"
    deployment = yaml.safe_load(manifest.read_text())
    deployment["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "NEW", "value": "yes"}]
    manifest.write_text(yaml.safe_dump(deployment))
    space.podcov("init", cwd=project)
    space.kubectl("create", "quota", "full", "--hard=pods=0")
    waiting = f"waiting for what was deployed: deployment/storage in namespace {space.name}: 0 of 2 pods are new and ready"
    with tilt_in_the_background(space, project) as (running, said):
        wait_until(lambda: waiting in said() or running.poll() is not None, 240, "podcov waits")
        assert waiting in said()
        space.kubectl("delete", "quota", "full")
        # Who was refused waits ever longer before it tries again; a change has it do so at once.
        space.kubectl("annotate", "replicasets", "--all", "quota=gone")
        assert running.wait(240) == 0, said()
    assert left(project, "summary.json")["ledger"]["complete"]
    assert left(project, "summary.json")["ledger"]["targets"]["expected"] == 2
