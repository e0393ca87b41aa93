"""What an image runs, read from the Dockerfile that it is built from. Pure: text in, `Image` out.

A pod's `command` drops the image's ENTRYPOINT and CMD, so whoever sets one has to know them.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from podcov.errors import ManifestError

_DEFAULT_SHELL = ("/bin/sh", "-c")
_HEREDOC = re.compile(r"(?:^|\s)\d*<<(-?)(['\"]?)([A-Za-z_]\w*)\2(?=\s|$)")
_VARIABLE = re.compile(r"\\(?P<escaped>\$)|\$(?:(?P<plain>\w+)|\{(?P<name>\w+)(?::(?P<operator>[-+])(?P<word>[^}]*))?\})")
_ASSIGNMENT = re.compile(r"""(?P<key>[^\s=]+)=(?P<value>(?:"(?:\\.|[^"\\])*"|'[^']*'|\\.|[^\s"'\\])*)""", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Image:
    """The last stage of a Dockerfile, or the one that is built.

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
    base_varies: bool = False
    """whether `base` is but the default of a build argument that is set elsewhere"""

    @property
    def command(self) -> tuple[str, ...]:
        """What a container runs that says nothing itself; empty where only the base image knows."""
        return (*(self.entrypoint or ()), *(self.cmd or ()))


@dataclass(frozen=True, slots=True)
class _Stage:
    image: Image
    cmd_is_its_own: bool = False
    """a CMD that a stage inherits is dropped by its ENTRYPOINT, its own is not"""


@dataclass(frozen=True, slots=True)
class _Instruction:
    line: int
    word: str
    rest: str


def parse(text: str, *, name: str = "Dockerfile", target: str = "", arguments: Mapping[str, str] | None = None) -> Image:
    """The image that `text` builds: its stage `target`, or the last one. `arguments` win over the defaults of ARG.

    Raises ManifestError, `NAME:LINE: ...`, where there is no stage, no such stage, or a FROM without an image.
    """
    given = dict(arguments or {})
    outer: dict[str, str] = {}
    stages: dict[str, _Stage] = {}
    current: str | None = None
    scope: dict[str, str] = {}
    for step in _instructions(text):
        if step.word == "FROM":
            current, stage = _begin(step, name, outer, stages)
            stages[current], scope = stage, {}
        elif step.word == "ARG":
            declared = _declared(step.rest, given, scope if current else outer, outer)
            (scope if current else outer).update(declared)
        elif current:
            stages[current] = _step(stages[current], step, scope)
    if target and target not in stages:
        named = ", ".join(s for s in stages if not s.isdecimal()) or "none that has a name"
        raise ManifestError(f"{name}: there is no stage {target!r}", hint=f"Its stages: {named}.")
    if current is None:
        raise ManifestError(f"{name}: there is no FROM in it", hint="Is this a Dockerfile?")
    return stages[target or current].image


def minor_version(image: str) -> str:
    """The Python minor version that an image name such as `python:3.13-slim` states, or an empty string."""
    found = re.search(r"(?:^|/)python:(3\.\d+)(?![\d])", image)
    return found.group(1) if found else ""


def repository(image: str) -> str:
    """An image name without tag and digest: `registry:5000/shop/orders`."""
    name = image.partition("@")[0]
    head, colon, tag = name.rpartition(":")
    return head if colon and "/" not in tag else name


def _declared(rest: str, given: Mapping[str, str], scope: Mapping[str, str], before: Mapping[str, str]) -> dict[str, str]:
    """What ARG sets: the build argument, else its default, else what was declared of that name before the first FROM."""
    defaults = {word: before.get(word, "") for word in rest.split() if "=" not in word} | _assignments(rest, scope)
    return {name: given.get(name, default) for name, default in defaults.items()}


def _begin(step: _Instruction, name: str, scope: Mapping[str, str], stages: Mapping[str, _Stage]) -> tuple[str, _Stage]:
    words = [word for word in step.rest.split() if not word.startswith("--")]
    base = _expand(words[0], scope) if words else ""
    if not base:
        raise ManifestError(
            f"{name}:{step.line}: FROM {step.rest}: the image is empty",
            hint="Give its ARG a default before the first FROM.",
        )
    named = words[2].lower() if len(words) == 3 and words[1].upper() == "AS" else str(len(stages))
    inherited = stages.get(base.lower())
    if inherited is None:
        return named, _Stage(Image(base))
    return named, _Stage(inherited.image)


def _step(stage: _Stage, step: _Instruction, arguments: Mapping[str, str]) -> _Stage:
    image = stage.image
    scope = {**arguments, **image.env}
    match step.word:
        case "ENTRYPOINT":
            cmd = image.cmd if stage.cmd_is_its_own else ()
            return replace(stage, image=replace(image, entrypoint=_command(step.rest, image.shell), cmd=cmd))
        case "CMD":
            return replace(stage, image=replace(image, cmd=_command(step.rest, image.shell)), cmd_is_its_own=True)
        case "SHELL":
            return replace(stage, image=replace(image, shell=_exec_form(step.rest) or image.shell))
        case "ENV":
            return replace(stage, image=replace(image, env={**image.env, **_environment(step.rest, scope)}))
        case "WORKDIR":
            return replace(stage, image=replace(image, workdir=_join(image.workdir, _expand(step.rest.strip(), scope))))
        case "USER":
            return replace(stage, image=replace(image, user=_expand(step.rest.strip(), scope)))
        case "RUN":
            return replace(stage, image=replace(image, runs=(*image.runs, step.rest)))
        case "COPY" | "ADD":
            return replace(stage, image=_copy(image, step.rest, scope))
    return stage


def _copy(image: Image, rest: str, scope: Mapping[str, str]) -> Image:
    flags = [word for word in rest.split() if word.startswith("--")]
    if any(flag.startswith("--from=") for flag in flags):
        return replace(image, from_stages=True)
    words = _exec_form(rest) or tuple(_expand(word, scope) for word in rest.split() if not word.startswith("--"))
    sources, destination = words[:-1], _join(image.workdir, words[-1]) if words else ""
    return replace(image, copies=(*image.copies, *((source, destination) for source in sources if "<<" not in source)))


def _join(folder: str, path: str) -> str:
    return posixpath.normpath(posixpath.join(folder, path))


def _command(rest: str, shell: tuple[str, ...]) -> tuple[str, ...]:
    words = _exec_form(rest)
    return words if words is not None else (*shell, rest.strip())


def _exec_form(rest: str) -> tuple[str, ...] | None:
    """The words of `["a", "b"]`; None for anything else, which Docker takes as the shell form."""
    try:
        words = json.loads(rest)
    except ValueError:
        return None
    return tuple(words) if isinstance(words, list) and all(isinstance(word, str) for word in words) else None


def _assignments(rest: str, scope: Mapping[str, str]) -> dict[str, str]:
    return {m["key"]: _value(m["value"], scope) for m in _ASSIGNMENT.finditer(rest)}


def _environment(rest: str, scope: Mapping[str, str]) -> dict[str, str]:
    first = rest.split(maxsplit=1)
    if first and "=" not in first[0]:
        return {first[0]: _expand(first[1].strip(), scope) if len(first) > 1 else ""}
    return _assignments(rest, scope)


def _value(text: str, scope: Mapping[str, str]) -> str:
    if text.startswith("'"):
        return text.strip("'")
    return _expand(re.sub(r"\\([^$])", r"\1", text.replace('"', "")), scope)


def _expand(text: str, scope: Mapping[str, str]) -> str:
    """Docker's own `$NAME`, `${NAME}`, `${NAME:-default}` and `${NAME:+instead}`."""

    def of(found: re.Match[str]) -> str:
        if found["escaped"]:
            return "$"
        value = scope.get(found["plain"] or found["name"], "")
        match found["operator"]:
            case "-":
                return value or _expand(found["word"], scope)
            case "+":
                return _expand(found["word"], scope) if value else ""
        return value

    return _VARIABLE.sub(of, text)


def _instructions(text: str) -> Iterator[_Instruction]:
    """Instructions with their first line's number: continued lines joined, comments and here-documents left out."""
    escape = "`" if re.match(r"\s*#\s*escape\s*=\s*`", text) else "\\"
    lines = iter(enumerate(text.splitlines(), 1))
    for number, line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        joined = line.strip()
        while joined.endswith(escape):
            following = next((text for _, text in lines if not text.lstrip().startswith("#")), "")
            joined = f"{joined.removesuffix(escape).rstrip()} {following.strip()}".strip()
            if not following:
                break
        word, _, rest = joined.partition(" ")
        word = word.upper()
        if word in {"RUN", "COPY", "ADD"}:
            body = [_heredoc(lines, end[3], stripped=bool(end[1])) for end in _HEREDOC.finditer(rest)]
            rest = "\n".join([rest, *body]) if word == "RUN" else rest
        yield _Instruction(number, word, rest.strip())


def _heredoc(lines: Iterator[tuple[int, str]], end: str, *, stripped: bool) -> str:
    body: list[str] = []
    for _, line in lines:
        if (line.lstrip("\t") if stripped else line) == end:
            break
        body.append(line)
    return "\n".join(body)
