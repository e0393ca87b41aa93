"""What the processes of a service counted, by epoch of the report: the files of all its targets put together. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from podcov.errors import DamagedError
from podcov.formats import go_counters, go_profile
from podcov.formats.go_builds import Build, Metas, add_up, of_profile, read_metas
from podcov.formats.go_profile import Block, Profile
from podcov.formats.go_records import CountersFile, counters_files, meta_digests
from podcov.formats.records import ProcessRecords
from podcov.languages.contract import ServiceData, Target
from podcov.languages.go_dumps import (
    Dump,
    by_epoch,
    counter_file,
    counts_of,
    counts_of_profile,
    habit,
    largest,
    profile_with,
)

DUMPED = "dumped"
"""what a start record says of the recording of a process that measures itself"""


@dataclass(frozen=True, slots=True)
class Ran:
    """`epochs` are those of the report; start-up is always among them, with all that the builds could have counted.

    `failures` say what was left out, other than files that cannot be read: these are in the ledger.
    """

    epochs: Mapping[int, tuple[Build, ...]]
    failures: tuple[str, ...]


def by_process(target: Target) -> Mapping[str, Sequence[CountersFile]]:
    """The files of each process, in order."""
    files: dict[str, list[CountersFile]] = defaultdict(list)
    for file in counters_files(target.files):
        files[file.process].append(file)
    return files


def metas_of(target: Target) -> Mapping[str, str]:
    """The digest of each build's meta-data, by its hash."""
    return meta_digests((path, digest) for (path, _, _), digest in target.digests.items())


def measures_itself(process: ProcessRecords) -> bool:
    return process.start is not None and process.start.recording == DUMPED


def counts_anything(file: CountersFile) -> bool:
    """Whether anything ran, by what it says. Raises DamagedError."""
    if file.is_profile:
        return any(go_profile.parse(file.content, name=file.name).counts.values())
    read = go_counters.parse(file.content, name=file.name)
    return any(any(function.counters) for segment in read.segments for function in segment.functions)


def ran(data: ServiceData) -> Ran:
    """What all processes of the service counted."""
    gatherer = _Gatherer(data)
    for target in data.targets:
        gatherer.take(target)
    return gatherer.ran()


@dataclass(frozen=True, slots=True)
class _Dumps:
    """What one process wrote itself, in order. `counted` are its epochs that count, and the report's numbers of them."""

    name: str
    counted: Mapping[int, int]
    dumps: tuple[Dump, ...]
    profile: Profile | None = None
    """its blocks, where it wrote text profiles"""


class _Gatherer:
    """Takes targets one by one, and then says what ran."""

    def __init__(self, data: ServiceData) -> None:
        self._data = data
        self._metas = self._read_metas()
        self._counters: dict[int, dict[str, bytes]] = defaultdict(dict)
        self._profiles: dict[int, dict[str, Profile]] = defaultdict(dict)
        self._dumps: dict[str, list[_Dumps]] = defaultdict(list)
        """by the hash of the meta-data; text profiles, which have none, by the empty text"""
        self._starts: Counter[str] = Counter()
        """how many targets of a name there were: several starts of one container"""

    def _read_metas(self) -> Metas:
        """Each once, however many targets have it."""
        digests = {build: digest for target in self._data.targets for build, digest in metas_of(target).items()}
        contents = {f"covmeta.{build}": self._data.text(digest) for build, digest in sorted(digests.items())}
        return read_metas({name: content for name, content in contents.items() if content is not None})

    def take(self, target: Target) -> None:
        counted = self._data.epochs.counted(target.records)
        self._starts[target.name] += 1
        start = self._starts[target.name]
        name_of_target = f"{target.name} (start {start})" if start > 1 else target.name
        dumping = {process.id for process in target.records.processes if measures_itself(process)}
        for process, files in by_process(target).items():
            name = f"{name_of_target}/{process}"
            if process in dumping or any(file.is_profile for file in files):
                self._take_dumps(name, files, counted)
            else:
                self._take_records(name, [file for file in files if file.epoch in counted], counted)

    def _take_records(self, name: str, files: Iterable[CountersFile], counted: Mapping[int, int]) -> None:
        epochs: dict[int, list[CountersFile]] = defaultdict(list)
        for file in files:
            epochs[file.epoch].append(file)
        for epoch, own in epochs.items():
            content = own[0].content if len(own) == 1 else _largest(own)
            if content:
                self._counters[counted[epoch]][f"{name}.{epoch}"] = content

    def _take_dumps(self, name: str, files: Sequence[CountersFile], counted: Mapping[int, int]) -> None:
        dumps: dict[str, list[Dump]] = defaultdict(list)
        profile: Profile | None = None
        for file in files:
            try:
                if file.is_profile:
                    profile = go_profile.parse(file.content, name=file.name)
                    dumps[""].append(Dump(file.epoch, counts_of_profile(profile)))
                else:
                    read = go_counters.parse(file.content, name=file.name)
                    dumps[read.meta_hash].append(Dump(file.epoch, counts_of(read)))
            except DamagedError:
                continue  # the ledger has it: see `go_observed`
        for build, own in dumps.items():
            self._dumps[build].append(_Dumps(name, counted, tuple(own), None if build else profile))

    def ran(self) -> Ran:
        self._add_dumps()
        failures: dict[str, None] = dict.fromkeys(self._metas.damage)
        missing: Counter[str] = Counter()
        countable = self._countable()
        epochs: dict[int, tuple[Build, ...]] = {}
        for epoch in sorted({0, *self._counters, *self._profiles}):
            counters = self._counters[epoch]
            strange = {name for name, content in counters.items() if _build_of(content) not in self._metas.by_hash}
            missing.update(_build_of(counters[name]) for name in strange if go_counters.is_complete(counters[name]))
            added = add_up(self._metas, {name: content for name, content in counters.items() if name not in strange})
            failures |= dict.fromkeys(
                message for name, message in added.damage.items() if go_counters.is_complete(counters[name])
            )
            profiles = countable | self._profiles[epoch]
            epochs[epoch] = (*added.builds, *(of_profile(own, name=name) for name, own in sorted(profiles.items())))
        failures |= dict.fromkeys(self._without_meta(missing))
        return Ran({epoch: builds for epoch, builds in epochs.items() if builds}, tuple(failures))

    def _countable(self) -> dict[str, Profile]:
        """The blocks of all text profiles, each set of them once and without counts: for every epoch, as meta-data are.

        So those of two epochs are compared as those of two pods are.
        """
        found: dict[frozenset[Block], tuple[str, Profile]] = {}
        for profiles in self._profiles.values():
            for name, profile in sorted(profiles.items()):
                found.setdefault(frozenset(profile.counts), (name, replace(profile, counts=dict.fromkeys(profile.counts, 0))))
        return dict(found.values())

    def _without_meta(self, counted: Mapping[str, int]) -> Iterator[str]:
        for build, files in sorted(counted.items()):
            yield (
                f"service {self._data.service.name}: covmeta.{build}, which says what the counters of {files} processes mean, "
                "could not be had, so that these are left out; pull again while a pod of that build is there"
            )

    def _add_dumps(self) -> None:
        for build, processes in self._dumps.items():
            known = self._metas.by_hash.get(build)
            habits = habit((process.dumps for process in processes), known.meta if known else None)
            for process in processes:
                for epoch, own in by_epoch(process.dumps, habits).items():
                    if epoch not in process.counted:
                        continue
                    number, name = process.counted[epoch], f"{process.name}.{epoch}"
                    if process.profile is not None:
                        self._profiles[number][name] = profile_with(process.profile, own)
                    else:
                        self._counters[number][name] = counter_file(build, own)


def _largest(files: Sequence[CountersFile]) -> bytes:
    """As one file; empty where none can be read."""
    readable = [file for file in files if go_counters.is_complete(file.content)]
    if not readable:
        return b""
    read = [go_counters.parse(file.content, name=file.name) for file in readable]
    return counter_file(read[0].meta_hash, largest(map(counts_of, read)))


def _build_of(content: bytes) -> str:
    return content[8:24].hex()
