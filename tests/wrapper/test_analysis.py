"""What `podcov_analysis` says of a text, in each interpreter; and the one private thing of coverage.py that it needs."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from coverage.parser import PythonParser
from podcov.edges.analysis import coverage_zip
from podcov.formats.analysis import CodeTable, FileAnalysis, Rules, SourceText, read_answer, read_table, write_request

TEXT = b'''\
"""Docstring."""
def f(x):
    if x and (
        x > 1
    ):
        return any(i for i in x)
    with open(x) as g:  # pragma: no branch
        return g
class C:
    def excluded(self):  # pragma: no cover
        return 1
'''
RULES = Rules(exclude=("no cover",), partial=("no branch",), branch=True)

Analyse = Callable[..., dict[str, FileAnalysis]]


@pytest.fixture(scope="module", params=["3.11", "3.12", "3.13", "3.14"])
def analyse(request: pytest.FixtureRequest, interpreters: Callable[[str], Any], root: Path) -> Iterator[Analyse]:
    """`analyse(a=b"text", ...)`: the tables of texts, by an interpreter that has nothing but the zip."""
    interpreter = interpreters(request.param)
    archive = interpreter.folder / "analysis.zip"
    archive.write_bytes(coverage_zip((root / "wrapper/python/podcov_analysis.py").read_bytes()))

    def run(rules: Rules = RULES, **texts: bytes) -> dict[str, FileAnalysis]:
        request_bytes = write_request([SourceText(name, content) for name, content in texts.items()], rules)
        done = subprocess.run(
            [*interpreter.command, "-I", interpreter.inside(archive)], input=request_bytes, capture_output=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, b"")
        answer = read_answer(done.stdout, where="test")
        assert answer.python == interpreter.minor
        return {name: read_table(raw, where=name) for name, raw in answer.tables.items()}

    yield run
    archive.unlink()


def test_statements_spans_exclusions_and_functions(analyse: Analyse) -> None:
    table = analyse(a=TEXT)["a"]
    assert table.error == ""
    assert table.statements == {2, 3, 6, 7, 8, 9}
    assert table.excluded == {10, 11}
    assert table.spans == {3: 5}
    assert [table.first_line(n) for n in (2, 4, 5, -4)] == [2, 3, 3, -3]
    assert [(f.kind, f.name, f.start, f.end) for f in table.functions] == [
        ("class", "C", 9, 11),
        ("function", "C.excluded", 10, 11),
        ("function", "f", 2, 8),
    ]


def test_arcs_with_their_exits_and_excuses(analyse: Analyse) -> None:
    table = analyse(a=TEXT)["a"]
    assert {(3, 6), (3, 7), (6, -2), (8, -2)} <= table.arcs
    assert table.exits[3] == 2
    assert table.no_branch == {7}


def test_without_branches_nothing_is_said_of_arcs(analyse: Analyse) -> None:
    table = analyse(Rules(), a=TEXT)["a"]
    assert (table.arcs, table.exits, table.codes) == (frozenset(), {}, {})
    assert table.excluded == frozenset()


def test_a_with_that_is_left_has_its_arcs_straightened(analyse: Analyse) -> None:
    table = analyse(a=b"with a:\n    b\nc\n")["a"]
    assert table.with_jumps == {(2, 1): (2, 3), (1, 3): None}


def test_no_rule_excuses_no_branch(analyse: Analyse) -> None:
    assert analyse(Rules(branch=True), a=TEXT)["a"].no_branch == frozenset()


def test_what_is_not_python_has_an_error_and_stops_nobody(analyse: Analyse) -> None:
    tables = analyse(
        two=b"print 'two'\n",
        cut=b"def f(:\n",
        null=b"x = '\0'\n",
        encoding=b"# coding: nonsense\n",
        binary=b"\xff = 1\n",
        nested=b"(" * 5000,
        good=TEXT,
    )
    assert {name for name, table in tables.items() if not table.error} == {"good"}
    assert [table.statements for name, table in tables.items() if name != "good"] == [frozenset()] * 6


def test_texts_without_a_statement_are_empty_and_no_error(analyse: Analyse) -> None:
    tables = analyse(empty=b"", blank=b"\n\n", comment=b"# comment", docstring=b'"""Docstring."""')
    for table in tables.values():
        assert (table.error, table.statements, table.arcs - {(1, -1)}) == ("", frozenset(), frozenset())


def test_texts_are_read_as_the_interpreter_reads_them(analyse: Analyse) -> None:
    tables = analyse(
        latin="# coding: latin-1\nx = 'é'\ny = 2".encode("latin-1"),
        windows=b"if x:\r\n    y = 1\r\n",
        mac=b"if x:\r    y = 1\r",
        feed=b"x = 1\n\f\ny = 2\n",
        marked=b"\xef\xbb\xbfx = 1\n",
    )
    assert {name: sorted(t.statements) for name, t in tables.items()} == {
        "latin": [2, 3],
        "windows": [1, 2],
        "mac": [1, 2],
        "feed": [1, 3],
        "marked": [1],
    }


def test_code_objects_are_listed_where_branches_are_told_by_offsets(analyse: Analyse, request: pytest.FixtureRequest) -> None:
    codes = analyse(a=TEXT)["a"].codes
    if "3.14" not in request.node.name:
        assert codes == {}
        return
    assert {(line, name) for line, name, _ in codes} >= {(1, "<module>"), (2, "f"), (6, "f.<locals>.<genexpr>"), (9, "C")}
    f = next(table for (line, name, _), table in codes.items() if name == "f")
    assert {arc for arc in f.branches.values() if arc} >= {(3, 6), (3, 7)}


def test_optimized_code_is_known_too(analyse: Analyse, request: pytest.FixtureRequest) -> None:
    codes = analyse(a=b"def f(x):\n    'doc'\n    assert x, 'no'\n    return x\n")["a"].codes
    if "3.14" in request.node.name:
        assert len([name for _, name, _ in codes if name == "f"]) == 2  # with and without the assertion


def test_code_objects_that_cannot_be_told_apart_are_left_out(analyse: Analyse) -> None:
    """Two on one line with the same bytecode, whose lines differ."""
    tables = analyse(
        alike=b"a = [lambda x: 1 if x else 2, lambda x: 1 if\n x else 2]\n",
        same=b"a = [lambda x: 1 if x else 2, lambda x: 1 if x else 2]\n",
    )
    names = {which: {name for _, name, _ in table.codes} for which, table in tables.items()}
    assert names in ({"alike": {"<module>"}, "same": {"<module>", "<lambda>"}}, {"alike": set(), "same": set()})


def test_offsets_between_lines_belong_to_none() -> None:
    table = CodeTable(1, starts=(0, 6), ends=(4, 8), lines=(1, 2), branches={})
    assert [table.line_at(offset) for offset in (0, 2, 4, 6, 8)] == [1, 1, None, 2, None]


def test_coverage_still_has_what_we_take_from_its_parser() -> None:
    """Fails where coverage.py renames the one private attribute that `podcov_analysis.with_jumps` reads."""
    parser = PythonParser(text="with a:\n    b\nc\n")
    parser.parse_source()
    parser.arcs()
    assert parser._with_jump_fixers == {(2, 1): (2, 3), (1, 3): None}


def test_the_request_is_what_the_module_documents() -> None:
    length, _, body = write_request([SourceText("sha256:aa", b"x\n")], RULES).partition(b"\n")
    assert int(length) == len(body)
    assert json.loads(body) == {
        "files": [{"digest": "sha256:aa", "source": base64.b64encode(b"x\n").decode()}],
        "exclude": ["no cover"],
        "partial": ["no branch"],
        "branch": True,
    }
