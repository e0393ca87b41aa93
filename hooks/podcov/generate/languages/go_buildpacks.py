"""A project descriptor by which buildpacks build Go programs that record, derived from the user's. Pure.

The toolchain comes with a buildpack, into a layer that later builds have, too, so it is left as it is. A buildpack of podcov's
own runs before all others and leaves a name for Go to find: `wrapper/go/buildpack` says how. It stands in the descriptor itself,
by which the platform needs no other image and no network for it.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from podcov.generate import project
from podcov.generate.images.artifacts import Artifact
from podcov.generate.project import Project

PROCESSES: Final = "/cnb/process"
"""where an image of buildpacks has its launcher, by the name of each of its processes"""
_COURIER: Final = "/layers/podcov_go/courier/process"
"""where an image has the same launcher if podcov's toolchain built its program; see `wrapper/go/toolchain`"""
_API: Final = "0.8"
"""the first of the buildpack APIs by which a build is told its layers in the environment"""
_TOOLCHAIN: Final = "GOTOOLCHAIN"
"""what podcov's buildpack leaves for Go to find; it gives way to the user's"""
_SCHEMA: Final = '[_]\nschema-version = "0.2"\n'
_BUILD_KEYS: Final = ("include", "exclude")
_GROUP: Final = """
# podcov: the toolchain records, and what it builds is covered
# (All else in this file is the project's own descriptor, as `podcov init` found it.)
[[io.buildpacks.pre.group]]
id = "podcov/go"

[io.buildpacks.pre.group.script]
api = "{api}"
inline = '''
set -eu
kit=$CNB_LAYERS_DIR/podcov
mkdir -p "$kit"
base64 -d <<'END' | tar -xzf - -C "$kit"
{packed}END
cat >"$kit/toolchain" <<'END'
{toolchain}END
chmod +x "$kit/toolchain"
cat >"$kit/buildpack" <<'END'
{buildpack}END
sh "$kit/buildpack" {flags}
'''
"""


def obstacle(artifact: Artifact, files: Project) -> str:
    """Why no buildpack of podcov's can run before the others, or none of its would be heeded; empty where it can."""
    path = artifact.buildpacks.descriptor
    text = project.text(files, path) or ""
    said = _said(text)
    if said is None:
        return f"{path} cannot be read"
    if artifact.buildpacks.named or said.get("group") or said.get("buildpacks"):
        return "podcov's buildpack goes before those of the builder, and here others are named"
    if _TOOLCHAIN in artifact.buildpacks.env or _TOOLCHAIN in _names_of_variables(said):
        return f"{_TOOLCHAIN} is set, by which podcov gets into the build: take it out to have podcov record"
    if not _can_be_added_to(text):
        return f"nothing can be added to {path} as it is written: use [io.buildpacks] and [[io.buildpacks.pre.group]] as headers"
    return ""


def is_launcher(program: str) -> bool:
    """Whether it starts another, and is itself a program in Go that no toolchain of ours has built."""
    return program.startswith(f"{PROCESSES}/")


def courier(launcher: str) -> str:
    """The path by which a launcher is only there in images whose program is a courier."""
    return f"{_COURIER}{launcher.removeprefix(PROCESSES)}"


def tells_of_no_courier(said: str) -> bool:
    """Whether it is why a container could not be started: its image has not that path."""
    return f'exec: "{_COURIER}/' in said and "no such file or directory" in said


def derive(text: str, packed: str, scripts: Mapping[str, str], flags: Sequence[str]) -> str:
    """The user's descriptor, empty for none, with podcov's buildpack before the builder's.

    `packed` is `wrapper/go/packed`; `scripts` has `toolchain` and `buildpack` of that folder. A descriptor of the first schema,
    which knows nothing of buildpacks that go before, is written anew in the second.
    """
    group = _GROUP.format(api=_API, packed=packed, flags=" ".join(flags), **scripts)
    descriptor = tomllib.loads(text)
    own = text if _is_second(descriptor) else _second(descriptor)
    return f"{own.rstrip()}\n{group}"


def _said(text: str) -> Mapping[str, Any] | None:
    """What a descriptor says of the build, whatever its schema; None where it cannot be read."""
    try:
        descriptor = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None
    return _table(descriptor, "io", "buildpacks") if _is_second(descriptor) else _table(descriptor, "build")


def _names_of_variables(said: Mapping[str, Any]) -> set[str]:
    """What the build has in its environment, as either schema says it, and as the second did at first (`env.build`)."""
    lists = (said.get("env"), _table(said, "build").get("env"), _table(said, "env").get("build"))
    return {str(variable.get("name", "")) for listed in lists for variable in _tables(listed)}


def _can_be_added_to(text: str) -> bool:
    """TOML lets nobody add to a table or a list that stands in one piece, as a value, where it is defined."""
    try:
        tomllib.loads(derive(text, "", {"toolchain": "", "buildpack": ""}, ()))
    except tomllib.TOMLDecodeError:
        return False
    return True


def _is_second(descriptor: Mapping[str, Any]) -> bool:
    return str(_table(descriptor, "_").get("schema-version", "0.1")) != "0.1"


def _second(descriptor: Mapping[str, Any]) -> str:
    """What a descriptor of the first schema says of the build, in the words of the second."""
    build = _table(descriptor, "build")
    lists = {key: build[key] for key in _BUILD_KEYS if build.get(key)}
    lines = [_SCHEMA]
    if lines_of := [f"{key} = {_quoted(value)}" for key, value in lists.items()]:
        lines += ["[io.buildpacks]", *lines_of, ""]
    for variable in _tables(build.get("env")):
        name, value = _quoted(str(variable.get("name", ""))), _quoted(str(variable.get("value", "")))
        lines += ["[[io.buildpacks.build.env]]", f"name = {name}", f"value = {value}", ""]
    return "\n".join(lines)


def _quoted(value: object) -> str:
    """Strings and lists of them are written in TOML as in JSON, but for what JSON leaves plain."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _tables(value: object) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def _table(value: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    for key in keys:
        value = value.get(key) or {}
        if not isinstance(value, Mapping):
            return {}
    return value
