"""Python: what has to be analysed, which files count, and where they are reported. Pure.

Everything that only an interpreter of the version that ran a text knows is in coverage.py's tables of it
(`podcov.formats.analysis`); how hits and tables make numbers is in `podcov.languages.python_hits`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

from podcov import paths
from podcov.formats.analysis import FileAnalysis, Rules
from podcov.formats.records import CodeEntry, FileEntry, ProcessRecords
from podcov.languages.contract import Converted, Need, Observed, ServiceData, Target, Text
from podcov.languages.python_courier import PythonCourier
from podcov.languages.python_hits import TextHits, branches, read_process, regions
from podcov.merge import by_service
from podcov.model import FileCoverage, Mode
from podcov.paths import RecordedFile, ReportedFile, map_files

_SUFFIXES: Final = (".py", ".pyw")
_NEVER_READABLE: Final = -1
"""the size of a file entry that the process itself could not read"""

Analyses = Mapping[tuple[str, str], FileAnalysis]
"""by minor version and digest"""


class Python:
    """Fulfils `podcov.languages.contract.Language`."""

    @property
    def name(self) -> str:
        return "python"

    @property
    def unseen(self) -> str:
        return "is the wrapper's ConfigMap missing or damaged, or is no Python running in it?"

    @property
    def courier(self) -> PythonCourier:
        return PythonCourier()

    @property
    def reads_coverage_config(self) -> bool:
        return True

    def is_source(self, path: str, first_line: Callable[[], bytes]) -> bool:
        """By its suffix; without one, a script whose first line names Python."""
        name = path.rpartition("/")[2]
        return path.endswith(_SUFFIXES) or ("." not in name.lstrip(".") and b"python" in first_line())

    def observe(self, target: Target, counted: Collection[int], text: Text) -> Mapping[str, Observed]:  # noqa: ARG002
        """Damage is in the records already."""
        return {p.id: Observed(any(len(p.epochs.get(epoch, ())) for epoch in counted)) for p in target.records.processes}

    def needs(self, data: ServiceData) -> tuple[Need, ...]:
        """Every text that ran, for each version that ran it, and those of files that perhaps nothing loaded."""
        service = _Service(data)
        wanted: dict[tuple[str, str], Need] = {}
        for target, process in service.processes:
            for entry in process.files.values():
                digest = target.digests.get(entry.key)
                if digest and service.may_count(entry.path, digest):
                    wanted.setdefault((_minor(process), digest), Need(_minor(process), digest, entry.path, service.rules))
        for path, digest in service.unloaded.items():
            wanted.setdefault((service.main_minor, digest), Need(service.main_minor, digest, path, service.rules))
        return tuple(wanted[key] for key in sorted(wanted))

    def convert(self, data: ServiceData, tables: Mapping[Need, FileAnalysis]) -> Converted:
        """Coverage of everything that ran and counts, and of the service's files that nothing loaded."""
        service = _Service(data)
        analyses = {(need.minor, need.digest): table for need, table in tables.items()}
        ran = _gather(service, analyses)
        placed = service.measured(
            map_files(
                {text.recorded for text in ran.texts},
                data.local,
                explicit=data.service.paths,
                sources=data.service.source,
                root=data.root,
                service=data.service.name,
            )
        )
        files = [
            _coverage(service, text.recorded, placed[text.recorded], analyses[text.minor, text.recorded.digest], hits)
            for text, hits in ran.texts.items()
            if text.recorded in placed
        ]
        loaded = {file.path for file in files}
        unreadable = []
        for path, digest in service.unloaded.items():
            analysis = analyses[service.main_minor, digest]
            if analysis.error:
                unreadable.append(f"{path}: left out, for nothing loaded it and it cannot be parsed: {analysis.error}")
            elif path not in loaded:
                recorded = RecordedFile("", digest, not analysis.statements)
                place = service.as_of_today(recorded, ReportedFile(path, "local", True))
                files.append(_coverage(service, recorded, place, analysis, TextHits()))
        said = (*data.selection.warnings, *service.warnings(), *paths.warnings(placed), *ran.warnings, *unreadable)
        return Converted(by_service(files), warnings=tuple(dict.fromkeys(said)), failures=ran.failures)


def _minor(process: ProcessRecords) -> str:
    return process.start.minor if process.start else ""


class _Service:
    """One service's data, and what follows from them."""

    def __init__(self, data: ServiceData) -> None:
        self.data = data

    @cached_property
    def processes(self) -> list[tuple[Target, ProcessRecords]]:
        """Those that recorded; the ledger tells about the others."""
        return [
            (target, process)
            for target in self.data.targets
            for process in target.records.processes
            if process.start and process.start.state == "recording" and process.start.language == "python"
        ]

    @cached_property
    def modes(self) -> set[str]:
        return {process.start.mode or "line" for _, process in self.processes if process.start}

    @property
    def mode(self) -> Mode:
        """Branch mode only where every process recorded branches: what the others' branches did is not known."""
        if not self.modes:
            return self.data.default_mode
        return "branch" if self.modes == {"branch"} else "line"

    @cached_property
    def rules(self) -> Rules:
        selection = self.data.selection
        return Rules(selection.exclude_lines, selection.partial_branches, self.mode == "branch")

    @cached_property
    def main_minor(self) -> str:
        """The version that most of its processes run; the newer one of two."""
        count = Counter(_minor(process) for _, process in self.processes)
        return max(count, key=lambda minor: (count[minor], _version(minor)), default=self.data.default_minor)

    @cached_property
    def unloaded(self) -> dict[str, str]:
        """Files that count even if nothing loads them, and their digests."""
        local = self.data.local
        readable = bool(self.main_minor)
        return {path: local[path] for path in sorted(self.data.selection.unloaded) if readable and path in local}

    @cached_property
    def _local_digests(self) -> frozenset[str]:
        return frozenset(self.data.local.values())

    def may_count(self, path: str, digest: str | None) -> bool:
        """Not a script that an installer made (`bin/gunicorn`), which is no source of anybody's; not omitted."""
        ours = path.endswith(_SUFFIXES) or digest in self._local_digests or path in self.data.service.paths
        return ours and not self.data.selection.omits(path)

    @cached_property
    def _named_packages(self) -> tuple[str, ...]:
        """What paths of the packages that podcov.yaml names begin with."""
        names = [package.replace(".", "/") for package in self.data.service.packages]
        return tuple(name + end for name in names for end in ("/", ".py"))

    def measured(self, placed: Mapping[RecordedFile, ReportedFile]) -> dict[RecordedFile, ReportedFile]:
        """What the project's configuration and podcov.yaml want to see."""
        return {file: self.as_of_today(file, place) for file, place in placed.items() if self._measures(file, place)}

    def as_of_today(self, file: RecordedFile, place: ReportedFile) -> ReportedFile:
        """A place in the project, with where its text is now."""
        if not place.local or self.data.today is None:
            return place
        return replace(place, origin="local" if self.data.today(place.path) == file.digest else "recorded")

    def _measures(self, file: RecordedFile, place: ReportedFile) -> bool:
        installed = place.path.removeprefix("site-packages/")
        named = installed != place.path and installed.startswith(self._named_packages)
        path = f"{self.data.root}/{place.path}" if place.local else file.path
        return self.data.selection.measures(path, named=named)

    def warnings(self) -> list[str]:
        if len(self.modes) > 1:
            return [f"{self.data.service.name}: some processes recorded lines and some branches; reported without branches"]
        return []


@dataclass(frozen=True, slots=True)
class _Text:
    """A text that ran, as one version of Python sees it."""

    minor: str
    recorded: RecordedFile


@dataclass(frozen=True, slots=True)
class _Ran:
    texts: Mapping[_Text, TextHits]
    warnings: tuple[str, ...]
    failures: tuple[str, ...]


def _gather(service: _Service, analyses: Analyses) -> _Ran:
    """What all processes ran in the run's epochs, by text."""
    texts: dict[_Text, TextHits] = defaultdict(TextHits)
    said: dict[str, None] = {}
    failed: dict[str, None] = {}
    for target, process in service.processes:
        minor = _minor(process)
        digests = {index: target.digests.get(entry.key) for index, entry in process.files.items()}
        known = {index: analyses[minor, digest] for index, digest in digests.items() if digest and (minor, digest) in analyses}
        hits = read_process(process, service.data.epochs.counted(target.records), known)
        for index, text_hits in hits.texts.items():
            entry = process.files[index]
            digest = digests[index]
            if not service.may_count(entry.path, digest):
                continue
            if not digest:
                (said if entry.size == _NEVER_READABLE else failed)[_without_source(target, entry)] = None
            elif error := known[index].error:
                failed[f"{target.name}: {entry.path}: ran, but cannot be analysed: {error}"] = None
            else:
                recorded = RecordedFile(entry.path, digest, not known[index].statements)
                texts[_Text(minor, recorded)].add(text_hits)
        said |= dict.fromkeys(_unmatched(hits.unmatched, process, known))
    return _Ran(texts, tuple(said), tuple(failed))


def _unmatched(codes: Sequence[CodeEntry], process: ProcessRecords, known: Mapping[int, FileAnalysis]) -> Iterator[str]:
    by_file: dict[int, list[str]] = defaultdict(list)
    for code in codes:
        if code.file in known and not known[code.file].error:
            by_file[code.file].append(code.name)
    for index, names in by_file.items():
        yield (
            f"{process.files[index].path}: what ran of {', '.join(sorted(set(names)))} is not what Python {_minor(process)} "
            "compiles from that text (an import hook?): its lines count, its branches are not known"
        )


def _without_source(target: Target, entry: FileEntry) -> str:
    return f"{target.name}: {entry.path}: ran, but its source could not be had, so that nothing can be said about it"


def _version(minor: str) -> tuple[int, ...]:
    return tuple(int(part) for part in minor.split(".") if part.isdigit())


def _coverage(
    service: _Service, recorded: RecordedFile, place: ReportedFile, analysis: FileAnalysis, hits: TextHits
) -> FileCoverage:
    return FileCoverage(
        service=service.data.service.name,
        path=place.path,
        language="python",
        digest=recorded.digest,
        origin=place.origin,
        mode=service.mode,
        regions=regions(analysis, hits),
        arcs=branches(analysis, hits) if service.mode == "branch" else (),
        functions=analysis.functions,
        excluded=tuple(sorted(analysis.excluded)),
        package=place.path.rpartition("/")[0].replace("/", "."),
        recorded_paths=(recorded.path,) if recorded.path else (),
    )
