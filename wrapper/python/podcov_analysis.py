"""What the text of a Python file says about its coverage, as coverage.py sees it in this interpreter.

Lines, arcs and bytecode offsets mean something only to the minor version of Python that ran a file, so this module runs there:
in the host's own interpreter, in another local one, or in a pod, where the host sends it in a zip together with the Python
sources of coverage.py. It needs CPython 3.11 or later and coverage.py, and nothing of podcov.

What it says is a table that doesn't depend on what was run. The host caches it by the digest of the text, and turns any number
of hit logs into coverage with it.

Standard input is `<bytes>\\n` and that many bytes of JSON:

    {"files": [{"digest", "source": base64}], "exclude": [regex], "partial": [regex], "branch": bool}

Standard output is JSON:

    {"format": 1, "python": "3.14", "coverage": "7.17.3", "files": {digest: table}}

A table is {"error": text} where the text is not Python of this version, else:

    statements  [line]                      first lines of the statements that count
    excluded    [line]                      first lines of those that the rules leave out
    multiline   [[first, last]]             statements that span lines
    functions   [[kind, name, start, end]]  coverage.py's code regions, with the line that defines each and its last

and, with "branch":

    arcs        [[from, to]]                every way from line to line
    exits       [[line, count]]             how many ways leave a line, less those to excluded lines
    no_branch   [line]                      lines whose ways the rules let be untaken
    with_jumps  [[from, to, from, to]]      arcs to replace, or [from, to] to drop: where a `with` is left
    codes       [[line, name, crc32, lines, branches]]     where the interpreter reports branches by offset (3.14 and later)

A code object is known by its first line, qualified name and the crc32 of its bytecode. `lines` are [[start, end, line]], byte
offsets, end exclusive; `branches` are [[source, destination, from, to]], or [source, destination] for a jump within one line.
"""

import ast
import base64
import json
import sys
import warnings
from dis import opmap
from types import CodeType
from zlib import crc32

import coverage
from coverage.bytecode import BranchArcResolver, bytes_to_lines
from coverage.misc import join_regex
from coverage.parser import PythonParser
from coverage.phystokens import source_encoding
from coverage.regions import code_regions

FORMAT = 1
NAME = "<source>"
"""Stands for the text in messages: a text may lie at many paths, and its table is the same for all of them."""
ARRIVALS = {opmap[name] for name in ("NOT_TAKEN", "POP_ITER") if name in opmap}
NO_INSTRUCTIONS = {opmap[name] for name in ("CACHE", "EXTENDED_ARG") if name in opmap}
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
OPTIMIZATION_LEVELS = (0, 1, 2)
"""`-O` and `-OO` make other bytecode of the same text; each kind is known by its own crc."""


def main() -> None:
    stdin = sys.stdin.buffer
    request = json.loads(stdin.read(int(stdin.readline())))
    sys.stdout.write(json.dumps(answer(request), separators=(",", ":")))
    sys.stdout.flush()


def answer(request: dict) -> dict:
    """The tables of all files of the request."""
    tables = {}
    for file in request["files"]:
        try:
            tables[file["digest"]] = table(base64.b64decode(file["source"]), request)
        except Exception as error:  # whatever one file does to the parser, the others are told about
            tables[file["digest"]] = {"error": f"{type(error).__name__}: {error}"}
    return {
        "format": FORMAT,
        "python": "%d.%d" % sys.version_info[:2],
        "coverage": coverage.__version__,
        "files": tables,
    }


def table(source: bytes, rules: dict) -> dict:
    """The table of one text. Raises whatever the parsers raise where it is not Python of this version."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        text = source_text(source)
        parser = PythonParser(text=text, filename=NAME, exclude=join_regex(rules["exclude"]))
        parser.parse_source()
        found = {
            "statements": sorted(parser.statements),
            "excluded": sorted(parser.excluded),
            "multiline": spans(parser.multiline_map),
            "functions": functions(text),
        }
        if rules["branch"]:
            found["arcs"] = sorted(parser.arcs())
            found["exits"] = sorted(parser.exit_counts().items())
            found["no_branch"] = sorted(parser.lines_matching(join_regex(rules["partial"]))) if rules["partial"] else []
            found["with_jumps"] = with_jumps(parser)
            found["codes"] = code_tables(source, parser.multiline_map)
        return found


def source_text(source: bytes) -> str:
    """The text as coverage.py reads it from a file: line ends and form feeds made plain, a newline at its end."""
    plain = source.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\f", b" ")
    text = plain.decode(source_encoding(plain), "replace")
    return text + "\n" if text and not text.endswith("\n") else text


def spans(multiline_map: dict) -> list:
    """`{line: first line}` as [[first, last]]."""
    last: dict = {}
    for line, first in multiline_map.items():
        last[first] = max(line, last.get(first, first))
    return sorted([first, end] for first, end in last.items())


def functions(text: str) -> list:
    """coverage.py's regions with their last lines."""
    ends = {node.lineno: node.end_lineno for node in ast.walk(ast.parse(text)) if isinstance(node, DEFINITIONS)}
    return [[region.kind, region.name, region.start, ends[region.start]] for region in code_regions(text)]


def with_jumps(parser: PythonParser) -> list:
    """How to adjust the arcs that leave a `with`; known once `arcs()` was called.

    The one attribute of coverage.py that this module uses although it is private.
    """
    fixers = parser._with_jump_fixers
    return sorted([*arc, *(replacement or ())] for arc, replacement in fixers.items())


def code_tables(source: bytes, multiline_map: dict) -> list:
    """The tables of all code objects, where this interpreter can list their branches.

    Two code objects that look alike but differ in their tables are left out: nobody can tell which of them ran.
    """
    if not hasattr(CodeType, "co_branches"):
        return []
    known: dict = {}
    for level in OPTIMIZATION_LEVELS:
        for code in code_objects(compile(source, NAME, "exec", dont_inherit=True, optimize=level)):
            key = (code.co_firstlineno, code.co_qualname, f"{crc32(code.co_code):08x}")
            offsets = [line_ranges(code), branch_arcs(code, multiline_map)]
            if known.setdefault(key, offsets) != offsets:
                known[key] = None
    return [[*key, *offsets] for key, offsets in sorted(known.items()) if offsets is not None]


def code_objects(code: CodeType) -> list:
    """The code object and all within it; those of annotations aside, which coverage.py doesn't measure."""
    found = []
    waiting = [code]
    while waiting:
        current = waiting.pop()
        waiting.extend(c for c in current.co_consts if isinstance(c, CodeType))
        if current.co_name != "__annotate__":
            found.append(current)
    return found


def line_ranges(code: CodeType) -> list:
    ranges: list = []
    for start, end, line in code.co_lines():
        if line is None:
            continue
        if ranges and (ranges[-1][1], ranges[-1][2]) == (start, line):
            ranges[-1][1] = end
        else:
            ranges.append([start, end, line])
    return ranges


def branch_arcs(code: CodeType, multiline_map: dict) -> list:
    """Every jump that the interpreter can report, with the arc that coverage.py makes of it."""
    line_of = bytes_to_lines(code)
    resolver = BranchArcResolver(code, line_of, multiline_map)
    arcs = set()
    for source, destination in jumps(code):
        arc = resolver.resolve(source, destination) or unforeseen(line_of.get(source), line_of.get(destination))
        arcs.add((source, destination, *arc))
    return sorted(list(arc) for arc in arcs)


def jumps(code: CodeType) -> set:
    """The pairs of offsets that the interpreter's branch events name.

    `co_branches` lists nearly all of them. Some events come from the instruction at which a branch arrives, NOT_TAKEN or
    POP_ITER: they name the instruction that ran before it, or itself where a line begins at it, and the one that follows. These
    differ from the listed ones where `any(... for ...)` and its like are compiled inline, and in `async for` loops.
    """
    bytecode = code.co_code
    found = {(source, destination) for source, *destinations in code.co_branches() for destination in destinations}
    found |= {(source, offset + 2) for source, offset in found if bytecode[offset] in ARRIVALS}
    before = 0
    for offset in range(0, len(bytecode), 2):
        if bytecode[offset] in ARRIVALS:
            found |= {(before, offset + 2), (offset, offset + 2)}
        if bytecode[offset] not in NO_INSTRUCTIONS:
            before = offset
    return found


def unforeseen(source: int | None, destination: int | None) -> tuple:
    """Where the resolver follows a jump to nothing, coverage.py takes the lines at its two ends."""
    if source is None or destination is None or source == destination:
        return ()
    return (source, destination)


if __name__ == "__main__":
    main()
