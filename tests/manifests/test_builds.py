"""How each kind of builder is made to build Go services with coverage, as the real Skaffold and the real Tilt read it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from podcov.edges import project
from podcov.errors import DriftError

Write = Callable[[Mapping[str, str]], Path]

HEAD = "apiVersion: skaffold/v4beta11\nkind: Config\n"
DOCKERFILE = 'FROM golang:1.26 AS build\nCOPY . .\nRUN make\nFROM scratch\nCOPY --from=build /app /app\nENTRYPOINT ["/app"]\n'
NAMES = (
    "plain",
    "deep",
    "kaniko",
    "ko",
    "packs",
    "packs-recorded",
    "packs-named",
    "script",
    "jib",
    "signal",
    "exit",
    "test-binary",
)
SKAFFOLD = f"""\
{HEAD}build:
  artifacts:
    - image: plain
    - image: deep
      context: services/deep
      docker: {{dockerfile: build/Dockerfile, target: build, buildArgs: {{A: "1"}}}}
    - image: kaniko
      context: services/kaniko
      kaniko: {{buildArgs: {{A: "1"}}}}
    - image: ko
      context: services
      ko: {{dir: ko, main: ./cmd/ko, env: [GOPRIVATE=example.com], flags: [-trimpath]}}
    - image: packs
      context: services/packs
      buildpacks: {{builder: "some/builder", env: [GOFLAGS=-mod=vendor]}}
    - image: packs-recorded
      context: services/packs-recorded
      buildpacks: {{builder: "some/builder", env: [GOFLAGS=-mod=vendor]}}
    - image: packs-named
      context: services/packs-named
      buildpacks: {{builder: "some/builder", buildpacks: [some/go]}}
    - image: script
      context: services/script
      custom: {{buildCommand: 'A=1 ./build.sh "$IMAGE"', dependencies: {{dockerfile: {{path: Dockerfile}}}}}}
    - image: jib
      context: services/jib
      jib: {{}}
    - image: signal
      context: services/signal
    - image: exit
      context: services/exit
      docker: {{}}
    - image: test-binary
      context: services/test-binary
manifests:
  rawYaml: [k8s/*.yaml]
"""
DUMPS = {"signal": "signal", "exit": "exit", "packs": "exit", "test-binary": "killswitch"}


def deployment(name: str) -> str:
    return f"""\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec: {{containers: [{{name: {name}, image: {name}}}]}}
"""


def config(*names: str) -> str:
    services = {
        name: {"language": "go", "workload": f"deployment/{name}", "source": ["."], "binary": "/app", "command": ["/app"]}
        | ({"dump": {"by": DUMPS[name]}} if name in DUMPS else {})
        for name in names
    }
    return yaml.safe_dump({"version": 1, "services": services, "generate": {"by": "inject", "skaffold": "skaffold.yaml"}})


@pytest.fixture
def folder(tools: None, write: Write) -> Path:
    """A project with a service for each kind of builder."""
    files = {"skaffold.yaml": SKAFFOLD, "podcov.yaml": config(*NAMES), "Dockerfile": DOCKERFILE}
    files |= {f"k8s/{name}.yaml": deployment(name) for name in NAMES}
    files |= {f"services/{name}/Dockerfile": DOCKERFILE for name in ("kaniko", "script", "signal", "exit", "test-binary")}
    files |= {"services/deep/build/Dockerfile": DOCKERFILE, "services/deep/build/Dockerfile.dockerignore": "*.md\n"}
    return write(files)


def artifacts(folder: Path, *arguments: str) -> dict[str, dict[str, Any]]:
    command = ["skaffold", "diagnose", "--yaml-only", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    (document,) = yaml.safe_load_all(done.stdout)
    return {artifact["image"]: artifact for artifact in document["build"]["artifacts"]}


def test_each_builder_is_told_and_all_else_of_an_artifact_stays(folder: Path) -> None:
    before = artifacts(folder)
    project.init(folder)
    assert artifacts(folder) == before
    after = artifacts(folder, "--profile", "coverage")

    assert after["plain"] == {**before["plain"], "docker": {"dockerfile": "podcov/go/Dockerfile"}}
    docker = {**before["deep"]["docker"], "dockerfile": "build/Dockerfile.podcov"}
    assert after["deep"] == {**before["deep"], "docker": docker}
    kaniko = {**before["kaniko"]["kaniko"], "dockerfile": "Dockerfile.podcov"}
    assert after["kaniko"]["kaniko"] == kaniko
    assert after["ko"]["ko"]["flags"] == ["-trimpath", "-cover"]
    assert after["ko"]["ko"]["env"] == [
        "GOPRIVATE=example.com",
        *(
            f'{name}={{{{cmd "podcov" "go" "--env" "{name}" "--directory" "services/ko"}}}}'
            for name in ("GOROOT", "GOTOOLCHAIN", "PATH")
        ),
    ]
    assert {k: v for k, v in after["ko"]["ko"].items() if k not in ("env", "flags")} == {"dir": "ko", "main": "./cmd/ko"}
    assert after["packs"]["buildpacks"]["env"] == ["GOFLAGS=-mod=vendor", "GOFLAGS=-mod=vendor -cover"]
    assert after["packs"]["buildpacks"]["clearCache"] is True
    packs = {**before["packs-recorded"]["buildpacks"], "projectDescriptor": "project.toml.podcov", "clearCache": True}
    assert after["packs-recorded"]["buildpacks"] == packs
    assert after["packs-named"]["buildpacks"]["env"] == ["GOFLAGS=-cover"]
    custom = after["script"]["custom"]
    assert custom["buildCommand"].startswith("PODCOV_DOCKERFILE=Dockerfile.podcov PODCOV_DROPIN=")
    assert custom["buildCommand"].endswith(""" podcov go -- sh -c 'A=1 ./build.sh "$IMAGE"'""")
    assert custom["dependencies"] == before["script"]["custom"]["dependencies"]
    assert after["signal"]["docker"] == {"dockerfile": "Dockerfile.podcov"}
    assert after["exit"]["docker"] == {"dockerfile": "Dockerfile.podcov"}
    assert {name: after[name] for name in ("jib", "test-binary")} == {name: before[name] for name in ("jib", "test-binary")}


def test_a_project_descriptor_of_the_user_s_own_goes_on(folder: Path) -> None:
    own = '[_]\nschema-version = "0.2"\n[io.buildpacks]\nexclude = ["*.md"]\n'
    (folder / "services/packs-recorded").mkdir()
    (folder / "services/packs-recorded/project.toml").write_text(own)
    (finding,) = (finding for finding in project.init(folder).findings if finding.found == "image packs-named")
    assert (finding.level, finding.decided) == ("warning", "built with -cover alone")
    text = (folder / "services/packs-recorded/project.toml.podcov").read_text()
    assert text.startswith(own)
    assert 'id = "podcov/go"' in text


def test_a_toolchain_that_the_user_names_is_said_to_keep_podcov_out(folder: Path) -> None:
    recorded = (
        '- image: packs-recorded\n      context: services/packs-recorded\n      buildpacks: {builder: "some/builder", env: ['
    )
    assert recorded in SKAFFOLD
    (folder / "skaffold.yaml").write_text(SKAFFOLD.replace(recorded, f"{recorded}GOTOOLCHAIN=local, "))
    (finding,) = (finding for finding in project.init(folder).findings if finding.found == "image packs-recorded")
    assert (finding.level, finding.decided) == ("warning", "built with -cover alone")
    assert "take it out to have podcov record. Or write `dump: {by: exit}`" in finding.why
    packs = artifacts(folder, "--profile", "coverage")["packs-recorded"]["buildpacks"]
    assert (packs["env"][-1], packs["projectDescriptor"]) == ("GOFLAGS=-mod=vendor -cover", "project.toml")


def test_what_measures_itself_gets_its_flags_and_no_toolchain_of_podcov_s(folder: Path) -> None:
    project.init(folder)
    flags = {name: (folder / f"services/{name}/Dockerfile.podcov").read_text() for name in ("signal", "exit")}
    assert "/cover -cover -covermode=atomic; }" in flags["signal"]
    assert "/cover -cover; }" in flags["exit"]
    assert not any("/install" in text for text in flags.values())
    assert "/install" in (folder / "podcov/go/Dockerfile").read_text()
    assert (folder / "services/deep/build/Dockerfile.podcov.dockerignore").read_text() == "*.md\n"


def test_what_cannot_be_built_so_is_said_with_what_to_do(folder: Path) -> None:
    found = {(f.subject, f.found): f for f in project.init(folder).findings}
    assert found["skaffold.yaml", "image jib"].level == "warning"
    assert "PODCOV_DOCKERFILE" in found["skaffold.yaml", "image script"].why

    (folder / "k8s/plain.yaml").write_text(deployment("plain").replace("image: plain", "image: registry.example/theirs:1"))
    (folder / "services/kaniko/Dockerfile").write_text("FROM alpine\nCOPY app /app\n")
    found = {(f.subject, f.found): f for f in project.plan(folder).findings}
    assert "docs/go.md" in found["deployment/plain plain", "image registry.example/theirs:1"].why
    assert found["services/kaniko/Dockerfile", "image kaniko"].decided == "built as it is"


def test_a_dockerfile_that_changes_is_drift_and_one_that_is_gone_takes_the_derived_with_it(folder: Path) -> None:
    project.init(folder)
    (folder / "services/signal/Dockerfile").write_text(DOCKERFILE.replace("RUN make", "RUN make signal"))
    with pytest.raises(DriftError, match=r"services/signal/Dockerfile\.podcov: is out of date"):
        project.init(folder, check=True)
    project.init(folder)
    assert "RUN make signal" in (folder / "services/signal/Dockerfile.podcov").read_text()

    (folder / "podcov.yaml").write_text(config(*(name for name in NAMES if name != "signal")))
    project.init(folder)
    assert not (folder / "services/signal/Dockerfile.podcov").exists()


def test_two_services_of_one_dockerfile_have_what_both_need(folder: Path) -> None:
    text = (folder / "skaffold.yaml").read_text().replace("context: services/signal", "context: .")
    (folder / "skaffold.yaml").write_text(text)
    project.init(folder)
    derived = (folder / "podcov/go/Dockerfile").read_text()
    assert "/install" in derived
    assert "/cover -cover -covermode=atomic; }" in derived
    after = artifacts(folder, "--profile", "coverage")
    assert after["plain"]["docker"] == after["signal"]["docker"] == {"dockerfile": "podcov/go/Dockerfile"}


def test_modules_that_only_build_have_the_profile_too(tools: None, write: Write) -> None:
    folder = write(
        {
            "skaffold.yaml": f"{HEAD}metadata: {{name: all}}\nrequires: [{{path: services}}]\n"
            "manifests: {rawYaml: [k8s/*.yaml]}\ndeploy: {kubectl: {}}\n",
            "services/skaffold.yaml": f"{HEAD}metadata: {{name: images}}\nbuild: {{artifacts: [{{image: one, context: one}}]}}\n"
            "deploy: {kubectl: {}}\n",
            "services/one/Dockerfile": DOCKERFILE,
            "k8s/one.yaml": deployment("one"),
            "podcov.yaml": config("one"),
        }
    )
    project.init(folder)
    command = ["skaffold", "diagnose", "--yaml-only", "--profile", "coverage"]
    told = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout
    images, everything = yaml.safe_load_all(told)
    assert images["build"]["artifacts"][0]["docker"] == {"dockerfile": "Dockerfile.podcov"}
    assert "hooks" in everything["deploy"]["kubectl"]


TILTFILE = """\
docker_build('by-name', 'one', dockerfile='one/Dockerfile')
docker_build('by-place', 'two', {'A': '1'}, 'two/Dockerfile')
docker_build('theirs', 'three')
custom_build('by-text', 'make image', ['four'])
custom_build('by-list', ['make', 'image'], deps=['five'])
k8s_yaml(['one.yaml', 'two.yaml', 'three.yaml', 'four.yaml', 'five.yaml'])
"""
TILTED = {"one": "by-name", "two": "by-place", "three": "theirs", "four": "by-text", "five": "by-list"}


@pytest.fixture
def tilted(tools: None, write: Write, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    files = {"Tiltfile": TILTFILE}
    files |= {f"{name}.yaml": deployment(name).replace(f"image: {name}", f"image: {TILTED[name]}") for name in TILTED}
    files |= {f"{name}/Dockerfile": DOCKERFILE for name in TILTED}
    measured = yaml.safe_load(config(*(name for name in TILTED if name != "three")))
    measured["generate"] = {"by": "inject", "tiltfile": "Tiltfile"}
    return write(files | {"podcov.yaml": yaml.safe_dump(measured)})


def built(folder: Path) -> dict[str, dict[str, Any]]:
    """How Tilt builds each image."""
    done = subprocess.run(["tilt", "alpha", "tiltfile-result"], cwd=folder, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    targets = [t for manifest in json.loads(done.stdout)["Manifests"] for t in manifest.get("ImageTargets") or ()]
    return {target["selector"]: target["BuildDetails"] for target in targets}


def test_tilt_builds_from_what_is_derived_and_runs_commands_by_podcov_go_while_it_is_on(
    tilted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = built(tilted)
    project.init(tilted)
    assert built(tilted) == before
    monkeypatch.setenv("PODCOV", "1")
    after = built(tilted)
    for name, path in (("by-name", "one/Dockerfile"), ("by-place", "two/Dockerfile")):
        derived = (tilted / f"{path}.podcov").read_text()
        assert after[name]["dockerfileContents"] == derived
        changed = {"dockerfileContents": before[name]["dockerfileContents"]}
        assert {**after[name], **changed} == before[name]
    assert after["theirs"] == before["theirs"]
    assert after["by-text"]["args"] == ["podcov", "go", "--", "sh", "-c", "make image"]
    assert after["by-list"]["args"] == ["podcov", "go", "--", "make", "image"]


def test_an_extension_that_calls_tilt_s_own_function_is_named(tilted: Path) -> None:
    text = (tilted / "Tiltfile").read_text()
    own = "load('ext://restart_process', 'docker_build_with_restart')\n"
    build = "docker_build_with_restart('by-name', 'one', '/app', dockerfile='one/Dockerfile')"
    (tilted / "Tiltfile").write_text(own + text.replace("docker_build('by-name', 'one', dockerfile='one/Dockerfile')", build))
    found = {f.found: f.why for f in project.plan(tilted).findings}
    assert "one/Dockerfile.podcov" in found["docker_build_with_restart(...)"]


def test_where_a_makefile_builds_the_image_it_finds_a_derived_dockerfile(tools: None, write: Write) -> None:
    measured = yaml.safe_load(config("manager")) | {"generate": {"kustomize": "config"}}
    folder = write(
        {
            "Dockerfile": DOCKERFILE,
            "Makefile": "docker-build:\n\tdocker build -t ${IMG} .\n",
            "config/kustomization.yaml": "resources: [manager.yaml]\n",
            "config/manager.yaml": deployment("manager"),
            "podcov.yaml": yaml.safe_dump(measured),
        }
    )
    found = {f.found: f for f in project.init(folder).findings}
    assert "`docker build -f podcov/go/Dockerfile .`" in found["image manager"].why
    assert "/install" in (folder / "podcov/go/Dockerfile").read_text()
    project.init(folder, check=True)


@pytest.mark.parametrize(
    ("dockerfile", "decided", "why"),
    [
        (
            DOCKERFILE,
            "recorded by a toolchain with podcov in it, no sidecar; see orders/Dockerfile.podcov",
            ("is a guess", "take `sidecar` out", "`docker build -f orders/Dockerfile.podcov orders` has coverage in it"),
        ),
        (
            'FROM python:3.13\nCOPY app.py .\nCMD ["python", "app.py"]\n',
            "entered by environment, no sidecar",
            ("is a guess", "write the image's ENTRYPOINT and CMD", "`sidecar`; until then a PYTHONPATH of its own is hidden"),
        ),
    ],
)
def test_of_a_dockerfile_that_is_but_guessed_everything_stands_in_one_row(
    dockerfile: str, decided: str, why: tuple[str, ...], tools: None, write: Write
) -> None:
    folder = write({"k8s/orders.yaml": deployment("orders"), "orders/Dockerfile": dockerfile})
    _, *rows = project.plan(folder).findings
    assert [(row.subject, row.decided, row.level) for row in rows] == [("deployment/orders orders", decided, "warning")]
    assert [part for part in why if part not in rows[0].why] == []
    assert rows[0].why.count("`command`") <= 1
    assert "not known" not in rows[0].found


def test_of_a_dockerfile_that_is_but_guessed_the_next_init_says_what_the_first_said(write: Write) -> None:
    dockerfile = 'FROM python:3.13\nCOPY app.py .\nCMD ["python", "app.py"]\n'
    folder = write({"k8s/orders.yaml": deployment("orders"), "orders/Dockerfile": dockerfile})
    _, first = project.init(folder).findings
    (again,) = project.init(folder).findings
    assert (again.subject, again.found, again.why) == (first.subject, "its Dockerfile is a guess", first.why)


BY_ARGUMENT = (
    'ARG BASE\nFROM $BASE AS build\nCOPY . .\nRUN go build -o /app .\nFROM scratch\nCOPY --from=build /app /app\nCMD ["/app"]\n'
)


def written_by_hand(*more: str) -> dict[str, str]:
    """A project whose podcov.yaml says what is rendered and nothing of who builds it."""
    settings = yaml.safe_load(config("plain")) | {"generate": {"by": "inject", "manifests": ["k8s"]}}
    files = {"podcov.yaml": yaml.safe_dump(settings), "k8s/plain.yaml": deployment("plain"), "plain/Dockerfile": BY_ARGUMENT}
    return files | dict.fromkeys(
        more, f"{HEAD}build:\n  artifacts: [{{image: plain, context: plain, docker: {{buildArgs: {{BASE: b}}}}}}]\n"
    )


def test_a_dockerfile_whose_base_nobody_names_is_derived_all_the_same(tools: None, write: Write) -> None:
    folder = write(written_by_hand())
    findings = {finding.subject: finding.why for finding in project.init(folder).findings}
    assert "\nRUN mkdir /tmp/podcov-go" in (folder / "plain/Dockerfile.podcov").read_text()
    assert findings["plain/Dockerfile"].startswith(
        "neither Skaffold nor Tilt builds it: `docker build -f plain/Dockerfile.podcov"
    )


def test_a_skaffold_yaml_that_podcov_yaml_does_not_name_says_what_is_built_and_is_left_as_it_is(
    tools: None, write: Write
) -> None:
    folder = write(written_by_hand("skaffold.yaml"))
    findings = {finding.subject: finding for finding in project.init(folder).findings}
    assert (folder / "plain/Dockerfile.podcov").exists()
    assert (folder / "skaffold.yaml").read_text() == written_by_hand("skaffold.yaml")["skaffold.yaml"]
    assert findings["plain/Dockerfile"].why.startswith(
        "skaffold.yaml builds it, which podcov.yaml does not name: `docker build -f"
    )
    assert findings["skaffold.yaml"].why == "write `skaffold: skaffold.yaml` under `generate` to have coverage come by it"
    (folder / "skaffold.yaml").write_text("no: yaml: at all")
    assert "skaffold.yaml" not in {finding.subject for finding in project.init(folder).findings}, "nobody asked for it"
