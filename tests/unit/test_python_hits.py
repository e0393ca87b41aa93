"""Events of code objects become the arcs that coverage.py's sys.monitoring core would have stored, epoch by epoch."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence

from hypothesis import given
from hypothesis import strategies as st
from podcov.formats.analysis import CodeTable, FileAnalysis
from podcov.formats.records import CodeEntry, FileEntry, Kind, ProcessRecords
from podcov.languages.python_hits import TextHits, branches, read_process, regions, taken_arcs
from podcov.model import Arc

FILE, F, G = 1, 2, 3
TABLE = CodeTable(1, starts=(0, 10), ends=(10, 30), lines=(1, 2), branches={(4, 8): (1, 2), (4, 20): (1, 3), (6, 8): None})
ANALYSIS = FileAnalysis(
    statements=frozenset({1, 2, 3, 5}),
    excluded=frozenset({5}),
    spans={3: 4},
    first_lines={3: 3, 4: 3},
    arcs=frozenset({(1, 2), (1, 3), (2, 3), (3, -1), (3, 5)}),
    exits={1: 2, 2: 1, 3: 1},
    codes={(1, "f", "0000000f"): TABLE},
)


def line(number: int, code: int = F) -> int:
    return Kind.LINE << 61 | code << 40 | number


def jump(source: int, destination: int, code: int = F) -> int:
    return Kind.BRANCH << 61 | code << 40 | source << 20 | destination


def back(offset: int, code: int = F) -> int:
    return Kind.RETURN << 61 | code << 40 | offset


def read(epochs: Mapping[int, Sequence[int]], counted: Mapping[int, int] | None = None) -> tuple[TextHits, list[str]]:
    """The hits of a process with a file and the code objects f, which is in the file's table, and g, which is not."""
    codes = {F: CodeEntry(F, FILE, 1, "0000000f", "f"), G: CodeEntry(G, FILE, 9, "0000000a", "C.g")}
    process = ProcessRecords(
        "1-1-00000000",
        None,
        {FILE: FileEntry(FILE, 1, 1, "/app/x.py")},
        codes,
        {number: array("Q", words) for number, words in epochs.items()},
    )
    hits = read_process(process, counted or {number: number for number in epochs}, {FILE: ANALYSIS})
    return hits.texts.get(FILE, TextHits()), [code.name for code in hits.unmatched]


def test_a_line_leads_to_itself_and_to_the_next_until_a_return() -> None:
    hits, unmatched = read({0: [line(1), line(2), line(2), back(12), line(3)]})
    assert hits.arcs == {0: {(1, 1), (1, 2), (2, 2), (3, 3), (2, -1)}}
    assert unmatched == []


def test_code_objects_do_not_follow_each_other() -> None:
    hits, _ = read({0: [line(1, F), line(9, G), line(2, F), line(10, G)]})
    assert {arc for arc in hits.arcs[0] if arc[0] != arc[1]} == {(1, 2), (9, 10)}


def test_jumps_are_what_the_table_says() -> None:
    hits, unmatched = read({0: [jump(4, 20), jump(6, 8)]})
    assert (hits.arcs, unmatched) == ({0: {(1, 3)}}, [])


def test_a_jump_that_is_not_in_the_table_is_named_and_not_guessed() -> None:
    hits, unmatched = read({0: [jump(4, 9)]})
    assert (hits.arcs[0], unmatched) == (set(), ["f"])


def test_a_code_object_that_is_not_in_the_table_counts_its_lines_only() -> None:
    hits, unmatched = read({0: [line(9, G), jump(4, 8, G), back(2, G), line(10, G)]})
    assert (hits.arcs, unmatched) == ({0: {(9, 9), (10, 10)}}, ["C.g"])


def test_a_return_from_an_offset_without_a_line_leads_nowhere() -> None:
    hits, unmatched = read({0: [line(1), back(40)]})
    assert (hits.arcs, unmatched) == ({0: {(1, 1)}}, [])


def test_an_epoch_begins_with_no_line_before_it() -> None:
    hits, _ = read({0: [line(1)], 1: [line(2)]})
    assert hits.arcs == {0: {(1, 1)}, 1: {(2, 2)}}


def test_epochs_that_do_not_count_are_passed_over_and_others_renamed() -> None:
    hits, _ = read({0: [line(1)], 1: [line(2)], 5: [line(3)]}, {0: 0, 5: 1})
    assert hits.lines_by_epoch() == {0: {1}, 1: {3}}


def test_annotations_are_not_measured() -> None:
    process = ProcessRecords(
        "1-1-00000000",
        None,
        {FILE: FileEntry(FILE, 1, 1, "/app/x.py")},
        {F: CodeEntry(F, FILE, 1, "00000000", "C.__annotate__")},
        {0: array("Q", [line(1)])},
    )
    assert read_process(process, {0: 0}, {}).texts == {}


def test_lines_in_a_statement_count_for_its_first() -> None:
    hits = TextHits()
    hits.lines[0] = {4}
    hits.lines[2] = {3, 99}
    assert [(r.start, r.end, r.hits, r.epochs) for r in regions(ANALYSIS, hits)] == [
        ((1, 0), (1, 0), 0, ()),
        ((2, 0), (2, 0), 0, ()),
        ((3, 0), (4, 0), 1, (0, 2)),
        ((5, 0), (5, 0), 0, ()),
    ]


def test_only_lines_with_several_ways_have_branches() -> None:
    hits = TextHits()
    hits.arcs[0] = {(1, 2), (2, 2)}
    hits.arcs[1] = {(1, 2), (1, 4)}
    assert branches(ANALYSIS, hits) == (Arc(1, 2, 1, (0, 1)), Arc(1, 3, 1, (1,)))


def test_arcs_that_leave_a_with_are_straightened() -> None:
    analysis = FileAnalysis(with_jumps={(2, 1): (2, 3), (1, 3): None})
    assert taken_arcs({(1, 2), (2, 1), (1, 3)}, analysis, {}) == {(1, 2), (2, 3)}


words = st.lists(
    st.one_of(
        st.builds(line, st.integers(1, 4)),
        st.builds(jump, st.sampled_from([4, 6]), st.sampled_from([8, 20])),
        st.builds(back, st.integers(0, 12)),
    )
)


@given(st.lists(words, min_size=1))
def test_what_processes_ran_is_the_union_of_what_each_ran(logs: list[list[int]]) -> None:
    together = TextHits()
    for log in logs:
        together.add(read({0: log})[0])
    each = [read({0: log})[0] for log in logs]
    assert together.lines_by_epoch().get(0, set()) == set().union(*(hits.lines_by_epoch().get(0, set()) for hits in each))
    taken = {(a.from_line, a.to) for a in branches(ANALYSIS, together) if a.hits}
    assert taken == {(a.from_line, a.to) for hits in each for a in branches(ANALYSIS, hits) if a.hits}
