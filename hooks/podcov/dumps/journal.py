"""What podcov writes down beside the files of a service: which epoch each is of. It lies there, so that every run sees it.

    <folder>/.podcov/epochs    the marks, as in a target folder (`wrapper/PROTOCOL.md`)
    <folder>/.podcov/starts    <epoch> <restart>, separated by a tab: the container's last start when the epoch began
    <folder>/.podcov/pieces    <epoch> <key> <how>, separated by tabs: files of an epoch; how: `asked` for, or `found` at its end

The service's own files stay where they are, and whoever else reads them finds them. Pure, but for `read` and `write`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from podcov.dumps.contract import Piece, Subject
from podcov.formats.records import EpochRecord, parse_target

EPOCHS, STARTS, PIECES = ".podcov/epochs", ".podcov/starts", ".podcov/pieces"
FILES = (EPOCHS, STARTS, PIECES)
_NUMBER = re.compile(r"-?[0-9]+")
_LINES_AT_ONCE = 64
"""they go as an argument of a command"""


@dataclass(frozen=True, slots=True)
class Journal:
    """What is written down. Lines that make no sense, or are torn, say nothing."""

    epochs: tuple[EpochRecord, ...] = ()
    epoch_of: Mapping[str, int] = field(default_factory=dict)
    """by key of the piece, those that were written down"""
    asked: frozenset[str] = frozenset()
    """keys of the pieces that a process wrote because podcov asked"""
    last_starts: Mapping[int, int] = field(default_factory=dict)
    """by epoch: the restart of the container's last start when it began; where it is not known it began in all of them"""

    @property
    def epoch(self) -> int:
        """The current one."""
        return max((e.number for e in self.epochs), default=0)

    def continues(self, run: str, label: str) -> bool:
        """Whether the current epoch is of this run and label."""
        return any((e.number, e.run, e.label) == (self.epoch, run, label) for e in self.epochs)

    def of(self, piece: Piece) -> int:
        """The epoch that a piece belongs to: the current one unless it is written down."""
        return self.epoch_of.get(piece.key, self.epoch)

    def of_start(self, restart: int) -> Journal:
        """As for a start of the container that has a folder of its own: up to the first mark after it began it is in epoch 0."""
        reached = [e for e in self.epochs if self.last_starts.get(e.number, restart) >= restart]
        numbers = {e.number for e in reached}
        epoch_of = {key: epoch if epoch in numbers else 0 for key, epoch in self.epoch_of.items()}
        return replace(self, epochs=tuple(reached), epoch_of=epoch_of)

    def is_of(self, piece: Piece, runs: Collection[str]) -> bool:
        """Whether a piece is of the current epoch's run, of one of these, or of none."""
        epoch = self.of(piece)
        return epoch == 0 or any(e.number == epoch and (e.run in runs or self._is_current(e.run)) for e in self.epochs)

    def _is_current(self, run: str) -> bool:
        return any((e.number, e.run) == (self.epoch, run) for e in self.epochs)

    def new(self, pieces: Iterable[Piece]) -> tuple[Piece, ...]:
        """Those that are not written down."""
        return tuple(piece for piece in pieces if piece.key not in self.epoch_of)


def parse(epochs: bytes, pieces: bytes, starts: bytes = b"") -> Journal:
    """From the contents of the files."""
    epoch_of: dict[str, int] = {}
    asked: set[str] = set()
    for line in pieces.decode(errors="replace").split("\n")[:-1]:
        number, _, rest = line.partition("\t")
        key, _, how = rest.partition("\t")
        if number.isdecimal() and how in ("asked", "found"):
            epoch_of.setdefault(key, int(number))
            if how == "asked":
                asked.add(key)
    return Journal(parse_target({"epochs": epochs}).epochs, epoch_of, frozenset(asked), _parse_starts(starts))


def _parse_starts(content: bytes) -> dict[int, int]:
    fields = (line.partition("\t") for line in content.decode(errors="replace").split("\n")[:-1])
    return {int(epoch): int(restart) for epoch, _, restart in fields if epoch.isdecimal() and _NUMBER.fullmatch(restart)}


async def read(subject: Subject) -> Journal:
    """Raises HandsError."""
    files = await subject.read(FILES)
    return parse(files.get(EPOCHS, b""), files.get(PIECES, b""), files.get(STARTS, b""))


async def write_pieces(subject: Subject, epoch: int, asked: Iterable[Piece] = (), found: Iterable[Piece] = ()) -> None:
    """Writes down that pieces are of an epoch. Raises HandsError."""
    lines = [f"{epoch}\t{piece.key}\tasked" for piece in asked] + [f"{epoch}\t{piece.key}\tfound" for piece in found]
    for some in (lines[at : at + _LINES_AT_ONCE] for at in range(0, len(lines), _LINES_AT_ONCE)):
        await subject.hands.append(subject.container, subject.dump.folder, PIECES, "\n".join(some))


async def write_start(subject: Subject, epoch: int, restart: int) -> None:
    """Writes down the container's last start, -1 where it never began, before the epoch begins. Raises HandsError."""
    await subject.hands.append(subject.container, subject.dump.folder, STARTS, f"{epoch}\t{restart}")


async def write_epoch(subject: Subject, epoch: EpochRecord) -> None:
    """Begins an epoch. Raises HandsError."""
    line = f"{epoch.number}\t{_field(epoch.run)}\t{_field(epoch.label)}\t{epoch.time}"
    await subject.hands.append(subject.container, subject.dump.folder, EPOCHS, line)


def _field(text: str) -> str:
    return " ".join(text.split())
