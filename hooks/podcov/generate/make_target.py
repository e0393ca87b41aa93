"""A target `test-e2e-SERVICE-coverage` for each service that hands over its coverage at its end: `podcov/go.mk`, which a Makefile
includes in a marked block. A service whose target is the user's own gets none: of two, make takes the last. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from podcov import assets
from podcov.config import Config
from podcov.generate import blocks, project
from podcov.generate.project import Project

NAME = "go.mk"
SWITCH = "E2E_COVERAGE=true"
MAKEFILES = ("GNUmakefile", "makefile", "Makefile")
"""in the order in which make looks for them"""
_TARGETS = re.compile(r"(?m)^(?P<names>[\w./-]+(?:[ \t]+[\w./-]+)*)[ \t]*::?(?!=)")


def files(config: Config, given: Project, *, skaffold: bool, tilt: bool) -> Mapping[str, bytes]:
    """What podcov's own folder gets; nothing where no service hands over at its end.

    `skaffold` and `tilt` say whether the project is deployed by these; where neither is, who calls the target has deployed it.
    """
    _, text = _makefile(given)
    services = _without_target(config, text)
    if not services:
        return {}
    deployed_by = (f"skaffold run --profile {config.generate.profile}" if skaffold else "", "PODCOV=1 tilt ci" if tilt else "")
    command = next(filter(None, deployed_by), "podcov run")
    return {NAME: assets.render("init/go.mk.j2", services=services, switch=SWITCH, command=command).encode()}


def switch(config: Config) -> str:
    """The environment variable that turns coverage on where Skaffold deploys; empty where no service hands over at its end."""
    return SWITCH if _services(config) else ""


def with_include(config: Config, folder: str, given: Project) -> Iterator[tuple[str, str, str]]:
    """The Makefile in the project's folder, before and after: with the block, or without it where nothing needs it any more."""
    path, before = _makefile(given)
    if path:
        included = _without_target(config, before)
        yield path, before, _included(before, project.join(folder, NAME)) if included else blocks.remove(before)


def _included(text: str, own: str) -> str:
    lines = blocks.split(text)
    block = blocks.find(lines)
    body = f"include {own}"
    return "".join(blocks.replace(lines, block, body) if block else blocks.insert(lines, len(lines), body))


def _makefile(given: Project) -> tuple[str, str]:
    """The project's Makefile, and its text; both empty where there is none."""
    return next(((path, text) for path in MAKEFILES if (text := project.text(given, path)) is not None), ("", ""))


def _without_target(config: Config, makefile: str) -> list[str]:
    """The services whose target does not stand in the Makefile itself."""
    own = {name for found in _TARGETS.finditer(blocks.remove(makefile)) for name in found["names"].split()}
    return [name for name in _services(config) if f"test-e2e-{name}-coverage" not in own]


def _services(config: Config) -> list[str]:
    return [service.name for service in config.services if service.dump and service.dump.by == "exit"]
