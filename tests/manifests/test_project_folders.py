"""Projects as they lie on people's disks: folders that nobody may look into, and links that lead in circles."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from podcov.edges import eject, project
from podcov.edges.project import DiskProject
from podcov.errors import ManifestError
from podcov.generate import survey, walk

DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec: {template: {spec: {containers: [{name: web, image: web}]}}}
"""

Example = Callable[[str], Path]
Write = Callable[[Mapping[str, str]], Path]

_AS_NO_SUPERUSER = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
"""root may read everything; a process without these capabilities may not, even if it is root's"""


@pytest.fixture
def lock() -> Iterator[Callable[[Path], None]]:
    """Takes all rights from a path, and gives them back at the end."""
    locked: list[tuple[Path, int]] = []

    def take(path: Path) -> None:
        locked.append((path, path.stat().st_mode))
        path.chmod(0)

    yield take
    for path, mode in locked:
        path.chmod(mode)


def podcov(folder: Path, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    command = [*_AS_NO_SUPERUSER, str(Path(sys.executable).with_name("podcov")), *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def test_a_folder_that_nobody_may_look_into_and_a_file_that_nobody_may_read_stop_nothing(
    fresh: Example, lock: Callable[[Path], None]
) -> None:
    folder = fresh("hello")
    (folder / "pgdata").mkdir()
    (folder / "pgdata/Dockerfile").write_text("FROM scratch\n")
    (folder / "secret.yaml").write_text("containers: []\n")
    for path in (folder / "pgdata", folder / "secret.yaml"):
        lock(path)
    podcov(folder, "init")
    podcov(folder, "init", "--check")
    podcov(folder, "eject")
    assert not (folder / "podcov").exists()


def test_a_file_that_somebody_names_has_to_be_readable(fresh: Example, lock: Callable[[Path], None]) -> None:
    folder = fresh("hello")
    lock(folder / "skaffold.yaml")
    assert "skaffold.yaml: it cannot be read: Permission denied" in podcov(folder, "init", code=2).stderr


def test_a_file_that_may_not_be_changed_is_named(example: Example, lock: Callable[[Path], None]) -> None:
    folder = example("hello")
    lock(folder / "skaffold.yaml")
    (folder / "skaffold.yaml").chmod(0o444)
    assert f"{folder}/skaffold.yaml: Permission denied" in podcov(folder, "eject", code=2).stderr


def test_links_to_folders_are_not_followed(write: Write) -> None:
    folder = write({"k8s/d.yaml": "", "app/main.py": ""})
    (folder / "bazel-project").symlink_to(".", target_is_directory=True)
    (folder / "app/itself").symlink_to("itself")
    (folder / "other").symlink_to("k8s", target_is_directory=True)
    files = DiskProject(folder)
    assert [path for path in walk.walk(files) if walk.text(files, path) is not None] == ["app/main.py", "k8s/d.yaml"]
    assert list(files.names("other")) == ["d.yaml"]  # for whoever names it


def test_a_project_that_has_a_link_to_itself_is_set_up_as_without(fresh: Example) -> None:
    folder = fresh("hello")
    for name in ("skaffold.yaml", "Tiltfile"):
        (folder / name).unlink()
    (folder / "k8s/kustomization.yaml").unlink()
    (folder / "bazel-hello").symlink_to(".", target_is_directory=True)
    assert project.init(folder).config.generate.manifests == ("k8s",)
    eject.carry_out(folder, eject.plan(folder))
    assert (folder / "bazel-hello").is_symlink()


KUSTOMIZATION = "resources: [d.yaml]\n"
CHART = "apiVersion: v2\nname: web\nversion: 1.0.0\n"


@pytest.mark.parametrize("folder", ["examples/demo", "docs/first-steps", "tests/e2e", "sample"])
@pytest.mark.parametrize(
    "beside", [{}, {"kustomization.yaml": KUSTOMIZATION}, {"Chart.yaml": CHART}], ids=["plain", "kustomize", "chart"]
)
def test_what_is_there_to_be_read_or_tried_is_not_deployed(write: Write, folder: str, beside: Mapping[str, str]) -> None:
    files = {"deploy/d.yaml": DEPLOYMENT, f"{folder}/d.yaml": DEPLOYMENT}
    found = survey.look(DiskProject(write({**files, **{f"{folder}/{name}": text for name, text in beside.items()}}))).generate
    assert (found.manifests, found.kustomize, found.helm) == (("deploy",), "", ())


def test_what_is_there_to_be_tried_can_be_named(write: Write) -> None:
    files = DiskProject(write({"examples/demo/d.yaml": DEPLOYMENT}))
    assert survey.look(files, ["examples/demo"]).generate.manifests == ("examples/demo",)
    with pytest.raises(ManifestError, match="there are no manifests") as caught:
        survey.look(files)
    assert "`podcov init FOLDER`" in caught.value.hint
