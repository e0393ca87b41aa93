"""What an image runs, read from the Dockerfile that it is built from. Pure: text in, `Image` out.

A pod's `command` drops the image's ENTRYPOINT and CMD, so whoever sets one has to know them.
"""

from __future__ import annotations

import copy
import posixpath
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from podcov.errors import ManifestError
from podcov.generate.images import dockerfile_text
from podcov.generate.images.dockerfile_text import Instruction

SCRATCH = "scratch"
_DEFAULT_SHELL = ("/bin/sh", "-c")
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PLATFORM = "linux/amd64"


@dataclass(frozen=True, slots=True)
class Image:
    """What is known of an image: the last stage of a Dockerfile or the one that is built, or what its configuration says.

    `entrypoint` and `cmd` are None where the Dockerfile does not say: the base image's own apply.
    `copies` are (source in the build context, destination in the image), `runs` the commands of RUN.
    """

    base: str
    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    workdir: str = "/"
    user: str = ""
    shell: tuple[str, ...] = _DEFAULT_SHELL
    copies: tuple[tuple[str, str], ...] = ()
    runs: tuple[str, ...] = ()
    from_stages: bool = False
    """whether files come from another stage or image"""
    taken: tuple[Taken, ...] = ()
    """what comes from other stages and images"""
    base_varies: bool = False
    """whether `base` may be another one: it is the default of a build argument, or that this is the Dockerfile is a guess"""
    onbuild: tuple[str, ...] = ()
    """instructions that are carried out first where an image is built on this one"""
    labels: Mapping[str, str] = field(default_factory=dict)
    said_by: str = ""
    """who says all this, as in "the registry ghcr.io says so"; empty where a Dockerfile does"""

    @property
    def command(self) -> tuple[str, ...]:
        """What a container runs that says nothing itself; empty where only the base image knows."""
        return (*(self.entrypoint or ()), *(self.cmd or ()))


@dataclass(frozen=True, slots=True)
class Taken:
    """What `COPY --from` takes from another stage, as far as that is carried out, or from another image."""

    origin: Image
    source: str
    destination: str
    """a folder where it ends with `/`; else a folder that is there already, or what `source` is called from then on"""


Bases = Callable[[str], Image | None]
"""A base image's name in, what its configuration says out; None where that is not known."""


def nowhere(_: str) -> None:
    """Knows no image."""


def parse(
    text: str,
    *,
    name: str = "Dockerfile",
    target: str = "",
    arguments: Mapping[str, str] | None = None,
    bases: Bases = nowhere,
    unnamed: str = "",
) -> Image:
    """The image that `text` builds: its stage `target`, or the last one.

    `arguments` win over the defaults of ARG. Only the base that this image stands on is looked for in `bases`. `unnamed` is what
    a base is called that only arguments name which nobody knows.
    Raises ManifestError, `NAME:LINE: ...`, where there is no stage, no such stage, or a FROM without an image and no `unnamed`.
    """
    source = dockerfile_text.read(text)
    build = _Build(source.escape, arguments or {}, bases, unnamed)
    build.stages = stages = _stages(source.instructions, build, name)
    return _evaluate(stages, _chosen(stages, target, name), build).image


def repository(image: str) -> str:
    """An image name without tag and digest: `registry:5000/shop/orders`."""
    name = image.partition("@")[0]
    head, colon, tag = name.rpartition(":")
    return head if colon and "/" not in tag else name


def taken_from_context(text: str, arguments: Mapping[str, str]) -> tuple[str, ...]:
    """What any step takes of the build's context: normalised paths, `.` for all of it, and where only the build knows."""
    read = dockerfile_text.read(text)
    build, scope, found = _Build(read.escape, arguments, nowhere), dict[str, str](), list[str]()
    for step in read.instructions:
        if step.word == "ARG":
            scope |= build.declared(step.rest, scope)
        elif step.word == "ENV":
            scope |= build.assigned(step.rest, scope)
        elif step.word in ("COPY", "ADD") and not any(flag.startswith("--from=") for flag in step.flags):
            words = dockerfile_text.exec_form(step.rest) or dockerfile_text.words(step.rest, read.escape)
            sources = (build.expand(word, scope) for word in words[:-1] if "<<" not in word)
            found += ["." if path == "*" else path for path in (_join("/", source).lstrip("/") or "." for source in sources)]
    return tuple(dict.fromkeys(found))


@dataclass(slots=True)
class _Build:
    """What holds for all stages."""

    escape: str
    given: Mapping[str, str]
    bases: Bases
    unnamed: str = ""
    outer: dict[str, str] = field(default_factory=dict)
    """what ARG declares before the first FROM, and what Docker sets by itself"""
    stages: Sequence[_Stage] = ()
    origins: dict[str, Image] = field(default_factory=dict)
    """what others take from, by the name that they call it"""

    def __post_init__(self) -> None:
        predefined = _predefined()
        self.outer = {**predefined, **{name: value for name, value in self.given.items() if name in predefined}}

    def expand(self, word: str, scope: Mapping[str, str]) -> str:
        return dockerfile_text.expand(word, scope, self.escape)

    def declared(self, rest: str, scope: Mapping[str, str]) -> dict[str, str]:
        """What ARG sets: the build argument, else its default, else what was declared of that name before the first FROM."""
        found: dict[str, str] = {}
        for word in dockerfile_text.words(rest, self.escape):
            name, equals, default = word.partition("=")
            if name in self.given:
                found[name] = self.given[name]
            elif equals:
                found[name] = self.expand(default, {**scope, **found})
            elif name in self.outer:
                found[name] = self.outer[name]
        return found

    def assigned(self, rest: str, scope: Mapping[str, str]) -> dict[str, str]:
        """What ENV or LABEL sets. All values are expanded with what held before the instruction."""
        pairs = dockerfile_text.assignments(rest, self.escape)
        return {self.expand(name, scope): self.expand(value, scope) for name, value in pairs}


@dataclass(frozen=True, slots=True)
class _Stage:
    base: str
    name: str
    instructions: list[Instruction]


@dataclass(frozen=True, slots=True)
class _State:
    """A stage as far as it is carried out."""

    image: Image
    arguments: Mapping[str, str] = field(default_factory=dict)
    """what ARG set, in this stage or in one that it stands on, and no ENV since"""
    cmd_is_its_own: bool = False
    """a CMD that a stage inherits is dropped by its ENTRYPOINT, its own is not"""


def _predefined() -> dict[str, str]:
    system, _, architecture = _PLATFORM.partition("/")
    values = {"PLATFORM": _PLATFORM, "OS": system, "ARCH": architecture, "VARIANT": ""}
    return {f"{side}{name}": value for side in ("BUILD", "TARGET") for name, value in values.items()}


def _stages(instructions: Sequence[Instruction], build: _Build, name: str) -> list[_Stage]:
    stages: list[_Stage] = []
    for step in instructions:
        if step.word == "FROM":
            stages.append(_begin(step, build, name))
        elif stages:
            stages[-1].instructions.append(step)
        elif step.word == "ARG":
            build.outer.update(build.declared(step.rest, build.outer))
    return stages


def _begin(step: Instruction, build: _Build, name: str) -> _Stage:
    words = step.rest.split()
    base = (build.expand(words[0], build.outer) or build.unnamed) if words else ""
    if not base:
        raise ManifestError(
            f"{name}:{step.line}: FROM {step.rest}: the image is empty",
            hint="give its ARG a default before the first FROM.",
        )
    return _Stage(base, words[2].lower() if len(words) == 3 and words[1].upper() == "AS" else "", [])


def _chosen(stages: Sequence[_Stage], target: str, name: str) -> int:
    if not stages:
        raise ManifestError(f"{name}: there is no FROM in it", hint="is this a Dockerfile?")
    if not target:
        return len(stages) - 1
    named = _named(stages, target)
    if named is None:
        names = ", ".join(stage.name for stage in stages if stage.name) or "none that has a name"
        raise ManifestError(f"{name}: there is no stage {target!r}", hint=f"its stages: {names}.")
    return named


def _named(stages: Sequence[_Stage], name: str) -> int | None:
    return next((n for n in reversed(range(len(stages))) if stages[n].name == name.lower()), None)


def _evaluate(stages: Sequence[_Stage], index: int, build: _Build) -> _State:
    stage = stages[index]
    earlier = _named(stages[:index], stage.base)
    if earlier is not None:
        inherited = _evaluate(stages, earlier, build)
        state = _State(inherited.image, inherited.arguments)
    else:
        state = _State(_base(stage.base, build))
    triggers = [dockerfile_text.instruction(trigger) for trigger in state.image.onbuild]
    state = replace(state, image=replace(state.image, onbuild=()))
    for step in (*triggers, *stage.instructions):
        state = _step(state, step, build)
    return state


def _base(reference: str, build: _Build) -> Image:
    """What a stage begins with that stands on another image."""
    if reference == SCRATCH:
        return Image(reference, entrypoint=(), cmd=(), env={"PATH": _DEFAULT_PATH})
    known = build.bases(reference)
    if known is None:
        return Image(reference)
    env = known.env if "PATH" in known.env else {**known.env, "PATH": _DEFAULT_PATH}
    return replace(known, base=reference, env=env, copies=(), runs=(), from_stages=False, base_varies=False)


def _step(state: _State, step: Instruction, build: _Build) -> _State:
    image = state.image
    scope = {**image.env, **state.arguments}
    match step.word:
        case "ARG":
            return replace(state, arguments={**state.arguments, **build.declared(step.rest, scope)})
        case "ENV":
            env = build.assigned(step.rest, scope)
            arguments = {name: value for name, value in state.arguments.items() if name not in env}
            return replace(state, image=replace(image, env={**image.env, **env}), arguments=arguments)
        case "ENTRYPOINT":
            cmd = image.cmd if state.cmd_is_its_own else ()
            return replace(state, image=replace(image, entrypoint=_command(step.rest, image.shell), cmd=cmd))
        case "CMD":
            return replace(state, image=replace(image, cmd=_command(step.rest, image.shell)), cmd_is_its_own=True)
    return replace(state, image=_image_step(image, step, build, scope))


def _image_step(image: Image, step: Instruction, build: _Build, scope: Mapping[str, str]) -> Image:
    match step.word:
        case "SHELL":
            return replace(image, shell=dockerfile_text.exec_form(step.rest) or image.shell)
        case "LABEL":
            return replace(image, labels={**image.labels, **build.assigned(step.rest, scope)})
        case "WORKDIR":
            return replace(image, workdir=_join(image.workdir, build.expand(step.rest, scope)))
        case "USER":
            return replace(image, user=build.expand(step.rest, scope))
        case "RUN":
            return replace(image, runs=(*image.runs, "\n".join([step.rest, *step.heredocs])))
        case "COPY" | "ADD":
            return _copy(image, step, build, scope)
        case "ONBUILD":
            return replace(image, onbuild=(*image.onbuild, step.rest))
    return image


def _copy(image: Image, step: Instruction, build: _Build, scope: Mapping[str, str]) -> Image:
    words = dockerfile_text.exec_form(step.rest) or tuple(step.rest.split())
    expanded = [build.expand(word, scope) for word in words if "<<" not in word]
    destination = _join(image.workdir, expanded[-1]) if expanded else ""
    if origin := next((flag.removeprefix("--from=") for flag in step.flags if flag.startswith("--from=")), ""):
        whole = _origin(build.expand(origin, build.outer), build)
        slash = "/" if expanded[-1:] and expanded[-1].endswith(("/", ".")) and destination != "/" else ""
        taken = (Taken(whole, source, f"{destination}{slash}") for source in expanded[:-1])
        return replace(image, from_stages=True, taken=(*image.taken, *taken))
    return replace(image, copies=(*image.copies, *((source, destination) for source in expanded[:-1])))


def _origin(name: str, build: _Build) -> Image:
    """The stage of that name or number, or another image, which nobody is asked about."""
    if name not in build.origins:
        index = int(name) if name.isdecimal() else _named(build.stages, name)
        known = index is not None and index < len(build.stages)
        build.origins[name] = Image(name)  # a stage cannot take from itself; one that does ends here
        if known and index is not None:
            quiet = copy.copy(build)
            quiet.bases = nowhere
            build.origins[name] = _evaluate(build.stages, index, quiet).image
    return build.origins[name]


def _join(folder: str, path: str) -> str:
    return posixpath.normpath(posixpath.join(folder or "/", path)).replace("//", "/")


def _command(rest: str, shell: tuple[str, ...]) -> tuple[str, ...]:
    words = dockerfile_text.exec_form(rest)
    return words if words is not None else (*shell, rest)
