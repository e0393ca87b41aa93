"""The Dockerfile that the profile builds from: the user's, with podcov in front of the first build of each stage."""

from __future__ import annotations

import base64
import io
import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
from podcov.generate.dockerfile_text import read
from podcov.generate.go_dockerfile import derive

USERS = """\
# syntax=docker/dockerfile:1
FROM golang:1.26 AS build
ENV GOFLAGS=-mod=vendor
WORKDIR /src
COPY . .
RUN go mod download
RUN --mount=type=cache,target=/root/.cache \\
    CGO_ENABLED=0 go build -o /app ./cmd/server
RUN go build -o /other ./cmd/other

FROM scratch
COPY --from=build /app /app
ENTRYPOINT ["/app"]
"""


@pytest.fixture(scope="session")
def packed(root: Path) -> str:
    return (root / "wrapper" / "go" / "packed").read_text()


def derived(text: str, packed: str) -> tuple[list[str], tuple[str, ...]]:
    """The lines of the derived file with the step itself shortened, and the warnings."""
    made = derive(text, packed)
    assert made
    step = "\n".join(f"{line}\\" for line in packed.split())
    return made.text.replace(step, "...").split("\n"), made.warnings


def test_a_step_stands_before_the_first_build_of_a_stage_and_nothing_else_changes(packed: str) -> None:
    lines, warnings = derived(USERS, packed)
    theirs = USERS.split("\n")
    at = theirs.index("RUN --mount=type=cache,target=/root/.cache \\")
    assert lines[:at] == theirs[:at]
    assert lines[at : at + 5] == [
        "# podcov: the toolchain records, and what it builds is covered",
        "RUN mkdir /tmp/podcov-go && printf %s \\",
        "...",
        " | base64 -d | tar -xzf - -C /tmp/podcov-go && sh /tmp/podcov-go/install && rm -r /tmp/podcov-go",
        'ENV GOFLAGS="$GOFLAGS -cover"',
    ]
    assert lines[at + 5 :] == theirs[at:]
    assert warnings == ()


@pytest.mark.parametrize(
    "text",
    [
        "FROM golang\nRUN go vet ./...\nRUN cargo build\n",
        "FROM python:3.13\nRUN pip install .\n",
        "FROM golang\nRUN echo mango building\n",
    ],
)
def test_where_no_go_is_built_there_is_nothing_to_derive(text: str, packed: str) -> None:
    assert derive(text, packed) is None


def test_stages_users_exec_forms_and_heredocs(packed: str) -> None:
    text = (
        'FROM golang AS a\nUSER dev\nRUN ["go", "build", "."]\n'
        "FROM golang AS b\nRUN <<EOF\nset -e\ngo install ./...\nEOF\n"
        "FROM a AS c\nRUN GOFLAGS=-v go build .\n"
    )
    lines, warnings = derived(text, packed)
    assert [line for line in lines if line.startswith("USER")] == ["USER dev", "USER root", "USER dev"]
    assert lines.count('ENV GOFLAGS="$GOFLAGS -cover"') == 3
    assert lines.index("RUN <<EOF") == lines.index("FROM golang AS b") + 6
    assert warnings == ("line 10: it sets GOFLAGS itself: add -cover there",)


def test_the_same_input_gives_the_same_bytes(packed: str) -> None:
    assert derive(USERS, packed) == derive(USERS, packed)


def test_what_is_packed_is_what_is_in_the_folder(root: Path, packed: str) -> None:
    folder = root / "wrapper" / "go"
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(packed))) as archive:
        content = {member.name: archive.extractfile(member).read() for member in archive if member.isfile()}  # type: ignore[union-attr]
    there = [folder / "install", *(path for path in (folder / "dropin").rglob("*") if path.is_file())]
    assert content == {str(path.relative_to(folder)): path.read_bytes() for path in there}, "run wrapper/go/pack"


def test_the_step_runs_in_a_shell_and_builds_a_program_that_records(
    packed: str, plain_go: Any, programs: Path, root: Path, container: Any, tmp_path: Path
) -> None:
    """As Docker would: each RUN of the stage by `sh -c`, with the stage's ENV."""
    goroot = tmp_path / "go"
    shutil.copytree(plain_go.goroot / "src", goroot / "src")
    for name in ("pkg", "lib", "VERSION", "go.env"):
        (goroot / name).symlink_to(plain_go.goroot / name)
    shutil.copytree(plain_go.goroot / "bin", goroot / "bin")
    made = derive(f"FROM golang\nENV GOFLAGS=-trimpath\nRUN go build -o {tmp_path}/app .\n", packed)
    assert made
    keep = {name: value for name, value in os.environ.items() if name in ("HOME", "GOCACHE", "GOPROXY")}
    env = {**keep, "PATH": f"{goroot}/bin:/usr/bin:/bin", "GOTOOLCHAIN": "local"}
    for step in read(made.text).instructions:
        if step.word == "ENV":
            name, _, value = step.rest.partition("=")
            env[name] = value.strip('"').replace("$GOFLAGS", env.get("GOFLAGS", ""))
        if step.word == "RUN":
            command = step.rest.replace("/tmp/podcov-go", str(tmp_path / "unpacked"))
            subprocess.run(["sh", "-c", command], cwd=programs / "ends", env=env, check=True, capture_output=True)
    assert env["GOFLAGS"] == "-trimpath -cover"
    assert not (tmp_path / "unpacked").exists()
    pod = container(tmp_path / "app")
    pod.run("exit")
    assert any(pod.blocks().values())
