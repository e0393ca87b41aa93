"""Label selectors, as `kubectl --selector` takes them. Pure.

Services select by selectors of their own, while one watch serves all of a namespace, so they are evaluated here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from podcov.errors import UsageError

Operator = Literal["in", "notin", "exists", "absent"]

_KEY = r"[A-Za-z0-9](?:[A-Za-z0-9._/-]*[A-Za-z0-9])?"
_VALUE = r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)?"
_OUTSIDE_PARENTHESES = re.compile(r",(?![^(]*\))")
_EQUALITY = re.compile(rf"({_KEY})\s*(==|=|!=)\s*({_VALUE})")
_SET = re.compile(rf"({_KEY})\s+(in|notin)\s*\(([^()]*)\)")
_EXISTENCE = re.compile(rf"(!?)\s*({_KEY})")


@dataclass(frozen=True, slots=True)
class Requirement:
    key: str
    operator: Operator
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """As in Kubernetes, `notin` (and `!=`) also match where the label is missing."""
        match self.operator:
            case "in":
                return labels.get(self.key) in self.values
            case "notin":
                return labels.get(self.key) not in self.values
            case "exists":
                return self.key in labels
            case "absent":
                return self.key not in labels


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """All requirements have to hold; without any, everything matches."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        return all(requirement.matches(labels) for requirement in self.requirements)


def parse(text: str) -> LabelSelector:
    """`a=b,c!=d,e in (f,g),h notin (i),j,!k`. Raises UsageError naming the part that is none of these."""
    parts = [part.strip() for part in _OUTSIDE_PARENTHESES.split(text)] if text.strip() else []
    return LabelSelector(tuple(_requirement(part, text) for part in parts))


def _requirement(part: str, text: str) -> Requirement:
    if found := _EQUALITY.fullmatch(part):
        key, operator, value = found.groups()
        return Requirement(key, "notin" if operator == "!=" else "in", frozenset({value}))
    if found := _SET.fullmatch(part):
        values = frozenset(value.strip() for value in found[3].split(","))
        if all(re.fullmatch(_VALUE, value) for value in values):
            return Requirement(found[1], "in" if found[2] == "in" else "notin", values)
    if found := _EXISTENCE.fullmatch(part):
        return Requirement(found[2], "absent" if found[1] else "exists")
    raise UsageError(
        f"label selector {text!r}: {part!r} is not a requirement",
        hint="write it as for `kubectl get pods --selector`, such as app=web or 'app in (web, api),tier!=test'",
    )
