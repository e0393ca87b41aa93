"""Go on the local platform: built by a toolchain that records, a program needs no wrapper, and is its own courier."""

from __future__ import annotations

import asyncio
import mmap
import shutil
from collections.abc import Mapping
from pathlib import Path

from podcov.edges import go_toolchain
from podcov.edges.local.runtime import Ask, Place, Prepared
from podcov.errors import UsageError
from podcov.languages.go_courier import ARGUMENT


class GoRuntime:
    """Fulfils `podcov.edges.local.runtime.Runtime`."""

    def build_environment(self, directory: Path, env: Mapping[str, str]) -> Mapping[str, str]:
        copy = go_toolchain.ensure(directory=directory, env=env)
        return go_toolchain.environment(copy, env, directory=directory)

    async def prepare(self, place: Place, ask: Ask) -> Prepared:
        """Looks whether the program records: one that does not would take the courier's argument for its own."""
        name, command = place.service.name, place.local.command
        program = _program(place)
        if program is None:
            raise UsageError(
                f"service {name}: there is no program {command[0]} ({place.directory})",
                hint=f"services.{name}.local.build makes it, such as: [go, build, -o, {command[0]}, .]",
            )
        if not await asyncio.to_thread(_is_courier, Path(program)):
            raise UsageError(
                f"service {name}: {program} was not built by a Go toolchain with podcov in it",
                hint=f"have services.{name}.local.build make it, and services.{name}.local.command run it itself; `podcov go -- "
                "COMMAND` runs any other build with that toolchain",
            )
        answer = await ask((program, ARGUMENT), "unpack")
        if answer.exit_code:
            raise UsageError(
                f"service {name}: {program} {ARGUMENT} does not work: {answer.stderr.strip()}",
                hint=f"is {place.data} yours to write to?",
            )
        return Prepared((program, ARGUMENT), {})


def _program(place: Place) -> str | None:
    name = place.local.command[0]
    return shutil.which(str(place.directory / name) if "/" in name else name, path=place.path)


def _is_courier(program: Path) -> bool:
    with program.open("rb") as file:
        if not program.stat().st_size:
            return False
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return content.find(ARGUMENT.encode()) >= 0
