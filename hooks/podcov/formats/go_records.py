"""What Go processes left in one target folder: their counters, epoch by epoch (`wrapper/PROTOCOL.md`, "Go").

Start records and epochs are those of every language: `records.parse_target` reads them. Here are the files that only Go
has: `covcounters` files as Go's own tools write them, to be read by `go_counters`; the meta-data that each names by its
hash came as a source, once for all pods of a build. Test binaries leave text profiles instead, to be read by `go_profile`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

_COUNTERS: Final = re.compile(
    r"(?P<process>\d+-\d+-[0-9a-f]{8})\.(?P<epoch>\d+)\.(?P<part>\d+|now)\.(?P<kind>covcounters|profile)"
)
_META: Final = re.compile(r"covmeta\.(?P<hash>[0-9a-f]{32})")


@dataclass(frozen=True, slots=True)
class CountersFile:
    """Counters of one process in one epoch. An epoch may have several files: what ran in it is in all of them together.

    Counts of two files of one epoch may hold the same hits: the larger one is at most what ran, their sum may be more.
    What a process wrote itself (its start record says `recording: dumped`) are dumps in the order of their numbers.
    """

    name: str
    process: str
    epoch: int
    content: bytes
    is_profile: bool = False
    """a text profile, and no `covcounters` file"""
    order: tuple[int, float] = (0, 0)
    """by epoch and number"""


def counters_files(files: Mapping[str, bytes]) -> tuple[CountersFile, ...]:
    """The files of counters in a target folder, by process and epoch; `files` maps names inside it to contents."""
    found = [_file(match, content) for name, content in files.items() if (match := _COUNTERS.fullmatch(name))]
    return tuple(sorted(found, key=lambda file: (file.process, file.order)))


def _file(match: re.Match[str], content: bytes) -> CountersFile:
    epoch, part = int(match["epoch"]), match["part"]
    order = (epoch, math.inf if part == "now" else int(part))
    return CountersFile(match[0], match["process"], epoch, content, match["kind"] == "profile", order)


def meta_digests(entries: Iterable[tuple[str, str | None]]) -> Mapping[str, str]:
    """The digest of the meta-data of each build, by the hash that counters name it with; out of (path, digest) of sources."""
    return {match["hash"]: digest for path, digest in entries if digest and (match := _META.fullmatch(path))}
