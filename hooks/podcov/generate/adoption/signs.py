"""Set-ups that are known by what stands in their files: a table of signs, and what each of them says about the set-up. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from podcov.generate import walk
from podcov.generate.adoption import profiles
from podcov.generate.adoption.contract import Adoption, Evidence
from podcov.generate.adoption.workspace import MAKEFILES, SHELL, Workspace
from podcov.generate.findings import Finding

_TARGET = re.compile(r"(?m)^([\w./-]+):(?!=)")
NOT_YET = "podcov does not measure Go yet"


@dataclass(frozen=True, slots=True)
class Sign:
    """A pattern that some line fits in files of those names.

    `what` says what the line does; `\\g<value>` in it is the pattern's group. Each value becomes a fact of that `kind`, where the
    pattern has such a group. `later` says what podcov would do in its place; empty for what is the user's own and stays.
    """

    kind: str
    files: tuple[str, ...]
    pattern: re.Pattern[str]
    what: str
    later: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """A sign at a place."""

    kind: str
    evidence: Evidence
    later: str = ""
    value: str = ""


def scan(space: Workspace, signs: Iterable[Sign]) -> list[Seen]:
    """Every place at which one of the signs was found, in the order of the signs."""
    return [seen for sign in signs for path, text in space.texts(sign.files) for seen in _in_file(space, sign, path, text)]


def adoption(space: Workspace, name: str, seen: Sequence[Seen], keeps: Sequence[str]) -> Adoption:
    """What is said of a set-up that stays as it is."""
    profile = profiles.for_coverage(space)
    found = tuple(dict.fromkeys(s.evidence for s in seen))
    return Adoption(
        name,
        evidence=found,
        keeps=(*keeps, f"All of it is kept as it is: {NOT_YET}."),
        findings=(*_findings(seen), *([profiles.kept(profile)] if profile else [])),
        facts=_facts(space, seen),
        profile_taken=profile.name if profile else "",
    )


def _in_file(space: Workspace, sign: Sign, path: str, text: str) -> Iterable[Seen]:
    for match in sign.pattern.finditer(text):
        value = match["value"] if "value" in match.groupdict() else ""
        at = match.start("value") if value else match.start()
        yield Seen(sign.kind, Evidence(path, space.line(path, at), match.expand(sign.what)), sign.later, value)


def _findings(seen: Sequence[Seen]) -> list[Finding]:
    """One for each file and for each thing that podcov would do there."""
    groups: dict[tuple[str, str], dict[str, int]] = {}
    for s in seen:
        if s.kind != "profile":
            groups.setdefault((s.evidence.path, s.later), {}).setdefault(s.evidence.what, s.evidence.line)
    return [
        Finding(
            path,
            "; ".join(f"{what} (line {line})" for what, line in lines.items()),
            "kept",
            f"{NOT_YET}; once it does, {later}" if later else "it is yours",
        )
        for (path, later), lines in groups.items()
    ]


def _facts(space: Workspace, seen: Sequence[Seen]) -> Mapping[str, tuple[str, ...]]:
    facts: dict[str, dict[str, None]] = {}
    for s in seen:
        if s.value:
            facts.setdefault(s.kind, {})[s.value] = None
        if walk.is_named(s.evidence.path, MAKEFILES) and (target := _target(space, s.evidence)):
            facts.setdefault("make target", {})[target] = None
        if walk.is_named(s.evidence.path, SHELL):
            facts.setdefault("script", {})[s.evidence.path] = None
    return {kind: tuple(values) for kind, values in facts.items()}


def _target(space: Workspace, evidence: Evidence) -> str:
    """The make target that a line is part of."""
    targets = space.found(evidence.path, _TARGET, r"\1")
    return next((t.what for t in reversed(targets) if t.line <= evidence.line and not t.what.startswith(".")), "")
