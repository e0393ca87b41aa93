"""What a courier says, typed: the JSON documents of `wrapper/PROTOCOL.md`, "What the courier says"."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar, cast, get_args

from podcov.errors import DamagedError
from podcov.formats.records import PROTOCOL, EpochRecord, StartRecord, start_record

MarkState = Literal["acknowledged", "gone", "failed"]
"""`gone`: the process has ended, there is nothing to mark."""
DumpState = Literal["complete", "bounded", "failed"]
"""`bounded`: the process ended without a last save, and `reason` says how much can be missing at most."""

_HINT: Final = "podcov and the wrapper in the container may be of different versions: generate and deploy again"
_STATES: Final = frozenset(get_args(MarkState) + get_args(DumpState))
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """One recorded process. `alive` is None where it cannot be known, and `reason` says why.

    `start` is None where the start record is missing or damaged, and `reason` says what is wrong. `epochs` are those
    that its hit log mentions, `flags` the hit log's.
    """

    id: str
    start: StartRecord | None
    alive: bool | None
    reason: str = ""
    ended: bool = False
    epochs: tuple[int, ...] = ()
    flags: int = 0


@dataclass(frozen=True, slots=True)
class UnregisteredProcess:
    """An interpreter of the target's container that left no start record."""

    pid: int
    start_time: int
    argv: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """The content of one file entry: `digest` is `sha256:<hex>`, or None and `reason` says why it could not be had."""

    path: str
    size: int
    mtime: int
    digest: str | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class TargetStatus:
    """One target. `scanned` says whether interpreters that never registered were looked for; `scan_reason` why not.

    `sources` is there in a pull's manifest alone.
    """

    container: str
    start_id: str
    epoch: int
    epochs: tuple[EpochRecord, ...]
    processes: tuple[ProcessStatus, ...]
    unregistered: tuple[UnregisteredProcess, ...] = ()
    scanned: bool = False
    scan_reason: str = ""
    sources: tuple[SourceStatus, ...] = ()

    @property
    def name(self) -> str:
        """Unique in its data volume: `<container>/<start id>`."""
        return f"{self.container}/{self.start_id}"

    def digests(self) -> Mapping[tuple[str, int, int], str]:
        """The digest of each source that could be had, by `FileEntry.key`."""
        return {(s.path, s.size, s.mtime): s.digest for s in self.sources if s.digest}


@dataclass(frozen=True, slots=True)
class Status:
    """What `status` says, and a pull's manifest. `time` in ns."""

    time: int
    targets: tuple[TargetStatus, ...]


@dataclass(frozen=True, slots=True)
class ProcessAnswer:
    """What became of a mark (see `MarkState`) or a dump (see `DumpState`) in one process."""

    id: str
    state: MarkState | DumpState
    reason: str = ""


@dataclass(frozen=True, slots=True)
class TargetAnswer:
    container: str
    start_id: str
    epoch: int
    """the current one; after a mark, the one that it began"""
    processes: tuple[ProcessAnswer, ...]

    @property
    def name(self) -> str:
        """Unique in its data volume: `<container>/<start id>`."""
        return f"{self.container}/{self.start_id}"

    @property
    def failures(self) -> Mapping[str, str]:
        """Process id -> why it failed."""
        return {p.id: p.reason for p in self.processes if p.state == "failed"}


@dataclass(frozen=True, slots=True)
class Answers:
    """What `mark` and `dump` say. `time` in ns: when the epoch began, when everything was on disk."""

    time: int
    targets: tuple[TargetAnswer, ...]


def read_answers(data: bytes) -> Answers:
    """What `mark` or `dump` printed. Raises DamagedError."""
    return _reading("mark and dump", lambda: _answers(_document(data)))


def read_ended(data: bytes) -> bool:
    """What `wait` printed: whether the service's containers have ended. Raises DamagedError."""
    return _reading("wait", lambda: _typed(_document(data)["ended"], bool))


def status_of(manifest: Mapping[str, Any]) -> Status:
    """What a pull's manifest says, as `status` alone does. Raises DamagedError."""
    return _reading("status", lambda: Status(_typed(manifest["time"], int), _each(manifest["targets"], _target)))


def target_status(target: Mapping[str, Any]) -> TargetStatus:
    """One entry of `targets` of a pull's manifest. Raises DamagedError."""
    return _reading("status", lambda: _target(target))


def run_input(archive: bytes, stdin: bytes) -> bytes:
    """What to send to the courier's `run MODULE`: a zip for the module path, and what MODULE shall read."""
    return frame(archive) + stdin


def frame(content: bytes) -> bytes:
    """Bytes whose end a reader finds without the stream being closed."""
    return b"%d\n%b" % (len(content), content)


def _reading(what: str, read: Callable[[], _T]) -> _T:
    try:
        return read()
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DamagedError(f"the courier's answer to {what} makes no sense: {error!r}", hint=_HINT) from error


def _document(data: bytes) -> Mapping[str, Any]:
    document = _typed(json.loads(data), dict)
    protocol = document.get("protocol")
    if protocol != PROTOCOL:
        raise ValueError(f"it has protocol {protocol!r}, this podcov reads {PROTOCOL}")
    return document


def _typed(value: Any, kind: type[_T]) -> _T:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value


def _each(values: Any, read: Callable[[Mapping[str, Any]], _T]) -> tuple[_T, ...]:
    return tuple(read(_typed(value, dict)) for value in _typed(values, list))


def _target(target: Mapping[str, Any]) -> TargetStatus:
    return TargetStatus(
        container=_typed(target["container"], str),
        start_id=_typed(target["start_id"], str),
        epoch=_typed(target["epoch"], int),
        epochs=_each(target["epochs"], _epoch),
        processes=_each(target["processes"], _process),
        unregistered=_each(target["unregistered"], _unregistered),
        scanned=_typed(target["scanned"], bool),
        scan_reason=_typed(target["scan_reason"], str),
        sources=_each(target.get("sources", []), _source),
    )


def _epoch(epoch: Mapping[str, Any]) -> EpochRecord:
    return EpochRecord(
        _typed(epoch["epoch"], int), _typed(epoch["run"], str), _typed(epoch["label"], str), _typed(epoch["time"], int)
    )


def _process(process: Mapping[str, Any]) -> ProcessStatus:
    start, alive = process["start"], process["alive"]
    return ProcessStatus(
        id=_typed(process["id"], str),
        start=None if start is None else start_record(start),
        alive=None if alive is None else _typed(alive, bool),
        reason=_typed(process["reason"], str),
        ended=_typed(process["ended"], bool),
        epochs=_integers(process["epochs"]),
        flags=_typed(process["flags"], int),
    )


def _unregistered(process: Mapping[str, Any]) -> UnregisteredProcess:
    argv = cast(Sequence[Any], _typed(process["argv"], list))
    return UnregisteredProcess(
        _typed(process["pid"], int), _typed(process["start_time"], int), tuple(_typed(argument, str) for argument in argv)
    )


def _source(source: Mapping[str, Any]) -> SourceStatus:
    digest = source["digest"]
    return SourceStatus(
        path=_typed(source["path"], str),
        size=_typed(source["size"], int),
        mtime=_typed(source["mtime"], int),
        digest=None if digest is None else _typed(digest, str),
        reason=_typed(source["reason"], str),
    )


def _answers(document: Mapping[str, Any]) -> Answers:
    return Answers(_typed(document["time"], int), _each(document["targets"], _target_answer))


def _target_answer(target: Mapping[str, Any]) -> TargetAnswer:
    return TargetAnswer(
        container=_typed(target["container"], str),
        start_id=_typed(target["start_id"], str),
        epoch=_typed(target["epoch"], int),
        processes=_each(target["processes"], _process_answer),
    )


def _process_answer(process: Mapping[str, Any]) -> ProcessAnswer:
    state = _typed(process["state"], str)
    if state not in _STATES:
        raise ValueError(f"a process is {state!r}")
    return ProcessAnswer(_typed(process["id"], str), cast(MarkState | DumpState, state), _typed(process["reason"], str))


def _integers(values: Any) -> tuple[int, ...]:
    return tuple(_typed(value, int) for value in cast(Sequence[Any], _typed(values, list)))
