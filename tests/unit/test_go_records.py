"""Which files of a target folder hold Go's counters, and which sources are Go's meta-data."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from podcov.formats.go_records import CountersFile, counters_files, meta_digests

ONE, TWO = "12-3456-0a1b2c3d", "7-89-ffffffff"


def test_counters_are_told_by_process_and_epoch() -> None:
    names = [f"{TWO}.10.0.covcounters", f"{ONE}.2.now.covcounters", f"{ONE}.0.1.covcounters", f"{ONE}.0.0.covcounters"]
    files = {name: name.encode() for name in names}
    assert [(file.process, file.epoch, file.name) for file in counters_files(files)] == [
        (ONE, 0, names[3]),
        (ONE, 0, names[2]),
        (ONE, 2, names[1]),
        (TWO, 10, names[0]),
    ]
    assert counters_files(files)[0] == CountersFile(names[3], ONE, 0, names[3].encode())


def test_files_of_other_names_are_left_alone() -> None:
    names = [
        f"{ONE}.start",
        f"{ONE}.counters",
        f"{ONE}.0.covcounters",
        f"{ONE}.0.0.covcounters.tmp",
        "epoch",
        "x.0.0.covcounters",
    ]
    assert counters_files(dict.fromkeys(names, b"")) == ()


@given(st.text())
def test_no_name_is_too_odd(name: str) -> None:
    assert counters_files({name: b""}) == ()


def test_meta_data_are_known_by_the_hash_in_their_name() -> None:
    hashes = ["0" * 32, "a1" * 16]
    sources = [
        (f"covmeta.{hashes[0]}", "sha256:1"),
        (f"covmeta.{hashes[1]}", None),
        ("main.go", "sha256:2"),
        ("covmeta.x", "sha256:3"),
    ]
    assert meta_digests(sources) == {hashes[0]: "sha256:1"}
