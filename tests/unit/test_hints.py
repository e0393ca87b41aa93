"""What stands behind `what to do:` begins with a small letter in all errors, where it does not begin with a name or with code.

Small, for a hint stands in the middle of a sentence: behind that colon, and behind a semicolon in ledgers and notes.
"""

from __future__ import annotations

import ast
import functools
from dataclasses import dataclass
from pathlib import Path

import podcov
import pytest

NAMES = {"Kubernetes", "Skaffold"}
"""spelt with a capital wherever they stand; so is what has capitals alone, such as a variable of the environment"""
HOOKS = Path(podcov.__file__).parent
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Hint:
    place: str
    text: str

    def __str__(self):
        return f"{self.place}: {self.text}"


@dataclass(frozen=True)
class Module:
    path: Path
    tree: ast.Module

    def place(self, node):
        return f"{self.path.relative_to(HOOKS)}:{node.lineno}"

    def functions(self):
        return (node for node in ast.walk(self.tree) if isinstance(node, FUNCTIONS))

    def calls(self):
        return (node for node in ast.walk(self.tree) if isinstance(node, ast.Call))

    def values_of(self, name):
        """What the module gives to a name: by an assignment, or as an argument to the function that has it as a parameter."""
        for node in ast.walk(self.tree):
            match node:
                case ast.Assign(targets=[ast.Name(id=found)], value=value) if found == name:
                    yield value
                case ast.AnnAssign(target=ast.Name(id=found), value=value) if found == name and value:
                    yield value
        for function in self.functions():
            parameters = [argument.arg for argument in function.args.args]
            if name in parameters:
                at = parameters.index(name)
                called = (c for c in self.calls() if isinstance(c.func, ast.Name) and c.func.id == function.name)
                yield from (call.args[at] for call in called if len(call.args) > at)


@functools.cache
def modules():
    return [Module(path, ast.parse(path.read_text())) for path in sorted(HOOKS.rglob("*.py"))]


@functools.cache
def results(function):
    """What functions of that name return, wherever they stand."""
    found = [(module, one) for module in modules() for one in module.functions() if one.name == function]
    return [(m, node.value) for m, one in found for node in ast.walk(one) if isinstance(node, ast.Return) and node.value]


def beginnings(module, node):
    """The literals that the text may begin with. Empty for one that begins with a value: that has its own spelling."""
    match node:
        case ast.Constant(value=str(text)) | ast.JoinedStr(values=[ast.Constant(value=str(text)), *_]):
            yield Hint(module.place(node), text)
        case ast.IfExp(body=one, orelse=other):
            yield from (*beginnings(module, one), *beginnings(module, other))
        case ast.BoolOp(values=values):
            yield from (found for value in values for found in beginnings(module, value))
        case ast.BinOp(left=first) | ast.Call(func=ast.Attribute(value=first, attr="lstrip")):
            yield from beginnings(module, first)
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
            yield from (found for where, value in results(name) for found in beginnings(where, value))
        case ast.Name(id=name):
            yield from (found for value in module.values_of(name) for found in beginnings(module, value))


def hints():
    given = [(m, keyword.value) for m in modules() for call in m.calls() for keyword in call.keywords if keyword.arg == "hint"]
    return {found for module, value in given for found in beginnings(module, value)}


def is_spelt_alike(text):
    word = text.split(maxsplit=1)[0]
    code = len(word) > 1 and word.partition("=")[0].isupper()
    return not text[0].isupper() or word in NAMES or code


def test_every_hint_begins_with_a_small_letter_a_name_or_code():
    found = hints()
    assert len(found) > 150, "the walk sees the hints"
    assert not sorted(str(hint) for hint in found if hint.text and not is_spelt_alike(hint.text))


@pytest.mark.parametrize(
    ("text", "alike"),
    [
        ("name one of them", True),
        ("`podcov init` writes it", True),
        ("--without leaves it out", True),
        ("Kubernetes wants small letters", True),
        ("GOTOOLCHAIN=go1.26.0 chooses it", True),
        ("Name one of them", False),
        ("A path is a file", False),
    ],
)
def test_names_and_code_keep_their_spelling(text, alike):
    assert is_spelt_alike(text) is alike
