"""Set-ups that are known by what stands in their files: a table of signs, and what each of them says about the set-up. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from podcov.generate import walk
from podcov.generate.adoption import offers, profiles
from podcov.generate.adoption.contract import OFFER, Adoption, Evidence, Handover, has_podcov_yaml_say
from podcov.generate.adoption.profiles import Profile
from podcov.generate.adoption.workspace import MAKEFILES, SHELL, Workspace
from podcov.generate.findings import Finding

_TARGET = re.compile(r"(?m)^([\w./-]+):(?!=)")
_OWN_WAY = "Without `dump` in podcov.yaml, podcov records it itself, whatever ends it: docs/go.md says what can go then."


@dataclass(frozen=True, slots=True)
class Sign:
    """A pattern that some line fits in files of those names.

    `what` says what the line does; `\\g<value>` in it is the pattern's group. Each value becomes a fact of that `kind`, where the
    pattern has such a group. `later` says what podcov does in its place; empty for what is the user's own and stays.
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


def adoption(
    space: Workspace,
    name: str,
    seen: Sequence[Seen],
    keeps: Sequence[str],
    handover: Handover | None,
    profile: Profile | None,
    before: int,
) -> Adoption:
    """What is said of a set-up that was edited from the journal's nth entry on; `profile` is the user's before that."""
    found = tuple(dict.fromkeys(s.evidence for s in seen))
    own = [] if profile is None else [_of_profile(space, profile)]
    return Adoption(
        name,
        evidence=found,
        keeps=(*keeps, _OWN_WAY),
        findings=(*_offer(space, name, found, handover, before), *_findings(space, seen), *own),
        facts=_facts(space, seen),
        profile_taken=profile.name if profile else "",
        handover=handover,
    )


def _of_profile(space: Workspace, profile: Profile) -> Finding:
    stands = space.stands(Evidence(profile.path, profile.line, ""))
    return profiles.kept(profile) if stands else profiles.replaced(profile)


def _offer(space: Workspace, name: str, evidence: Sequence[Evidence], handover: Handover | None, before: int) -> list[Finding]:
    """What `--adopt` would do. A `podcov.yaml` that somebody wrote or edited stays as it is."""
    edits = offers.offered(space, before).removeprefix(OFFER)
    written = not space.edited and bool(edits or not space.configured)
    says = has_podcov_yaml_say([handover.key] if handover and written else [])
    if not (says or edits):
        return []
    why = "podcov asks the service for what it measures, as this does"
    return [Finding(evidence[0].path, name, OFFER + ", ".join(filter(None, (edits, says))), why)]


def _in_file(space: Workspace, sign: Sign, path: str, text: str) -> Iterable[Seen]:
    for match in sign.pattern.finditer(text):
        value = match["value"] if "value" in match.groupdict() else ""
        at = match.start("value") if value else match.start()
        yield Seen(sign.kind, Evidence(path, space.line(path, at), match.expand(sign.what)), sign.later, value)


def _findings(space: Workspace, seen: Sequence[Seen]) -> list[Finding]:
    """One for each file and for each thing that podcov does there."""
    groups: dict[tuple[str, str, bool], dict[str, int]] = {}
    for s in seen:
        if s.kind != "profile":
            group = s.evidence.path, s.later, space.stands(s.evidence)
            groups.setdefault(group, {}).setdefault(s.evidence.what, s.evidence.line)
    return [
        Finding(
            path,
            "; ".join(f"{what} (line {line})" for what, line in lines.items()),
            "kept" if stands else f"{OFFER}takes it out",
            later or ("it is yours" if stands else "podcov's profile does it"),
        )
        for (path, later, stands), lines in groups.items()
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
