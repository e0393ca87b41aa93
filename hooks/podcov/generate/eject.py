"""`podcov eject`: what `podcov init` put into a project, taken out again. Pure: files in, changes out.

What counts as podcov's own is what says so itself: the files that `SHA256SUMS` lists, and the marked blocks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from posixpath import dirname

from podcov.config import Config, Generate, parse
from podcov.errors import ConfigError, DriftError, ManifestError
from podcov.generate import blocks, make_target, project, seal, walk
from podcov.generate.api import Change
from podcov.generate.coverage import rebuilding
from podcov.generate.coverage.entering import CONFIG
from podcov.generate.project import Project
from podcov.generate.skaffold import document as skaffold
from podcov.generate.tilt import tiltfile

RESULTS = ".podcov"
_WITH_BLOCKS = ("skaffold*.yaml", "skaffold*.yml", "Tiltfile*", "*.tilt", *make_target.MAKEFILES)


@dataclass(frozen=True, slots=True)
class Left:
    """Something that stays, and what to do about it."""

    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Ejection:
    """`changes` in the order of their paths; a file whose content is None is to be removed."""

    changes: tuple[Change, ...]
    left: tuple[Left, ...]


def plan(files: Project, *, keep_config: bool = False, force: bool = False) -> Ejection:
    """What leaves the project as it was before `init`. A `podcov.yaml` that cannot be understood keeps nobody from leaving.

    One that is not as `init` wrote it is somebody's work: it stays without `force`.
    """
    content, text = files.read(CONFIG), project.text(files, CONFIG)
    config = _understood(text)
    generate = config.generate if config else Generate(skaffold="skaffold.yaml", tiltfile="Tiltfile")
    folder = dirname(project.join(generate.overlay)) or "podcov"
    changes = [*_own_files(files, folder), *_without_blocks(files, generate)]
    left = [*_left_files(files, folder), *_left_elsewhere(text, config)]
    if content is not None and keep_config:
        left.append(Left(CONFIG, "`podcov init` sets everything up again from it"))
    elif content is not None and not (force or seal.is_as_signed(content)):
        left.append(Left(CONFIG, "somebody wrote or edited it; `podcov eject --force` removes it all the same"))
    elif content is not None:
        changes.append(Change(CONFIG, None, "is podcov's configuration"))
    return Ejection(tuple(sorted(changes, key=lambda change: change.path)), tuple(left))


def refuse_hand_edits(changes: Iterable[Change]) -> None:
    """Raises DriftError that names every file that somebody's edits would be lost with."""
    found = [f"{change.path}: {change.reason}" for change in changes if change.by_hand]
    if found:
        raise DriftError(
            "\n".join(found), hint="keep what was changed elsewhere; `podcov eject --force` removes it all the same."
        )


def _own_files(files: Project, folder: str) -> Iterator[Change]:
    """The generated files, and the list of them."""
    listed = project.join(folder, seal.NAME)
    content = files.read(listed)
    for name, digest in seal.read(content).items():
        path = project.join(folder, name)
        present = files.read(path)
        if present is not None and (path.startswith(f"{folder}/") or rebuilding.is_derived(path)):
            by_hand = seal.digest(present) != digest
            yield Change(path, None, "was edited by hand" if by_hand else "was generated", by_hand=by_hand)
    if content is not None:
        yield Change(listed, None, "lists what was generated")


def _without_blocks(files: Project, generate: Generate) -> Iterator[Change]:
    """The user's own files, the marked blocks taken out."""
    for path in _files_with_blocks(files, generate):
        content = files.read(path)
        if content is None:
            continue
        text = content.decode("utf-8", "surrogateescape")
        plain = blocks.remove(text)
        if plain != text:
            by_hand = blocks.edited(text)
            reason = "podcov's marked block was edited by hand" if by_hand else "has podcov's marked block"
            yield Change(path, plain.encode("utf-8", "surrogateescape"), reason, by_hand=by_hand)


def _files_with_blocks(files: Project, generate: Generate) -> list[str]:
    """Where blocks may be: what `podcov.yaml` names, what that requires and includes, and files that are called like them."""
    named = [generate.skaffold, generate.tiltfile]
    with suppress(ManifestError):  # It has to come out of a file that Skaffold could not read, too.
        named += [one.path for one in skaffold.read_all(files, generate.skaffold)] if generate.skaffold else []
    named += [one.path for one in tiltfile.read_all(files, generate.tiltfile)] if generate.tiltfile else []
    named += [path for path in walk.walk(files) if walk.is_named(path, _WITH_BLOCKS)]
    return sorted({path for path in named if path})


def _left_files(files: Project, folder: str) -> Iterator[Left]:
    listed = {project.join(folder, name) for name in (*seal.read(files.read(project.join(folder, seal.NAME))), seal.NAME)}
    for path in _below(files, folder):
        if path not in listed:
            yield Left(path, "podcov did not write it")
    if files.names(RESULTS):
        yield Left(f"{RESULTS}/", "the results of earlier runs; git ignores it, remove it when you need them no more")


def _left_elsewhere(text: str | None, config: Config | None) -> Iterator[Left]:
    if text is not None and config is None:
        yield Left("other places", f"{CONFIG} cannot be understood: only the usual ones were looked at")
    if text is not None and (config is None or config.platform == "kubernetes"):
        yield Left(
            "the cluster", "what was deployed with coverage runs until it is deployed again; `podcov clean` looks for the rest"
        )


def _understood(text: str | None) -> Config | None:
    try:
        return parse(text) if text is not None else None
    except ConfigError:
        return None


def _below(files: Project, folder: str) -> Iterator[str]:
    for name in files.names(folder):
        path = project.join(folder, name.rstrip("/"))
        if name.endswith("/"):
            yield from _below(files, path)
        else:
            yield path
