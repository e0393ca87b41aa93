"""What a language is given and has to answer; see `podcov.languages` for the order of things. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from podcov.config import Service
from podcov.formats.analysis import FileAnalysis, Rules
from podcov.formats.records import TargetRecords
from podcov.languages.couriers import Courier
from podcov.languages.epochs import Numbering
from podcov.model import FileCoverage, Mode
from podcov.paths import is_below

Text = Callable[[str], bytes | None]
"""The content with a digest, of a file of the project or of a source that was pulled; None where it is not known (any more)."""
DigestAt = Callable[[str], str | None]
"""The digest of what lies at a path in the project now; None where nothing is that can be read. Each call may read a file."""


@dataclass(frozen=True, slots=True)
class Target:
    """One pulled target. `digests` has what each file entry (its `key`) held, None where the courier could not have it."""

    name: str
    """`namespace/pod/container`, for messages"""
    records: TargetRecords
    digests: Mapping[tuple[str, int, int], str | None]
    files: Mapping[str, bytes] = field(default_factory=dict)
    """all that lay in its folder, by name: for what only one language has"""


@dataclass(frozen=True, slots=True)
class Observed:
    """What the records of one process say of themselves, for the ledger."""

    hits: bool
    """something ran in the epochs that count"""
    damage: tuple[str, ...] = ()
    """each file that cannot be read, and what is wrong with it"""
    slug: str = ""
    """of what is missing for another reason, and `reason` says what, and what to do; empty where nothing is"""
    reason: str = ""
    note: str = ""
    """what is true of it all the same"""


@dataclass(frozen=True, slots=True)
class Selection:
    """What the project's own configuration of its coverage tool says. Paths are absolute, patterns match whole ones."""

    folders: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    """only what lies in one of these folders or packages counts; no folder and no package: everything"""
    include: tuple[str, ...] = ()
    """every one of these regular expressions has to match"""
    omit: tuple[str, ...] = ()
    """none of these may match"""
    exclude_lines: tuple[str, ...] = ()
    partial_branches: tuple[str, ...] = ()
    unloaded: tuple[str, ...] = ()
    """files of the service's source, relative to the project, that count even if no process loads them"""
    origin: str = ""
    """the configuration file; empty where there is none"""
    warnings: tuple[str, ...] = ()

    def measures(self, path: str, *, named: bool = False) -> bool:
        """Whether the file counts. `named`: podcov.yaml asks for its package, so folders and packages here don't narrow it."""
        inside = named or self._inside(path)
        return inside and all(re.match(pattern, path) for pattern in self.include) and not self.omits(path)

    def omits(self, path: str) -> bool:
        return any(re.match(pattern, path) for pattern in self.omit)

    def _inside(self, path: str) -> bool:
        if not (self.folders or self.packages):
            return True
        module = path.removesuffix(".py") + "/"
        return any(is_below(path, f) for f in self.folders) or any(f"/{p.replace('.', '/')}/" in module for p in self.packages)


@dataclass(frozen=True, slots=True)
class ServiceData:
    """All that one service's coverage is made of."""

    service: Service
    targets: tuple[Target, ...]
    epochs: Numbering
    local: Mapping[str, str]
    """path in the project -> digest, as it was when the run was first examined; of vendored modules only what was asked for
    then"""
    selection: Selection = field(default_factory=Selection)
    root: str = ""
    """the project's absolute path, for the selection's patterns"""
    default_minor: str = ""
    """the language version that unloaded files are read with where no process says which one runs them"""
    default_mode: Mode = "line"
    vendored: DigestAt = lambda _: None
    """what `go mod vendor` put into the project: too much to read all of it"""
    today: DigestAt | None = None
    """tells where a text of `local` is now; None: where it was"""
    text: Text = lambda _: None


@dataclass(frozen=True, slots=True)
class Need:
    """A text that an interpreter of this minor version has to look at. `path` is for messages."""

    minor: str
    digest: str
    path: str
    rules: Rules


@dataclass(frozen=True, slots=True)
class Converted:
    """The coverage of one service. `failures` name what ran but could not be reported: the numbers are incomplete."""

    files: tuple[FileCoverage, ...]
    warnings: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()


class Language(Protocol):
    """What the pipeline asks of a language."""

    @property
    def name(self) -> str: ...

    @property
    def courier(self) -> Courier:
        """How to call what stands beside a service and hands out its data."""

    @property
    def reads_coverage_config(self) -> bool:
        """Whether coverage.py's configuration (`.coveragerc` and the like) is about its services."""

    def is_source(self, path: str, first_line: Callable[[], bytes]) -> bool:
        """Whether a file of the project may be what its services run.

        `path` is relative to the project, with `/`; `first_line` is that of a script, behind its `#!`, and else empty.
        """

    @property
    def unseen(self) -> str:
        """What may be wrong where no process of a container left anything, as a question: `is no Python running in it?`; goes on
        from `or`."""

    def observe(self, target: Target, counted: Collection[int], text: Text) -> Mapping[str, Observed]:
        """What became of each process of a target, by its id. `counted` are the target's own epochs that count."""

    def needs(self, data: ServiceData) -> tuple[Need, ...]:
        """The texts whose analyses `convert` will want."""

    def convert(self, data: ServiceData, tables: Mapping[Need, FileAnalysis]) -> Converted:
        """Coverage out of raw hits. Raises MappingError where local files cannot be told apart."""
