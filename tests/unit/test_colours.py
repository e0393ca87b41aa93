"""Sources in reports have the colours that Pygments gives them, character by character; only faster."""

from __future__ import annotations

import random
import sysconfig
from contextlib import suppress
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podcov.reports import go_colours, python_colours
from podcov.reports.colours import Odd
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexer import Lexer
from pygments.lexers.go import GoLexer
from pygments.lexers.python import PythonLexer

STDLIB = Path(sysconfig.get_path("stdlib"))
FILES = 40

PIECES = [
    *(
        "def f(self):",
        "class A(B):",
        "    return x",
        "import os as path",
        "from . import a",
        "from .b.c import d as e",
        "@decorated",
        "@",
    ),
    *(
        "async def __init__(self): pass",
        "raise E from None",
        "raise E from e",
        "yield from self.__iter__()",
        "x = 1_000.5e-3j",
        "0xFF",
        ".5",
    ),
    *(
        "'a'",
        '"b"',
        "r'\\d'",
        "rb'\\x'",
        "u'x'",
        "'''long\nstring'''",
        '"""doc\nstring"""',
        '    r"""doc"""',
        "'\\''",
        '"\\\n"',
        "''",
        '""',
    ),
    *(
        "f'{x}'",
        "f'{x!r:>{width}}'",
        "f'{{{x}}}'",
        "f\"{d['k']}\"",
        "f'{x:%H:%M}'",
        "f'{a if b else c}'",
        "f'{x=}'",
        "f'{d['k']}'",
        "rf'\\d{n}'",
        "f'''{x}\n'''",
    ),
    *(
        "match x:",
        "    case {'k': _}:",
        "    case [a, _] if a: # why",
        "match = 1",
        "match(x)",
        "case",
        "# comment",
        "#!x",
        "a < b > c & d",
        "&lt;",
    ),
    *(
        "not in",
        "is",
        "if1",
        "1if x else y",
        "lambda: None",
        "print(__name__)",
        "x\\\n",
        "é = 'ü'",
        "\t",
        " ",
        "(",
        ")",
        "[",
        "]",
        ":",
        ",",
        "...",
    ),
]

GO_PIECES = [
    "package main",
    'import "fmt"',
    "func (s *Server[T]) Serve(a int, b ...string) (err error) { defer close(c); return nil }",
    "x := <-ch && y&^z | 0x1F_FF + 0b01 + 0o17 + 1e9 + .5i",
    '`raw\n\\ "string`',
    '"a \\"quoted\\" %d <b> & c"',
    "'\"' + '\\'' + '<' + '&' + '\\x00' + '\\u00e9' + 'é'",
    "// for what it is worth",
    "/* if\nelse */ var typed map[string]chan struct{}",
    "selected, format, iff, uint7 := make([]uint8, len(x)), int64(1), true, nil",
    '"does not end',
    "`does not end",
    "é := 1if",
]


class _Coloured(HTMLParser):
    """Each character and the colour that the style sheet gives it."""

    def __init__(self, colours: dict[str, str]) -> None:
        super().__init__()
        self.colours = colours
        self.open: list[str] = []
        self.seen: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(self.colours.get(dict(attrs).get("class") or "", ""))

    def handle_endtag(self, tag: str) -> None:
        self.open.pop()

    def handle_data(self, data: str) -> None:
        colour = self.open[-1] if self.open else ""
        self.seen += [(character, "" if character.isspace() else colour) for character in data]


@pytest.fixture(scope="module")
def colours(root: Path) -> dict[str, str]:
    """Of each class of Pygments its colour."""
    rules = (root / "templates/report/style.css").read_text().replace("}", "}\n").splitlines()
    found = {}
    for rule in rules:
        selectors, _, style = rule.partition("{")
        if selectors.strip().startswith((".k,", ".s,", ".c,", ".m,", ".nf,", ".nd")):
            found |= {selector.strip(" ."): style for selector in selectors.split(",")}
    assert {"k", "s1", "c1", "mi", "nf", "nd"} <= found.keys()
    return found


def seen(html: str, colours: dict[str, str]) -> list[tuple[str, str]]:
    parser = _Coloured(colours)
    parser.feed(html)
    parser.close()
    assert parser.open == []
    return parser.seen


def by_pygments(text: str, lexer: type[Lexer] = PythonLexer) -> str:
    html: str = highlight(text, lexer(stripnl=False, ensurenl=False), HtmlFormatter(nowrap=True))
    return html if text.endswith("\n") else html.removesuffix("\n")


def test_the_standard_library_looks_as_before(colours: dict[str, str]) -> None:
    files = sorted(path for path in STDLIB.rglob("*.py") if "site-packages" not in path.parts)
    for path in random.Random(4).sample(files, FILES):
        try:
            text = path.read_text(encoding="utf-8")
            html = python_colours.highlighted(text)
        except (UnicodeDecodeError, Odd):
            continue
        assert seen(html, colours) == seen(by_pygments(text), colours), path


@pytest.mark.parametrize("piece", PIECES)
def test_each_way_to_write_python_looks_as_before(piece: str, colours: dict[str, str]) -> None:
    text = f"{piece}\n"
    assert seen(python_colours.highlighted(text), colours) == seen(by_pygments(text), colours)


@given(st.lists(st.sampled_from(GO_PIECES)), st.sampled_from(["\n", " ", "\r\n"]))
def test_go_looks_as_before(colours: dict[str, str], pieces: list[str], between: str) -> None:
    text = between.join(pieces) + "\n"
    assert seen(go_colours.highlighted(text), colours) == seen(by_pygments(text, GoLexer), colours)


@given(st.lists(st.sampled_from(PIECES)), st.sampled_from(["\n", " ", "\r\n"]))
def test_whatever_stands_beside_what_every_line_is_whole_and_nothing_is_lost(pieces: list[str], between: str) -> None:
    text = between.join(pieces)
    try:
        html = python_colours.highlighted(text)
    except Odd:
        return
    lines = [seen(line, {}) for line in html.split("\n")]
    assert "\n".join("".join(character for character, _ in line) for line in lines) == text.replace("\r\n", "\n")


@pytest.mark.parametrize("text", ["x = 'open\n", '"""open', "f'{x\n", "f'''{\nx}'''", "match x, 'a\n"])
def test_what_does_not_end_is_odd(text: str) -> None:
    with pytest.raises(Odd):
        python_colours.highlighted(text)


@given(st.text())
def test_any_text_is_escaped_or_odd(text: str) -> None:
    read = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    for highlighted in (go_colours.highlighted, python_colours.highlighted):
        with suppress(Odd):
            assert "".join(character for character, _ in seen(highlighted(text), {})) == read


@pytest.mark.parametrize(
    "text", ["f'" + "{{" * 5_000, "from " + "a" * 50_000, "'" * 30_001, "((((" * 5_000, "1" * 20_000, "'''" + "\\" * 50_001]
)
def test_no_text_takes_for_ever(text: str) -> None:
    try:
        python_colours.highlighted(text)
    except Odd:
        return
