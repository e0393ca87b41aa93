"""Python source as HTML, in the colours of Pygments' lexer. Pure.

What one regular expression cannot be sure of, such as a line of a `match` statement, Pygments looks at.
"""

from __future__ import annotations

import re
from functools import lru_cache
from keyword import kwlist
from typing import Final

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers.python import PythonLexer
from pygments.regexopt import regex_opt

from podcov.reports.colours import Odd, element, escaped, unescaped

_NAME = r"[^\W\d]\w*"
_SPACE = r"(?:\s|\\\s)+"
_MAGIC = regex_opt(PythonLexer.tokens["magicfuncs"][0][0].words, suffix=r"\b")
_KEYWORD = regex_opt(sorted({*kwlist} - {"def", "class", "from", "import"}), suffix=r"\b")
_PLAIN_NAME = rf"(?!{_KEYWORD}|(?:def|class|from|import)\b|{_MAGIC}|[rRbBuUfFtT]{{1,2}}[\"']){_NAME}"
_NUMBER = (
    r"(?:\d(?:_?\d)*\.(?:\d(?:_?\d)*)?|\.\d(?:_?\d)*)(?:[eE][+-]?\d(?:_?\d)*)?|\d(?:_?\d)*[eE][+-]?\d(?:_?\d)*j?"
    "|0[oO](?:_?[0-7])+|0[bB](?:_?[01])+|0[xX](?:_?[a-fA-F0-9])+|" + r"\d(?:_?\d)*"
)
_STRING = "|".join(
    (
        r'"""(?:[^"\\]|\\[\s\S]|"(?!""))*+"""',
        r"'''(?:[^'\\]|\\[\s\S]|'(?!''))*+'''",
        r'"(?!"")(?:[^"\\\n]|\\[\s\S])*+"',
        r"'(?!'')(?:[^'\\\n]|\\[\s\S])*+'",
    )
)
_IN_FIELD = r"""(?:[^{}"'\\\n]|"[^"\\\n]*+"|'[^'\\\n]*+')*+"""
_FIELD = rf"\{{{_IN_FIELD}(?:\{{{_IN_FIELD}\}}{_IN_FIELD})*+\}}"
_IN_F_STRING = rf"\\[^{{}}]|\{{\{{|\}}\}}|{_FIELD}"
_F_STRING = "|".join(
    (
        rf'"""(?:[^"\\{{}}]|"(?!"")|{_IN_F_STRING})*+"""',
        rf"'''(?:[^'\\{{}}]|'(?!'')|{_IN_F_STRING})*+'''",
        rf'"(?!"")(?:[^"\\\n{{}}]|{_IN_F_STRING})*+"',
        rf"'(?!'')(?:[^'\\\n{{}}]|{_IN_F_STRING})*+'",
    )
)
_NO_SOFT_KEYWORD = rf"(?![ \t]*(?:[:,;=^&|@~)\]}}]|(?:{'|'.join(word for word in kwlist if word.islower())})\b))"
_REST_OF_LINE = r"""(?:[^\n"'\\#]|"[^"\\\n]*+"|'[^'\\\n]*+')*+(?:\#[^\n]*)?$"""

_COLOURED: Final = re.compile(
    rf"""
    ^(?:
        (?P<margin>[^\S\n]*)(?P<doc>[rRuUbB]{{,2}}(?:\"\"\"[\s\S]*?\"\"\"|'''[\s\S]*?'''))
        |(?P<soft>[ \t]*(?:match|case)\b{_NO_SOFT_KEYWORD}(?P<rest>{_REST_OF_LINE})?)
    )
    |(?=[\w.@\#"'])(?:
        (?P<c>\#[^\n]*)
        |(?P<k>yield\ from\b|{_KEYWORD})
        |(?P<definition>def|class)(?P<gap>{_SPACE})(?P<defined>{_NAME})?
        |(?P<origin>from{_SPACE}(?!None\b)(?:{_NAME}|\.)++)(?:(?P<before>\s+)(?P<imports>import)\b)?
        |(?P<from>(?:from|import)(?={_SPACE}))
        |(?P<f>(?:[rR][fFtT]|[fFtT][rR]?)(?:{_F_STRING}))
        |(?P<s>(?:[rR][bB]?|[bB][rR]?|[uU])?(?:{_STRING}))
        |(?P<odd>(?:[rR][fFtT]|[fFtT][rR]?)?["'])
        |(?P<m>{_NUMBER})
        |(?P<nd>@{_NAME})
        |(?P<nf>{_MAGIC})
        |{_NAME}(?:[ \t.,()=:\[\]]+{_PLAIN_NAME})*+
    )
    """,
    re.VERBOSE | re.MULTILINE,
)
_ON_ONE_LINE: Final = frozenset({"c", "k", "m", "nd", "nf"})
_F_FIELD: Final = re.compile(rf"\{{\{{|\}}\}}|(?P<field>{_FIELD})")
_PLAIN_FIELD: Final = re.compile(r"\{(?P<expression>(?!\s*(?:match|case)\b)[\w\s.,+*/()-]*)(?:![sraf])?(?::[^{}\"']*)?\}")


def highlighted(source: str) -> str:
    """HTML with as many lines as the source; each opens and closes its own elements. Raises Odd."""
    return _coloured(escaped(source))


def _coloured(html: str) -> str:
    return _COLOURED.sub(_element, html)


def _element(match: re.Match[str]) -> str:
    kind = match.lastgroup
    text = match[0]
    if kind is None:
        return text
    if kind in _ON_ONE_LINE:
        return f'<span class="{kind}">{text}</span>'
    if kind == "s":
        return element(kind, text)
    return _compound(kind, match)


def _compound(kind: str, match: re.Match[str]) -> str:
    """What has several colours, or has to be looked at closely. `kind` is the last group that took part."""
    text = match[0]
    if kind == "doc":
        return match["margin"] + element("s", match["doc"])
    if kind in ("gap", "defined"):
        name = match["defined"]
        return element("k", match["definition"]) + match["gap"] + (element("nf", name) if name else "")
    if kind == "from":
        return element("k", text)
    if kind in ("origin", "imports"):
        tail = match["before"] + element("k", "import") if match["imports"] else ""
        return element("k", "from") + match["origin"].removeprefix("from") + tail
    if kind == "f":
        return _f_string(text)
    if kind in ("soft", "rest") and match["rest"] is not None:
        return _by_pygments(text)
    raise Odd


def _f_string(text: str) -> str:
    pieces: list[str] = []
    done = 0
    for match in _F_FIELD.finditer(text):
        if match["field"] is None:
            continue
        plain = _PLAIN_FIELD.fullmatch(match[0])
        if plain is None:
            return _by_pygments(text)
        begin, end = plain.span("expression")
        pieces += (element("s", text[done : match.start() + begin]), _coloured(plain["expression"]))
        done = match.start() + end
    return "".join(pieces) + element("s", text[done:])


@lru_cache(maxsize=4096)
def _by_pygments(html: str) -> str:
    coloured = highlight(unescaped(html), PythonLexer(stripnl=False, ensurenl=False), HtmlFormatter(nowrap=True))
    return coloured.removesuffix("\n")
