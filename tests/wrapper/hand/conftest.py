"""The hand as it is committed, for both architectures: this machine's runs plain, the other one by qemu's user mode."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

SECONDS = 60
NOBODY = 65534


@dataclass(frozen=True)
class Hand:
    """`command` runs it."""

    architecture: str
    command: tuple[str, ...]

    def call(
        self, *arguments: str | Path, env: Mapping[str, str] | None = None, **options: Any
    ) -> subprocess.CompletedProcess[bytes]:
        command = [*self.command, *map(os.fspath, arguments)]
        return subprocess.run(command, env=env or {}, capture_output=True, timeout=SECONDS, check=False, **options)

    def output(self, *arguments: str | Path, **options: Any) -> bytes:
        done = self.call(*arguments, **options)
        assert (done.returncode, done.stderr) == (0, b""), done
        return done.stdout

    def start(self, *arguments: str | Path, env: Mapping[str, str] | None = None, **options: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen([*self.command, *map(os.fspath, arguments)], env=env or {}, **options)


def runner(architecture: str) -> tuple[str, ...]:
    """What stands before a binary of this architecture."""
    if platform.machine() == architecture:
        return ()
    found = shutil.which(f"qemu-{architecture}-static") or shutil.which(f"qemu-{architecture}")
    if not found:
        pytest.skip(f"no qemu-{architecture}-static to run it with; tests/cluster/cluster build installs it")
    return (found,)


@pytest.fixture(scope="session")
def hand_folder(root: Path) -> Path:
    return root / "wrapper" / "hand"


@pytest.fixture(scope="session", params=["x86_64", "aarch64"])
def hand(request: pytest.FixtureRequest, hand_folder: Path) -> Hand:
    """Each architecture's."""
    return Hand(request.param, (*runner(request.param), str(hand_folder / f"hand-{request.param}")))


@pytest.fixture(scope="session")
def own_hand(hand_folder: Path) -> Hand:
    """That of this machine."""
    return Hand(platform.machine(), (str(hand_folder / f"hand-{platform.machine()}"),))


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that every user can reach, which pytest's own is not."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def sidecars(tmp_path: Path, wait_until: Any) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """`sidecars(hand, profile, ..., PODCOV_GRACE="1")`: one for the volume `data` that waits for its end."""
    with ExitStack() as running:

        def start(hand: Hand, *profiles: Path, before: tuple[str, ...] = (), **env: str) -> subprocess.Popen[bytes]:
            data = tmp_path / "data"
            command = [*before, *hand.command, "serve", str(data), *map(str, profiles)]
            process = running.enter_context(
                subprocess.Popen(command, env=env | {"PATH": os.environ["PATH"]}, stderr=subprocess.PIPE)
            )
            running.callback(process.kill)
            wait_until(lambda: (data / "coverage").is_dir() and not (data / "courier" / "ended").exists(), what="serving")
            return process

        yield start


@pytest.fixture
def serving(sidecars: Callable[..., subprocess.Popen[bytes]], hand: Hand) -> Callable[..., subprocess.Popen[bytes]]:
    """`serving(profile, ..., PODCOV_GRACE="1")`: that of each architecture."""
    return partial(sidecars, hand)


@pytest.fixture
def serving_here(sidecars: Callable[..., subprocess.Popen[bytes]], own_hand: Hand) -> Callable[..., subprocess.Popen[bytes]]:
    """The same, of this machine's architecture alone."""
    return partial(sidecars, own_hand)
