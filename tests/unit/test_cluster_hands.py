"""What the hand and the tools of images say, read; the programs are the real ones."""

from __future__ import annotations

import os
import platform
import subprocess
import tarfile
from pathlib import Path

import pytest
from podcov.dumps import Listed, Process
from podcov.edges.cluster.hands import PROCESSES, parse_list, parse_ls, parse_processes, parse_tar

MOMENT = 1_700_000_000_123_456_789


@pytest.fixture
def hand(root: Path) -> str:
    return str(root / "wrapper" / "hand" / f"hand-{platform.machine()}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    below = tmp_path / "coverage"
    (below / ".podcov").mkdir(parents=True)
    (below / ".podcov" / "epochs").write_text("1\trun\ttests\t5\n")
    (below / "a name.out").write_bytes(b"mode: set\n")
    os.utime(below / "a name.out", ns=(MOMENT, MOMENT))
    return below


def said(*command: str | Path) -> bytes:
    return subprocess.run(command, check=True, capture_output=True).stdout


def test_a_list_of_the_hand_is_of_the_folder_alone(hand: str, folder: Path) -> None:
    assert parse_list(said(hand, "list", folder)) == [Listed("a name.out", 10, MOMENT)]


def test_a_list_of_ls_is_the_same(folder: Path) -> None:
    assert parse_ls(said("ls", "-lnA", "--full-time", folder)) == [Listed("a name.out", 10, MOMENT)]


def test_busybox_knows_whole_seconds_only() -> None:
    line = b"-rw-r--r--    1 0        0               10 2023-11-14 23:13:20 +0100 a name.out\n"
    assert parse_ls(b"total 4\n" + line) == [Listed("a name.out", 10, 1_700_000_000_000_000_000)]


def test_an_archive_of_the_hand_has_what_was_asked_for(hand: str, folder: Path) -> None:
    archive = said(hand, "tar", folder / "a name.out", folder / ".podcov/epochs")
    assert [(file.name, content) for file, content in parse_tar(archive)] == [
        ("a name.out", b"mode: set\n"),
        ("epochs", b"1\trun\ttests\t5\n"),
    ]


def test_an_archive_of_tar_is_the_same(folder: Path) -> None:
    archive = said("tar", "-cf", "-", "-C", folder, "a name.out", ".podcov/epochs")
    assert {file.name: content for file, content in parse_tar(archive)} == {
        "a name.out": b"mode: set\n",
        "epochs": b"1\trun\ttests\t5\n",
    }


@pytest.mark.parametrize("size", [0, 100, 700])
def test_what_is_cut_off_is_left_out(folder: Path, size: int) -> None:
    with tarfile.open(folder / "cut.tar", "w") as archive:
        archive.add(folder / "a name.out", "whole")
        archive.add(folder / "a name.out", "cut")
    assert all(content == b"mode: set\n" for _, content in parse_tar((folder / "cut.tar").read_bytes()[:size]))


def test_processes_of_the_hand_and_of_a_shell_are_the_same(hand: str) -> None:
    with subprocess.Popen(["sleep", "60"], env={**os.environ, "GOCOVERDIR": "/coverage"}) as sleeper:
        try:
            for command in ([hand, "processes"], ["sh", "-c", PROCESSES]):
                found = {process.pid: process for process in parse_processes(said(*command))}
                assert found[sleeper.pid] == Process(sleeper.pid, ("sleep", "60"), "/coverage")
        finally:
            sleeper.kill()


def test_processes_by_pid() -> None:
    lines = b"12\t5\t0\tsleep\x1f1\x1f\t/coverage\n1\t2\t0\t/app\t\n2\t3\t0\t\t\n"
    assert parse_processes(lines) == (Process(1, ("/app",)), Process(2, ()), Process(12, ("sleep", "1"), "/coverage"))
