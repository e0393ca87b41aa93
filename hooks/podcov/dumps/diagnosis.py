"""Why a service that should write its counters did not, and what to do: the texts that the ledger shows."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from podcov import signals
from podcov.dumps.contract import HandsError, Process, Subject
from podcov.dumps.counters import META, has_meta
from podcov.errors import DamagedError
from podcov.formats import go_meta


def nobody_listens(subject: Subject, processes: Sequence[Process]) -> str:
    """No process catches the signal that is sent."""
    service = subject.service
    running = "; ".join(f"{p.pid}: {shlex.join(p.argv) or '?'}" for p in processes[:4])
    if service.binary:
        advice = f"is `services.{service.name}.binary` ({service.binary}) what handles it?"
    else:
        advice = f"name the program that does as `services.{service.name}.binary`, or its signal as `dump.signal`"
    return f"no process of the container handles {_signal(subject)}; it runs {running}; {advice}"


def ended_of_it(subject: Subject) -> str:
    """A process that got the signal ended, and had written nothing."""
    if subject.dump.signal in signals.ENDS_GO:
        key = f"services.{subject.service.name}.dump.signal"
        return f"it ended of {_signal(subject)}: it has no handler for it; write the signal that its handler waits for as `{key}`"
    return f"it ended when {_signal(subject)} was sent to it, and had not written its counters: does its handler end it?"


def not_asked(subject: Subject) -> str:
    """A process of the container ended of the signal, and the one that came after it is spared."""
    return f"it was not sent {_signal(subject)}, because the one before it ended of that"


def _signal(subject: Subject) -> str:
    return signals.title(subject.dump.signal)


async def no_answer(subject: Subject, seconds: float) -> str:
    """The program counts and catches the signal, and wrote nothing."""
    mode = await _mode(subject)
    if mode not in ("", "atomic"):
        return (
            f"it was built with -covermode={mode}, and Go writes counters of a program that runs in mode atomic only: "
            "build it with `go build -cover -covermode=atomic`"
        )
    return (
        f"{_signal(subject)} brought no new file in {subject.dump.folder} within {seconds:g} s: has "
        "the program a handler for it that calls coverage.WriteCountersDir with its GOCOVERDIR, installed before it serves?"
    )


async def _mode(subject: Subject) -> str:
    """How its program counts; empty where that cannot be told."""
    names = [file.name for file in await subject.list() if META.fullmatch(file.name)]
    modes = {_mode_of(content) for content in (await subject.read(names)).values()}
    return modes.pop() if len(modes) == 1 else ""


def _mode_of(meta: bytes) -> str:
    try:
        return go_meta.counter_mode(meta)
    except DamagedError:
        return ""


async def not_counting(subject: Subject) -> str:
    """Why the container's processes do not count; empty where one has written that it does, or none runs."""
    processes = await subject.hands.processes(subject.container)
    if not processes or has_meta(await subject.list()):
        return ""
    return await no_meta_data(subject, processes)


async def no_meta_data(subject: Subject, processes: Sequence[Process]) -> str:
    """No program wrote meta-data, which is the first thing that one built with `-cover` does."""
    folder = subject.dump.folder
    told = {p.cover_folder for p in processes if p.cover_folder}
    if not told:
        return f"GOCOVERDIR is not set in its environment: set it to {folder} in the container's `env`"
    if folder not in {f.rstrip("/") for f in told} | told:
        return f"its GOCOVERDIR is {', '.join(sorted(told))}: write that as `services.{subject.service.name}.dump.folder`"
    try:
        problem = await subject.hands.probe(subject.container, folder)
    except HandsError as error:
        problem = f"nobody could look: {error}"
    if problem:
        return f"its GOCOVERDIR {folder} cannot be written to ({problem}): mount a writable volume there"
    return (
        f"its GOCOVERDIR {folder} is writable and holds no meta-data: the binary was built without -cover; "
        "build it with `go build -cover -covermode=atomic`"
    )
