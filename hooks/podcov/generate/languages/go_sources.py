"""What the source of a Go service says of it: its module, and how it hands its own coverage over. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from posixpath import basename, dirname

from podcov.config import Dump
from podcov.generate import project, walk
from podcov.generate.languages.go_signals import Handler, Program
from podcov.generate.languages.proposals import Seen

_MODULE = re.compile(r'^\s*module\s+"?(?P<path>[^\s"]+)', re.MULTILINE)
_KILLSWITCH = re.compile(r'kill[^\n]*?"[^"\n]*:(?P<port>\d{2,5})"', re.IGNORECASE)
_PROFILE = re.compile(r"-test\.coverprofile[= ]\"?(?P<path>[\w./-]+)")
_BUILT = re.compile(r"\bgo\s+build\b[^;&|\n]*?\s(?P<main>\./[\w./-]*|\.|[\w./-]+\.go)(?=\s|$)")


def module_folder(seen: Seen) -> str:
    """The folder of the nearest go.mod, from the Dockerfile or the package that ko builds upwards; else the build context."""
    return next((folder for folder in _upwards(seen) if _go_mod(seen, folder) is not None), seen.built.context)


def has_module(seen: Seen) -> bool:
    """Whether there is a go.mod."""
    return _go_mod(seen, module_folder(seen)) is not None


def import_path(seen: Seen) -> str:
    """That of the package that ko builds; empty where there is no module to tell it from."""
    main = seen.built.artifact.main if seen.built.artifact else ""
    if main and not main.startswith("."):
        return main
    folder = module_folder(seen)
    found = _MODULE.search(_go_mod(seen, folder) or "")
    return project.join(found["path"], project.relative(main or folder, folder)) if found else ""


def signal_handler(seen: Seen, folder: str) -> Handler | None:
    """Who writes the counters when a signal comes; None where nobody does in this program."""
    texts = {path: text for path, text in _go_files(seen, folder) if not path.endswith("_test.go")}
    packages = _packages(seen, folder, texts)
    return Program(texts, packages, _mains(seen, folder, packages)).handler()


def killswitch(seen: Seen, folder: str) -> Dump:
    """How a test binary is ended, and what it calls its profile."""
    usual = Dump("killswitch")
    ports = (int(found["port"]) for _, text in _go_files(seen, folder) if (found := _KILLSWITCH.search(text)))
    names = (basename(found["path"]) for text in _scripts(seen) if (found := _PROFILE.search(text)))
    return Dump("killswitch", port=next(ports, usual.port), profile=next(names, usual.profile))


def _upwards(seen: Seen) -> Iterator[str]:
    artifact = seen.built.artifact
    places = [seen.built.context]
    if artifact and artifact.dockerfile:
        places.insert(0, dirname(artifact.dockerfile) or ".")
    if artifact and artifact.main.startswith("."):
        places.insert(0, project.join(artifact.main))
    for place in places:
        yield place
        while place not in (".", "..", "") and not place.endswith("/.."):
            place = dirname(place) or "."
            yield place


def _go_mod(seen: Seen, folder: str) -> str | None:
    return project.text(seen.files, project.join(folder, "go.mod"))


def _packages(seen: Seen, folder: str, paths: Iterable[str]) -> dict[str, str]:
    """Import paths of the folders that hold Go files, by the nearest go.mod of each."""
    modules: dict[str, str] = {}
    for path in walk.walk(seen.files, folder):
        if basename(path) == "go.mod" and (found := _MODULE.search(walk.text(seen.files, path) or "")):
            modules[dirname(path)] = found["path"]
    found_in: dict[str, str] = {}
    for place in dict.fromkeys(dirname(path) for path in paths):
        inner = [module for module in modules if not module or place == module or place.startswith(f"{module}/")]
        if inner:
            nearest = max(inner, key=len)
            found_in[project.join(modules[nearest], project.relative(place or ".", nearest or "."))] = place
    return found_in


def _mains(seen: Seen, folder: str, packages: Mapping[str, str]) -> frozenset[str]:
    """The folders of the program's own package, as far as its build names them."""
    image, artifact = seen.built.image, seen.built.artifact
    stages = (image, *(taken.origin for taken in image.taken)) if image else ()
    said = [found["main"] for stage in stages for run in stage.runs for found in _BUILT.finditer(run)]
    named = {project.join(folder, dirname(main) if main.endswith(".go") else main) for main in said if not main.endswith("...")}
    by_ko = artifact.main if artifact else ""
    named |= {project.join(by_ko)} if by_ko.startswith(".") else set()
    named |= {packages[by_ko]} if by_ko in packages else set()
    return frozenset(named)


def _go_files(seen: Seen, folder: str) -> Iterator[tuple[str, str]]:
    for path in walk.walk(seen.files, folder):
        if path.endswith(".go") and (text := walk.text(seen.files, path)) is not None:
            yield path, text


def _scripts(seen: Seen) -> Iterator[str]:
    """The scripts of the project that the image has, whatever way they come into it."""
    image = seen.built.image
    sources = [*(source for source, _ in image.copies), *(taken.source for taken in image.taken)] if image else []
    names = {basename(source) for source in sources if source.endswith(".sh")}
    for path in walk.walk(seen.files, seen.built.context) if names else ():
        if basename(path) in names and (text := walk.text(seen.files, path)):
            yield text
