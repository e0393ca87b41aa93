"""The ways to run a program that are compared: plain, under podcov, and under coverage.py with each of its cores."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from interpreters import ROOT, Interpreter
from podcov.edges import tracers
from podcov.model import Mode

PLAIN = "plain"
AGAIN = "plain again"
"""the same a second time: how far it is from 1 is how far the machine can be trusted"""
MODES: tuple[Mode, ...] = ("line", "branch")
_SYSMON_FROM = {"line": (3, 12), "branch": (3, 14)}
_TAKEN_OUT = ("PODCOV_", "COVERAGE_", "PYTHON")


@dataclass(frozen=True, slots=True)
class Peer:
    """One way to run a program. `before` stands between the interpreter and its `-m MODULE`."""

    name: str
    python: Path
    environment: Mapping[str, str]
    before: tuple[str, ...] = ()

    def module(self, *arguments: str) -> list[str]:
        """The command that runs a module, with its arguments."""
        return [str(self.python), *self.before, "-m", *arguments]


def of_services(interpreter: Interpreter, scratch: Path) -> list[Peer]:
    """What a service runs under; coverage.py's is `coverage run`."""
    coverages = []
    for name, mode, core in _coverages(interpreter):
        run = ("-m", "coverage", "run", f"--rcfile={_coverage_settings(scratch, name, mode)}")
        coverages.append(Peer(name, interpreter.covered, _coverage_environment(scratch, name, core), run))
    return [*_plain_and_podcov(interpreter, scratch), *coverages]


def of_starts(interpreter: Interpreter, scratch: Path) -> list[Peer]:
    """What every process of a container starts under; coverage.py's is the .pth file that it installs, told by environment."""
    coverages = []
    for name, mode, core in _coverages(interpreter):
        told = {"COVERAGE_PROCESS_START": str(_coverage_settings(scratch, name, mode))}
        coverages.append(Peer(name, interpreter.covered, _coverage_environment(scratch, name, core) | told))
    return [*_plain_and_podcov(interpreter, scratch), *coverages]


def check_recorded(peers: Iterable[Peer]) -> None:
    """That none of them ran plain for whatever reason: its speed would be plain's. Ends the program where one did."""
    for peer in peers:
        if "PODCOV_DATA" in peer.environment:
            _check_podcov(peer)
        elif "COVERAGE_FILE" in peer.environment:
            file = Path(peer.environment["COVERAGE_FILE"])
            if not any(file.parent.glob(f"{file.name}.*")):
                sys.exit(f"{peer.name} has recorded nothing")


def _check_podcov(peer: Peer) -> None:
    starts = [json.loads(path.read_text()) for path in Path(peer.environment["PODCOV_DATA"], "targets").rglob("*.start")]
    plain = [f"{start['state']}: {start['reason']}" for start in starts if start["state"] != "recording"]
    if plain or not starts:
        sys.exit(f"{peer.name} has recorded nothing: {plain[0] if plain else 'no process has registered'}")


def _plain_and_podcov(interpreter: Interpreter, scratch: Path) -> list[Peer]:
    plain = [Peer(name, interpreter.image, _environment()) for name in (PLAIN, AGAIN)]
    podcov = [Peer(f"podcov {mode}", interpreter.image, _podcov_environment(interpreter, scratch, mode)) for mode in MODES]
    return [*plain, *podcov]


def _podcov_environment(interpreter: Interpreter, scratch: Path, mode: Mode) -> dict[str, str]:
    """That of an instrumented container, with the wrapper unpacked and compiled as its courier does it."""
    environment = {
        **_environment(),
        "PODCOV_DATA": str(scratch / f"podcov-{mode}"),
        "PODCOV_CONTAINER": "benchmark",
        "PODCOV_START": "1",
        "PODCOV_MODE": mode,
    }
    courier = ROOT / "wrapper" / "python" / "podcov_courier.py"
    command = [str(interpreter.image), "-Es", str(courier), "unpack"]
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
    wrapper = Path(environment["PODCOV_DATA"], "wrapper")
    _add_tracer(interpreter, mode, wrapper)
    return {**environment, "PYTHONPATH": str(wrapper)}


def _add_tracer(interpreter: Interpreter, mode: Mode, wrapper: Path) -> None:
    minor = "{}.{}".format(*interpreter.minor)
    if minor in tracers.minors_for(mode):
        libc = "gnu" if platform.libc_ver()[0] == "glibc" else "musl"
        for tracer in tracers.ensure([minor], variants=[f"{platform.machine()}-{libc}"]):
            shutil.copy(tracer, wrapper)


def _coverages(interpreter: Interpreter) -> list[tuple[str, Mode, str]]:
    """Name, mode and core of each; an empty core is the one that coverage.py takes unasked."""
    found: list[tuple[str, Mode, str]] = []
    for mode in MODES:
        sysmon = ["sysmon"] if interpreter.minor >= _SYSMON_FROM[mode] else []
        found += [(f"coverage {mode} {core}".rstrip(), mode, core) for core in ("", "ctrace", *sysmon)]
    return found


def _coverage_settings(scratch: Path, name: str, mode: Mode) -> Path:
    """Without `sigterm`, coverage.py saves nothing when SIGTERM ends the app, and uvicorn ends itself by just that."""
    settings = scratch / f"{name}.ini"
    settings.write_text(f"[run]\nparallel = true\nsigterm = true\nbranch = {mode == 'branch'}\n")
    return settings


def _coverage_environment(scratch: Path, name: str, core: str) -> dict[str, str]:
    data = scratch / name.replace(" ", "-")
    data.mkdir(exist_ok=True)
    chosen = {"COVERAGE_CORE": core} if core else {}
    return {**_environment(), "COVERAGE_FILE": str(data / "coverage"), **chosen}


def _environment() -> dict[str, str]:
    """This process's, without what concerns Python; with the same hashes for all, and nothing written beside the sources."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_TAKEN_OUT)}
    return {**kept, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
