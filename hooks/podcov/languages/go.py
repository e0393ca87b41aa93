"""Go: counters become coverage by the meta-data of the build that they are of, and files find their places in the project. Pure.

What processes counted is put together in `go_ran`, what their own dumps mean is in `go_dumps`, where files lie in `go_places`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from podcov import paths
from podcov.errors import MergeError
from podcov.formats.analysis import FileAnalysis
from podcov.formats.go_builds import Build
from podcov.formats.go_coverage import GoCoverage, combine
from podcov.formats.go_meta import GoFunction
from podcov.formats.go_regions import Place, file_coverages
from podcov.formats.go_source import declarations
from podcov.languages.contract import Converted, Need, Observed, ServiceData, Target, Text
from podcov.languages.go_courier import GoCourier
from podcov.languages.go_files import is_source
from podcov.languages.go_observed import observe
from podcov.languages.go_places import Found, Places
from podcov.languages.go_ran import by_process, measures_itself, ran
from podcov.merge import by_service
from podcov.model import FileCoverage, Function, Origin
from podcov.paths import RecordedFile, ReportedFile
from podcov.raw import digest_of

_OWN_PACKAGE: Final = "internal/podcov"
"""podcov's recorder in the toolchain: a program that covers the standard library covers it, too"""
_NAMED_IN_A_MESSAGE: Final = 5


class Go:
    """Fulfils `podcov.languages.contract.Language`."""

    @property
    def name(self) -> str:
        return "go"

    @property
    def courier(self) -> GoCourier:
        return GoCourier()

    @property
    def reads_coverage_config(self) -> bool:
        return False

    @property
    def unseen(self) -> str:
        return "is its program another than the one that was built with podcov in the toolchain?"

    def is_source(self, path: str, first_line: Callable[[], bytes]) -> bool:  # noqa: ARG002 Go has no scripts
        return is_source(path)

    def observe(self, target: Target, counted: Collection[int], text: Text) -> Mapping[str, Observed]:
        return observe(target, counted, text)

    def needs(self, data: ServiceData) -> tuple[Need, ...]:  # noqa: ARG002
        """None: everything is in the meta-data, packages that nothing loaded included."""
        return ()

    def convert(self, data: ServiceData, tables: Mapping[Need, FileAnalysis]) -> Converted:  # noqa: ARG002
        """Coverage of all packages that the service's programs can count. Builds that contradict each other are a failure."""
        found = ran(data)
        try:
            epochs, warnings = _combined(found.epochs, data.service.name)
        except MergeError as error:
            failure = f"service {data.service.name}: {error.message}; {error.hint}"
            return Converted((), failures=(*found.failures, failure))
        reported = _Reported(data, epochs)
        failures = (*found.failures, *reported.failures)
        return Converted(
            reported.files,
            warnings=(*warnings, *reported.warnings),
            failures=failures or _nothing(reported.files, data),
        )


def _combined(epochs: Mapping[int, Sequence[Build]], service: str) -> tuple[Mapping[int, GoCoverage], tuple[str, ...]]:
    """By epoch, all in one mode, and what is to be said about that. Raises MergeError."""
    modes = sorted({build.meta.mode for builds in epochs.values() for build in builds})
    mixed = len(modes) > 1
    combined = {epoch: _without_our_own(combine(builds, "set" if mixed else None)) for epoch, builds in epochs.items()}
    if not mixed:
        return combined, ()
    warning = f"{service}: some of its programs count in mode {' and some in '.join(modes)}; reported is only whether blocks ran"
    return combined, (warning,)


def _without_our_own(coverage: GoCoverage) -> GoCoverage:
    return replace(coverage, packages=tuple(of for of in coverage.packages if of.package.path != _OWN_PACKAGE))


def _nothing(files: Iterable[FileCoverage], data: ServiceData) -> tuple[str, ...]:
    """A program that counts counts its `main`; where nothing of that is seen, the wrong packages are measured."""
    if any(file.numbers.covered for file in files) or not any(_counted(target, data) for target in data.targets):
        return ()
    return (
        f"service {data.service.name}: 0 % of it ran, not even its start: does -coverpkg name the packages of the program "
        "that runs?",
    )


def _counted(target: Target, data: ServiceData) -> bool:
    """Whether a process of it counted in this run. Of one that measures itself, or was not asked yet, only its files tell."""
    epochs = data.epochs.counted(target.records)
    wrote = {process for process, files in by_process(target).items() if any(file.epoch in epochs for file in files)}
    return any(
        process.id in wrote or (process.start.recording is not None and not measures_itself(process))
        for process in target.records.processes
        if process.start and process.start.state == "recording"
    )


class _Reported:
    """The files of a service, each in its place."""

    def __init__(self, data: ServiceData, epochs: Mapping[int, GoCoverage]) -> None:
        self._data = data
        self._places = Places(
            data.local,
            data.vendored,
            data.text,
            explicit=data.service.paths,
            sources=data.service.source,
            root=data.root,
            service=data.service.name,
        )
        self._functions = _functions_by_file(epochs.values())
        self._found: dict[str, Found | None] = {}
        placed = file_coverages(epochs, data.service.name, self._place)
        self.files = by_service(self._with_functions(file) for file in placed)

    def _place(self, name: str) -> Place:
        functions = self._functions[name]
        found = self._found[name] = self._places.find(name, functions)
        if found is None:
            return Place(name.strip("/"), _digest_of(functions), "missing")
        if found.misfit:
            return Place(found.path, _digest_of(functions), "missing")
        return Place(found.path, found.digest, self._origin(found))

    def _origin(self, found: Found) -> Origin:
        today = self._data.today
        return "local" if today is None or today(found.path) == found.digest else "recorded"

    def _with_functions(self, file: FileCoverage) -> FileCoverage:
        """Text profiles name no functions; the source does."""
        text = None if file.functions or file.origin == "missing" else self._data.text(file.digest)
        if text is None:
            return file
        functions = (Function(found.name, found.body[0], found.end[0]) for found in declarations(text))
        return replace(file, functions=tuple(sorted(functions)))

    @property
    def failures(self) -> tuple[str, ...]:
        """Files whose local text is another than the one that was built."""
        wrong = [f"{found.path} ({found.misfit})" for _, found in sorted(self._found.items()) if found and found.misfit]
        if not wrong:
            return ()
        return (
            f"service {self._data.service.name}: it was built from other sources than the local ones: {_first(wrong)}; "
            "check out what is deployed, or deploy what is checked out",
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """Files that are not in the project, or have another text there by now."""
        moved_on = {
            RecordedFile(name, found.digest): ReportedFile(found.path, "recorded", True)
            for name, found in self._found.items()
            if found and not found.misfit and self._origin(found) == "recorded"
        }
        return (*paths.warnings(moved_on), *self._not_in_the_project())

    def _not_in_the_project(self) -> tuple[str, ...]:
        packages = sorted({name.rpartition("/")[0] for name, found in self._found.items() if found is None})
        if not packages:
            return ()
        return (
            f"{self._data.service.name}: measured, but not in the project, so that only numbers are reported: packages "
            f"{_first(packages)}; if they are in it, services.{self._data.service.name}.paths in podcov.yaml says where",
        )


def _functions_by_file(coverages: Iterable[GoCoverage]) -> Mapping[str, Sequence[GoFunction]]:
    """Of the epochs together, each once: all epochs have the same builds."""
    files: dict[str, dict[GoFunction, None]] = defaultdict(dict)
    for coverage in coverages:
        for counted in coverage.packages:
            for function in counted.package.functions:
                files[function.file][function] = None
    return {name: tuple(functions) for name, functions in files.items()}


def _digest_of(functions: Sequence[GoFunction]) -> str:
    """Of a text that is not known, what is known: so that two services with the same one have one file, and with others two."""
    blocks = sorted(block[1:] for function in functions for block in function.blocks)
    return digest_of(repr(blocks).encode())


def _first(names: Sequence[str]) -> str:
    more = len(names) - _NAMED_IN_A_MESSAGE
    return ", ".join([*names[:_NAMED_IN_A_MESSAGE], *([f"and {more} more"] if more > 0 else [])])
