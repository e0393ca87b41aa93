"""YAML read as Kubernetes' own tools read it, with the text of each document kept. Pure: text in, values out.

kubectl, Helm and Skaffold read by go-yaml 2 (`sigs.k8s.io/yaml`): `yes` and `on` are booleans, `0644` and `0o17` are octal, a
number that fits nowhere is a text. What is written again has to be read as the same by all of them.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from podcov.errors import ManifestError

_NO_YAML = "correct that line, or the one above it; where a tool such as Helm fills it in first, give podcov what that renders."
_TAG = "tag:yaml.org,2002:"
_TRUE, _FALSE = "y|Y|yes|Yes|YES|on|On|ON|true|True|TRUE", "n|N|no|No|NO|off|Off|OFF|false|False|FALSE"
_ONLY_TRUE_OR_FALSE = re.compile("^(?:true|True|TRUE|false|False|FALSE)$")
_SCALARS = (
    (f"{_TAG}bool", rf"{_TRUE}|{_FALSE}", "yYnNtTfFoO"),
    (f"{_TAG}float", r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", "-+."),
    ("!number", r"[-+]?[.0-9].*", "-+.0123456789"),
)
_INTEGER = re.compile(r"[-+]?(?:0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_SMALLEST, _BEYOND = -(2**63), 2**64


class PlainText(str):
    """A date, which stands without quotes and which some readers take for more than a text: to be written as it was."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Piece:
    """One document of a stream: its text, `---` and comments before it included; what it says, {} where it says nothing."""

    text: str
    document: Mapping[str, Any]
    line: int = 1
    """where it begins in the stream, from 1"""


class _Loader(yaml.SafeLoader):
    """Says in the same words on every machine what is wrong."""


class _FastLoader(yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader):  # type: ignore[misc] # if there is one
    """In C where that is at hand: files of custom resources have megabytes."""


def number(text: str) -> int | float | str:
    """What go-yaml 2 makes of a plain scalar that begins like a number; the text itself where it is none, or fits nowhere."""
    plain = text.replace("_", "")
    if _INTEGER.fullmatch(plain):
        sign, digits = (-1 if plain.startswith("-") else 1), plain.lstrip("+-").lower()
        value = sign * (int(digits, 8) if re.fullmatch(r"0[0-7]+", digits) else int(digits, 0))
        if _SMALLEST <= value < _BEYOND:
            return value
    if _DECIMAL.fullmatch(plain) and math.isfinite(float(plain)):
        return float(plain)
    return text


def _scalar(loader: Any, node: yaml.ScalarNode) -> int | float | str:
    return number(str(loader.construct_scalar(node)))


def _boolean(loader: Any, node: yaml.ScalarNode) -> bool:
    return bool(re.fullmatch(_TRUE, str(loader.construct_scalar(node))))


def _special(loader: Any, node: yaml.ScalarNode) -> float:
    return float(str(loader.construct_scalar(node)).lower().replace(".inf", "inf").replace(".nan", "nan"))


def _date(loader: Any, node: yaml.ScalarNode) -> PlainText:
    return PlainText(loader.construct_scalar(node))


def _text(loader: Any, node: yaml.ScalarNode) -> str:
    """JSON writes a character beyond the 16-bit ones as two escapes, of which the loader in C will have none."""
    return str(loader.construct_scalar(node)).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


_Loader.add_constructor(f"{_TAG}str", _text)
for _class in (_Loader, _FastLoader):
    _class.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag.rpartition(":")[2] in ("null", "merge", "timestamp")]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    for _tag, _pattern, _first in _SCALARS:
        _class.add_implicit_resolver(_tag, re.compile(rf"^(?:{_pattern})$"), list(_first))
    for _tag, _make in (("bool", _boolean), ("float", _special), ("timestamp", _date)):
        _class.add_constructor(f"{_TAG}{_tag}", _make)
    _class.add_constructor("!number", _scalar)


def _with_words(loader: Any) -> Any:
    """A loader for which only `true` and `false` are booleans."""
    resolvers = {
        first: [(tag, _ONLY_TRUE_OR_FALSE if tag == f"{_TAG}bool" else pattern) for tag, pattern in known]
        for first, known in loader.yaml_implicit_resolvers.items()
    }
    return type(f"{loader.__name__}WithWords", (loader,), {"yaml_implicit_resolvers": resolvers})


_WITH_WORDS = (_with_words(_FastLoader), _with_words(_Loader))


def load(text: str, *, name: str, words: bool = False) -> list[dict[str, Any]]:
    """The documents of a YAML file that are mappings. Raises ManifestError, `NAME:LINE: ...`, where it is no YAML.

    `words`: `y`, `yes`, `on` and the like are texts, as they are for go-yaml 3, by which Skaffold reads its own file.
    """
    fast, exact = _WITH_WORDS if words else (_FastLoader, _Loader)
    return [document for document in _read(text, name, fast, exact) if isinstance(document, dict)]


def numbered(text: str, *, name: str) -> list[tuple[int, dict[str, Any]]]:
    """The same, each with the line where it begins, from 1; {} for what is no mapping."""
    documents = _read(text, name)
    lines = [text.count("\n", 0, start) + 1 for start in _starts(text)]
    return [(line, d if isinstance(d, dict) else {}) for line, d in zip(lines, documents, strict=True)]


def split(text: str, *, name: str) -> list[Piece]:
    """The documents of a stream together with their text, which joined is the stream.

    Raises as `load` does, and where a document is something else than a mapping: what is sent to be changed is to be manifests.
    """
    whole = _read(text, name)
    starts = _starts(text)
    if not starts:
        return [Piece(text, {})] if text else []
    bounds = [0, *starts[1:], len(text)]
    texts = [text[first:last] for first, last in itertools.pairwise(bounds)]
    for number, (start, document) in enumerate(zip(starts, whole, strict=True), 1):
        if problem := _not_a_manifest(text[start : bounds[number]], document):
            offset, found, hint = problem
            line = text.count("\n", 0, start + offset) + 1
            raise ManifestError(f"{name}:{line}: document {number}: {found}", hint=hint)
    lines = [text.count("\n", 0, start) + 1 for start in bounds[:-1]]
    return [Piece(t, document or {}, line) for t, document, line in zip(texts, whole, lines, strict=True)]


def doubled_key(text: str) -> tuple[int, str] | None:
    """The line of a document, from 1, and the name of a key that stands twice in one mapping; None for none."""
    return min(_doubled(yaml.compose(text, _Loader)), default=None)


def _doubled(node: yaml.Node | None) -> Iterator[tuple[int, str]]:
    for item in node.value if isinstance(node, yaml.SequenceNode) else ():
        yield from _doubled(item)
    seen: set[str] = set()
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        if isinstance(key, yaml.ScalarNode) and key.tag != f"{_TAG}merge":
            if key.value in seen:
                yield key.start_mark.line + 1, key.value
            seen.add(key.value)
        yield from _doubled(value)


def _not_a_manifest(text: str, document: Any) -> tuple[int, str, str] | None:
    """Where in its text something is wrong with a document, what it is, and what to do."""
    if document is not None and not (isinstance(document, dict) and (not document or document.keys() & {"apiVersion", "kind"})):
        found = f"this is no manifest: {' '.join(str(document).split())[:60]!r}"
        what = "a manifest is a mapping with `apiVersion`, `kind` and `metadata`; was something else printed among them?"
        return 0, found, what
    kinds = list(re.finditer(r"^kind:", text, re.MULTILINE))
    if len(kinds) > 1 and doubled_key(text):
        return kinds[1].start(), "`kind` stands twice", "two manifests run into each other where there is no `---` between them."
    return None


def _read(text: str, name: str, fast: Any = _FastLoader, exact: Any = _Loader) -> list[Any]:
    try:
        return list(yaml.load_all(text, fast))
    except (yaml.YAMLError, UnicodeEncodeError):
        pass
    try:
        return list(yaml.load_all(text, exact))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ManifestError(f"{name}:{line}: this is no YAML: {error.problem or error.context}", hint=_NO_YAML) from error
    except yaml.YAMLError as error:
        raise ManifestError(f"{name}:1: this is no YAML: {' '.join(str(error).split())}", hint=_NO_YAML) from error


def _starts(text: str) -> list[int]:
    """Where documents begin."""
    try:
        return _events(text, _FastLoader)
    except (yaml.YAMLError, UnicodeEncodeError):
        return _events(text, _Loader)


def _events(text: str, loader: Any) -> list[int]:
    begun = (event.start_mark for event in yaml.parse(text, loader) if isinstance(event, yaml.DocumentStartEvent))
    return [mark.index for mark in begun if mark is not None]
