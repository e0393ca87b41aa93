"""The `Tiltfile`: what it builds and renders, and the marked block that loads podcov's own. Pure: text in, text out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from podcov import assets
from podcov.errors import ManifestError
from podcov.generate import blocks, project
from podcov.generate.coverage.rebuilding import Rebuilding
from podcov.generate.findings import Finding
from podcov.generate.images.artifacts import Artifact
from podcov.generate.project import Project
from podcov.generate.skaffold.profile import By
from podcov.generate.skaffold.sources import HelmRelease
from podcov.generate.tilt import starlark
from podcov.generate.tilt.starlark import UNKNOWN, Call, Script

_DOCKER_BUILD = ("ref", "context", "build_args", "dockerfile")
_EXTENSION = "docker_build_with_restart"
_DOCKER_BUILDS = ("docker_build", _EXTENSION)
_CUSTOM_BUILD = ("ref", "command", "deps")
_KUSTOMIZE = ("pathToDir",)
_HELM = ("paths", "name", "namespace", "values", "set")
_REPLACED = {"overlay": "kustomize", "inject": "k8s_yaml"}
"""the function that the block gives another meaning"""
_NOTHING = Rebuilding()
_DEPLOYS_BY_HELM = ("helm_resource", "helm_remote")


@dataclass(frozen=True, slots=True)
class Tiltfile:
    """Paths are relative to the project. `readable` is False where the text cannot be understood from here."""

    path: str
    text: str
    artifacts: tuple[Artifact, ...] = ()
    bases: tuple[str, ...] = ()
    """the folders given to `kustomize()`"""
    raw: tuple[str, ...] = ()
    """the files given to `k8s_yaml()`, and the folders whose files are"""
    helm: tuple[HelmRelease, ...] = ()
    """the charts given to `helm()`"""
    includes: tuple[str, ...] = ()
    """the Tiltfiles that it includes, and those of the project that it loads functions from"""
    findings: tuple[Finding, ...] = ()
    """what of it podcov cannot see or change"""
    names: frozenset[str] = field(default=frozenset())
    """what it defines or loads itself"""
    calls: frozenset[str] = field(default=frozenset())
    """the functions that it calls, within functions of its own too"""
    readable: bool = True


def read(text: str, *, path: str) -> Tiltfile:
    """What can be read without running it: calls whose arguments are written out, in loops and functions too."""
    try:
        script = starlark.read(blocks.blanked(text))
    except (SyntaxError, ValueError, RecursionError) as error:
        where = f"line {error.lineno}: " if isinstance(error, SyntaxError) and error.lineno else ""
        why = "what it builds and renders is not known to podcov"
        finding = Finding(path, f"{where}a text that podcov cannot read", "left unread", why, "warning")
        return Tiltfile(path, text, readable=False, findings=(finding,))
    reader = _Reader(path, project.join(path, ".."), script)
    return Tiltfile(
        path,
        text,
        artifacts=tuple(reader.artifacts()),
        bases=tuple(dict.fromkeys(reader.bases())),
        raw=tuple(dict.fromkeys(reader.raw())),
        helm=tuple(reader.helm()),
        includes=tuple(dict.fromkeys(reader.includes())),
        findings=tuple(reader.findings()),
        names=script.names,
        calls=script.called,
    )


def read_all(files: Project, path: str) -> tuple[Tiltfile, ...]:
    """The Tiltfile, then those of the project that it includes, each once. One that is not there is left out."""
    found: dict[str, Tiltfile] = {}
    waiting = [path]
    while waiting:
        name = waiting.pop(0)
        text = project.text(files, name)
        if text is not None and name not in found:
            found[name] = read(text, path=name)
            waiting += found[name].includes
    return tuple(found.values())


def builds(tiltfiles: Sequence[Tiltfile], rebuilding: Rebuilding) -> dict[str, dict[str, Any]]:
    """What podcov's own Tiltfile is to know, by image: `docker_build` has derived Dockerfiles, `custom_build` words."""
    found = [one for tiltfile in tiltfiles for one in rebuilding.of(tiltfile.path).values()]
    return {
        "docker_build": {
            one.artifact.image: one.dockerfile for one in found if one.artifact.builder == "docker" and one.dockerfile
        },
        "custom_build": {one.artifact.image: list(one.rebuild.prefix) for one in found if one.artifact.builder == "custom"},
    }


def unreplaced(tiltfiles: Sequence[Tiltfile], rebuilding: Rebuilding) -> Iterator[Finding]:
    """Builds by an extension, which calls Tilt's own function, whatever the block gives another meaning."""
    for tiltfile in tiltfiles:
        if _EXTENSION in tiltfile.calls and (derived := builds([tiltfile], rebuilding)["docker_build"]):
            why = (
                f"it calls Tilt's own docker_build: while PODCOV is set, give it its dockerfile of {', '.join(derived.values())}"
            )
            yield Finding(tiltfile.path, f"{_EXTENSION}(...)", "left as it is", why, "warning")


def with_load(
    tiltfile: Tiltfile,
    *,
    base: str,
    overlay: str,
    podcov: str,
    by: By = "overlay",
    rebuilding: Rebuilding = _NOTHING,
) -> str:
    """The file's text with the marked block; everything else stays byte for byte.

    `base` and `overlay` are folders and matter for `by="overlay"`, `podcov` is podcov's own Tiltfile, all of them paths of the
    project. Raises ManifestError where the file has a function of its own by a name that the block would give another meaning.
    """
    functions = _replaced(tiltfile, by, rebuilding)
    for function in functions:
        if function in tiltfile.names:
            raise ManifestError(
                f"{tiltfile.path}: it defines or loads a {function!r} of its own, "
                "and podcov would have to put another in its place",
                hint=f"rename yours; podcov's calls Tilt's own {function}.",
            )
    folder = project.join(tiltfile.path, "..")
    body = assets.render(
        "init/tiltfile-block.j2",
        by=by,
        base=project.relative(base, folder),
        overlay=project.relative(overlay, folder),
        podcov=_literal(_as_loaded(project.relative(podcov, folder))),
        functions=functions,
    )
    lines = blocks.split(tiltfile.text)
    block = blocks.find(lines)
    if block:
        return "".join(blocks.replace(lines, block, body))
    return "".join(blocks.insert(lines, _end_of_opening_comment(lines), body))


def with_loads(
    tiltfiles: Sequence[Tiltfile],
    *,
    base: str,
    overlay: str,
    podcov: str,
    by: By = "overlay",
    rebuilding: Rebuilding = _NOTHING,
) -> dict[str, str]:
    """The texts of all files of `read_all`, by path: the first with the block, as `with_load` makes it.

    Those that it includes have names of their own: they need the block, too, where they call a function that it replaces.
    """
    texts = {}
    for n, one in enumerate(tiltfiles):
        if n == 0 or _REPLACED[by] in one.calls or len(_replaced(one, by, rebuilding)) > 1:
            texts[one.path] = with_load(one, base=base, overlay=overlay, podcov=podcov, by=by, rebuilding=rebuilding)
        else:
            texts[one.path] = blocks.remove(one.text)
    return texts


def _replaced(tiltfile: Tiltfile, by: By, rebuilding: Rebuilding) -> list[str]:
    """The functions that the file's block gives another meaning."""
    known = builds([tiltfile], rebuilding)
    return [_REPLACED[by], *(function for function, images in known.items() if images)]


def _as_loaded(path: str) -> str:
    return path if path.startswith("../") else f"./{path}"


def _literal(text: str) -> str:
    """In Starlark, whose texts are written as Python's are."""
    return repr(text)


def _end_of_opening_comment(lines: Sequence[str]) -> int:
    """The index behind comments at the very top that a blank line sets off: a licence, an editor's mode line."""
    count = next((n for n, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return count + 1 if 0 < count < len(lines) and not lines[count].strip() else 0


class _Reader:
    """Goes through the calls of one Tiltfile."""

    def __init__(self, path: str, folder: str, script: Script) -> None:
        self._path = path
        self._folder = folder
        self._calls = script.calls

    def artifacts(self) -> Iterator[Artifact]:
        for call in self._calls:
            if call.function in _DOCKER_BUILDS:
                build = call.arguments(*_DOCKER_BUILD)
                if _are_texts(build, "ref", "context"):
                    yield self._docker(build)
            elif call.function == "custom_build":
                build = call.arguments(*_CUSTOM_BUILD)
                if _are_texts(build, "ref"):
                    yield self._custom(build)

    def bases(self) -> Iterator[str]:
        for call in self._calls:
            folder = call.arguments(*_KUSTOMIZE).get("pathToDir") if call.function == "kustomize" else None
            if isinstance(folder, str):
                yield self._at(folder)

    def raw(self) -> Iterator[str]:
        for _, given in self._given_to_k8s_yaml():
            if isinstance(given, str):
                yield self._at(given)
            elif isinstance(given, Call) and given.function in ("read_file", "listdir"):
                path = given.positional[0] if given.positional else UNKNOWN
                if isinstance(path, str):
                    yield self._at(path)

    def helm(self) -> Iterator[HelmRelease]:
        for call in self._calls:
            chart = call.arguments(*_HELM)
            if call.function == "helm" and _are_texts(chart, "paths"):
                yield HelmRelease(
                    name=_text(chart.get("name")) or "chart",
                    chart=self._at(chart["paths"]),
                    values=tuple(self._at(path) for path in _texts(chart.get("values"))),
                    namespace=_text(chart.get("namespace")),
                    settings=tuple(_pair(said) for said in _texts(chart.get("set"))),
                )

    def includes(self) -> Iterator[str]:
        for call in self._calls:
            path = call.positional[0] if call.positional else UNKNOWN
            if call.function in ("include", "load") and isinstance(path, str) and "://" not in path:
                yield self._at(path)

    def findings(self) -> Iterator[Finding]:
        for call, given in self._given_to_k8s_yaml():
            name = given.function if isinstance(given, Call) else ""
            read = isinstance(given, str) or (name in ("kustomize", "helm", "read_file", "listdir") and _written_out(given))
            if not read:
                found = f"line {call.line}: k8s_yaml({f'{name}(...)' if name else '...'})"
                yield Finding(self._path, found, "left unread", "only Tilt itself can say what is rendered there", "warning")
        for call in self._calls:
            build = call.arguments("ref")
            if call.function in (*_DOCKER_BUILDS, "custom_build") and not isinstance(build.get("ref"), str):
                found = f"line {call.line}: {call.function}(...)"
                yield Finding(self._path, found, "left unread", "the image's name is not written out there", "warning")
            if call.function in _DEPLOYS_BY_HELM:
                why = "Helm deploys it, past Tilt's k8s_yaml: what it deploys is not measured"
                yield Finding(self._path, f"line {call.line}: {call.function}(...)", "left alone", why, "warning")

    def _given_to_k8s_yaml(self) -> Iterator[tuple[Call, Any]]:
        """The call, and each of the things given to it."""
        for call in self._calls:
            if call.function == "k8s_yaml":
                given = call.arguments("yaml").get("yaml", UNKNOWN)
                for one in given if isinstance(given, list | tuple) else [given]:
                    yield call, one

    def _docker(self, build: dict[str, Any]) -> Artifact:
        context = self._at(build["context"])
        named = build.get("dockerfile", "")
        known = isinstance(named, str) and "dockerfile_contents" not in build
        return Artifact(
            image=build["ref"],
            context=context,
            dockerfile=(self._at(named) if named else project.join(context, "Dockerfile")) if known else "",
            origin=self._path,
            target=_text(build.get("target")),
            arguments=_build_arguments(build),
            entrypoint="entrypoint" in build,
        )

    def _custom(self, build: dict[str, Any]) -> Artifact:
        """What it runs is the user's own business; its first dependency is where the source is."""
        folders = _texts(build.get("deps"))
        context = self._at(folders[0]) if folders else self._folder
        return Artifact(
            build["ref"], context, dockerfile="", origin=self._path, entrypoint="entrypoint" in build, builder="custom"
        )

    def _at(self, path: str) -> str:
        return project.join(self._folder, path)


def _written_out(call: Call) -> bool:
    return (bool(call.positional) and isinstance(call.positional[0], str)) or isinstance(call.named.get("paths"), str)


def _are_texts(arguments: dict[str, Any], *names: str) -> bool:
    return all(isinstance(arguments.get(name), str) for name in names)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: Any) -> list[str]:
    return [v for v in (value if isinstance(value, list | tuple) else [value]) if isinstance(v, str)]


def _pair(said: str) -> tuple[str, str]:
    name, _, value = said.partition("=")
    return name, value


def _build_arguments(build: dict[str, Any]) -> dict[str, str | None]:
    arguments = build.get("build_args", {})
    if not isinstance(arguments, dict):
        return {}
    return {str(name): value if isinstance(value, str) else None for name, value in arguments.items()}
