"""Moving, writing and reading: whole or not at all, and everybody's."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def test_what_it_makes_is_everybody_s_whatever_the_umask(hand: Any, tmp_path: Path) -> None:
    for command in ("write", "append"):
        file = tmp_path / command / "below" / "file"
        hand.output(command, file, "text", umask=0o077)
        assert (mode(file.parent.parent), mode(file.parent), mode(file)) == (0o777, 0o777, 0o666)
    moved = tmp_path / "moved" / "below" / "file"
    hand.output("move", tmp_path / "write" / "below" / "file", moved, umask=0o077)
    assert (mode(moved.parent.parent), mode(moved.parent), moved.read_text()) == (0o777, 0o777, "text")


def test_a_file_is_written_as_it_is_given(hand: Any, tmp_path: Path) -> None:
    file = tmp_path / "file"
    for text in ("", "one\ntwo", "ä\t\x1f\x7f", "x" * 120_000):
        hand.output("write", file, text)
        assert file.read_text() == text
        assert hand.output("read", file) == text.encode()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_content_of_any_bytes_is_read(hand: Any, tmp_path: Path) -> None:
    content = bytes(range(256)) * 1000
    (tmp_path / "file").write_bytes(content)
    assert hand.output("read", tmp_path / "file") == content


def test_a_relative_path_is_below_the_working_directory(hand: Any, tmp_path: Path) -> None:
    hand.output("write", "file", "text", cwd=tmp_path)
    hand.output("move", "file", "folder/file", cwd=tmp_path)
    assert hand.output("read", "folder/file", cwd=tmp_path) == b"text"


def test_a_reader_sees_the_old_or_the_new_file_never_half_of_one(own_hand: Any, tmp_path: Path) -> None:
    file = tmp_path / "file"
    texts = [letter * 100_000 for letter in "ab"]
    own_hand.output("write", file, texts[0])
    for turn in range(40):
        with own_hand.start("write", file, texts[turn % 2]) as writer:
            while writer.poll() is None:
                assert file.read_text() in texts
        assert writer.returncode == 0


def test_lines_of_several_writers_do_not_mix(own_hand: Any, tmp_path: Path) -> None:
    lines = [str(number) * 5000 for number in range(10)]
    writers = [own_hand.start("append", tmp_path / "file", line) for line in lines]
    assert [writer.wait() for writer in writers] == [0] * 10
    assert sorted((tmp_path / "file").read_text().splitlines()) == lines


def test_a_line_after_one_that_was_cut_off_stands_alone(hand: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("one\ntw")
    hand.output("append", tmp_path / "file", "three")
    assert (tmp_path / "file").read_text() == "one\ntw\nthree\n"


def test_a_move_replaces_what_is_there(hand: Any, tmp_path: Path) -> None:
    (tmp_path / "from").write_text("new")
    (tmp_path / "to").write_text("old")
    hand.output("move", tmp_path / "from", tmp_path / "to")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("to", "new")]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("read", "missing"), "missing: no such file or folder"),
        (("read", "folder"), "folder: is a folder"),
        (("move", "missing", "to"), "missing: no such file or folder"),
        (("move", "file", "file/to"), "file/to: is no folder, or below something that is none"),
        (("write", "folder", "text"), "folder: is a folder"),
        (("append", "file/below/name", "text"), "file/below/name: is no folder, or below something that is none"),
    ],
)
def test_what_cannot_be_done_is_said_with_its_place(hand: Any, tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("text")
    done = hand.call(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.decode()) == (1, b"", f"hand: {said}\n")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder"]


def test_a_path_that_is_too_long_is_refused(hand: Any, tmp_path: Path) -> None:
    done = hand.call("write", f"{tmp_path}{'/name' * 1000}", "text")
    assert done.returncode == 1
    assert done.stderr.endswith(b": the path is too long\n")


def test_a_full_volume_is_said_and_leaves_the_old_file(own_hand: Any, tmp_path: Path) -> None:
    if os.geteuid():
        pytest.skip("mounting needs root")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "podcov", tmp_path], check=True)
    try:
        own_hand.output("write", tmp_path / "file", "old")
        done = own_hand.call("write", tmp_path / "file", "x" * 100_000)
        assert (done.returncode, done.stderr.decode()) == (1, f"hand: {tmp_path}/file: no space left\n")
        assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("file", "old")]
    finally:
        subprocess.run(["umount", tmp_path], check=True)
