"""What people ask `podcov init` for: a look first, another way in, fewer replicas, the next command to type."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import yaml
from podcov.commands import main
from podcov.edges import project
from podcov.errors import Exit
from podcov.generate.coverage import instrument
from podcov.generate.kubernetes import manifests

Example = Callable[[str], Path]
Write = Callable[[Mapping[str, str]], Path]
Run = Callable[..., int]


@pytest.fixture
def podcov(monkeypatch: pytest.MonkeyPatch) -> Run:
    """`podcov(folder, "init", ...)`: the command line, in a folder; its exit code."""

    def run(folder: Path, *arguments: str) -> int:
        monkeypatch.chdir(folder)
        return main.run(arguments)

    return run


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: web, image: web, command: [python3, web.py]}]
"""
AUTOSCALER = """\
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec: {maxReplicas: 9, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}}
"""
PLAIN = {"deploy/web.yaml": DEPLOYMENT, "Dockerfile": "FROM python:3.13-slim\nCOPY web.py .\n", "web.py": "print('hello')\n"}


def test_the_diff_of_a_dry_run_is_what_git_applies(fresh: Example, podcov: Run, capsys: pytest.CaptureFixture[str]) -> None:
    folder = fresh("shop")
    before = contents(folder)
    assert podcov(folder, "init", "--dry-run", "--verbose") == Exit.OK
    diff = capsys.readouterr().out
    assert contents(folder) == before
    subprocess.run(["git", "apply", "--unsafe-paths", "-"], cwd=folder, input=diff, text=True, check=True)
    applied = contents(folder)
    assert all(change.path.endswith(".so.z") for change in project.init(folder).changes), "text only: a diff shows no binaries"
    assert {path: text for path, text in contents(folder).items() if not path.endswith(".so.z")} == applied


def test_a_dry_run_shows_the_user_s_files_and_counts_podcov_s_own(
    fresh: Example, podcov: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    podcov(fresh("hello"), "init", "--dry-run")
    said = capsys.readouterr()
    assert [line for line in said.out.splitlines() if line.startswith("+++")] == [
        "+++ b/Tiltfile",
        "+++ b/podcov.yaml",
        "+++ b/skaffold.yaml",
    ]
    assert "files of podcov's own in podcov/, which --verbose shows" in said.err


@pytest.mark.parametrize("by", ["overlay", "inject"])
def test_replicas_are_set_with_coverage_only_and_taken_back(by: str, fresh: Example, podcov: Run) -> None:
    folder = fresh("shop")
    assert podcov(folder, "init", "--by", by, "--replicas", "1") == Exit.OK
    base = project.kustomize(folder / "k8s")
    if by == "overlay":
        rendered = project.kustomize(folder / "podcov/overlay")
    else:
        rendered, _ = project.inject(folder / "podcov.yaml", base, name="base")
    found = {w.reference: w for w in manifests.read(rendered).workloads}
    assert {workload.replicas for workload in found.values()} == {1}
    plain = {w.reference: instrument.remove(w.document) for w in found.values()}
    assert plain == {w.reference: w.document for w in manifests.read(base).workloads}
    assert podcov(folder, "init", "--check") == Exit.OK


def test_without_being_asked_all_replicas_stay(fresh: Example, podcov: Run) -> None:
    folder = fresh("shop")
    podcov(folder, "init")
    rendered = manifests.read(project.kustomize(folder / "podcov/overlay"))
    base = manifests.read(project.kustomize(folder / "k8s"))
    assert [w.replicas for w in rendered.workloads] == [w.replicas for w in base.workloads] == [2, 2, 2]


def test_an_autoscaler_that_would_change_replicas_is_a_warning(
    write: Write, podcov: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write({**PLAIN, "deploy/web.yaml": DEPLOYMENT + AUTOSCALER})
    assert podcov(folder, "init", "--replicas", "1", "--json") == Exit.OK
    findings = json.loads(capsys.readouterr().out)["findings"]
    assert [f["subject"] for f in findings if f["level"] == "warning"] == ["deployment/web"]
    assert yaml.safe_load((folder / "podcov.yaml").read_text())["generate"]["replicas"] == 1


@pytest.mark.parametrize(("option", "value", "key"), [("--by", "inject", "by: inject"), ("--replicas", "2", "replicas: 2")])
def test_what_podcov_yaml_says_is_not_asked_for_again(
    option: str, value: str, key: str, example: Example, podcov: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert podcov(example("hello"), "init", option, value) == Exit.USAGE
    assert f"write `{key}` in it under `generate:`" in " ".join(capsys.readouterr().err.split())


def test_a_project_above_is_named_and_a_first_configuration_below_it_is_written_all_the_same(
    write: Write, podcov: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write({f"services/{name}": text for name, text in PLAIN.items()})
    (folder / "podcov.yaml").write_text("version: 1\n")
    assert podcov(folder / "services", "init") == Exit.OK
    line = next(line for line in capsys.readouterr().err.splitlines() if line.startswith("podcov.yaml"))
    assert f"there is one above: {folder}/podcov.yaml" in line
    assert line.endswith(f"go to {folder}, or name it with -c ../podcov.yaml")
    assert podcov(folder / "services", "init") == Exit.OK
    assert "one above" not in capsys.readouterr().err, "it is a project of its own by now"


def test_a_project_above_is_named_where_there_is_nothing_to_set_up(
    write: Write, podcov: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write({"podcov.yaml": "version: 1\n", "src/app.py": ""})
    assert podcov(folder / "src", "init") == Exit.USAGE
    said = capsys.readouterr().err
    assert "there are no manifests" in said
    assert f"go to {folder}, or name it with -c ../podcov.yaml. Else: name their folder" in said


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path, podcov: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert podcov(tmp_path, "init", "-c", "nowhere/podcov.yaml") == Exit.USAGE
    assert capsys.readouterr().err.startswith("podcov: nowhere/podcov.yaml: there is no folder nowhere\n")


def test_a_table_that_is_piped_ends_no_line_in_blanks(write: Write, podcov: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert podcov(write(PLAIN), "init") == Exit.OK
    said = capsys.readouterr().err.splitlines()
    assert said[0].split() == ["what", "found", "decided", "why"]
    assert [line for line in said if line != line.rstrip()] == []


@pytest.mark.parametrize(
    ("files", "commands"),
    [
        (PLAIN, ["podcov inject deploy | kubectl apply -f -", "podcov run"]),
        ({**PLAIN, "deploy/kustomization.yaml": "resources: [web.yaml]\n"}, ["kubectl apply -k podcov/overlay", "podcov run"]),
        (
            {**PLAIN, "kustomization.yaml": "resources: [deploy/web.yaml]\n"},
            ["kubectl kustomize . | podcov inject | kubectl apply -f -", "podcov run"],
        ),
        (
            {**PLAIN, "Tiltfile": "docker_build('web', '.')\nk8s_yaml('deploy/web.yaml')\n"},
            ["PODCOV=1 tilt ci"],
        ),
    ],
    ids=["plain", "kustomize", "base-at-the-top", "tilt"],
)
def test_what_to_type_next_is_said(
    files: Mapping[str, str], commands: list[str], write: Write, podcov: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert podcov(write(files), "init") == Exit.OK
    said = capsys.readouterr().err.splitlines()
    assert [line.removeprefix("next: ") for line in said if line.startswith("next: ")] == commands


def test_a_profile_of_the_user_s_keeps_its_name(fresh: Example, podcov: Run) -> None:
    folder = fresh("hello")
    path = folder / "skaffold.yaml"
    path.write_text(path.read_text() + "profiles:\n  - name: coverage\n    build: {local: {push: false}}\n")
    assert podcov(folder, "init") == Exit.OK
    names = [profile["name"] for profile in yaml.safe_load(path.read_text())["profiles"]]
    assert sorted(names) == ["coverage", "podcov"]
    assert yaml.safe_load((folder / "podcov.yaml").read_text())["generate"]["profile"] == "podcov"


def test_check_and_dry_run_are_two_things(example: Example, podcov: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert podcov(example("hello"), "init", "--check", "--dry-run") == Exit.USAGE
    assert "give one of them" in capsys.readouterr().err
