"""YAML text read with its line numbers, and what a JSON schema finds wrong in it, said for people.

Pure: text in, values and problems out. Knows no key of `podcov.yaml`; what to write instead comes from the schema's `examples`.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from podcov.errors import ConfigError

Path = tuple[str | int, ...]
"""Keys and list indexes from the top of the document."""

_TAG = "tag:yaml.org,2002:"
_KINDS = {
    "object": "a mapping",
    "array": "a list",
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "nothing",
}


@dataclass(frozen=True, order=True, slots=True)
class Problem:
    """Something wrong at a line of the document; `text` begins with the key path."""

    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Document:
    """What a YAML text says. `lines` has the line, from 1, of every key and list item, `texts` every scalar as it was written."""

    data: Any
    lines: Mapping[Path, int]
    texts: Mapping[Path, str]

    def line(self, path: Iterable[str | int]) -> int:
        """The line of the nearest thing on `path` that the document has."""
        return nearest_line(self.lines, path)

    def at(self, path: Iterable[str | int]) -> Any:
        """The value that stands at `path`."""
        value = self.data
        for part in path:
            value = value[part]
        return value


_HINT = "indent with spaces, and put quotes around a text that holds `: ` or ` #`, or begins with a sign such as `*`, `{` or `%`."


def read(text: str, *, name: str) -> Document:
    """Read one YAML 1.2 document. Raises ConfigError where it is none, and for keys that stand twice."""
    try:
        node = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{name}:{line}: this is no YAML: {error.problem or error.context}", hint=_HINT) from error
    except YAMLError as error:
        raise ConfigError(f"{name}:1: this is no YAML: {' '.join(str(error).split())}", hint=_HINT) from error
    builder = _Builder(name)
    data = None if node is None else builder.value(node, ())
    return Document(data, builder.lines, builder.texts)


def nearest_line(lines: Mapping[Path, int], path: Iterable[str | int]) -> int:
    """Of the lines of things by their paths, that of the nearest on `path`."""
    where = tuple(path)
    while where and where not in lines:
        where = where[:-1]
    return lines.get(where, 1)


def name_path(path: Iterable[str | int]) -> str:
    """`("port_forwards", 0, "port")` as `port_forwards[0].port`."""
    out = ""
    for part in path:
        out += f"[{part}]" if isinstance(part, int) else f"{'.' if out else ''}{part}"
    return out


def problems(document: Document, schema: Mapping[str, Any]) -> list[Problem]:
    """Everything that `schema` (draft 2020-12) finds wrong, in the order of the lines."""
    return sorted({p for error in Draft202012Validator(schema).iter_errors(document.data) for p in _explain(error, document)})


@dataclass(slots=True)
class _Builder:
    """Turns nodes into plain values, and remembers where each was."""

    name: str
    lines: dict[Path, int] = field(default_factory=dict)
    texts: dict[Path, str] = field(default_factory=dict)
    _open: list[Node] = field(default_factory=list)

    def value(self, node: Node, path: Path) -> Any:
        self.lines.setdefault(path, _line(node))
        if isinstance(node, ScalarNode):
            return self._scalar(node, path)
        if any(node is outer for outer in self._open):
            raise self._error(node, path, "an alias may not contain itself", hint="write out what is meant")
        self._open.append(node)
        try:
            if isinstance(node, MappingNode):
                return self._mapping(node, path)
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        finally:
            self._open.pop()

    def _scalar(self, node: ScalarNode, path: Path) -> Any:
        self.texts[path] = node.value
        match str(node.tag).removeprefix(_TAG):
            case "str" | "timestamp":
                return node.value
            case "null":
                return None
            case "bool":
                return node.value.lower() == "true"
            case "int":
                return int(node.value, 0 if node.value.lstrip("+-")[:2] in ("0x", "0o") else 10)
            case "float":
                return float(node.value.lower().replace(".inf", "inf").replace(".nan", "nan"))
            case tag:
                raise self._error(node, path, f"the tag {tag} means nothing here", hint="leave the tag out")

    def _mapping(self, node: MappingNode, path: Path) -> dict[str, Any]:
        inherited: dict[str, Any] = {}
        for base in self._bases(node, path):
            inherited = self.value(base, path) | inherited
        found: dict[str, Any] = {}
        for key, value in node.value:
            if _is_merge(key):
                continue
            if not isinstance(key, ScalarNode):
                raise self._error(key, path, "a key must be a text", hint=_HINT)
            where = (*path, key.value)
            if key.value in found:
                text = f"this key stands here already, in line {self.lines[where]}"
                raise self._error(key, where, text, hint="leave one of the two out, or put what they hold under one key")
            self.lines[where] = _line(key)
            found[key.value] = self.value(value, where)
        return inherited | found

    def _bases(self, node: MappingNode, path: Path) -> Iterator[MappingNode]:
        """What `<<: *base` and `<<: [*one, *two]` name, nearest first."""
        for key, value in node.value:
            if not _is_merge(key):
                continue
            for base in value.value if isinstance(value, SequenceNode) else [value]:
                if not isinstance(base, MappingNode):
                    text = "`<<` takes a mapping, or a list of mappings"
                    raise self._error(value, path, text, hint="name anchors of mappings, such as `<<: *base`")
                yield base

    def _error(self, node: Node, path: Path, text: str, *, hint: str) -> ConfigError:
        where = f"{name_path(path)}: " if path else ""
        return ConfigError(f"{self.name}:{_line(node)}: {where}{text}", hint=hint)


def _is_merge(key: Node) -> bool:
    return bool(key.tag == f"{_TAG}merge")


def _line(node: Node) -> int:
    return int(node.start_mark.line) + 1


def _explain(error: ValidationError, document: Document) -> Iterator[Problem]:
    instance: Any = error.instance
    schema: Any = error.schema
    wanted: Any = error.validator_value
    path: Path = tuple(error.absolute_path)
    if "propertyNames" in error.absolute_schema_path:
        path = (*path, instance)
    if error.validator == "additionalProperties":
        known = list(schema["properties"])
        for key in sorted(set(instance) - set(known)):
            yield _problem(document, (*path, key), _unknown_key(key, known))
    elif error.validator == "required":
        for key in sorted(set(wanted) - set(instance)):
            yield _problem(document, path, _missing_key(key, schema["properties"][key]))
    else:
        yield _problem(document, path, _wrong_value(error, instance, wanted) + _advice(schema))


def _problem(document: Document, path: Path, text: str) -> Problem:
    where = f"{name_path(path)}: " if path else ""
    return Problem(document.line(path), where + text)


def _unknown_key(key: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(key, known, 1)
    if near:
        return f"there is no such key; did you mean `{near[0]}`?"
    return f"there is no such key; there are: {', '.join(known)}"


def _missing_key(key: str, schema: Mapping[str, Any]) -> str:
    return f"the key `{key}` is missing" + _advice(schema, key)


def _wrong_value(error: ValidationError, value: Any, wanted: Any) -> str:
    match error.validator:
        case "type":
            kinds = [wanted] if isinstance(wanted, str) else wanted
            return f"must be {' or '.join(_KINDS[kind] for kind in kinds)}, and is {_show(value)}"
        case "enum":
            near = difflib.get_close_matches(str(value), [str(w) for w in wanted], 1)
            guess = f"; did you mean `{near[0]}`?" if near else ""
            return f"must be one of {', '.join(str(w) for w in wanted)}, and is {_show(value)}{guess}"
        case "const":
            return f"must be {wanted}, and is {_show(value)}"
        case "pattern":
            return f"{_show(value)} does not fit here"
        case "minItems" | "minLength" | "minProperties":
            return "must not be empty"
        case "minimum":
            return f"must be at least {wanted}, and is {value}"
        case "exclusiveMinimum":
            return f"must be more than {wanted}, and is {value}"
        case "maximum":
            return f"must be at most {wanted}, and is {value}"
        case "uniqueItems":
            return "says the same thing twice"
        case _:
            return error.message


def _show(value: Any) -> str:
    match value:
        case None:
            return "empty"
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case _:
            return json.dumps(value, ensure_ascii=False)


def _advice(schema: Mapping[str, Any], key: str = "") -> str:
    """What to write, from the schema's first example."""
    for example in schema.get("examples", ())[:1]:
        written = example if isinstance(example, str) else json.dumps(example)
        return f"; write for example `{f'{key}: ' if key else ''}{written}`"
    return ""
