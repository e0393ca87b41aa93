"""Go source as HTML, in the colours of Pygments' lexer. Pure."""

from __future__ import annotations

import re
from typing import Final

from podcov.reports.colours import element, escaped

_KEYWORDS = (
    "import|package|var|func|struct|type|interface|const|break|default|select|case|defer|go|else|goto|switch|fallthrough|if|range"
    "|continue|for|return|true|false|iota|nil|u?int(?:8|16|32|64)?|float(?:32|64)|map|chan|complex(?:64|128)|byte|rune|string|bool"
    "|error|uintptr|any|comparable"
)
_EXPONENT = r"[eE][+\-]?\d+"
_NUMBER = "|".join(
    (
        r"\d+i|\d+\.\d*(?:[Ee][-+]\d+)?i|\.\d+(?:[Ee][-+]\d+)?i|\d+[Ee][-+]\d+i",
        rf"\d+(?:\.\d+{_EXPONENT}|\.\d*|{_EXPONENT})|\.\d+(?:{_EXPONENT})?",
        r"0[bB](?:_?[01])+|0[oO]?(?:_?[0-7])+|0[xX](?:_?[0-9a-fA-F])+|0|[1-9](?:_?[0-9])*",
    )
)
_CHARACTER = r"""'(?:\\(?:['"\\abfnrtv]|x[0-9a-fA-F]{2}|[0-7]{1,3}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8})|&(?:amp|lt|gt);|[^\\])'"""

_COLOURED: Final = re.compile(
    rf"""
    (?P<c>//[^\n]*|/\*[\s\S]*?\*/)
    |(?=[\w."'`])(?:
        (?P<k>(?:{_KEYWORDS})\b)
        |(?P<m>{_NUMBER})
        |(?P<s>`[^`]*`|"(?:[^"\\]|\\[\s\S])*+")
        |{_CHARACTER}
        |[^\W\d]\w*
    )
    """,
    re.VERBOSE,
)


def highlighted(source: str) -> str:
    """HTML with as many lines as the source; each opens and closes its own elements."""
    return _COLOURED.sub(_element, escaped(source))


def _element(match: re.Match[str]) -> str:
    return element(match.lastgroup, match[0]) if match.lastgroup else match[0]
