"""Finds the local file of a file that ran in a container: by what it holds, never by its name alone. Pure.

A recorded file belongs to the local file with the same content. Where several local files have that content, the folders that
other files of the service were found in decide; where they don't, the user has to. A file whose local content is another by now
is reported from the text that ran.

Paths in containers are absolute; local paths are relative to the project. Both have `/`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from podcov.errors import MappingError
from podcov.model import Origin

INSTALLED_FOLDERS: Final = ("site-packages", "dist-packages")
_NAMED_IN_A_MESSAGE: Final = 5

_Parts = tuple[str, ...]
_Folders = Mapping[_Parts, frozenset[_Parts]]
"""container folder -> the local folders that files below it were found in, at the same place"""


@dataclass(frozen=True, order=True, slots=True)
class RecordedFile:
    """A text that ran, and where it lay in the container. `blank`: there is no statement in it."""

    path: str
    digest: str
    blank: bool = False


@dataclass(frozen=True, slots=True)
class ReportedFile:
    """Where a recorded file is reported. `local` tells whether the project has a file of that path."""

    path: str
    origin: Origin
    local: bool


def map_files(
    recorded: Iterable[RecordedFile],
    local: Mapping[str, str],
    *,
    explicit: Mapping[str, str] | None = None,
    sources: Sequence[str] = (),
    root: str = "",
    service: str = "",
) -> dict[RecordedFile, ReportedFile]:
    """Finds a place for every recorded file of one service; only blank files that several local ones match alike have none.

    `local` is the digest of each local file. `explicit` maps container folders or files to local ones, and wins. Files below
    `sources`, the service's own folders, are preferred to others of the same content. What ran below `root`, the project's
    absolute path on this machine, is the project's own file.
    Raises MappingError where local files of the same content cannot be told apart.
    """
    everything = sorted(set(recorded))
    twins = _by_digest(local, sources)
    placed: dict[RecordedFile, ReportedFile] = {}
    for file in everything:
        own = file.path.removeprefix(f"{root}/") if root else file.path
        if told := explicit_place(file.path, explicit or {}):
            placed[file] = _at(told, file, local)
        elif own != file.path and own in local:
            placed[file] = _at(own, file, local)
        elif not file.blank and len(twins.get(file.digest, ())) == 1:
            placed[file] = ReportedFile(twins[file.digest][0], "local", True)
    folders = _agreed_folders((file.path, place.path) for file, place in placed.items() if place.local and not file.blank)
    ambiguous: dict[RecordedFile, Sequence[str]] = {}
    for file in everything:
        if file in placed:
            continue
        candidates = twins.get(file.digest, ())
        fitting = _below(folders, file.path, candidates) if candidates else _below(folders, file.path, local.keys())
        if not fitting and file.blank:
            fitting = _most_alike(file.path, candidates)
        if len(fitting) == 1:
            placed[file] = _at(fitting[0], file, local)
        elif not candidates:
            placed[file] = ReportedFile(_container_path(file.path), "recorded", False)
        elif not file.blank:
            ambiguous[file] = fitting or candidates
    if ambiguous:
        raise _ambiguity(ambiguous, service)
    return placed


def warnings(placed: Mapping[RecordedFile, ReportedFile]) -> tuple[str, ...]:
    """What people should know about files that are not reported from the checkout."""
    other_text = sorted((place.path, file.path) for file, place in placed.items() if place.local and place.origin == "recorded")
    strange = sorted(
        place.path
        for file, place in placed.items()
        if not place.local and not file.blank and not is_below(place.path, "site-packages")
    )
    said = [f"{path}: is not the text that ran ({ran}); reported from that text" for path, ran in other_text]
    if strange:
        said.append(
            f"{len(strange)} file{'s' * (len(strange) > 1)} that ran, but not in the project, reported as in the container: "
            + ", ".join(_first(strange))
        )
    return tuple(said)


def is_below(path: str, folder: str) -> bool:
    """Whether the path is the folder or file, or lies in it. `.` and the empty text are the project itself."""
    folder = _plain(folder)
    return not folder or path == folder or path.startswith(folder.rstrip("/") + "/")


def _plain(path: str) -> str:
    """Without `./` before it and `/` after it; `.` is the empty text."""
    plain = path.removeprefix("./").rstrip("/")
    return "" if plain == "." else plain or path[:1]


def _by_digest(local: Mapping[str, str], sources: Sequence[str]) -> Mapping[str, Sequence[str]]:
    twins: dict[str, list[str]] = defaultdict(list)
    for path in sorted(local):
        twins[local[path]].append(path)
    return {digest: [p for p in paths if any(is_below(p, s) for s in sources)] or paths for digest, paths in twins.items()}


def explicit_place(path: str, explicit: Mapping[str, str]) -> str | None:
    """Where the user's mappings (`services.NAME.paths`) lead; of several the longest counts. None where none is for the path."""
    for key in sorted(explicit, key=lambda k: len(_plain(k)), reverse=True):
        if is_below(path, key):
            rest = path[len(_plain(key)) :].lstrip("/")
            return "/".join(part for part in (_plain(explicit[key]), rest) if part)
    return None


def _at(path: str, file: RecordedFile, local: Mapping[str, str]) -> ReportedFile:
    return ReportedFile(path, "local" if local.get(path) == file.digest else "recorded", path in local)


def _agreed_folders(pairs: Iterable[tuple[str, str]]) -> _Folders:
    """What pairs of (container path, local path) say about folders: all that remains when equal ends are taken off."""
    folders: dict[_Parts, set[_Parts]] = defaultdict(set)
    for container_path, local_path in pairs:
        container, local = tuple(container_path.split("/")), tuple(local_path.split("/"))
        while container and local and container[-1] == local[-1]:
            container, local = container[:-1], local[:-1]
            folders[container].add(local)
    return {container: frozenset(found) for container, found in folders.items()}


def _below(folders: _Folders, path: str, among: Collection[str]) -> list[str]:
    """Where the nearest folder with an agreed counterpart puts the path, as far as that is `among` the paths given."""
    parts = tuple(path.split("/"))
    for depth in range(len(parts) - 1, -1, -1):
        found = {"/".join(local + parts[depth:]) for local in folders.get(parts[:depth], ())}
        if fitting := sorted(p for p in found if p in among):
            return fitting
    return []


def _most_alike(path: str, candidates: Sequence[str]) -> list[str]:
    """The candidates that share the longest end with the path."""
    shared = {candidate: _common_end(path, candidate) for candidate in candidates}
    longest = max(shared.values(), default=0)
    return [candidate for candidate in candidates if longest and shared[candidate] == longest]


def _common_end(one: str, other: str) -> int:
    count = 0
    for a, b in zip(reversed(one.split("/")), reversed(other.split("/")), strict=False):
        if a != b:
            break
        count += 1
    return count


def _container_path(path: str) -> str:
    """How a file without a local counterpart is known: by its place below site-packages, else by its place in the container."""
    parts = path.strip("/").split("/")
    for index in range(len(parts) - 1, -1, -1):
        if parts[index] in INSTALLED_FOLDERS:
            return "/".join(("site-packages", *parts[index + 1 :]))
    return "/".join(parts)


def _ambiguity(ambiguous: Mapping[RecordedFile, Sequence[str]], service: str) -> MappingError:
    named = [f"{file.path}: {', '.join(candidates)}" for file, candidates in sorted(ambiguous.items())]
    file, candidates = min(ambiguous.items())
    return MappingError(
        f"{service + ': ' if service else ''}files that ran equal several local files, and nothing says which:\n  "
        + "\n  ".join(_first(named)),
        hint=f"say it in podcov.yaml, under services.{service or 'NAME'}.paths, for the file or for a folder above it: "
        f"{{{file.path}: {candidates[0]}}}",
    )


def _first(names: Sequence[str]) -> list[str]:
    more = len(names) - _NAMED_IN_A_MESSAGE
    return [*names[:_NAMED_IN_A_MESSAGE], *([f"and {more} more"] if more > 0 else [])]
