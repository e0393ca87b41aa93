"""`podcov eject` gives back what was there before `podcov init`, every byte of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from podcov.edges import eject as edge
from podcov.edges import project
from podcov.errors import DriftError
from podcov.generate.api import Asked

Example = Callable[[str], Path]

SHAPES = (
    "folder-of-files",
    "helm-create",
    "kustomize-environments",
    "kustomize-names-and-labels",
    "skaffold-deploy-helm",
    "skaffold-manifests-helm",
    "skaffold-profiles",
    "skaffold-raw-yaml",
    "skaffold-requires",
    "skaffold-several-documents",
    "tilt-files",
    "tilt-helm",
    "tilt-kustomize",
    "windows-lines",
)


def everything(folder: Path) -> dict[str, bytes | None]:
    """All files with their bytes, and all folders."""
    paths = sorted(folder.rglob("*"))
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in paths}


def podcov(folder: Path, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("podcov")), *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done


@pytest.mark.parametrize("by", [None, "inject"])
@pytest.mark.parametrize("name", ["hello", "shop"])
def test_an_example_is_byte_for_byte_what_it_was(name: str, by: str | None, fresh: Example) -> None:
    folder = fresh(name)
    before = everything(folder)
    project.init(folder, Asked(by=by))
    assert everything(folder) != before
    edge.carry_out(folder, edge.plan(folder))
    assert everything(folder) == before


@pytest.mark.parametrize("shape", SHAPES)
def test_projects_of_all_shapes_are_byte_for_byte_what_they_were(shape: str, root: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(root / "tests/manifests/corpus" / shape / "project", tmp_path / shape)
    before = everything(folder)
    podcov(folder, "init")
    assert everything(folder) != before
    podcov(folder, "init", "--check")
    podcov(folder, "eject")
    assert everything(folder) == before


def test_what_the_user_added_since_stays(fresh: Example) -> None:
    folder = fresh("shop")
    skaffold, tilt = folder / "skaffold.yaml", folder / "Tiltfile"
    before = skaffold.read_text(), tilt.read_text()
    project.init(folder)
    skaffold.write_text(skaffold.read_text() + "  - name: mine # under podcov's\n")
    tilt.write_text(tilt.read_text() + "print('mine')\n")
    (folder / "podcov/notes.md").write_text("mine\n")
    ejection = edge.plan(folder)
    edge.carry_out(folder, ejection)
    assert skaffold.read_text() == f"{before[0]}profiles:\n  - name: mine # under podcov's\n"
    assert tilt.read_text() == f"{before[1]}print('mine')\n"
    assert everything(folder / "podcov") == {"notes.md": b"mine\n"}
    assert ("podcov/notes.md", "podcov did not write it") in [(left.what, left.why) for left in ejection.left]


@pytest.mark.parametrize("file", ["podcov/Tiltfile", "podcov/overlay/kustomization.yaml", "skaffold.yaml", "Tiltfile"])
def test_edits_by_hand_are_not_thrown_away_unless_told(file: str, fresh: Example) -> None:
    folder = fresh("hello")
    before = everything(folder)
    project.init(folder)
    path = folder / file
    path.write_text(path.read_text().replace("podcov/", "./podcov/").replace("# ", "#  "))
    edited = everything(folder)
    if file in ("skaffold.yaml", "Tiltfile"):  # an edit of what is within the markers
        path.write_bytes(edited[file].replace(b"#  >>>", b"# >>>").replace(b"#  <<<", b"# <<<"))
        edited = everything(folder)
    with pytest.raises(DriftError, match=rf"(?m)^{file}: .*edited by hand"):
        edge.carry_out(folder, edge.plan(folder))
    assert everything(folder) == edited
    edge.carry_out(folder, edge.plan(folder), force=True)
    assert everything(folder) == before


@pytest.mark.parametrize("command", ["init", "eject"])
def test_a_dry_run_says_what_the_real_one_would_refuse(command: str, fresh: Example) -> None:
    folder = fresh("hello")
    project.init(folder)
    path = folder / "skaffold.yaml"
    path.write_text(path.read_text().replace("name: coverage", "name: covered"))
    refused = "refused without --force: skaffold.yaml: podcov's marked block was edited by hand\n"
    assert refused in podcov(folder, command, "--dry-run").stderr
    assert "refused" not in podcov(folder, command, "--dry-run", "--force").stderr


def test_a_dry_run_prints_a_diff_that_git_applies_and_changes_nothing(fresh: Example) -> None:
    folder = fresh("shop")
    before = everything(folder)
    podcov(folder, "init")
    initialised = everything(folder)
    assert "--- a/skaffold.yaml\n+++ b/skaffold.yaml" in podcov(folder, "eject", "--dry-run").stdout
    diff = podcov(folder, "eject", "--dry-run", "--verbose", "--quiet").stdout
    assert everything(folder) == initialised
    text = "\n".join(line for line in diff.splitlines() if not line.startswith("Binary files")) + "\n"
    subprocess.run(
        ["git", "apply", "-"], cwd=folder, input=text, text=True, check=True, env={**os.environ, "GIT_DIR": os.devnull}
    )
    for tracer in folder.glob("podcov/overlay/tracers/*.z"):
        tracer.unlink()
    left = {path: content for path, content in everything(folder).items() if content is not None}
    assert left == {path: content for path, content in before.items() if content is not None}


def test_the_configuration_can_stay_for_another_time(fresh: Example) -> None:
    folder = fresh("hello")
    project.init(folder)
    initialised = everything(folder)
    edge.carry_out(folder, edge.plan(folder, keep_config=True))
    assert (folder / "podcov.yaml").exists()
    assert not (folder / "podcov").exists()
    project.init(folder)
    assert everything(folder) == initialised


def test_it_says_what_it_leaves(fresh: Example) -> None:
    folder = fresh("hello")
    podcov(folder, "init")
    (folder / ".podcov/runs").mkdir(parents=True)
    told = json.loads(podcov(folder, "eject", "--json").stdout)
    assert {"path": "skaffold.yaml", "action": "change", "reason": "has podcov's marked block"} in told["changes"]
    assert [left["what"] for left in told["left"]] == [".podcov/", "the cluster"]
    assert "podcov clean" in told["left"][1]["why"]


def test_where_there_is_nothing_of_podcov_s_nothing_happens(fresh: Example) -> None:
    folder = fresh("hello")
    before = everything(folder)
    assert podcov(folder, "eject").stdout == "there is nothing of podcov's here\n"
    assert everything(folder) == before


def test_a_file_that_skaffold_could_not_read_loses_its_block_too(fresh: Example) -> None:
    folder = fresh("hello")
    project.init(folder)
    path = folder / "skaffold.yaml"
    path.write_text(f"{path.read_text()}build: [\n")
    edge.carry_out(folder, edge.plan(folder))
    assert "podcov" not in path.read_text()
    assert path.read_text().endswith("build: [\n")


def test_a_podcov_yaml_that_cannot_be_understood_keeps_nobody_from_leaving(fresh: Example) -> None:
    folder = fresh("hello")
    before = everything(folder)
    podcov(folder, "init")
    (folder / "podcov.yaml").write_text("servises: [\n")
    assert "left: other places: podcov.yaml cannot be understood" in podcov(folder, "eject", "--force").stderr
    assert everything(folder) == before


HAND_WRITTEN = """\
version: 1
services: {hello: {workload: deployment/hello, source: [src], entry: environment, sidecar: false}}
tests: {command: [python3, -m, pytest, tests]}
generate: {kustomize: k8s, skaffold: skaffold.yaml, tiltfile: Tiltfile}
"""


def test_a_podcov_yaml_that_was_there_before_init_stays(fresh: Example) -> None:
    folder = fresh("hello")
    (folder / "podcov.yaml").write_text(HAND_WRITTEN)
    before = everything(folder)
    podcov(folder, "init")
    assert "left: podcov.yaml: somebody wrote or edited it" in podcov(folder, "eject").stderr
    assert everything(folder) == before


def test_a_podcov_yaml_that_was_edited_since_stays_unless_told(fresh: Example) -> None:
    folder = fresh("hello")
    before = everything(folder)
    podcov(folder, "init")
    config = folder / "podcov.yaml"
    config.write_text(config.read_text().replace("version: 1", "version: 1  # mine"))
    podcov(folder, "eject", "--keep-config")
    podcov(folder, "init")
    podcov(folder, "eject")
    assert everything(folder) == before | {"podcov.yaml": config.read_bytes()}
    podcov(folder, "eject", "--force")
    assert everything(folder) == before


@pytest.mark.parametrize("by", ["overlay", "inject"])
def test_other_line_ends_are_no_edit(by: str, fresh: Example) -> None:
    """As Git checks text files out on Windows."""
    folder = fresh("hello")
    before = everything(folder)
    podcov(folder, "init", "--by", by)
    for path, content in everything(folder).items():
        if content is not None and not path.endswith(".z"):
            (folder / path).write_bytes(content.replace(b"\n", b"\r\n"))
    podcov(folder, "init", "--check")
    assert podcov(folder, "init").stdout == "everything is up to date\n"
    podcov(folder, "eject")
    after = {path: content and content.replace(b"\r\n", b"\n") for path, content in everything(folder).items()}
    assert after == before
