"""Where the coverage profile stands in the text of a `skaffold.yaml`: one marked block a document. Pure: text in, text out.

Places are found by the YAML parser; what is not podcov's is never written anew.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from textwrap import indent
from typing import Any

import yaml

from podcov.errors import ManifestError
from podcov.generate import blocks
from podcov.generate.blocks import Block


def written(text: str, path: str, bodies: Mapping[int, str]) -> str:
    """The text with a block in each of these documents and in no other, those that are there already at their places.

    Raises ManifestError where there is no place for a block, or none that leaves all else as it means now.
    """
    plain = blocks.remove(text)
    for index in range(len(_roots(text))):
        body = bodies.get(index)
        block = _block_of(text, index)
        if block and (body is None or not _fits(text, block, index)):
            text = "".join(blocks.without(blocks.split(text), block))
            block = None
        if body is None:
            continue
        if block:
            text = "".join(blocks.replace(blocks.split(text), block, _keyed(body) if block.key else body))
        else:
            text = "".join(_inserted(text, path, index, body))
    _refuse_other_changes(plain, text, path, bodies)
    return text


def profiles(text: str) -> Iterator[tuple[str, int]]:
    """The names of all profiles, and their lines."""
    for root in _roots(text):
        _, theirs = _entries(root).get("profiles", (None, None))
        for profile in theirs.value if isinstance(theirs, yaml.SequenceNode) else ():
            if isinstance(profile, yaml.MappingNode):
                yield _scalar(_entries(profile).get("name")), profile.start_mark.line + 1


def _block_of(text: str, index: int) -> Block | None:
    """The block in a document: the last document that begins before the block ends holds it."""
    starts = [_line(text, root.start_mark) for root in _roots(text)]
    found = blocks.find_all(blocks.split(text))
    return next((b for b in found if index == max((n for n, line in enumerate(starts) if line <= b.last), default=0)), None)


def _fits(text: str, block: Block, index: int) -> bool:
    """Whether a block can stay where it is: it brings the key `profiles` exactly where the user has none."""
    rest = blocks.split(text)
    rest[block.first : block.last + 1] = [f"{block.indent}# \n"]
    try:
        theirs = "profiles" in _entries(_roots("".join(rest))[index])
    except yaml.YAMLError:  # entries of theirs beneath a key that the block brings
        theirs = False
    return theirs != bool(block.key)


def _keyed(body: str) -> str:
    return f"profiles:\n{indent(body, '  ')}"


def _inserted(text: str, path: str, index: int, body: str) -> list[str]:
    lines, root = blocks.split(text), _roots(text)[index]
    if root.flow_style:
        raise ManifestError(
            f"{path}:{root.start_mark.line + 1}: the document is written in braces, which leaves no place for a marked block",
            hint="write it in lines, as `skaffold fix --overwrite` does.",
        )
    theirs = _entries(root).get("profiles")
    if theirs is None:
        end = _end_of_document(lines, _line(text, root.start_mark))
        return blocks.insert(lines, end, _keyed(body), " " * root.start_mark.column)
    key, value = theirs
    after = _line(text, key.start_mark) + 1
    if lines[after - 1][: key.start_mark.column].strip():
        raise _no_place(path, after, "has a sign before it", "write the key alone at the beginning of its line.")
    return blocks.insert(lines, after, body, _list_indent(text, path, key, value))


def _list_indent(text: str, path: str, key: yaml.Node, value: yaml.Node) -> str:
    line = _line(text, key.start_mark) + 1
    if isinstance(value, yaml.SequenceNode) and value.flow_style:
        raise _no_place(path, line, "is written in brackets", "write it as a list with dashes.")
    if isinstance(value, yaml.SequenceNode):
        if text[value.start_mark.index] != "-":
            raise _no_place(path, line, "has an anchor or a tag", "leave that out.")
        return " " * value.start_mark.column
    if isinstance(value, yaml.ScalarNode) and value.start_mark.index == value.end_mark.index:
        return " " * (key.start_mark.column + 2)
    raise _no_place(
        path, line, "has a value that is no list", "where there are no profiles, write `profiles:` alone, or nothing."
    )


def _no_place(path: str, line: int, why: str, hint: str) -> ManifestError:
    return ManifestError(f"{path}:{line}: `profiles` {why}, which leaves no place for a marked block", hint=hint)


def _refuse_other_changes(plain: str, written: str, path: str, bodies: Mapping[int, str]) -> None:
    """A last line without an end may mean something else once it has one; there may be more that nobody has thought of."""
    ours = {index: _understood(body)[0][0] for index, body in bodies.items()}
    before = [_with_profiles_listed(document) for document in _understood(plain)]
    try:
        after = [_without_profile(document, ours.get(n)) for n, document in enumerate(_understood(written))]
    except yaml.YAMLError:
        after = []
    if before == after:
        return
    if plain.endswith("\n"):
        raise ManifestError(
            f"{path}: a marked block would change more of it than `profiles`",
            hint="write it as `skaffold fix --overwrite` does: lines, indented by spaces, and lists with dashes.",
        )
    last = len(blocks.split(plain))
    raise ManifestError(
        f"{path}:{last}: the last line has no line end, and with a marked block behind it would mean something else",
        hint="end it: that alone may change the value that it belongs to.",
    )


def _understood(text: str) -> list[Any]:
    """The documents that are mappings, or the list that is the only one; all scalars as they are written."""
    return [document for document in yaml.load_all(text, yaml.BaseLoader) if isinstance(document, dict | list)]


def _with_profiles_listed(document: Any) -> dict[str, Any]:
    return {**document, "profiles": document.get("profiles") or []}


def _without_profile(document: Any, ours: Any) -> dict[str, Any]:
    said = _with_profiles_listed(document)
    return {**said, "profiles": [profile for profile in said["profiles"] if profile != ours]}


def _end_of_document(lines: Sequence[str], first: int) -> int:
    return next((n for n, line in enumerate(lines) if n > first and re.match(r"(---|\.\.\.)(\s|$)", line)), len(lines))


def _roots(text: str) -> list[yaml.MappingNode]:
    return [node for node in yaml.compose_all(text, yaml.SafeLoader) if isinstance(node, yaml.MappingNode)]


def _entries(node: yaml.MappingNode) -> dict[str, tuple[yaml.Node, Any]]:
    return {key.value: (key, value) for key, value in node.value if isinstance(key, yaml.ScalarNode)}


def _scalar(entry: tuple[yaml.Node, Any] | None) -> str:
    return str(entry[1].value) if entry and isinstance(entry[1], yaml.ScalarNode) else ""


def _line(text: str, mark: yaml.Mark) -> int:
    """The index of a mark's line as `blocks.split` counts: the parser takes other signs than `\\n` for line ends too."""
    return text.count("\n", 0, mark.index)
