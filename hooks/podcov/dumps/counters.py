"""Go's own files in a GOCOVERDIR: `covmeta.<hash>` and `covcounters.<hash>.<pid>.<time>`. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from podcov.dumps.contract import Listed, Piece

META: Final = re.compile(r"covmeta\.(?P<hash>[0-9a-f]{32})")
_COUNTERS: Final = re.compile(r"covcounters\.(?P<hash>[0-9a-f]{32})\.(?P<pid>\d+)\.(?P<time>\d+)")


def counters_pieces(listed: Iterable[Listed]) -> tuple[Piece, ...]:
    """The files of counters, oldest first."""
    found = [
        Piece(file.name, file.name, int(match["pid"]), int(match["time"]), meta=match["hash"])
        for file in listed
        if (match := _COUNTERS.fullmatch(file.name))
    ]
    return tuple(sorted(found, key=lambda piece: piece.time))


def has_meta(listed: Sequence[Listed]) -> bool:
    """Whether a program that was built with `-cover` began here: it writes its meta-data first of all."""
    return any(META.fullmatch(file.name) for file in listed)
