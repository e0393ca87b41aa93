"""The coverage profile in the user's `skaffold.yaml`: theirs stays byte for byte."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_project import MemoryProject
from podcov.errors import ManifestError
from podcov.generate import blocks
from podcov.generate.skaffold import document as skaffold
from podcov.generate.skaffold.sources import HelmRelease

HEAD = "apiVersion: skaffold/v4beta11\nkind: Config\n"
BASE = f"{HEAD}manifests:\n  kustomize:\n    paths: [k8s]   # the base\n"


def with_profile(text: str, path: str = "skaffold.yaml", **how: Any) -> str:
    read = skaffold.read(text, path=path)
    how = {"name": "coverage", "base": "k8s", "overlay": "podcov/overlay", "config": "podcov.yaml", **how}
    return skaffold.with_profiles([read], **how)[path]


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


def every(texts: Mapping[str, str], path: str = "skaffold.yaml") -> tuple[skaffold.Skaffold, ...]:
    return skaffold.read_all(MemoryProject(texts), path)


def test_artifacts_of_all_builders() -> None:
    read = skaffold.read(
        f"{HEAD}build:\n  artifacts:\n"
        "    - {image: a, context: a, kaniko: {dockerfile: K.Dockerfile, target: prod, buildArgs: {A: '1'}}}\n"
        "    - {image: b, context: b, custom: {buildCommand: ./b.sh, dependencies: {dockerfile: {path: B.Dockerfile}}}}\n"
        "    - {image: c, context: c, custom: {buildCommand: ./c.sh}}\n"
        "    - {image: d, buildpacks: {builder: x}}\n    - {image: e, jib: {}}\n    - {image: f, bazel: {target: //f}}\n",
        path="skaffold.yaml",
    )
    assert [a.dockerfile for a in read.artifacts] == ["a/K.Dockerfile", "b/B.Dockerfile", "", "", "", ""]
    assert (read.artifacts[0].target, read.artifacts[0].arguments) == ("prod", {"A": "1"})


def test_sources_of_all_kinds() -> None:
    read = skaffold.read(
        f"{HEAD}metadata: {{name: all}}\nmanifests:\n"
        "  kustomize: {paths: [k8s, '{{.ENV}}/k8s']}\n  rawYaml: [raw/*.yaml, 'https://example.com/x.yaml']\n  kpt: [k]\n"
        "  helm: {releases: [{name: web, chartPath: charts/web, valuesFiles: [v.yaml], namespace: n,"
        " setValues: {image: {tag: 1}, on: true}}, {name: db, remoteChart: bitnami/db, repo: https://example.com,"
        " version: 1.2.3}]}\n",
        path="deploy/skaffold.yaml",
    )
    (found,) = read.sources
    assert (found.index, found.module) == (0, "all")
    assert found.kustomize == ("deploy/k8s", "deploy/{{.ENV}}/k8s")
    assert found.raw == ("deploy/raw/*.yaml", "https://example.com/x.yaml")
    assert found.kpt == ("deploy/k",)
    assert found.helm == (
        HelmRelease(
            "web", "deploy/charts/web", values=("deploy/v.yaml",), namespace="n", settings=(("image.tag", "1"), ("on", "true"))
        ),
        HelmRelease("db", "bitnami/db", local=False, repo="https://example.com", version="1.2.3"),
    )
    assert [(f.found, f.decided) for f in read.findings] == [("the path deploy/{{.ENV}}/k8s", "left unread")]


def test_what_skaffold_renders_where_nothing_is_said() -> None:
    assert [s.raw for s in skaffold.read(HEAD, path="skaffold.yaml").sources] == [("k8s/*.yaml",)]
    assert not any(skaffold.read(f"{HEAD}deploy: {{helm: {{}}}}\n", path="skaffold.yaml").sources)
    assert not any(skaffold.read(f"{HEAD}---\n{HEAD}", path="skaffold.yaml").sources)


def test_releases_that_helm_installs_and_those_that_it_takes_over_from_manifests() -> None:
    def releases(text: str) -> list[tuple[str, bool]]:
        return [(r.name, r.installed) for s in skaffold.read(HEAD + text, path="skaffold.yaml").sources for r in s.helm]

    installed = "deploy: {helm: {releases: [{name: a, chartPath: a}]}}\n"
    assert releases(installed) == [("a", True)]
    assert releases(f"{installed}manifests: {{helm: {{releases: [{{name: b, chartPath: b}}]}}}}\n") == [("b", True)]


def test_what_is_required_is_read_once_and_what_is_elsewhere_is_said() -> None:
    texts = {
        "skaffold.yaml": f"{HEAD}requires:\n  - path: one\n    configs: [a]\n  - path: two.yaml\n"
        "  - git: {repo: https://example.com/x.git, path: y}\n",
        "one/skaffold.yaml": f"{HEAD}metadata: {{name: a}}\nrequires: [{{path: ../two.yaml}}]\n",
        "two.yaml": f"{HEAD}metadata: {{name: b}}\nrequires: [{{path: one}}]\n",
    }
    found = every(texts)
    assert [one.path for one in found] == ["skaffold.yaml", "one/skaffold.yaml", "two.yaml"]
    (finding,) = found[0].findings
    assert finding.found == "it requires https://example.com/x.git y"
    with pytest.raises(ManifestError, match=r"^skaffold\.yaml: it requires one/skaffold\.yaml, and there is no such file"):
        every({"skaffold.yaml": texts["skaffold.yaml"]})


def test_paths_are_those_of_where_skaffold_is_called() -> None:
    text = f"{HEAD}manifests: {{kustomize: {{paths: [k8s]}}}}\n"
    (called_above,) = every({"deploy/skaffold.yaml": text, "k8s/kustomization.yaml": ""}, "deploy/skaffold.yaml")
    (called_there,) = every({"deploy/skaffold.yaml": text, "deploy/k8s/kustomization.yaml": ""}, "deploy/skaffold.yaml")
    assert (called_above.bases, called_there.bases) == (("k8s",), ("deploy/k8s",))
    assert "dir" not in str(profiles(skaffold.with_profiles([called_above], **HOW)["deploy/skaffold.yaml"]))


HOW: Any = {"name": "coverage", "base": "k8s", "overlay": "podcov/overlay", "config": "podcov.yaml", "by": "inject"}
DEPLOYED = "manifests: {rawYaml: [a.yaml]}\ndeploy: {kubectl: {}}\n"


@pytest.mark.parametrize(
    ("documents", "last"),
    [
        ([("a", "", DEPLOYED), ("b", "", DEPLOYED)], "b"),
        ([("a", "b", DEPLOYED), ("b", "", DEPLOYED)], "a"),
        ([("a", "", DEPLOYED), ("b", "", "manifests: {rawYaml: [a.yaml]}\n")], "a"),
        ([("a", "", ""), ("b", "", "")], "b"),
        ([("a", "b", DEPLOYED), ("b", "a", DEPLOYED)], "a"),
    ],
)
def test_the_tests_run_where_skaffold_ends(documents: list[tuple[str, str, str]], last: str) -> None:
    text = "---\n".join(
        f"{HEAD}metadata: {{name: {name}}}\n{f'requires: [{{configs: [{needs}]}}]' if needs else ''}\n{rest}"
        for name, needs, rest in documents
    )
    (one,) = every({"skaffold.yaml": text})
    _, index = skaffold.deployed_last([one])
    assert one.documents[index]["metadata"]["name"] == last
    written = list(yaml.safe_load_all(skaffold.with_profiles([one], **HOW)["skaffold.yaml"]))
    testing = [d["metadata"]["name"] for d in written if "skaffold-after-deploy" in str(d.get("profiles"))]
    assert testing == [last]


def test_the_tests_run_in_a_module_that_is_required_and_not_beside_it() -> None:
    texts = {
        "skaffold.yaml": f"{HEAD}requires: [{{path: two.yaml, configs: [a]}}]\n",
        "two.yaml": f"{HEAD}metadata: {{name: a}}\n{DEPLOYED}---\n{HEAD}metadata: {{name: b}}\n{DEPLOYED}",
    }
    a, b = yaml.safe_load_all(skaffold.with_profiles(every(texts), **HOW)["two.yaml"])
    assert "skaffold-after-deploy" in str(a["profiles"])
    assert "skaffold-after-deploy" not in str(b["profiles"])


def test_what_is_rendered_and_never_deployed_is_said() -> None:
    (one,) = every({"skaffold.yaml": f"{HEAD}metadata: {{name: a}}\n{DEPLOYED}---\n{HEAD}{DEPLOYED.splitlines()[0]}\n"})
    assert [f.found for f in skaffold.undeployed([one])] == ["document 2 renders manifests and deploys none"]
    assert skaffold.undeployed(every({"skaffold.yaml": BASE})) == ()


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        (
            f"{HEAD}{DEPLOYED}".replace("v4beta11", "v4beta8"),
            "apiVersion skaffold/v4beta8: its render hooks cannot",
            "skaffold fix",
        ),
        (f"{HEAD}{DEPLOYED}".replace("v4beta11", "v3"), "apiVersion skaffold/v3: its render hooks cannot", "skaffold fix"),
        ("", "there is no `kind: Config` in it", "Skaffold"),
        (f"{HEAD}deploy: {{docker: {{images: [a]}}}}\n", r"deploy\.docker: Skaffold has no hook", "deploy.kubectl"),
        (
            f"{HEAD}deploy: {{helm: {{flags: {{install: [--post-renderer=x]}}, releases: [{{name: a, chartPath: a}}]}}}}\n",
            r"deploy\.helm\.flags\.install has --post-renderer=x already",
            "podcov inject",
        ),
        ("{apiVersion: skaffold/v4beta11, kind: Config}\n", r"^skaffold\.yaml:1: the document is written in braces", "in lines"),
        (f"{HEAD}{DEPLOYED}profiles: []\n", r"^skaffold\.yaml:5: `profiles` is written in brackets", "dashes"),
        *(
            (f"{HEAD}{DEPLOYED}profiles: {value}\n", r"^skaffold\.yaml:5: `profiles` has a value that is no list", "or nothing")
            for value in ("null", "~", "''", "!!null", "&p", "{}")
        ),
        *(
            (f"{HEAD}{DEPLOYED}profiles:{value}\n  - name: a\n", r"^skaffold\.yaml:5: `profiles` has an anchor or a tag", "out")
            for value in (" &p", " !!seq", " # mine\n  &p")
        ),
        (f"{HEAD}{DEPLOYED}? profiles\n: - name: a\n", r"^skaffold\.yaml:5: `profiles` has a sign before it", "alone"),
        (
            f"{HEAD}{DEPLOYED}metadata:\n  annotations:\n    x: |\n      a",
            r"^skaffold\.yaml:8: the last line has no line end",
            "end it",
        ),
        (
            f"{HEAD}{DEPLOYED}profiles:\r  - name: a\rbuild: {{}}\n",
            r"^skaffold\.yaml: a marked block would change more",
            "skaffold fix",
        ),
        (
            f"{HEAD}{DEPLOYED}---\n{HEAD}{DEPLOYED}profiles:\n  - activation: []\n  - name: coverage\n",
            r"^skaffold\.yaml:12: there is a profile 'coverage' already",
            "generate",
        ),
    ],
)
def test_refusals_say_where_and_what_to_write(text: str, message: str, hint: str) -> None:
    with pytest.raises(ManifestError, match=message) as caught:
        with_profile(text, by="inject")
    assert hint in caught.value.hint


def test_helm_as_deployer_needs_podcov_yaml_beside_it() -> None:
    text = f"{HEAD}deploy: {{helm: {{releases: [{{name: a, chartPath: a}}]}}}}\n"
    with pytest.raises(ManifestError, match=r"^deploy/skaffold\.yaml: deploy\.helm: .* only in the folder of this file"):
        with_profile(text, "deploy/skaffold.yaml", by="inject")


KEYS = st.sampled_from(
    [
        "build:\n  artifacts:\n    - image: a   # the one\n",
        "manifests:\n  kustomize:\n    paths: [k8s]\n",
        "manifests:\n  rawYaml:\n  - k8s/*.yaml\n",
        "# a comment\n",
        "\n",
        "  \n",
        "metadata:\n  name: a\n  annotations:\n    text: |\n      # >>> not podcov's\n\n",
        "deploy:\n  kubectl: {}\n",
        "portForward: []   # tabs\t\n",
    ]
)
THEIRS = st.sampled_from(
    ["", "profiles:\n  - name: dev\n    build: {}\n", "profiles:\n- name: dev # mine\n- name: b\n", "profiles:   # none yet\n"]
)


@st.composite
def documents(draw: st.DrawFn) -> str:
    head = draw(st.sampled_from(["", "# licence\n\n", "--- # first\n"]))
    keys = draw(st.lists(KEYS, max_size=5, unique_by=lambda key: key.partition(":")[0] if ":" in key else object()))
    return head + HEAD + "".join([*keys[:2], draw(THEIRS), *keys[2:]])


NO_END = "the last line has no line end, and with a marked block behind it would mean something else"


@settings(max_examples=60)
@given(st.lists(documents(), min_size=1, max_size=3), st.booleans(), st.booleans(), st.sampled_from(["overlay", "inject"]))
def test_what_was_put_in_comes_out_byte_for_byte(each: list[str], end: bool, windows: bool, by: str) -> None:
    text = "---\n".join(each)
    text = text if end else text.rstrip("\n")
    text = text.replace("\n", "\r\n") if windows else text

    def put_into(before: str, way: str) -> str | None:
        """None where it is refused: a block scalar's value would get a line end with the block behind it."""
        try:
            return with_profile(before, by=way)
        except ManifestError as error:
            refused = error.message
        assert (refused, before[-18:]) == (f"skaffold.yaml:{before.count(chr(10)) + 1}: {NO_END}", "# >>> not podcov's")
        return None

    written = put_into(text, by)
    if written is None:
        return
    assert written != text
    assert blocks.remove(written) == text
    assert with_profile(written, by=by) == written
    plain, with_block = ([d for d in yaml.safe_load_all(t) if d] for t in (text, written))
    for before, after in zip(plain, with_block, strict=True):
        ours = [p for p in after.get("profiles") or () if p["name"] == "coverage"]
        others = [p for p in after.get("profiles") or () if p["name"] != "coverage"]
        assert others == (before.get("profiles") or [])
        assert {**after, "profiles": []} == {**before, "profiles": []}
        assert len(ours) <= 1
    other = put_into(written, "inject" if by == "overlay" else "overlay")
    assert other is None or blocks.remove(other) == text
