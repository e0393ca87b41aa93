"""The `Tiltfile`: what it builds and renders, and the marked block that loads podcov's own. Pure: text in, text out.

Starlark reads as Python does, nearly; what does not is left unread and said so.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from podcov import assets
from podcov.generate import blocks, project
from podcov.generate.artifacts import Artifact

_DOCKER_BUILD = ("ref", "context", "build_args", "dockerfile")
_KUSTOMIZE = ("pathToDir",)


@dataclass(frozen=True, slots=True)
class Tiltfile:
    """Paths are relative to the project. `readable` is False where the text cannot be understood from here."""

    path: str
    text: str
    artifacts: tuple[Artifact, ...] = ()
    bases: tuple[str, ...] = ()
    """the folders given to `kustomize()`"""
    readable: bool = True


def read(text: str, *, path: str) -> Tiltfile:
    """What can be read without running it: calls whose arguments are written out."""
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return Tiltfile(path, text, readable=False)
    folder = project.join(path, "..")
    builds = list(_calls(tree, "docker_build", _DOCKER_BUILD))
    rendered = list(_calls(tree, "kustomize", _KUSTOMIZE))
    return Tiltfile(
        path,
        text,
        artifacts=tuple(_artifact(build, folder, path) for build in builds if _is_literal(build, "ref", "context")),
        bases=tuple(project.join(folder, call["pathToDir"]) for call in rendered if _is_literal(call, "pathToDir")),
    )


def with_load(tiltfile: Tiltfile, *, base: str, overlay: str, podcov: str) -> str:
    """The file's text with the marked block; everything else stays byte for byte.

    `base` and `overlay` are folders, `podcov` is podcov's own Tiltfile, all of them paths of the project.
    """
    folder = project.join(tiltfile.path, "..")
    body = assets.render(
        "init/tiltfile-block.j2",
        base=project.relative(base, folder),
        overlay=project.relative(overlay, folder),
        podcov=project.relative(podcov, folder),
    )
    lines = tiltfile.text.splitlines(keepends=True)
    block = blocks.find(lines)
    if block:
        return "".join([*lines[: block.first], *blocks.write(body, block.indent), *lines[block.last + 1 :]])
    after = _end_of_opening_comment(lines)
    blank = ["\n"] if after < len(lines) and lines[after].strip() else []
    return "".join([*lines[:after], *(["\n"] if after else []), *blocks.write(body), *blank, *lines[after:]])


def _end_of_opening_comment(lines: list[str]) -> int:
    """The index behind comments at the very top that a blank line sets off: a licence, an editor's mode line."""
    count = next((n for n, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return count if count < len(lines) and not lines[count].strip() else 0


def _calls(tree: ast.Module, function: str, names: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """The arguments of each call of `function`, positional ones under `names`; None for a value that is not written out."""
    variables = {t.id: n.value for n in tree.body if isinstance(n, ast.Assign) for t in n.targets if isinstance(t, ast.Name)}
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == function:
            given: dict[str, ast.expr] = dict(zip(names, call.args, strict=False))
            given |= {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
            yield {name: _literal(value, variables) for name, value in given.items()}


def _literal(value: ast.expr, variables: Mapping[str, ast.expr]) -> Any:
    if isinstance(value, ast.Name) and value.id in variables:
        return _literal(variables[value.id], {})
    if isinstance(value, ast.Dict):
        pairs = zip(value.keys, value.values, strict=True)
        return {_literal(key, variables): _literal(item, variables) for key, item in pairs if key}
    try:
        return ast.literal_eval(value)
    except ValueError:
        return None


def _is_literal(call: dict[str, Any], *names: str) -> bool:
    return all(isinstance(call.get(name), str) for name in names)


def _artifact(build: dict[str, Any], folder: str, origin: str) -> Artifact:
    context = project.join(folder, build["context"])
    named = build.get("dockerfile", "")
    return Artifact(
        image=build["ref"],
        context=context,
        dockerfile="" if named is None else project.join(folder, named) if named else project.join(context, "Dockerfile"),
        origin=origin,
        target=build.get("target") or "",
        arguments=_build_arguments(build),
        entrypoint="entrypoint" in build,
    )


def _build_arguments(build: dict[str, Any]) -> dict[str, str | None]:
    arguments = build.get("build_args", {})
    return arguments if isinstance(arguments, dict) else {}
