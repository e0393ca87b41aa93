"""From what a Python process recorded to the lines and arcs that ran, and from these to coverage.py's numbers. Pure.

Arcs pass through three shapes. Events are what the interpreter said: a line began, a jump was taken, a code object returned.
Raw arcs are pairs of lines as coverage.py's tracers store them. Taken arcs are pairs of statements, as it reports them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from podcov.formats.analysis import CodeTable, FileAnalysis, LineArc
from podcov.formats.records import CodeEntry, Kind, ProcessRecords, signed20, split
from podcov.model import Arc, Region

_ANNOTATIONS = "__annotate__"
"""the code object of deferred annotations, which coverage.py doesn't measure"""


@dataclass(slots=True)
class TextHits:
    """What ran of one text, by the report's epochs: lines, and raw arcs."""

    lines: defaultdict[int, set[int]] = field(default_factory=lambda: defaultdict(set))
    arcs: defaultdict[int, set[LineArc]] = field(default_factory=lambda: defaultdict(set))

    def add(self, other: TextHits) -> None:
        for epoch, lines in other.lines.items():
            self.lines[epoch] |= lines
        for epoch, arcs in other.arcs.items():
            self.arcs[epoch] |= arcs

    def lines_by_epoch(self) -> dict[int, set[int]]:
        """Also the lines at the ends of arcs."""
        return {
            epoch: self.lines.get(epoch, set()) | {line for arc in self.arcs.get(epoch, ()) for line in arc if line > 0}
            for epoch in self.lines.keys() | self.arcs.keys()
        }


@dataclass(frozen=True, slots=True)
class ProcessHits:
    """What one process ran: file index -> hits. `unmatched` are code objects whose jumps nobody can read: see `read_process`."""

    texts: Mapping[int, TextHits]
    unmatched: tuple[CodeEntry, ...]


def read_process(process: ProcessRecords, counted: Mapping[int, int], tables: Mapping[int, FileAnalysis]) -> ProcessHits:
    """Sorts a process's words by file.

    `counted` maps its epochs to the report's; words of other epochs are passed over. `tables` are the analyses by file index.
    A code object that is not in its file's table ran other bytecode than the text compiles to (an import hook rewrote it). Its
    lines count, for the interpreter named them; its jumps and returns are offsets that mean nothing here, and don't.
    """
    texts: dict[int, TextHits] = defaultdict(TextHits)
    unmatched: dict[int, CodeEntry] = {}
    for number, words in process.epochs.items():
        if number not in counted:
            continue
        epoch = counted[number]
        readers: dict[int, _CodeReader] = {}
        for word in words:
            kind, index, value = split(word)
            if index in process.files:
                if kind == Kind.LINE:
                    texts[index].lines[epoch].add(value)
                elif kind == Kind.ARC:
                    texts[index].arcs[epoch].add((signed20(value >> 20), signed20(value & 0xFFFFF)))
                continue
            reader = readers.get(index)
            if reader is None:
                entry = process.codes[index]
                if entry.name.rpartition(".")[2] == _ANNOTATIONS:
                    continue
                reader = readers[index] = _CodeReader(entry, texts[entry.file].arcs[epoch], tables.get(entry.file))
            if not reader.read(kind, value):
                unmatched[index] = reader.entry
    return ProcessHits(texts, tuple(unmatched[index] for index in sorted(unmatched)))


class _CodeReader:
    """Makes raw arcs of the events of one code object in one epoch, in the order in which they happened."""

    def __init__(self, entry: CodeEntry, arcs: set[LineArc], analysis: FileAnalysis | None) -> None:
        self.entry = entry
        self._arcs = arcs
        self._table = analysis.codes.get((entry.first_line, entry.name, entry.crc32)) if analysis else None
        self._last_line: int | None = None

    def read(self, kind: int, value: int) -> bool:
        """False where the event cannot be read without a table, or is not in it."""
        if kind == Kind.LINE:
            self._line(value)
            return True
        if kind == Kind.RETURN:
            # Whatever line comes next is of another call: it was not reached from the last one.
            self._last_line = None
        return self._table is not None and self._offset(self._table, kind, value)

    def _line(self, line: int) -> None:
        """An arc from a line to itself says that it ran; where only one way leaves the line it stands for that way.

        Lines that follow each other are an arc as well: a line with one successor may seem to have two, such as `class C: ...`.
        """
        self._arcs.add((line, line))
        if self._last_line is not None and self._last_line != line:
            self._arcs.add((self._last_line, line))
        self._last_line = line

    def _offset(self, table: CodeTable, kind: int, value: int) -> bool:
        if kind == Kind.RETURN:
            line = table.line_at(value)
            if line is not None:
                self._arcs.add((line, -self.entry.first_line))
            return True
        jump = (value >> 20, value & 0xFFFFF)
        if jump not in table.branches:
            return False
        arc = table.branches[jump]
        if arc is not None:
            self._arcs.add(arc)
        return True


def regions(analysis: FileAnalysis, hits: TextHits) -> tuple[Region, ...]:
    """Every statement of the text, and the epochs in which it ran."""
    epochs: dict[int, set[int]] = defaultdict(set)
    for epoch, lines in hits.lines_by_epoch().items():
        for statement in {analysis.first_line(line) for line in lines} & analysis.statements:
            epochs[statement].add(epoch)
    return tuple(
        Region(
            start=(statement, 0),
            end=(analysis.spans.get(statement, statement), 0),
            hits=int(statement in epochs),
            epochs=tuple(sorted(epochs.get(statement, ()))),
        )
        for statement in sorted(analysis.statements)
    )


def branches(analysis: FileAnalysis, hits: TextHits) -> tuple[Arc, ...]:
    """Every way out of a line that has several, and the epochs in which it was taken."""
    epochs: dict[LineArc, set[int]] = defaultdict(set)
    only_ways = _only_ways(analysis)
    for epoch, arcs in hits.arcs.items():
        for arc in taken_arcs(arcs, analysis, only_ways):
            epochs[arc].add(epoch)
    return tuple(
        Arc(
            from_line=start,
            to=end,
            hits=int((start, end) in epochs),
            epochs=tuple(sorted(epochs.get((start, end), ()))),
            assumed=start in analysis.no_branch,
        )
        for start, end in sorted(analysis.arcs)
        if analysis.exits.get(start, 0) > 1 and end not in analysis.excluded
    )


def taken_arcs(raw: Iterable[LineArc], analysis: FileAnalysis, only_ways: Mapping[int, int]) -> set[LineArc]:
    """Raw arcs as coverage.py reports them: between statements, past the ends of `with`, arcs to the line itself resolved."""
    resolved = {
        (start, end if start != end else only_ways[start])
        for start, end in _between_statements(raw, analysis)
        if start != end or start in only_ways
    }
    return _between_statements(resolved, analysis)


def _only_ways(analysis: FileAnalysis) -> dict[int, int]:
    """Where lines lead that only one arc leaves."""
    ways: dict[int, list[int]] = defaultdict(list)
    for start, end in analysis.arcs:
        ways[start].append(end)
    return {start: ends[0] for start, ends in ways.items() if len(ends) == 1}


def _between_statements(arcs: Iterable[LineArc], analysis: FileAnalysis) -> set[LineArc]:
    straightened = (analysis.with_jumps.get(arc, arc) for arc in arcs)
    return {(analysis.first_line(arc[0]), analysis.first_line(arc[1])) for arc in straightened if arc is not None}
