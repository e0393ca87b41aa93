"""The committed binaries are what their sources say, and run where nothing else is."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

COMPILERS = {"x86_64": "gcc", "aarch64": "aarch64-linux-gnu-gcc"}


@pytest.fixture(scope="session")
def rebuilt(hand_folder: Path, tmp_path_factory: Any) -> Path:
    """A folder with both, built here."""
    for compiler in COMPILERS.values():
        if not shutil.which(compiler):
            pytest.skip(f"no {compiler}; tests/cluster/cluster build installs it")
    folder = tmp_path_factory.mktemp("hand")
    subprocess.run([hand_folder / "build", folder], check=True)
    return Path(folder)


def test_a_binary_says_which_sources_it_was_made_of(hand: Any, hand_folder: Path) -> None:
    headers, programs = sorted(hand_folder.glob("*.h")), sorted(hand_folder.glob("*.c"))
    sources = hashlib.sha256(b"".join(path.read_bytes() for path in (*headers, *programs, hand_folder / "build")))
    assert f"made of {sources.hexdigest()[:16]} by gcc".encode() in hand.output("version"), "run wrapper/hand/build"


def test_the_same_compiler_makes_the_same_bytes(hand: Any, hand_folder: Path, rebuilt: Path) -> None:
    """Another version chooses other instructions; what that one makes says the same, and the other tests show what it does."""
    name = f"hand-{hand.architecture}"
    again = type(hand)(hand.architecture, (*hand.command[:-1], str(rebuilt / name)))
    if again.output("version") == hand.output("version"):
        assert (rebuilt / name).read_bytes() == (hand_folder / name).read_bytes()
    folder = hand_folder.parent / "python"
    for command in ("tar", "list"):
        assert again.output(command, folder) == hand.output(command, folder)


def test_both_fit_a_configmap_beside_others(hand_folder: Path) -> None:
    sizes = [(hand_folder / f"hand-{architecture}").stat().st_size for architecture in COMPILERS]
    assert max(sizes) < 40_000


def test_it_runs_in_an_image_of_nothing_as_any_user(own_hand: Any, public_folder: Path) -> None:
    if os.geteuid():
        pytest.skip("chroot needs root")
    shutil.copy(own_hand.command[0], public_folder / "hand")
    (public_folder / "hand").chmod(0o555)
    command = ["chroot", "--userspec=12345:54321", str(public_folder), "/hand"]
    for arguments in (("write", "/new/file", "text"), ("append", "/new/file", " and more")):
        subprocess.run([*command, *arguments], check=True)
    done = subprocess.run([*command, "read", "/new/file"], check=True, capture_output=True)
    assert done.stdout == b"text\n and more\n"
    assert (public_folder / "new/file").stat().st_uid == 12345


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("tar",),
        ("read", "one", "two"),
        ("signal", "NOSUCH", "1"),
        ("signal", "USR1", "-1"),
        ("signal", "USR1", "0"),
        ("signal", "65", "1"),
        ("get", "0", "/", "1"),
        ("get", "65536", "/", "1"),
        ("get", "80", "/", "soon"),
        ("lease", "1x"),
        ("wait", ""),
        ("lease", "99999999999999999999"),
    ],
)
def test_a_wrong_call_is_told_the_right_one(hand: Any, arguments: tuple[str, ...]) -> None:
    done = hand.call(*arguments)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"hand: usage: " + (arguments[0].encode() + b" " if arguments else b"hand "))
    assert done.stderr.count(b"\n") == 1


def test_a_command_that_there_is_not_is_named(hand: Any) -> None:
    done = hand.call("dance")
    assert (done.returncode, done.stderr) == (2, b"hand: dance: no such command\n")


def test_output_that_cannot_be_written_is_no_success(hand: Any, hand_folder: Path) -> None:
    for arguments in (("tar", hand_folder), ("list", hand_folder), ("read", hand_folder / "hand.c"), ("processes",)):
        with Path("/dev/full").open("wb") as full:
            done = subprocess.run([*hand.command, *arguments], stdout=full, stderr=subprocess.PIPE, check=False)
        assert (done.returncode, done.stderr) == (1, b"hand: standard output: no space left\n")
