"""A Dockerfile that builds Go programs, derived from the user's: with podcov in the toolchain, and `-cover`. Pure.

The user's own file stays as it is; the derived one is what the coverage profile builds from, with the same context. All that is
added is one step in each stage that brings a Go toolchain, as early as there is one, so that Docker's cache keeps it.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from podcov.generate.images import dockerfile
from podcov.generate.images.dockerfile_text import Instruction, exec_form, expand, read
from podcov.generate.images.dockerfile_text import words as words_of
from podcov.generate.images.rebuild import DerivedDockerfile

_BUILDS: Final = re.compile(r"(?:^|[\s;&|(\"'/])go\s+(?:-C[\s=]\S+\s+)?(?:build|install)\b")
_TOOLS: Final = re.compile(r"\bgo\s+install\s+(?:-\S+\s+)*\S+@\S+")
"""programs of others, which a build uses"""
_GO_IMAGE: Final = re.compile(r"(?:.+[-_])?golang(?:[-_].+)?|go-toolset|go")
"""last parts of the names of images that have a Go toolchain"""
_USERS: Final[Mapping[str, str]] = {"go-toolset": "1001"}
"""whom such images run as, where that is not root"""
_PREPARES: Final = re.compile(
    r"(?:(?:apt(?:-get)?|apk|yum|dnf|microdnf|zypper|pacman|rm|mkdir|chmod|chown|ln|cd|set|useradd|groupadd|adduser|addgroup|"
    r"update-ca-certificates|go\s+(?:mod|work|env|version)|true|export|echo)\b.*)?"
)
"""commands that prepare a build, or an image, and build nothing"""
_ASSIGNMENTS: Final = re.compile(r"^(?:\w+=\S*\s+)+")
_SEPARATORS: Final = re.compile(r"&&|\|\||[;\n|]")
_FOLDER: Final = "/tmp/podcov-go"  # noqa: S108 in the image of a build
_WIDTH: Final = 120
_SAID: Final = "# (All else in this file is the project's own Dockerfile, as `podcov init` found it.)"


@dataclass(frozen=True, slots=True)
class Kit:
    """What a step brings into the build: `content` is base64, and `use` the commands that take it, decoded, as their input."""

    content: str
    use: str
    comment: str


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a step is put in: in front of the line with this index. `sure` is whether there is a toolchain for certain."""

    index: int
    user: str = ""
    sure: bool = True


@dataclass(slots=True)
class _Stage:
    """`base` is the name of the image that it stands on, empty where that is the stage `parent`."""

    begin: Instruction
    base: str
    parent: _Stage | None = None
    steps: list[Instruction] = field(default_factory=list)
    place: _Place | None = None

    @property
    def user(self) -> str:
        """Who its last step runs as, where a Dockerfile says so."""
        inherited = self.parent.user if self.parent else _USERS.get(_last_part(self.base), "")
        return next((step.rest for step in reversed(self.steps) if step.word == "USER"), inherited)

    @property
    def prepared(self) -> bool:
        """Whether it, or a stage that it stands on, has a place for the step."""
        return self.place is not None or (self.parent is not None and self.parent.prepared)

    def stands_on(self, other: _Stage) -> bool:
        """Whether it is the other, or one that has what the other has."""
        return self is other or (self.parent is not None and self.parent.stands_on(other))

    def before(self, wanted: Callable[[str], bool], *, sure: bool) -> _Place | None:
        """The place in front of the first RUN whose command is wanted."""
        for number, step in enumerate(self.steps):
            if step.word == "RUN" and wanted(_command(step)):
                user = _Stage(self.begin, self.base, self.parent, self.steps[:number]).user
                return _Place(step.line - 1, user, sure)
        return None


def recording(packed: str, cover: Sequence[str] = ("-cover",)) -> Kit:
    """podcov in the toolchain, and the flags `cover` for what it builds. `packed` is `wrapper/go/packed`."""
    use = f"tar -xzf - -C {_FOLDER} && sh {_FOLDER}/install && sh {_FOLDER}/cover {' '.join(cover)}"
    return Kit(packed, use, "podcov: the toolchain records, and what it builds is covered")


def covering(script: str, cover: Sequence[str]) -> Kit:
    """The flags alone, for a service that measures itself. `script` is `wrapper/go/cover`."""
    content = base64.b64encode(script.encode()).decode()
    lines = "\n".join(content[at : at + _WIDTH] for at in range(0, len(content), _WIDTH))
    use = f"cat >{_FOLDER}/cover && sh {_FOLDER}/cover {' '.join(cover)}"
    return Kit(lines, use, "podcov: what the toolchain builds is covered")


def derive(text: str, kit: Kit, arguments: Mapping[str, str] | None = None) -> DerivedDockerfile | None:
    """The user's Dockerfile with one more step in each stage that brings a Go toolchain; None where no stage seems to.

    That is in front of all others where the stage's image is one with Go in it, and something is built on it; else in front of
    the first `go build` or `go install` of the project's own. Where neither is to be seen, in front of the first step that may
    be a build, make's for example, and only for the case that there is a `go`: a warning says so. `arguments` are the build's,
    where they are known.
    """
    source = read(text)
    lines = text.split("\n")
    stages = _stages(source.instructions, arguments or {}, source.escape)
    for stage in stages:
        stage.place = None if stage.prepared else _certain(stage, stages, lines, source.escape)
    for stage in () if any(stage.place for stage in stages) else stages:
        stage.place = None if stage.prepared else stage.before(may_build, sure=False)
    places = [stage.place for stage in stages if stage.place]
    for place in reversed(places):
        lines[place.index : place.index] = _step(kit, place, source.escape)
    warnings = (
        f"line {place.index + 1}: no `go build` is to be seen, so podcov stands in front of this step"
        for place in places
        if not place.sure
    )
    return DerivedDockerfile("\n".join(lines), tuple(warnings)) if places else None


def _stages(instructions: Sequence[Instruction], arguments: Mapping[str, str], escape: str) -> list[_Stage]:
    scope, named, stages = dict(arguments), dict[str, _Stage](), list[_Stage]()
    for step in instructions:
        if step.word == "FROM":
            words = step.rest.split()
            base = expand(words[0], scope, escape) if words else ""
            parent = named.get(base.lower())
            stages.append(_Stage(step, "" if parent else base, parent))
            if len(words) > 2:
                named[words[2].lower()] = stages[-1]
        elif stages:
            stages[-1].steps.append(step)
        elif step.word == "ARG":
            for word in words_of(step.rest, escape):
                name, _, default = word.partition("=")
                scope.setdefault(name, expand(default, scope, escape))
    return stages


def _certain(stage: _Stage, stages: Sequence[_Stage], lines: Sequence[str], escape: str) -> _Place | None:
    if _GO_IMAGE.fullmatch(_last_part(stage.base)):
        builds = any(one.before(may_build, sure=True) for one in stages if one.stands_on(stage))
        return _Place(_behind(stage.begin, lines, escape), _USERS.get(_last_part(stage.base), "")) if builds else None
    return stage.before(lambda command: bool(_BUILDS.search(_TOOLS.sub("", command))), sure=True)


def _last_part(image: str) -> str:
    return dockerfile.repository(image).rpartition("/")[2]


def _behind(step: Instruction, lines: Sequence[str], escape: str) -> int:
    """The index of the line behind a FROM."""
    ends = (n for n in range(step.line - 1, len(lines)) if not lines[n].rstrip().endswith(escape))
    return next(ends, len(lines) - 1) + 1


def may_build(command: str) -> bool:
    """Whether a command of RUN does anything but to prepare a build, or an image."""
    parts = (_ASSIGNMENTS.sub("", part.strip()) for part in _SEPARATORS.split(_TOOLS.sub("", command)))
    return not all(_PREPARES.fullmatch(part) for part in parts)


def _command(step: Instruction) -> str:
    words = exec_form(step.rest)
    return "\n".join([" ".join(words) if words else step.rest, *step.heredocs])


def _step(kit: Kit, place: _Place, escape: str) -> list[str]:
    """The toolchain belongs to root as a rule, so it is root who changes it."""
    begin, end = ("", "") if place.sure else ("! command -v go || { ", "; }")
    step = [
        f"RUN {begin}mkdir {_FOLDER} && printf %s {escape}",
        *(f"{line}{escape}" for line in kit.content.split()),
        f" | base64 -d | {{ {kit.use}; }} && rm -r {_FOLDER}{end}",
    ]
    if place.user:
        step = ["USER root", *step, f"USER {place.user}"]
    return [f"# {kit.comment}", _SAID, *step]
