"""What podcov writes down beside the files of a service: which epoch each is of. It lies there, so that every run sees it.

    <folder>/.podcov/epochs    the marks, as in a target folder (`wrapper/PROTOCOL.md`)
    <folder>/.podcov/pieces    <epoch> <key> <how>, separated by tabs: files of an epoch; how: `asked` for, or `found` at its end

The service's own files stay where they are, and whoever else reads them finds them. Pure, but for `read` and `write`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from podcov.dumps.contract import Piece, Subject
from podcov.formats.records import EpochRecord, parse_target

EPOCHS, PIECES = ".podcov/epochs", ".podcov/pieces"
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

    def new(self, pieces: Iterable[Piece]) -> tuple[Piece, ...]:
        """Those that are not written down."""
        return tuple(piece for piece in pieces if piece.key not in self.epoch_of)


def parse(epochs: bytes, pieces: bytes) -> Journal:
    """From the contents of the two files."""
    epoch_of: dict[str, int] = {}
    asked: set[str] = set()
    for line in pieces.decode(errors="replace").split("\n")[:-1]:
        number, _, rest = line.partition("\t")
        key, _, how = rest.partition("\t")
        if number.isdecimal() and how in ("asked", "found"):
            epoch_of.setdefault(key, int(number))
            if how == "asked":
                asked.add(key)
    return Journal(parse_target({"epochs": epochs}).epochs, epoch_of, frozenset(asked))


async def read(subject: Subject) -> Journal:
    """Raises HandsError."""
    files = await subject.read((EPOCHS, PIECES))
    return parse(files.get(EPOCHS, b""), files.get(PIECES, b""))


async def write_pieces(subject: Subject, epoch: int, asked: Iterable[Piece] = (), found: Iterable[Piece] = ()) -> None:
    """Writes down that pieces are of an epoch. Raises HandsError."""
    lines = [f"{epoch}\t{piece.key}\tasked" for piece in asked] + [f"{epoch}\t{piece.key}\tfound" for piece in found]
    for some in (lines[at : at + _LINES_AT_ONCE] for at in range(0, len(lines), _LINES_AT_ONCE)):
        await subject.hands.append(subject.container, subject.dump.folder, PIECES, "\n".join(some))


async def write_epoch(subject: Subject, epoch: EpochRecord) -> None:
    """Begins an epoch. Raises HandsError."""
    line = f"{epoch.number}\t{_field(epoch.run)}\t{_field(epoch.label)}\t{epoch.time}"
    await subject.hands.append(subject.container, subject.dump.folder, EPOCHS, line)


def _field(text: str) -> str:
    return " ".join(text.split())
