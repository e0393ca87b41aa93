"""YAML, edited in place: entries are cut out as text, where the parser says that they stand. Pure.

What became empty by that goes with it: a list without items, and then its key. Templates of Helm are no YAML; they have no
documents here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from podcov.generate.adoption import words
from podcov.generate.adoption.words import Slice, Token, Unwrap
from podcov.generate.adoption.workspace import Cut, whole_lines

_MOST_NODES = 200_000


@dataclass(frozen=True, slots=True)
class Step:
    """From a mapping into its nth pair, or from a list into its nth item."""

    parent: MappingNode | SequenceNode
    index: int

    @property
    def node(self) -> Node:
        entry = self.parent.value[self.index]
        found: Node = entry[1] if isinstance(self.parent, MappingNode) else entry
        return found

    @property
    def start(self) -> int:
        entry = self.parent.value[self.index]
        return _start(entry[0] if isinstance(self.parent, MappingNode) else entry)


Way = tuple[Step, ...]
"""From the top of a document down to an entry."""


@lru_cache(maxsize=1024)
def documents(text: str) -> tuple[Node, ...]:
    """The documents' root nodes; none where the text is no YAML, or defines resources, which is long and has no pods."""
    if text.startswith("\ufeff") or "kind: CustomResourceDefinition" in text:
        return ()
    try:
        roots = tuple(yaml.compose_all(text, yaml.SafeLoader))
        return roots if all(_size(root, {}) < _MOST_NODES for root in roots) else ()
    except (yaml.YAMLError, RecursionError):
        return ()


def _size(node: Node, sizes: dict[int, int]) -> int:
    """How many nodes there are to walk through, aliases followed: no manifest comes near what some files of tests have."""
    if id(node) not in sizes:
        sizes[id(node)] = _MOST_NODES  # until it is known: what contains itself has no end
        entries = node.value if isinstance(node, MappingNode | SequenceNode) else ()
        parts = [part for entry in entries for part in (entry if isinstance(entry, tuple) else (entry,))]
        sizes[id(node)] = 1 + sum(_size(part, sizes) for part in parts)
    return sizes[id(node)]


def value(node: Node) -> Any:
    """What a node says, as plain values; texts for what is no plain value."""
    if isinstance(node, MappingNode):
        return {str(key.value): value(item) for key, item in node.value}
    if isinstance(node, SequenceNode):
        return [value(item) for item in node.value]
    return node.value


def get(node: Node | None, *keys: str) -> Node | None:
    """The node beneath mappings' keys; None where there is none."""
    for key in keys:
        pairs = node.value if isinstance(node, MappingNode) else ()
        node = next((item for name, item in pairs if name.value == key), None)
    return node


def scalar(node: Node | None, *keys: str) -> str:
    """The text beneath mappings' keys, as it is written; empty where there is none."""
    found = get(node, *keys)
    return str(found.value) if isinstance(found, ScalarNode) else ""


def into(way: Way, node: Node | None, key: str) -> Way:
    """The way on to a mapping's key; empty where it has none."""
    if isinstance(node, MappingNode):
        for index, (name, _) in enumerate(node.value):
            if name.value == key:
                return (*way, Step(node, index))
    return ()


def items(way: Way) -> Iterator[Way]:
    """The ways on to each item of the list at the end of a way."""
    node = way[-1].node if way else None
    if isinstance(node, SequenceNode):
        for index in range(len(node.value)):
            yield (*way, Step(node, index))


def ways(root: Node, key: str, way: Way = ()) -> Iterator[Way]:
    """The ways to every key of that name, however deep."""
    if isinstance(root, MappingNode | SequenceNode):
        for index, entry in enumerate(root.value):
            step = (*way, Step(root, index))
            if isinstance(root, MappingNode) and entry[0].value == key:
                yield step
            yield from ways(step[-1].node, key, step)


def cut(text: str, way: Way, what: str) -> Cut | None:
    """Cuts the entry at the end of a way, and what would be empty without it. None where nothing would be left at all."""
    while way and len(way[-1].parent.value) == 1:
        way = way[:-1]
    if not way:
        return None
    step = way[-1]
    if step.parent.flow_style:
        return _cut_in_brackets(step, what)
    start, last = _start_of_entry(text, step), _end(step.node, text)
    before = text[text.rfind("\n", 0, start) + 1 : start]
    if not before.strip():
        return whole_lines(text, start, last, what)
    if step.index or set(before.strip()) != {"-"}:
        return None  # two entries on one line, in a way that only a person can untangle
    following = Step(step.parent, 1).start
    return Cut(start, following, what) if _on_its_own_line(text, following) else None


def command(text: str, way: Way, unwrap: Unwrap, what: str, following: Sequence[str] = ()) -> Iterator[Cut]:
    """The list of words at the end of a way without what `unwrap` finds. `following` are words that come after them."""
    node = way[-1].node if way else None
    if not isinstance(node, SequenceNode) or not all(isinstance(item, ScalarNode) for item in node.value):
        return
    part = unwrap([item.value for item in node.value], following)
    if part and node.flow_style:
        tokens = [Token(item.value, _start(item), item.end_mark.index) for item in node.value]
        yield words.edit(text, tokens, part, what)
    elif part:
        yield _block_edit(text, node, part, what)


def span(way: Way) -> tuple[int, int]:
    """Where the node at the end of a way stands in the text."""
    return _start(way[-1].node), int(way[-1].node.end_mark.index)


def document_span(text: str, index: int) -> tuple[int, int]:
    """Where the nth document stands, the `---` before it with it."""
    root = documents(text)[index]
    marks = [m.start() for m in re.finditer(r"(?m)^---(?=\s|\Z)", text)]
    begin = max((mark for mark in marks if mark <= _start(root)), default=0)
    return begin, min((mark for mark in marks if mark > _start(root)), default=len(text))


def _block_edit(text: str, node: SequenceNode, part: Slice, what: str) -> Cut:
    first, end = _start(node.value[part.first]), _end(node.value[part.last - 1], text)
    if part.new:
        return Cut(first, end, what, f"\n{' ' * (node.start_mark.column)}- ".join(part.new))
    return whole_lines(text, first, end, what)


def _cut_in_brackets(step: Step, what: str) -> Cut:
    end = step.node.end_mark.index
    if step.index + 1 < len(step.parent.value):
        return Cut(step.start, Step(step.parent, step.index + 1).start, what)
    return Cut(Step(step.parent, step.index - 1).node.end_mark.index, end, what)


def _start_of_entry(text: str, step: Step) -> int:
    """Where the entry begins, a list's dash with it."""
    if isinstance(step.parent, MappingNode):
        return step.start
    return text.rindex("-", 0, step.start)


def _on_its_own_line(text: str, at: int) -> bool:
    return not text[text.rfind("\n", 0, at) + 1 : at].strip()


def _start(node: Node) -> int:
    return int(node.start_mark.index)


def _end(node: Node, text: str) -> int:
    """Where the last character of a node stands, without the comments and blank lines that the parser counts in."""
    if isinstance(node, ScalarNode) or (isinstance(node, MappingNode | SequenceNode) and node.flow_style) or not node.value:
        end = int(node.end_mark.index)
        return len(text[:end].rstrip()) if isinstance(node, ScalarNode) and node.style in ("|", ">") else end
    last: Any = node.value[-1]
    return max(_end(part, text) for part in (last if isinstance(last, tuple) else [last]))
