"""The marked block that podcov keeps in a file of the user's: found, replaced in place, known when it was edited. Pure."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

_BEGIN = re.compile(r"^(?P<indent>[ \t]*)# >>> podcov: .*\(sha256 (?P<digest>[0-9a-f]{16})\)\s*$")
_END = re.compile(r"^[ \t]*# <<< podcov\s*$")


@dataclass(frozen=True, slots=True)
class Block:
    """`first` and `last` are the indexes of its marker lines, `body` what stands between, `indent` the markers' indentation."""

    first: int
    last: int
    indent: str
    body: tuple[str, ...]
    digest: str

    @property
    def edited(self) -> bool:
        """Somebody changed it since it was written."""
        return _digest(self.body) != self.digest


def find(lines: list[str]) -> Block | None:
    """The block in a file's lines; None where there is none, or one without its end."""
    for first, line in enumerate(lines):
        if begin := _BEGIN.match(line):
            last = next((n for n, text in enumerate(lines[first:], first) if _END.match(text)), None)
            if last is not None:
                return Block(first, last, begin["indent"], tuple(lines[first + 1 : last]), begin["digest"])
    return None


def write(body: str, indent: str = "") -> list[str]:
    """The block's lines, markers included, each with its newline."""
    lines = tuple(f"{indent}{line}".rstrip() + "\n" for line in body.splitlines())
    begin = f"{indent}# >>> podcov: written by `podcov init` from podcov.yaml (sha256 {_digest(lines)})\n"
    return [begin, *lines, f"{indent}# <<< podcov\n"]


def _digest(lines: tuple[str, ...]) -> str:
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:16]
