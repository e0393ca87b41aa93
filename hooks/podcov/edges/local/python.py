"""Python on the local platform: the wrapper is unpacked into the data folder, and found by PYTHONPATH."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from podcov import assets
from podcov.edges import tracers
from podcov.edges.local.runtime import Ask, Place, Prepared
from podcov.errors import UsageError
from podcov.languages.couriers import Words
from podcov.languages.python_courier import FLAGS, SCRIPT
from podcov.model import Mode


class PythonRuntime:
    """Fulfils `podcov.edges.local.runtime.Runtime`."""

    def build_environment(self, directory: Path, env: Mapping[str, str]) -> Mapping[str, str]:  # noqa: ARG002
        return env

    async def prepare(self, place: Place, ask: Ask) -> Prepared:
        """Unpacks the wrapper. An interpreter that cannot run the courier leaves that to podcov's own."""
        packed = assets.wrapper_folder("python")
        for interpreter in filter(None, (_interpreter(place), sys.executable)):
            answer = await ask(_courier(interpreter, packed), "unpack")
            if not answer.exit_code:
                break
        else:
            raise UsageError(
                f"service {place.service.name}: the wrapper cannot be unpacked in {place.data}: {answer.stderr.strip()}",
                hint="is the disk full, or is this folder not yours to write to?",
            )
        unpacked = json.loads(answer.stdout)
        wrapper = Path(unpacked["folder"])
        await asyncio.to_thread(_add_tracer, unpacked["python"], place.mode, wrapper)
        paths = (str(wrapper), place.env.get("PYTHONPATH", ""))
        env = {
            "PODCOV_MODE": place.mode,
            "PODCOV_PACKAGES": ",".join(place.service.packages),
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        }
        return Prepared(_courier(interpreter, wrapper), env)


def _courier(interpreter: str, wrapper: Path) -> Words:
    return interpreter, FLAGS, str(wrapper / SCRIPT)


def _interpreter(place: Place) -> str | None:
    name = place.service.interpreter
    return shutil.which(str(place.directory / name) if "/" in name else name, path=place.path)


def _add_tracer(version: str, mode: Mode, wrapper: Path) -> None:
    """What Python before 3.12, and branch mode before 3.14, record with. A checkout has it, or it is fetched once."""
    minor = ".".join(version.split(".")[:2])
    if minor != "3.11" and not (mode == "branch" and minor in ("3.12", "3.13")):
        return
    libc = "gnu" if platform.libc_ver()[0] == "glibc" else "musl"
    for tracer in tracers.ensure([minor], variants=[f"{platform.machine()}-{libc}"]):
        shutil.copyfile(tracer, wrapper / tracer.name)
