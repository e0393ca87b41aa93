"""Reports that are copied to where other tools look for them."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from podcov.config import Config, Service, parse
from podcov.edges.copies import copy
from podcov.errors import ConfigError

SERVICES = (Service("shop"), Service("worker"))


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    folder = tmp_path / "reports"
    (folder / "go").mkdir(parents=True)
    for name in ("go.txt", "go/shop.out", "go/worker.out"):
        (folder / name).write_text(name)
    return folder


def test_reports_are_copied_to_the_places_that_podcov_yaml_says(reports: Path, tmp_path: Path) -> None:
    config = Config(SERVICES, copies={"cover/merged.cov": "go.txt", "cover/{service}.out": "go/{service}.out"})
    (tmp_path / "cover").mkdir()
    (tmp_path / "cover" / "merged.cov").write_text("of an earlier run, and longer")
    assert list(copy(config, reports, tmp_path)) == ["wrote cover/merged.cov", "wrote cover/shop.out", "wrote cover/worker.out"]
    assert {path.name: path.read_text() for path in (tmp_path / "cover").iterdir()} == {
        "merged.cov": "go.txt",
        "shop.out": "go/shop.out",
        "worker.out": "go/worker.out",
    }


def test_a_folder_is_copied_without_what_an_earlier_run_left(reports: Path, tmp_path: Path) -> None:
    data, copied = reports / "go" / "coverdata", tmp_path / "coverdata"
    data.mkdir()
    copied.mkdir()
    (data / "covmeta.1").write_text("meta")
    for name in ("covmeta.0", "README"):
        (copied / name).write_text("of before")
    assert list(copy(Config(SERVICES, copies={"coverdata": "go/coverdata"}), reports, tmp_path)) == ["wrote coverdata/"]
    assert {path.name: path.read_text() for path in copied.iterdir()} == {"covmeta.1": "meta", "README": "of before"}


def test_a_report_that_was_not_made_is_named(reports: Path, tmp_path: Path) -> None:
    config = Config(SERVICES, copies={"coverage.xml": "coverage.xml"})
    assert list(copy(config, reports, tmp_path)) == ["coverage.xml: not written, for this run made no report coverage.xml"]
    assert not (tmp_path / "coverage.xml").exists()


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("../cover.out: go.txt", "../cover.out leads out of its folder"),
        ("cover.out: ../../raw", "../../raw leads out of its folder"),
        ('"{service}.out": go.txt', "`{service}` stands in one of the two names only"),
        ('cover.out: "go/{service}.out"', "`{service}` stands in one of the two names only"),
        ("/cover.out: go.txt", "does not fit here"),
    ],
)
def test_copies_stay_in_the_project(line: str, complaint: str) -> None:
    text = f"""\
        version: 1
        services: {{shop: {{workload: deployment/shop}}}}
        copies:
          {line}
        """
    with pytest.raises(ConfigError) as raised:
        parse(textwrap.dedent(text))
    assert complaint in raised.value.message
