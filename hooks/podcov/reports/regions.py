"""coverage.py's code regions from the functions of our model. Pure.

A line belongs to the innermost function around it, and to the innermost class whose method it is in.
"""

from __future__ import annotations

from collections.abc import Iterable

from coverage.plugin import CodeRegion

from podcov.model import Function


def code_regions(functions: Iterable[Function]) -> list[CodeRegion]:
    """A region for each function and class, in the order of their lines."""
    regions: list[CodeRegion] = []
    around: list[tuple[Function, CodeRegion]] = []
    for function in sorted(functions, key=lambda f: (f.start, -f.end)):
        while around and around[-1][0].end < function.start:
            _leave(around)
        region = CodeRegion(function.kind, function.name, function.start, set())
        if function.kind == "function":
            _claim(region, _body(function), [outer for _, outer in around])
        regions.append(region)
        around.append((function, region))
    while around:
        _leave(around)
    return regions


def _body(function: Function) -> set[int]:
    return set(range(min(function.start + 1, function.end), function.end + 1))


def _claim(region: CodeRegion, lines: set[int], around: list[CodeRegion]) -> None:
    """Give `lines` to a function: they leave the function around it, and are the class's whose method it is."""
    region.lines |= lines
    if around and around[-1].kind == "class":
        around[-1].lines |= lines
    for outer in reversed(around):
        if outer.kind == "function":
            outer.lines -= lines
            break


def _leave(around: list[tuple[Function, CodeRegion]]) -> None:
    """End the innermost region; what a class has, the classes around it have not."""
    _, region = around.pop()
    if region.kind == "class":
        for _, outer in around:
            if outer.kind == "class":
                outer.lines -= region.lines
