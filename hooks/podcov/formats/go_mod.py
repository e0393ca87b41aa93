"""What `go.mod` says of where packages lie: the module's path, and local folders that stand for other modules. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

_WORD: Final = re.compile(r'"(?:[^"\\]|\\.)*"|`[^`]*`|//.*|[^\s"`]+')


@dataclass(frozen=True, slots=True)
class GoMod:
    """A `go.mod`, or a `go.work`, which has no module of its own. `replaced` maps modules to folders, relative to the file's
    own."""

    module: str = ""
    replaced: Mapping[str, str] = field(default_factory=dict)


def parse(content: bytes) -> GoMod:
    """Reads what there is to read: who builds with the file has Go to complain about it."""
    module = ""
    replaced: dict[str, str] = {}
    for words in _directives(content.decode("utf-8", "replace")):
        match words:
            case ["module", path]:
                module = path
            case ["replace", path, *_, target] if target.startswith(("./", "../")) or target in (".", ".."):
                replaced[path] = target
    return GoMod(module, replaced)


def _directives(text: str) -> Iterator[list[str]]:
    """Each as a list of words, those in a block with the block's own word in front."""
    block: list[str] = []
    for line in text.splitlines():
        words = [word.strip('"`') for word in _WORD.findall(line) if not word.startswith("//")]
        if words[1:] == ["("]:
            block = words[:1]
        elif words == [")"]:
            block = []
        elif words:
            yield block + words
