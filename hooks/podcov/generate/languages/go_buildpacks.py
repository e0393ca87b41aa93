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
_API: Final = "0.8"
"""the first of the buildpack APIs by which a build is told its layers in the environment"""
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


def can_lead(artifact: Artifact, files: Project) -> bool:
    """Whether a buildpack of podcov's can run before the others: where the user names none, but has those of the builder."""
    if artifact.buildpacks.named:
        return False
    said = _said(project.text(files, artifact.buildpacks.descriptor) or "")
    return said is not None and not said.get("group") and not said.get("buildpacks")


def is_launcher(program: str) -> bool:
    """Whether it starts another, and is itself a program in Go that no toolchain of ours has built."""
    return program.startswith(f"{PROCESSES}/")


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


def _is_second(descriptor: Mapping[str, Any]) -> bool:
    return str(_table(descriptor, "_").get("schema-version", "0.1")) != "0.1"


def _second(descriptor: Mapping[str, Any]) -> str:
    """What a descriptor of the first schema says of the build, in the words of the second."""
    build = _table(descriptor, "build")
    lists = {key: build[key] for key in _BUILD_KEYS if build.get(key)}
    lines = [_SCHEMA]
    if lines_of := [f"{key} = {_quoted(value)}" for key, value in lists.items()]:
        lines += ["[io.buildpacks]", *lines_of, ""]
    for variable in build.get("env") or ():
        name, value = _quoted(str(variable.get("name", ""))), _quoted(str(variable.get("value", "")))
        lines += ["[[io.buildpacks.build.env]]", f"name = {name}", f"value = {value}", ""]
    return "\n".join(lines)


def _quoted(value: object) -> str:
    """Strings and lists of them are written in TOML as in JSON, but for what JSON leaves plain."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _table(value: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    for key in keys:
        value = value.get(key) or {}
        if not isinstance(value, Mapping):
            return {}
    return value
