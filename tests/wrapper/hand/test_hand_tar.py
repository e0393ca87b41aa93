"""Archives and lists of what lies below folders, as Python's tarfile reads them."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

NAMES = (
    st.binary(min_size=1, max_size=60)
    .map(lambda name: name.replace(b"/", b"-").replace(b"\0", b"-"))
    .filter(lambda n: n not in (b".", b".."))
)
TREES = st.dictionaries(st.lists(NAMES, min_size=1, max_size=6).map(tuple), st.binary(max_size=2000), max_size=12)


def unpacked(archive: bytes) -> dict[str, bytes]:
    """Contents by name."""
    with tarfile.open(fileobj=io.BytesIO(archive), errors="surrogateescape") as tar:
        members = tar.getmembers()
        assert all(member.isreg() for member in members)
        return {member.name: tar.extractfile(member).read() for member in members}  # type: ignore[union-attr]


def listed(lines: bytes) -> dict[str, tuple[int, int]]:
    """(size, mtime in ns) by name."""
    fields = [line.split(b"\t") for line in lines.splitlines()]
    return {os.fsdecode(name): (int(size), int(modified)) for size, modified, name in fields}


@given(tree=TREES)
@settings(max_examples=40)
def test_every_tree_is_read_as_it_is(own_hand: Any, tree: dict[tuple[bytes, ...], bytes]) -> None:
    with tempfile.TemporaryDirectory() as top:
        expected = {}
        for parts, content in tree.items():
            name = os.fsdecode(b"/".join(parts))
            path = Path(top, name)
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("xb") as file:
                    file.write(content)
            except (FileExistsError, NotADirectoryError, IsADirectoryError):
                continue  # one name is the other's folder
            expected[name] = content
        assert unpacked(own_hand.output("tar", top)) == expected


def test_names_of_every_length(hand: Any, tmp_path: Path) -> None:
    names = [
        *("n" * length for length in (99, 100, 101, 255)),
        *("d" * (length - 101) + "/" + "n" * 100 for length in (200, 256, 257, 350)),
    ]
    names += ["/".join(["f" * 50] * 20), "ä" * 120, "d/" * 60 + "n"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    assert unpacked(hand.output("tar", tmp_path)) == {name: name.encode() for name in names}
    assert listed(hand.output("list", tmp_path)).keys() == set(names)


def test_other_tools_read_it_too(hand: Any, tmp_path: Path) -> None:
    source, copy = tmp_path / "source", tmp_path / "copy"
    copy.mkdir()
    for name in ("a", "folder/" + "n" * 100, "/".join(["f" * 50] * 10)):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(name * 100)
    done = subprocess.run(["tar", "-x", "-C", copy], input=hand.output("tar", source), capture_output=True, check=True)
    assert done.stderr == b""
    subprocess.run(["diff", "-r", source, copy], check=True)


def test_sizes_and_times(hand: Any, tmp_path: Path) -> None:
    times = {0: 0, 1: 999_999_999, 511: 1_600_000_000_123_456_789, 512: 1, 513: 10**18, 100_000: 3 * 10**18}
    for size, modified in times.items():
        (tmp_path / str(size)).write_bytes(b"x" * size)
        os.utime(tmp_path / str(size), ns=(0, modified))
    assert listed(hand.output("list", tmp_path)) == {str(size): (size, modified) for size, modified in times.items()}
    with tarfile.open(fileobj=io.BytesIO(hand.output("tar", tmp_path))) as tar:
        assert {member.name: member.mtime for member in tar} == {str(size): modified // 10**9 for size, modified in times.items()}


def test_only_regular_files_are_in_it(hand: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "out").symlink_to("/etc")
    (tmp_path / "empty").mkdir()
    os.mkfifo(tmp_path / "pipe")
    assert unpacked(hand.output("tar", tmp_path)) == {"file": b"text"}


def test_a_missing_folder_is_an_empty_one(hand: Any, tmp_path: Path) -> None:
    assert unpacked(hand.output("tar", tmp_path / "missing", tmp_path)) == {}
    assert hand.output("list", tmp_path / "missing") == b""


def test_several_folders_and_files_are_named_from_below_themselves(hand: Any, tmp_path: Path) -> None:
    for name in ("one/a", "two/below/b", "three/c", "three/d"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "linked").symlink_to("two")
    archive = unpacked(hand.output("tar", "one/", tmp_path / "linked", "three/c", cwd=tmp_path))
    assert archive == {"a": b"one/a", "below/b": b"two/below/b", "c": b"three/c"}


def test_more_than_eight_gigabytes_are_said_right(own_hand: Any, tmp_path: Path) -> None:
    large = 9 << 30
    with (tmp_path / "large").open("wb") as file:
        file.truncate(large)  # takes no room
    with (
        own_hand.start("tar", tmp_path, stdout=subprocess.PIPE) as process,
        tarfile.open(fileobj=process.stdout, mode="r|") as tar,
    ):
        first = tar.next()
        process.kill()
    assert first is not None
    assert (first.name, first.size) == ("large", large)


def test_a_file_that_cannot_be_read_is_said_and_the_rest_is_whole(hand: Any, public_folder: Path) -> None:
    if os.geteuid():
        pytest.skip("being another user needs root")
    for name in ("a", "closed", "z"):
        (public_folder / name).write_text(name)
    (public_folder / "closed").chmod(0)
    (public_folder / "room").mkdir(mode=0)
    done = hand.call("tar", public_folder, user=65534, group=65534)
    assert done.returncode == 1
    said = sorted(done.stderr.decode().splitlines())
    assert said == [f"hand: {public_folder}/{name}: permission denied" for name in ("closed", "room")]
    assert unpacked(done.stdout) == {"a": b"a", "z": b"z"}


def test_an_archive_is_whole_while_its_files_change(own_hand: Any, tmp_path: Path) -> None:
    (tmp_path / "steady").write_bytes(b"s" * 70_000)
    with changing(tmp_path):
        for _ in range(100):
            files = unpacked(own_hand.output("tar", tmp_path))
            assert files["steady"] == b"s" * 70_000
            assert files.keys() <= {"steady", "grows", "comes", "goes"}
            assert not files.get("grows", b"").strip(b"g\0")


@contextmanager
def changing(folder: Path) -> Iterator[None]:
    """Files that grow, shrink, come and go all the time."""
    over = threading.Event()

    def change() -> None:
        while not over.is_set():
            (folder / "grows").write_bytes(b"g" * 200_000)
            (folder / "comes").write_text("c")
            (folder / "comes").rename(folder / "goes")
            os.truncate(folder / "grows", 10)
            (folder / "goes").unlink()

    changer = threading.Thread(target=change)
    changer.start()
    try:
        yield
    finally:
        over.set()
        changer.join()


def test_folders_without_end_are_said(own_hand: Any, tmp_path: Path) -> None:
    (tmp_path / "/".join(["d"] * 100)).mkdir(parents=True)
    (tmp_path / "file").write_text("text")
    done = own_hand.call("tar", tmp_path)
    assert done.returncode == 1
    assert done.stderr.endswith(b"/d: the name is too long\n")
    assert unpacked(done.stdout) == {"file": b"text"}
