"""Reading our own JSON files: every value asked for by name and type, every surprise a DamagedError that says where.

Schemas (`podcov.schemas`) say the same for other tools; validating a report of 100,000 regions with them takes too long.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from podcov.errors import DamagedError

_HINT = "pull the run again, or leave it out."

Choice = TypeVar("Choice", bound=str)
Value = TypeVar("Value")


def encode(document: Mapping[str, Any]) -> bytes:
    """The document as JSON that people can read: same input, same bytes. Names that are not UTF-8 survive as escapes."""
    return (json.dumps(document, indent=2) + "\n").encode("ascii")


def decode(data: bytes, *, name: str, schema: str) -> Object:
    """The top object of `data`; `name` is what errors call the file.

    Raises DamagedError where it is no JSON object, or of another schema than `schema` (such as "podcov/report/1").
    """
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"{name}: this is no JSON: {error}", hint=_HINT) from error
    document = Object(value, name)
    found = document.text("schema")
    if found != schema:
        raise DamagedError(
            f"{name}: its schema is {found}, and this podcov reads {schema}", hint="read it with the podcov that wrote it."
        )
    return document


@dataclass(frozen=True, slots=True)
class Object:
    """A JSON object and where it stands."""

    value: Any
    where: str

    def __post_init__(self) -> None:
        if not isinstance(self.value, dict):
            raise _surprise(self.where, "an object", self.value)

    def has(self, key: str) -> bool:
        """For keys that may be left out."""
        return key in self.value

    def text(self, key: str) -> str:
        return self._typed(key, str, "a text")

    def text_or_none(self, key: str) -> str | None:
        return None if self._get(key) is None else self.text(key)

    def flag(self, key: str) -> bool:
        return self._typed(key, bool, "true or false")

    def integer(self, key: str) -> int:
        return _integer(self._get(key), self._path(key))

    def choice(self, key: str, choices: Sequence[Choice]) -> Choice:
        """One of the texts `choices`, typed as they are."""
        found = self.text(key)
        for choice in choices:
            if choice == found:
                return choice
        raise _surprise(self._path(key), f"one of {', '.join(choices)}", found)

    def texts(self, key: str) -> tuple[str, ...]:
        items = self._list(key)
        for item in items:
            if not isinstance(item, str):
                raise _surprise(self._path(key), "a list of texts", item)
        return tuple(items)

    def integers(self, key: str) -> tuple[int, ...]:
        return tuple(_integer(item, self._path(key)) for item in self._list(key))

    def pair(self, key: str) -> tuple[int, int]:
        """Two whole numbers: a line and a column."""
        numbers = self.integers(key)
        if len(numbers) != 2:
            raise _surprise(self._path(key), "two numbers", self.value[key])
        return numbers[0], numbers[1]

    def objects(self, key: str) -> list[Object]:
        return [Object(item, f"{self._path(key)}[{index}]") for index, item in enumerate(self._list(key))]

    def _list(self, key: str) -> list[Any]:
        return self._typed(key, list, "a list")

    def _typed(self, key: str, kind: type[Value], what: str) -> Value:
        value = self._get(key)
        if not isinstance(value, kind):
            raise _surprise(self._path(key), what, value)
        return value

    def _get(self, key: str) -> Any:
        if key not in self.value:
            raise DamagedError(f"{self._path(key)}: the key is missing", hint=_HINT)
        return self.value[key]

    def _path(self, key: str) -> str:
        return f"{self.where}: {key}" if " " not in self.where else f"{self.where}.{key}"


def _integer(value: Any, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _surprise(where, "a whole number", value)
    return value


def _surprise(where: str, wanted: str, found: Any) -> DamagedError:
    return DamagedError(f"{where} must be {wanted}, and is {json.dumps(found)[:80]}", hint=_HINT)
