"""The coverage profile in the user's `skaffold.yaml`: theirs stays byte for byte."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from podcov.errors import ManifestError
from podcov.generate import skaffold

HEAD = "apiVersion: skaffold/v4beta11\nkind: Config\n"
BASE = f"{HEAD}manifests:\n  kustomize:\n    paths: [k8s]   # the base\n"


def with_profile(text: str, path: str = "skaffold.yaml", **how: Any) -> str:
    read = skaffold.read(text, path=path)
    return skaffold.with_profile(read, name="coverage", base="k8s", overlay="podcov/overlay", config="podcov.yaml", **how)


def profiles(text: str) -> dict[str, dict]:
    return {p["name"]: p for d in yaml.safe_load_all(text) for p in d.get("profiles") or ()}


@pytest.mark.parametrize(
    "text",
    [
        BASE,
        BASE.rstrip("\n"),
        f"{BASE}\n\n# the end\n",
        f"{BASE}profiles:\n  - name: dev\n    activation: [{{command: dev}}]\n",
        f"{BASE}profiles:\n- name: dev  # mine\ndeploy:\n  kubectl: {{}}\n",
        f"{BASE}profiles:\n  # the first\n  - {{name: dev}}\n",
        f"{BASE}profiles:\ndeploy: {{}}\n",
        f"---\n{HEAD}metadata: {{name: other}}\n---\n{BASE}---\n{HEAD}metadata: {{name: third}}\n",
    ],
)
def test_the_profile_comes_in_and_all_else_stays(text: str) -> None:
    written = with_profile(text)
    profile = profiles(written)["coverage"]
    assert profile["manifests"]["kustomize"]["paths"] == ["podcov/overlay"]
    assert profile["deploy"]["kubectl"]["hooks"]["after"] == [{"host": {"command": ["podcov", "hook", "skaffold-after-deploy"]}}]
    kept = [line for line in written.splitlines() if line in text.splitlines()]
    assert kept == text.splitlines()
    assert profiles(text).keys() | {"coverage"} == profiles(written).keys()
    assert with_profile(written) == written


def test_in_the_document_that_renders_the_base() -> None:
    written = with_profile(f"{HEAD}metadata: {{name: one}}\n---\n{BASE}---\n{HEAD}metadata: {{name: three}}\n")
    assert [len(d.get("profiles", ())) for d in yaml.safe_load_all(written)] == [0, 1, 0]


def test_a_block_stays_where_the_user_moved_it() -> None:
    written = with_profile(f"{BASE}profiles:\n  - name: dev\n")
    lines = written.splitlines(keepends=True)
    first, last = (next(n for n, line in enumerate(lines) if mark in line) for mark in ("# >>>", "# <<<"))
    moved = "".join(lines[:first] + lines[last + 1 :] + lines[first : last + 1])
    assert with_profile(moved) == moved


def test_what_the_user_says_in_the_same_place_is_patched_and_not_replaced() -> None:
    text = (
        f"{HEAD}manifests:\n  kustomize:\n    paths: [database, k8s]\n    buildArgs: [--enable-helm]\n"
        "deploy:\n  kubectl:\n    hooks:\n      after: [{host: {command: [echo, done]}}]\n"
    )
    assert profiles(with_profile(text))["coverage"] == {
        "name": "coverage",
        "patches": [
            {"op": "replace", "path": "/manifests/kustomize/paths/1", "value": "podcov/overlay"},
            {
                "op": "add",
                "path": "/deploy/kubectl/hooks/after/-",
                "value": {"host": {"command": ["podcov", "hook", "skaffold-after-deploy"]}},
            },
        ],
    }


def test_raw_yaml_of_the_base_is_not_deployed_twice() -> None:
    def removed(raw: str) -> list[str]:
        return [p["path"] for p in profiles(with_profile(raw))["coverage"].get("patches", ())]

    assert removed(f"{HEAD}manifests:\n  rawYaml: [k8s/*.yaml]\n") == ["/manifests/rawYaml"]
    assert removed(f"{BASE}  rawYaml: [database/*.yaml]\n") == []
    assert removed(f"{HEAD}manifests:\n  rawYaml: [k8s/a.yaml, db/*.yaml, k8s/b.yaml]\n") == [
        "/manifests/rawYaml/2",
        "/manifests/rawYaml/0",
    ]


def test_a_file_in_another_folder_names_everything_from_there() -> None:
    text = BASE.replace("[k8s]", "[../k8s]")
    profile = profiles(with_profile(text, "deploy/skaffold.yaml"))["coverage"]
    assert profile["manifests"]["kustomize"]["paths"] == ["../podcov/overlay"]
    assert profile["deploy"]["kubectl"]["hooks"]["after"][0]["host"]["dir"] == ".."


def test_a_profile_of_that_name_is_the_user_s() -> None:
    with pytest.raises(ManifestError, match=r"^skaffold\.yaml:7: there is a profile 'coverage' already") as caught:
        with_profile(f"{BASE}profiles:\n  - name: coverage\n")
    assert "generate: {profile: NAME}" in caught.value.hint


def test_profiles_in_brackets_leave_no_place() -> None:
    with pytest.raises(ManifestError, match=r"^skaffold\.yaml:6: `profiles` is written in brackets"):
        with_profile(f"{BASE}profiles: [{{name: dev}}]\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "apiVersion: skaffold/v2beta29\nkind: Config\n",
            "apiVersion skaffold/v2beta29: podcov needs skaffold/v3alpha1 or newer",
        ),
        ("kind: Config\n", "apiVersion is missing"),
        (f"{BASE}  deploy: x: y\n", r"^skaffold\.yaml:6: this is no YAML"),
    ],
)
def test_what_cannot_be_read(text: str, message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        skaffold.read(text, path="skaffold.yaml")


def test_artifacts() -> None:
    read = skaffold.read(
        f"{HEAD}build:\n  artifacts:\n"
        "    - image: one\n"
        "    - image: two\n      context: two\n"
        "      docker: {dockerfile: docker/Dockerfile, target: prod, buildArgs: {A: 1, B: '{{.B}}'}}\n"
        "    - image: three\n      ko: {}\n",
        path="deploy/skaffold.yaml",
    )
    one, two, three = read.artifacts
    assert (one.context, one.dockerfile) == ("deploy", "deploy/Dockerfile")
    assert (two.context, two.dockerfile, two.target) == ("deploy/two", "deploy/two/docker/Dockerfile", "prod")
    assert two.arguments == {"A": "1", "B": None}
    assert three.dockerfile == ""
