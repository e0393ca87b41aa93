"""Which functions a Tiltfile calls, and with what, as far as the text says so without running it. Pure.

Starlark reads as Python does, nearly. Loops over what is written out are followed, functions that the file defines too; both
branches of an `if` count. What depends on anything outside the text is `UNKNOWN`.
"""

from __future__ import annotations

import ast
import posixpath
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

_STEPS = 20_000
"""what one text may take, loops in loops included, before the rest is left unread"""
_DEPTH = 8


class _Unknown:
    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN = _Unknown()


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """One call of a function that the text does not define. Values are literals, `UNKNOWN`, or calls whose result is given on."""

    function: str
    positional: tuple[Any, ...]
    named: dict[str, Any]
    line: int

    def arguments(self, *names: str) -> dict[str, Any]:
        """All arguments by name, the positional ones under `names` in their order."""
        return {**dict(zip(names, self.positional, strict=False)), **self.named}


@dataclass(frozen=True, slots=True)
class Script:
    """`calls` in the order in which they would happen; `names`: what the text defines or loads itself.

    `called`: the names of all functions that are called anywhere, in functions that nobody here calls, too.
    """

    calls: tuple[Call, ...]
    names: frozenset[str]
    called: frozenset[str]


def read(text: str) -> Script:
    """Raises SyntaxError where the text is none that Python could read."""
    reader = _Reader()
    tree = ast.parse(text)
    with suppress(_TooMuch, _Return):  # What was seen until then is true all the same.
        reader.run(tree.body)
    names = {*reader.variables, *reader.functions, *_loaded(reader.calls)}
    return Script(tuple(reader.calls), frozenset(names), frozenset(_called(tree)))


def _called(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id


def _loaded(calls: Sequence[Call]) -> set[str]:
    loads = [call for call in calls if call.function == "load"]
    return {name for call in loads for name in (*call.positional[1:], *call.named) if isinstance(name, str)}


class _TooMuch(Exception):
    pass


class _Return(Exception):
    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value


class _Reader:
    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.variables: dict[str, Any] = {}
        self.functions: dict[str, ast.FunctionDef] = {}
        self._depth = 0
        self._steps = 0

    def run(self, body: Sequence[ast.stmt]) -> None:
        for statement in body:
            self._count()
            match statement:
                case ast.Assign(targets, value):
                    result = self.value(value)
                    for target in targets:
                        self._bind(target, result)
                case ast.AugAssign(ast.Name(name), ast.Add(), value):
                    self.variables[name] = _added(self.variables.get(name, UNKNOWN), self.value(value))
                case ast.Expr(value):
                    self.value(value)
                case ast.For(target, over, inner):
                    items = self.value(over)
                    for item in list(items) if isinstance(items, list | tuple | dict) else [UNKNOWN]:
                        self._bind(target, item)
                        self.run(inner)
                case ast.If(test, then, otherwise):
                    self.value(test)
                    self._both(then, otherwise)
                case ast.FunctionDef(name):
                    self.functions[name] = statement
                case ast.Return(value):
                    raise _Return(self.value(value) if value else None)

    def value(self, node: ast.expr) -> Any:
        """What an expression is, its calls noted."""
        self._count()
        match node:
            case ast.Constant(constant):
                return constant
            case ast.Name(name):
                return self.variables.get(name, UNKNOWN)
            case ast.List(elements):
                return [self.value(element) for element in elements]
            case ast.Tuple(elements):
                return tuple(self.value(element) for element in elements)
            case ast.Dict(keys, values):
                pairs = [(self.value(k), self.value(v)) for k, v in zip(keys, values, strict=True) if k]
                return {key: value for key, value in pairs if isinstance(key, str | int)}
            case ast.BinOp(left, ast.Add(), right):
                return _added(self.value(left), self.value(right))
            case ast.BinOp(left, ast.Mod(), right):
                return _formatted(self.value(left), self.value(right))
            case ast.Subscript(of, at):
                return _item(self.value(of), self.value(at))
            case ast.ListComp(element, [ast.comprehension(target=target, iter=over, ifs=[])]):
                return self._comprehension(element, target, over)
            case ast.Call(ast.Name(name)) if name in self.functions:
                return self._inside(self.functions[name], node)
            case ast.Call(ast.Name(name)):
                call = Call(name, *self._arguments(node), node.lineno)
                self.calls.append(call)
                return call
            case ast.Call(ast.Attribute(of, method)):
                return _method(self.value(of), ast.unparse(node.func), method, *self._arguments(node))
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self.value(child)
        return UNKNOWN

    def _arguments(self, node: ast.Call) -> tuple[tuple[Any, ...], dict[str, Any]]:
        positional = tuple(self.value(argument) for argument in node.args)
        return positional, {keyword.arg: self.value(keyword.value) for keyword in node.keywords if keyword.arg}

    def _bind(self, target: ast.expr, value: Any) -> None:
        match target:
            case ast.Name(name):
                self.variables[name] = value
            case ast.Tuple(elements) | ast.List(elements):
                known = isinstance(value, list | tuple) and len(value) == len(elements)
                for element, item in zip(elements, value if known else [UNKNOWN] * len(elements), strict=True):
                    self._bind(element, item)

    def _both(self, then: Sequence[ast.stmt], otherwise: Sequence[ast.stmt]) -> None:
        """Run both branches; what differs between them is unknown afterwards. A `return` in one of them ends neither."""
        before = dict(self.variables)
        ends = []
        for branch in (then, otherwise):
            self.variables = dict(before)
            with suppress(_Return):
                self.run(branch)
            ends.append(self.variables)
        one, other = ends
        same = {name: value for name, value in one.items() if name in other and _equal(value, other[name])}
        self.variables = {**dict.fromkeys([*one, *other], UNKNOWN), **same}

    def _comprehension(self, element: ast.expr, target: ast.expr, over: ast.expr) -> Any:
        items = self.value(over)
        if not isinstance(items, list | tuple | dict):
            return UNKNOWN
        outer, result = dict(self.variables), []
        for item in items:
            self._bind(target, item)
            result.append(self.value(element))
        self.variables = outer
        return result

    def _inside(self, function: ast.FunctionDef, node: ast.Call) -> Any:
        """What a function of the text's own does when it is called like this."""
        positional, named = self._arguments(node)
        if self._depth >= _DEPTH:
            return UNKNOWN
        names = [argument.arg for argument in function.args.args]
        defaults = [self.value(default) for default in function.args.defaults]
        given = {**dict.fromkeys(names, UNKNOWN), **dict(zip(reversed(names), reversed(defaults), strict=False))}
        given |= {**dict(zip(names, positional, strict=False)), **{k: v for k, v in named.items() if k in names}}
        outer = self.variables
        self.variables = {**outer, **given}
        self._depth += 1
        try:
            self.run(function.body)
        except _Return as end:
            return end.value
        finally:
            self._depth -= 1
            self.variables = outer
        return None

    def _count(self) -> None:
        self._steps += 1
        if self._steps > _STEPS:
            raise _TooMuch


def _equal(one: Any, other: Any) -> bool:
    return one is other or (type(one) is type(other) and one == other)


def _added(left: Any, right: Any) -> Any:
    for kind in (str, list, tuple):
        if isinstance(left, kind) and isinstance(right, kind):
            return left + right  # type: ignore[operator]
    return UNKNOWN


def _formatted(template: Any, values: Any) -> Any:
    filled = values if isinstance(values, tuple) else (values,)
    return _tried(lambda: template % filled) if isinstance(template, str) and all(map(_plain, filled)) else UNKNOWN


def _item(of: Any, at: Any) -> Any:
    return _tried(lambda: of[at]) if isinstance(of, list | tuple | dict) else UNKNOWN


def _method(of: Any, full_name: str, method: str, positional: tuple[Any, ...], named: dict[str, Any]) -> Any:
    if full_name == "os.path.join" and positional and all(isinstance(part, str) for part in positional):
        return posixpath.join(*positional)
    known = isinstance(of, str) and all(map(_plain, (*positional, *named.values())))
    return _tried(lambda: of.format(*positional, **named)) if known and method == "format" else UNKNOWN


def _plain(value: Any) -> bool:
    return isinstance(value, str | int)


def _tried(compute: Callable[[], Any]) -> Any:
    """The result, `UNKNOWN` where the text would fail there: Tilt says so itself."""
    try:
        return compute()
    except (LookupError, TypeError, ValueError, AttributeError):
        return UNKNOWN
