"""What the ledger is told of a Go process: whether it counted anything, what cannot be read, and what its build does not allow.
Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Final

from podcov.errors import DamagedError
from podcov.formats import go_meta
from podcov.formats.go_records import CountersFile
from podcov.languages.contract import Observed, Target, Text
from podcov.languages.go_ran import by_process, counts_anything, measures_itself, metas_of

_NO_DATA: Final = (
    "it wrote no counters: is its GOCOVERDIR what podcov.yaml has as `dump.folder`, may it write there, and was it built with "
    "-cover? At its end it writes only where `main` returns or os.Exit is called (SIGTERM without a handler, and SIGKILL, end it "
    "before that), and while it runs only if it was built with -covermode=atomic"
)
_COVER: Final = "build it with GOFLAGS=-cover, and where there is a -coverpkg, see that it matches its packages"
_ATOMIC: Final = "build it with -covermode=atomic"


def observe(target: Target, counted: Collection[int], text: Text) -> Mapping[str, Observed]:
    """By process; see `podcov.languages.contract.Language.observe`."""
    files = by_process(target)
    observed: dict[str, Observed] = {}
    for process in target.records.processes:
        own = files.get(process.id, ())
        seen, ran = _read(own, counted)
        state = process.start.state if process.start else ""
        if measures_itself(process):
            if state == "recording":
                seen = _of_its_own_dumps(seen, own, ran, counted, _mode(target, text))
        elif process.start and state == "unsupported":
            seen = replace(seen, slug="unsupported", reason=f"{process.start.reason}; {_COVER}")
        observed[process.id] = seen
    return observed


def _read(files: Collection[CountersFile], counted: Collection[int]) -> tuple[Observed, frozenset[int]]:
    """And the epochs in which anything ran."""
    damage: list[str] = []
    ran: set[int] = set()
    for file in files:
        try:
            if counts_anything(file):
                ran.add(file.epoch)
        except DamagedError as error:
            damage.append(error.message)
    return Observed(not ran.isdisjoint(counted), tuple(damage)), frozenset(ran)


def _of_its_own_dumps(
    seen: Observed, files: Collection[CountersFile], ran: Collection[int], counted: Collection[int], mode: str
) -> Observed:
    """Go clears counters in mode atomic only. In the others a dump counts by its difference to the one before, and in mode `set`
    what ran before cannot be seen to run again."""
    if not files:
        return replace(seen, slug="no-data", reason=_NO_DATA)
    if mode in ("", "atomic") or len({file.epoch for file in files}) < 2:
        return seen
    if mode == "set" and any(epoch not in counted for epoch in ran):
        return replace(
            seen,
            slug="not-atomic",
            reason="it was built with -covermode=set, so that what an earlier run ran cannot be seen to run again; "
            f"{_ATOMIC}, or restart its pods before a run",
        )
    return replace(
        seen, note=f"its counters (-covermode={mode}) cannot be cleared, and differences between dumps count; {_ATOMIC}"
    )


def _mode(target: Target, text: Text) -> str:
    """How the programs of the target count; empty where nobody knows, or they differ."""
    modes = set()
    for digest in metas_of(target).values():
        content = text(digest)
        try:
            modes.add("" if content is None else go_meta.counter_mode(content))
        except DamagedError:
            modes.add("")  # `convert` says what is wrong with it
    return modes.pop() if len(modes) == 1 else ""
