"""The marked blocks that podcov keeps in files of the user's: found, replaced in place, taken out, known when edited. Pure.

All that podcov adds to such a file stands between the two marker lines, so that taking them out gives back every byte.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_BEGIN = re.compile(r"^(?P<indent>[ \t]*)# >>> podcov: .*\(sha256 (?P<digest>[0-9a-f]{16})\)\s*$")
_END = re.compile(r"^[ \t]*# <<< podcov\s*$")
_KEY = re.compile(r"^[ \t]*\w+:\s*$")
_BENEATH = re.compile(r"^([ \t]+\S|-(\s|$))")


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
        """Somebody changed it since it was written; other line ends are no change."""
        return _digest(self.body) != self.digest

    @property
    def key(self) -> str:
        """The line that opens a mapping's entry, such as `profiles:`, where all of the body is that entry; else empty."""
        return self.body[0] if self.body and _KEY.match(self.body[0]) else ""


def split(text: str) -> list[str]:
    """The lines of a text, line ends included; only `\\n` ends a line, with or without `\\r` before it."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def is_end(line: str) -> bool:
    """Whether it is the marker line that ends a block."""
    return _END.match(line) is not None


def find(lines: Sequence[str]) -> Block | None:
    """The first block in a file's lines; None where there is none, or one without its end."""
    return next(find_all(lines), None)


def find_all(lines: Sequence[str]) -> Iterator[Block]:
    """The blocks in a file's lines, in order."""
    start = 0
    while start < len(lines):
        begin = _BEGIN.match(lines[start])
        last = next((n for n in range(start, len(lines)) if _END.match(lines[n])), None) if begin else None
        if begin and last is not None:
            yield Block(start, last, begin["indent"], tuple(lines[start + 1 : last]), begin["digest"])
            start = last
        start += 1


def edited(text: str) -> bool:
    """Whether somebody changed one of a text's blocks since it was written."""
    return any(block.edited for block in find_all(split(text)))


def write(body: str, indent: str = "", newline: str = "\n") -> list[str]:
    """The block's lines, markers included, each with its newline. `indent` stands before all of them."""
    lines = tuple(f"{indent}{line}".rstrip() + newline for line in body.splitlines())
    begin = f"{indent}# >>> podcov: written by `podcov init` from podcov.yaml (sha256 {_digest(lines)}){newline}"
    return [begin, *lines, f"{indent}# <<< podcov{newline}"]


def insert(lines: Sequence[str], index: int, body: str, indent: str = "") -> list[str]:
    """The lines with a new block before the line at `index`, with the line ends that the file has.

    Where the file's last line has none and the block comes behind it, the block has none either: that says so to `remove`.
    """
    newline = _newline(lines[0]) if lines else "\n"
    before, block, after = list(lines[:index]), write(body, indent, newline), list(lines[index:])
    if before and not before[-1].endswith("\n"):
        before[-1] += newline
        block[-1] = block[-1].removesuffix(newline)
    return [*before, *block, *after]


def replace(lines: Sequence[str], block: Block, body: str) -> list[str]:
    """The lines with another body in a block, which stays where it is."""
    end = lines[block.last]
    newline = _newline(lines[block.first])
    written = write(body, block.indent, newline)
    written[-1] = written[-1].removesuffix(newline) + ("" if not end.endswith("\n") else newline)
    return [*lines[: block.first], *written, *lines[block.last + 1 :]]


def remove(text: str) -> str:
    """The text without its blocks: byte for byte what it was before they came in.

    Where the user has since written entries of theirs beneath a key that the block brought (`profiles:`), that key stays.
    """
    lines = split(text)
    for block in reversed(list(find_all(lines))):
        lines = without(lines, block)
    return "".join(lines)


def blanked(text: str) -> str:
    """The text with an empty line for each line of its blocks: everything else is on the line that it has in the file."""
    lines = split(text)
    for block in list(find_all(lines)):
        lines[block.first : block.last + 1] = ["\n"] * (block.last + 1 - block.first)
    return "".join(lines)


def without(lines: Sequence[str], block: Block) -> list[str]:
    """The lines without one block, as `remove` takes it out."""
    before, after = list(lines[: block.first]), list(lines[block.last + 1 :])
    kept = [block.key] if block.key and _goes_on(after, block.key) else []
    if before and not kept and not lines[block.last].endswith("\n"):
        before[-1] = before[-1].removesuffix(_newline(lines[block.first]))
    return [*before, *kept, *after]


def _goes_on(after: Sequence[str], key: str) -> bool:
    """Whether the first line that says anything belongs beneath the key."""
    said = next((line for line in after if line.strip() and not line.lstrip().startswith("#")), "")
    own = key[: len(key) - len(key.lstrip())]
    return said.startswith(own) and bool(_BENEATH.match(said[len(own) :]))


def _newline(line: str) -> str:
    return "\r\n" if line.endswith("\r\n") else "\n"


def _digest(lines: Sequence[str]) -> str:
    return hashlib.sha256("".join(line.rstrip("\r\n") + "\n" for line in lines).encode("utf-8", "surrogateescape")).hexdigest()[
        :16
    ]
