"""What the modules that colour source texts have in common. Pure.

They find what has a colour with one regular expression each, and skip what has none, where Pygments makes a token of every space
and bracket: the same colours, many times as fast. They work on text that is escaped
already: `&lt;` has no colour, as `<` has none.
"""

from __future__ import annotations


class Odd(Exception):
    """The text is not what the module understands, such as a string that does not end."""


def escaped(source: str) -> str:
    """Safe between HTML's elements; with lines as Pygments counts them."""
    text = source.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def unescaped(html: str) -> str:
    """What `escaped` was given."""
    return html.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def element(kind: str, text: str) -> str:
    """Text of one colour: one of Pygments' short names of tokens. No element goes over the end of a line."""
    return f'<span class="{kind}">' + text.replace("\n", f'</span>\n<span class="{kind}">') + "</span>"
