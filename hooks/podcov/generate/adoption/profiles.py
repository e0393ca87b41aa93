"""Profiles that the user's `skaffold.yaml` has already, podcov's own left out. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from yaml.nodes import MappingNode, Node

from podcov.generate import blocks
from podcov.generate.adoption import yamls
from podcov.generate.adoption.contract import OFFER
from podcov.generate.adoption.workspace import Cut, Workspace
from podcov.generate.findings import Finding

FILES = ("skaffold.yaml", "skaffold.yml", "skaffold-*.yaml", "skaffold.*.yaml")


@dataclass(frozen=True, slots=True)
class Profile:
    path: str
    line: int
    name: str
    node: Node

    def line_of(self, space: Workspace, node: Node) -> int:
        return space.line(self.path, node.start_mark.index)


def of(space: Workspace) -> Iterator[Profile]:
    """Every profile of every Skaffold file, in their order."""
    for path, text in space.texts(FILES):
        block = blocks.find(text.splitlines(keepends=True))
        for root in yamls.documents(text):
            for way in yamls.items(yamls.into((), root, "profiles")):
                node = way[-1].node
                own = block is not None and block.first <= node.start_mark.line <= block.last
                if isinstance(node, MappingNode) and not own:
                    yield Profile(path, space.line(path, node.start_mark.index), yamls.scalar(node, "name"), node)


def kept(profile: Profile) -> Finding:
    """What is said of a profile of the user's."""
    where, found = f"{profile.path}:{profile.line}", f"the profile {profile.name!r} is yours"
    return Finding(where, found, "kept, with its hooks and build flags", "podcov's own has another name")


def replaced(profile: Profile) -> Finding:
    """What is said of a profile of the user's that podcov's could take the place of."""
    where, found = f"{profile.path}:{profile.line}", f"the profile {profile.name!r} is yours"
    return Finding(where, found, f"{OFFER}puts podcov's in its place", "podcov's own has another name so far")


def remove(space: Workspace, profile: Profile) -> None:
    """Take a profile out of its file."""
    space.cut(profile.path, partial(_cuts, name=profile.name))


def _cuts(text: str, *, name: str) -> Iterator[Cut]:
    lines = text.splitlines(keepends=True)
    for root in yamls.documents(text):
        for way in yamls.items(yamls.into((), root, "profiles")):
            node = way[-1].node
            own = any(block.first <= node.start_mark.line <= block.last for block in blocks.find_all(lines))
            found = (
                None
                if own or yamls.scalar(node, "name") != name
                else yamls.cut(text, way, f"podcov's takes the place of {name!r}")
            )
            if found:
                yield found


def for_coverage(space: Workspace) -> Profile | None:
    """The profile that measures coverage, by its name."""
    return next((profile for profile in of(space) if "cov" in profile.name.lower()), None)
