"""A Dockerfile that builds Go programs, derived from the user's: with podcov in the toolchain, and `-cover`. Pure.

The user's own file stays as it is; the derived one is what the coverage profile builds from, with the same context.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from podcov.generate.dockerfile_text import Instruction, read

_BUILDS: Final = re.compile(r"(?:^|[\s;&|(\"'/])go\s+(?:build|install)\b")
_OWN_FLAGS: Final = re.compile(r"(?:^|[\s;&|(])GOFLAGS=")
_FOLDER: Final = "/tmp/podcov-go"  # noqa: S108 in the image of a build


@dataclass(frozen=True, slots=True)
class DerivedDockerfile:
    """`text` is the derived file. `warnings` name lines, from 1, of the user's file that may keep coverage out."""

    text: str
    warnings: tuple[str, ...] = ()


def derive(text: str, packed: str, cover: Sequence[str] = ("-cover",)) -> DerivedDockerfile | None:
    """The user's Dockerfile with podcov in front of the first `go build` or `go install` of each stage; None without one.

    `packed` is `wrapper/go/packed`. `cover` are flags for GOFLAGS, behind those that the stage sets itself.
    """
    source = read(text)
    builds = list(_first_builds(source.instructions))
    if not builds:
        return None
    lines = text.split("\n")
    for build, user in reversed(builds):
        lines[build.line - 1 : build.line - 1] = _steps(packed, cover, user, source.escape)
    warnings = (
        f"line {build.line}: it sets GOFLAGS itself: add {' '.join(cover)} there"
        for build in source.instructions
        if build.word == "RUN" and _BUILDS.search(_command(build)) and _OWN_FLAGS.search(_command(build))
    )
    return DerivedDockerfile("\n".join(lines), tuple(warnings))


def _first_builds(instructions: Sequence[Instruction]) -> Iterator[tuple[Instruction, str]]:
    """The first step of each stage that builds with Go, and the user that it runs as; empty where that is the image's."""
    user, found = "", False
    for step in instructions:
        if step.word == "FROM":
            user, found = "", False
        elif step.word == "USER":
            user = step.rest
        elif step.word == "RUN" and not found and _BUILDS.search(_command(step)):
            found = True
            yield step, user


def _command(step: Instruction) -> str:
    return " ".join((step.rest, *step.heredocs)).replace('", "', " ").replace('","', " ")


def _steps(packed: str, cover: Sequence[str], user: str, escape: str) -> list[str]:
    """The toolchain belongs to root as a rule, so it is root who changes it."""
    content = packed.split()
    step = [
        f"RUN mkdir {_FOLDER} && printf %s {escape}",
        *(f"{line}{escape}" for line in content),
        f" | base64 -d | tar -xzf - -C {_FOLDER} && sh {_FOLDER}/install && rm -r {_FOLDER}",
    ]
    if user:
        step = ["USER root", *step, f"USER {user}"]
    return ["# podcov: the toolchain records, and what it builds is covered", *step, f'ENV GOFLAGS="$GOFLAGS {" ".join(cover)}"']
