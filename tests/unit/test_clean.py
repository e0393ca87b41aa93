"""`podcov clean`: with `--results` earlier runs go, the latest stays; and what it tells. The rest is in tests/cluster."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from podcov.commands import attachments
from podcov.commands.main import run
from podcov.edges.cluster.attach import Done
from podcov.edges.cluster.scale import Scaled

LOCAL = """
version: 1
platform: local
services:
  hello:
    local: {command: [python3, -m, hello]}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One whose services run here, with three runs."""
    (tmp_path / "podcov.yaml").write_text(LOCAL)
    runs = tmp_path / ".podcov" / "runs"
    for name in ("1", "2", "3"):
        (runs / name / "raw").mkdir(parents=True)
    (runs / "latest").symlink_to("3")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def runs(project: Path) -> set[str]:
    return {path.name for path in (project / ".podcov" / "runs").iterdir()}


def test_a_dry_run_only_says_what_would_go(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["clean", "--results", "--dry-run"]) == 0
    assert capsys.readouterr().out == "would be removed: run 1\nwould be removed: run 2\n"
    assert runs(project) == {"1", "2", "3", "latest"}


def test_the_latest_stays(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["clean", "--results", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["runs"] == ["1", "2"]
    assert runs(project) == {"3", "latest"}


def test_results_stay_where_nobody_says_so(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["clean"]) == 0
    assert capsys.readouterr().out == "nothing is left over\n"
    assert runs(project) == {"1", "2", "3", "latest"}


def test_what_has_its_pods_again_is_said_in_words_and_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    def told(*, as_json: bool, dry_run: bool) -> str:
        back = [Scaled("statefulset", "archive", "shop")]
        attachments.show(Done((), ()), verb="detached", dry_run=dry_run, as_json=as_json, scaled_back=back)
        return capsys.readouterr().out

    assert told(as_json=False, dry_run=False) == "scaled back: statefulset/archive in namespace shop\n"
    assert told(as_json=False, dry_run=True) == "would be scaled back: statefulset/archive in namespace shop\n"
    document = json.loads(told(as_json=True, dry_run=True))
    assert document["dry_run"]
    assert document["scaled_back"] == [{"workload": "statefulset/archive", "namespace": "shop"}]
