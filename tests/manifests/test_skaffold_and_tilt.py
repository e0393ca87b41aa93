"""What the real Skaffold and the real Tilt make of what `podcov init` writes; neither needs a cluster for it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from podcov.edges import project

Example = Callable[[str], Path]


def skaffold(folder: Path, *arguments: str) -> str:
    """What Skaffold renders, and nothing that it says beside."""
    output = folder.with_name("rendered.yaml")
    command = ["skaffold", "render", "--offline", "--digest-source=none", "--output", str(output), *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    return output.read_text()


def tilt(folder: Path) -> dict:
    """What Tilt makes of the Tiltfile."""
    done = subprocess.run(["tilt", "alpha", "tiltfile-result"], cwd=folder, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    return json.loads(done.stdout)


def resources(result: dict) -> dict[str, dict]:
    return {manifest["Name"]: manifest for manifest in result["Manifests"]}


@pytest.mark.parametrize("name", ["hello", "shop"])
def test_without_the_profile_skaffold_renders_byte_for_byte_what_it_did(name: str, fresh: Example) -> None:
    folder = fresh(name)
    before = skaffold(folder)
    project.init(folder)
    assert skaffold(folder) == before


def test_with_the_profile_skaffold_renders_the_overlay_and_nothing_twice(example: Example) -> None:
    folder = example("shop")
    rendered = list(yaml.safe_load_all(skaffold(folder, "--profile", "coverage")))
    assert rendered == list(yaml.safe_load_all(project.kustomize(folder / "podcov/overlay")))


def test_with_the_profile_raw_yaml_of_the_base_is_not_rendered_twice(fresh: Example) -> None:
    folder = fresh("shop")
    path = folder / "skaffold.yaml"
    path.write_text(
        path.read_text().replace(
            "  kustomize:\n    paths:\n      - k8s\n", "  rawYaml:\n    - k8s/catalog.yaml\n    - k8s/orders.yaml\n"
        )
    )
    project.init(folder)
    rendered = list(yaml.safe_load_all(skaffold(folder, "--profile", "coverage")))
    assert rendered == list(yaml.safe_load_all(project.kustomize(folder / "podcov/overlay")))


def test_the_courier_s_image_is_replaced_with_the_service_s(example: Example, tmp_path: Path) -> None:
    builds = tmp_path / "builds.json"
    tags = {"shop-catalog": "registry/catalog:v1@sha256:" + "1" * 64, "shop-orders": "registry/orders:v1@sha256:" + "2" * 64}
    builds.write_text(json.dumps({"builds": [{"imageName": name, "tag": tag} for name, tag in tags.items()]}))
    rendered = skaffold(example("shop"), "--profile", "coverage", "--build-artifacts", str(builds))
    pods = [d["spec"]["template"]["spec"] for d in yaml.safe_load_all(rendered) if d["kind"] == "Deployment"]
    assert {(p["initContainers"][0]["image"], p["containers"][0]["image"]) for p in pods} == {(tag, tag) for tag in tags.values()}


def test_tilt_makes_the_same_resources_as_before_unless_coverage_is_on(fresh: Example) -> None:
    folder = fresh("shop")
    before = tilt(folder)
    project.init(folder)
    after = tilt(folder)
    assert resources(after).keys() == resources(before).keys()
    for name, resource in resources(before).items():
        assert resources(after)[name]["DeployTarget"]["yaml"] == resource["DeployTarget"]["yaml"]
        assert resources(after)[name]["ResourceDependencies"] == resource["ResourceDependencies"]


def test_tilt_renders_the_overlay_while_coverage_is_on(example: Example, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = example("shop")
    monkeypatch.setenv("PODCOV", "1")
    made = resources(tilt(folder))
    for name in ("catalog", "orders"):
        (deployment,) = (d for d in yaml.safe_load_all(made[name]["DeployTarget"]["yaml"]) if d["kind"] == "Deployment")
        assert deployment["spec"]["template"]["spec"]["initContainers"][0]["name"] == "podcov-courier"


def test_tilt_runs_the_tests_when_asked_and_after_the_services(example: Example, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = example("shop")
    monkeypatch.setenv("PODCOV", "1")
    coverage = resources(tilt(folder))["coverage"]
    update = coverage["DeployTarget"]["UpdateCmdSpec"]
    assert update["args"][:3] == ["podcov", "hook", "tilt-coverage"]
    assert update["dir"] == str(folder)
    assert sorted(coverage["ResourceDependencies"]) == ["catalog", "orders"]
    manual_and_not_at_start = 2
    assert coverage["TriggerMode"] == manual_and_not_at_start
