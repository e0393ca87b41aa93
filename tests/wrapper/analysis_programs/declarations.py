"""Classes, decorators, annotations,
exclusions: what runs when a module is loaded."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator


def decorator(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)
    return wrapper


def configured(name, *,
               flag=False):
    """A docstring
    of two lines."""
    def decorate(function):
        if flag:
            function.name = name
        return function
    return decorate


@decorator
@configured(
    "x",
    flag=True,
)
def decorated(
    a: int,
    b: str = "b",
) -> list[int]:
    """Only a docstring."""


class Empty: ...


class Inline: value = 1


class Base:
    """Docstring."""

    attribute: int
    other: str = "x"
    if attribute_flag := True:
        def conditional(self):
            return 1
    else:
        def conditional(self):
            return 2

    class Nested:
        def method(self):
            return [
                self
            ]

    def __init__(self, value):
        self.value = value

    @property
    def doubled(self):
        return self.value * 2

    @staticmethod
    def unused():
        return "never"


@dataclass
class Point(Base):
    x: int = 0
    y: list[int] = field(
        default_factory=list,
    )

    def __post_init__(self):
        super().__init__(self.x)


class Colour(Enum):
    RED = 1
    GREEN = 2

    def dark(self):
        if self is Colour.RED:
            return True
        return False


class Shape(Protocol):
    def area(self) -> float: ...
    def name(self) -> str:
        ...


def excluded():  # pragma: no cover
    if Empty:
        return 1
    return 2


def partly(flag):
    if flag:  # pragma: no branch
        result = 1
    else:  # pragma: no cover
        result = 2
    if flag:
        return result
    raise RuntimeError  # pragma: no cover


def deep():
    def inner():
        def innermost():
            return 1
        return innermost
    return inner()()


decorated(1)
Base(1).doubled
Base.Nested().method()
Point(3)
Colour.RED.dark()
partly(True)
deep()
text = """
if False:
    pass
"""
try: import nothing_of_that_name
except ImportError: nothing_of_that_name = None
del text
