"""Recorded with the C tracer alone, programs show the lines and pairs of lines that `coverage run` shows."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

Hits = dict[str, set[object]]


def test_lines_and_arcs_are_those_of_coverage_run(recording, reference: Callable[[Path], Hits], programs: Path) -> None:
    ran = recording.run(programs / "varied.py")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert recording.ran().hits() == reference(programs / "varied.py")


def test_each_greenlet_keeps_its_own_call_stack(recording, packages, programs: Path) -> None:
    ran = recording.run(programs / "greenlets.py", PYTHONPATH=str(packages(recording.case)))
    assert (ran.returncode, ran.stderr) == (0, "")
    script = programs / "greenlets.py"
    assert recording.ran().lines(script.name) == _statements(script)
    assert [arc for arc in recording.ran().hits()[script.name] if not _within_one_function(script, arc)] == []


def test_code_from_strings_and_templates_is_left_alone(recording, tmp_path: Path) -> None:
    program = tmp_path / "app.py"
    program.write_text("for name in ('<string>', 'page.html', '<frozen x>'):\n    exec(compile('x = 1', name, 'exec'))\n")
    assert recording.run(program).returncode == 0
    assert set(recording.ran().hits()) == {"app.py"}


def test_a_line_beyond_what_a_word_can_hold_is_left_out_and_said_so(recording, tmp_path: Path) -> None:
    program = tmp_path / "app.py"
    program.write_text(f"x = 1\nexec(compile('\\n' * 600_000 + 'y = 2', {str(tmp_path / 'long.py')!r}, 'exec'))\nz = 3\n")
    assert recording.run(program).returncode == 0
    (process,) = recording.ran().processes
    assert process.values_left_out == (recording.case.mode == "branch")
    assert recording.ran().lines("app.py") == {1, 2, 3}
    if recording.case.mode == "line":
        assert recording.ran().lines("long.py") == {600_001}


def _statements(script: Path) -> set[int]:
    """The lines of a program all of whose statements run."""
    return {node.lineno for node in ast.walk(ast.parse(script.read_text())) if isinstance(node, ast.stmt)}


def _within_one_function(script: Path, arc: object) -> bool:
    """Whether both ends lie in the same function; entries and exits name the function's first line, negated."""
    if not isinstance(arc, tuple):
        return True
    spans = [(1, 10**6)]
    spans += [(n.lineno, n.end_lineno or 0) for n in ast.walk(ast.parse(script.read_text())) if isinstance(n, ast.FunctionDef)]

    def innermost(line: int) -> tuple[int, int]:
        return max(span for span in spans if span[0] < line <= span[1] or span[0] == 1)

    source, target = arc
    if source < 0 or target < 0:
        inside, first = max(arc), -min(arc)
        return first == inside or innermost(inside)[0] == first
    return innermost(source) == innermost(target)
