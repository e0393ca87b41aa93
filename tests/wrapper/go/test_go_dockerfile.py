"""The Dockerfile that the profile builds from: the user's, with one more step where a stage has a Go toolchain."""

from __future__ import annotations

import base64
import io
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podcov.generate.images.dockerfile_text import read
from podcov.generate.languages.go_dockerfile import covering, derive, recording

KUBEBUILDERS = """\
# Build the manager binary
FROM golang:1.24 AS builder
ARG TARGETOS
ARG TARGETARCH

WORKDIR /workspace
COPY go.mod go.mod
RUN go mod download
COPY cmd/main.go cmd/main.go
RUN CGO_ENABLED=0 GOOS=${TARGETOS:-linux} GOARCH=${TARGETARCH} go build -a -o manager cmd/main.go

FROM gcr.io/distroless/static:nonroot
COPY --from=builder /workspace/manager .
USER 65532:65532
ENTRYPOINT ["/manager"]
"""
BY_FLAGS = """\
FROM registry.access.redhat.com/ubi9/go-toolset:1.24 AS builder
ARG GOFLAGS=""
COPY . .
RUN if [ "${GOFLAGS}" = "-cover" ]; then \\
      CGO_ENABLED=0 GOFLAGS=${GOFLAGS} go build -o /service ./cmd/service; \\
    else \\
      CGO_ENABLED=0 go build -ldflags='-w -s' -o /service ./cmd/service; \\
    fi
FROM scratch
COPY --from=builder /service /service
"""
COMMENT = "# podcov: the toolchain records, and what it builds is covered"
KIT = 5
"""lines of the step, what is packed counted as one"""


@pytest.fixture(scope="session")
def packed(root: Path) -> str:
    return (root / "wrapper" / "go" / "packed").read_text()


def derived(text: str, packed: str, **arguments: str) -> tuple[list[str], tuple[str, ...]]:
    """The lines of the derived file with what is packed shortened, and the warnings."""
    made = derive(text, recording(packed), arguments)
    assert made
    step = "\n".join(f"{line}\\" for line in packed.split())
    return made.text.replace(step, "...").split("\n"), made.warnings


def test_the_step_stands_behind_the_image_that_brings_go_and_nothing_else_changes(packed: str) -> None:
    lines, warnings = derived(KUBEBUILDERS, packed)
    assert lines[2 : 2 + KIT] == [
        COMMENT,
        "# (All else in this file is the project's own Dockerfile, as `podcov init` found it.)",
        "RUN mkdir /tmp/podcov-go && printf %s \\",
        "...",
        " | base64 -d | { tar -xzf - -C /tmp/podcov-go && sh /tmp/podcov-go/install && sh /tmp/podcov-go/cover -cover; }"
        " && rm -r /tmp/podcov-go",
    ]
    assert lines[:2] + lines[2 + KIT :] == KUBEBUILDERS.split("\n")
    assert warnings == ()


def test_what_somebody_does_with_goflags_stays_as_it_is(packed: str) -> None:
    lines, warnings = derived(BY_FLAGS, packed)
    assert lines[1] == COMMENT
    assert lines[3] == "USER root"
    assert lines[7] == "USER 1001"
    assert lines[:1] + lines[8:] == BY_FLAGS.split("\n")
    assert warnings == ()


@pytest.mark.parametrize(
    ("text", "before"),
    [
        ("ARG GO=1.24\nFROM --platform=$BUILDPLATFORM golang:${GO}-alpine AS build\nRUN make\n", "RUN make"),
        ("ARG BASE\nFROM ${BASE}\nRUN make\n", "RUN make"),
        ("FROM \\\n  cimg/go:1.24\nRUN make\n", "RUN make"),
        ("FROM localhost:5000/mirror/golang\n# syntax\nRUN ./build.sh\n", "# syntax"),
        ("FROM alpine\nRUN apk add go\nCOPY . .\nRUN go build .\n", "RUN go build ."),
        ("FROM alpine\nRUN apk add go\nRUN go -C src build .\n", "RUN go -C src build ."),
        ("FROM debian\nCOPY --from=golang /usr/local/go /usr/local/go\nRUN /usr/local/go/bin/go build .\n", "RUN /usr/"),
        ("FROM alpine AS tools\nRUN apk add go\nFROM tools AS build\nRUN go install ./...\n", "RUN go install"),
        ('FROM alpine\nRUN ["go", "build", "."]\n', 'RUN ["go"'),
        ("FROM golang:1.16 AS tools\nRUN go install a.b/c@v1\nFROM golang AS build\nRUN make # it\n", "RUN make # it"),
        ("FROM alpine\nRUN apk add go && go install -v a.b/c@latest\nRUN go build .\n", "RUN go build ."),
        ("FROM alpine\nRUN <<EOF\nset -e\ngo install ./...\nEOF\n", "RUN <<EOF"),
    ],
)
def test_it_stands_where_the_first_build_finds_it(text: str, before: str, packed: str) -> None:
    lines, warnings = derived(text, packed, BASE="golang:1.26")
    assert lines.count(COMMENT) == 1
    assert lines[lines.index(COMMENT) + KIT].startswith(before)
    assert warnings == ()


def test_lines_continue_by_the_sign_that_the_file_chose(packed: str) -> None:
    made = derive("# escape=`\nFROM golang\nRUN cd src && `\n  go build .\n", recording(packed))
    assert made
    (step, theirs) = (step for step in read(made.text).instructions if step.word == "RUN")
    assert step.rest.count("podcov-go/install") == 1
    assert theirs.rest == "cd src &&   go build ."


def test_where_no_go_build_is_seen_it_stands_before_what_may_be_one_and_a_warning_says_so(packed: str) -> None:
    text = (
        "FROM acme/builder AS build\nRUN apt-get update && apt-get install -y git\nRUN go mod download\nCOPY . .\n"
        "RUN VERSION=1 make image\nFROM debian\nRUN useradd app\nCOPY --from=build /app /app\n"
    )
    lines, warnings = derived(text, packed)
    at = lines.index(COMMENT)
    assert lines[at + KIT] == "RUN VERSION=1 make image"
    assert lines[at + 2].startswith("RUN ! command -v go || { mkdir")
    assert warnings == ("line 5: no `go build` is to be seen, so podcov stands in front of this step",)


def test_users_of_a_stage_are_whom_they_were(packed: str) -> None:
    text = "FROM alpine AS a\nUSER dev\nRUN apk info\nFROM a AS b\nRUN go build .\nUSER app\nRUN go build ./x\n"
    lines, _ = derived(text, packed)
    assert [line for line in lines if line.startswith("USER")] == ["USER dev", "USER root", "USER dev", "USER app"]


@pytest.mark.parametrize(
    "text",
    [
        "FROM scratch\nCOPY app /app\n",
        "FROM python:3.13\nRUN apt-get install -y curl\n",
        "FROM alpine\nRUN apk add go\nRUN go mod download && mkdir /src\n",
        "FROM golang\nRUN go install a.b/c@v1\nCMD go run .\n",
    ],
)
def test_where_nothing_is_built_there_is_nothing_to_derive(text: str, packed: str) -> None:
    assert derive(text, recording(packed)) is None


LINES = st.sampled_from(
    [
        "FROM golang AS build",
        "FROM build AS again",
        "FROM --platform=$BUILDPLATFORM acme/base",
        "FROM scratch",
        "# a comment",
        "",
        "USER app",
        "RUN make \\\n  all",
        "RUN go mod download",
        "RUN <<EOF\nFROM golang\ngo build .\nEOF",
        'RUN ["go", "build"]',
        "COPY --from=build /app /app",
        "ENV GOFLAGS=-mod=vendor",
    ]
)


@given(st.lists(LINES, max_size=12), st.sampled_from(["\n", "\r\n"]))
def test_a_derived_file_is_the_user_s_and_a_step_for_each_toolchain(lines: list[str], end: str) -> None:
    text = "\n".join([*lines, ""]).replace("\n", end)
    made = derive(text, recording("UEFDS0VE"))
    if made is None:
        return
    step = re.compile(rf"{re.escape(COMMENT)}\n.*\n(USER root\n)?RUN .*\nUEFDS0VE\\\n .*\n(USER app\n)?")
    assert step.sub("", made.text) == text
    steps = [step for step in read(made.text).instructions if "UEFDS0VE" in step.rest]
    assert (
        0 < len(steps) <= lines.count("FROM golang AS build") + text.count("go build") + text.count('"go"') + text.count("make")
    )
    again = derive(text, recording("UEFDS0VE"))
    assert again == made


def test_for_a_service_that_measures_itself_only_the_flags_come_in(root: Path) -> None:
    script = (root / "wrapper" / "go" / "cover").read_text()
    made = derive(KUBEBUILDERS, covering(script, ("-cover", "-covermode=atomic")))
    assert made
    assert "sh /tmp/podcov-go/cover -cover -covermode=atomic; }" in made.text
    assert "install" not in made.text.replace(script, "")


def test_the_same_input_gives_the_same_bytes(packed: str) -> None:
    assert derive(KUBEBUILDERS, recording(packed)) == derive(KUBEBUILDERS, recording(packed))


def test_what_is_packed_is_what_is_in_the_folder(root: Path, packed: str) -> None:
    folder = root / "wrapper" / "go"
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(packed))) as archive:
        content = {member.name: archive.extractfile(member).read() for member in archive if member.isfile()}  # type: ignore[union-attr]
    there = [folder / "install", folder / "cover", *(path for path in (folder / "dropin").rglob("*") if path.is_file())]
    assert content == {str(path.relative_to(folder)): path.read_bytes() for path in there}, "run wrapper/go/pack"


@pytest.fixture
def stage(plain_go: Any, tmp_path: Path) -> Callable[..., None]:
    """`stage(text, folder, **env)`: carries out a file as Docker would, each RUN by `sh -c`, with a toolchain of its own."""
    goroot = tmp_path / "go"
    shutil.copytree(plain_go.goroot / "src", goroot / "src")
    for name in ("pkg", "lib", "VERSION", "go.env"):
        (goroot / name).symlink_to(plain_go.goroot / name)
    shutil.copytree(plain_go.goroot / "bin", goroot / "bin")
    keep = {name: value for name, value in os.environ.items() if name in ("HOME", "GOCACHE", "GOPROXY")}

    def run(text: str, folder: Path, **env: str) -> None:
        whole = {**keep, "PATH": f"{goroot}/bin:/usr/bin:/bin", "GOTOOLCHAIN": "local", **env}
        for step in read(text).instructions:
            if step.word == "RUN":
                command = step.rest.replace("/tmp/podcov-go", str(tmp_path / "unpacked"))
                subprocess.run(["sh", "-c", command], cwd=folder, env=whole, check=True, capture_output=True)
        assert not (tmp_path / "unpacked").exists()

    return run


@pytest.mark.parametrize("flags", ["", "-trimpath", "-cover"])
def test_the_step_runs_in_a_shell_and_builds_a_program_that_records_whatever_goflags_are(
    flags: str, packed: str, stage: Callable[..., None], programs: Path, container: Any, tmp_path: Path
) -> None:
    made = derive(f'FROM golang\nRUN test "$GOFLAGS" = "{flags}" && GOFLAGS=-v go build -o {tmp_path}/app .\n', recording(packed))
    assert made
    stage(made.text, programs / "ends", GOFLAGS=flags)
    pod = container(tmp_path / "app")
    pod.run("exit")
    assert any(pod.blocks().values())


def test_for_another_architecture_it_is_built_too(
    packed: str, stage: Callable[..., None], programs: Path, tmp_path: Path
) -> None:
    made = derive(f"FROM golang\nRUN CGO_ENABLED=0 GOARCH=${{TARGETARCH}} go build -o {tmp_path}/app .\n", recording(packed))
    assert made
    stage(made.text, programs / "ends", TARGETARCH="arm64")
    header = (tmp_path / "app").read_bytes()[:20]
    assert header[18] == 183, "AArch64, as ELF has it"
    assert b"--podcov-courier" in (tmp_path / "app").read_bytes()


@pytest.mark.parametrize(
    ("theirs", "mode"), [("-covermode=count", "count"), ("-v --covermode=set", "set"), ("-cover", "atomic"), ("-v", "atomic")]
)
def test_a_mode_of_goflags_own_is_kept(
    theirs: str, mode: str, root: Path, stage: Callable[..., None], plain_go: Any, programs: Path, tmp_path: Path
) -> None:
    kit = covering((root / "wrapper" / "go" / "cover").read_text(), ("-cover", "-covermode=atomic"))
    made = derive(f"FROM golang\nRUN GOFLAGS='{theirs}' go build -o {tmp_path}/app .\n", kit)
    assert made
    stage(made.text, programs / "ends")
    subprocess.run([tmp_path / "app", "exit"], env={"GOCOVERDIR": str(tmp_path)}, check=False, capture_output=True)
    plain_go.go("tool", "covdata", "textfmt", f"-i={tmp_path}", f"-o={tmp_path}/profile")
    assert (tmp_path / "profile").read_text().startswith(f"mode: {mode}\n")


def test_what_the_command_line_says_wins_and_other_commands_are_left_alone(
    root: Path, stage: Callable[..., None], plain_go: Any, programs: Path, tmp_path: Path
) -> None:
    kit = covering((root / "wrapper" / "go" / "cover").read_text(), ("-cover", "-covermode=atomic"))
    made = derive(f"FROM golang\nRUN go build -covermode=count -o {tmp_path}/app . && go env GOFLAGS >{tmp_path}/flags\n", kit)
    assert made
    stage(made.text, programs / "ends")
    subprocess.run([tmp_path / "app", "exit"], env={"GOCOVERDIR": str(tmp_path)}, check=False, capture_output=True)
    plain_go.go("tool", "covdata", "textfmt", f"-i={tmp_path}", f"-o={tmp_path}/profile")
    assert (tmp_path / "profile").read_text().startswith("mode: count\n")
    assert "-cover" not in (tmp_path / "flags").read_text()
