"""What comes with podcov is found in a checkout; tests/install proves the same of the wheel."""

from __future__ import annotations

from pathlib import Path

import pytest
from jinja2 import UndefinedError
from podcov import assets


def test_the_wrapper_is_what_runs_in_pods_and_nothing_else(root: Path) -> None:
    files = assets.wrapper_files()
    assert {"sitecustomize.py", "podcov_courier.py"} <= files.keys()
    assert files.keys().isdisjoint({"bootstrap.py", "sidecar.py", "podcov_analysis.py"})
    assert files["sitecustomize.py"] == (root / "wrapper/python/sitecustomize.py").read_bytes()


def test_of_the_hand_its_binaries_go_into_pods(root: Path) -> None:
    files = assets.wrapper_files("hand")
    assert list(files) == ["hand-aarch64", "hand-x86_64"]
    assert files["hand-x86_64"] == (root / "wrapper/hand/hand-x86_64").read_bytes()
    assert max(len(content) for content in files.values()) < 40_000, "both fit a ConfigMap, beside others"


def test_what_stands_inline_in_manifests_is_short() -> None:
    assert len(assets.wrapper_text("bootstrap.py").splitlines()) <= 12
    assert len(assets.wrapper_text("sidecar.py").splitlines()) <= 20


def test_the_roles_are_found() -> None:
    assert (assets.overlay_folder("rbac") / "kustomization.yaml").is_file()


def test_a_template_that_gets_too_little_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        assets.render("init/skaffold-profile.yaml.j2", name="coverage")
