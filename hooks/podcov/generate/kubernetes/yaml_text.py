"""Writes YAML as people do; a text that some parser could take for anything else is quoted. Pure."""

from __future__ import annotations

import re
from typing import Any

import yaml

from podcov.generate.kubernetes.kubernetes_yaml import PlainText

_PLAIN = re.compile(r"(?:[A-Za-z/]|--?[A-Za-z]|\.{1,2}/)[\w./@%+=-]*(?::[\w./@%+=-]+)*|[1-9]\d*(?:m|[KMG]i)")
_OTHER_LINE_ENDS = re.compile("[\\r\\x85\\u2028\\u2029]")
"""which some readers take for the end of a line, and others do not"""
_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})


class _Dumper(yaml.SafeDumper):
    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002 PyYAML's signature
        """Lists are indented beneath their key."""
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 PyYAML's signature
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    if "\n" in text and not _OTHER_LINE_ENDS.search(text):
        style = "|"
    elif _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        style = ""
    else:
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _date(dumper: yaml.SafeDumper, text: PlainText) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:timestamp", text)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(PlainText, _date)


def dump(value: Any) -> str:
    """Block style, keys in their given order."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, width=1_000, default_flow_style=False, allow_unicode=True)
    return text
