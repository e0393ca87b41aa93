"""A bundle either arrives as it was sent, or is known to be damaged."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podcov.errors import DamagedError
from podcov.formats.bundle import read_bundle, write_bundle


def seal(head: bytes) -> bytes:
    return head + b"\nend " + hashlib.sha256(head).hexdigest().encode() + b"\n"


def bundle(files: Mapping[str, bytes], *, encoding: str = "zlib", version: int = 1, **changes: object) -> bytes:
    entries: list[dict[str, Any]] = []
    contents = b""
    for path, content in files.items():
        stored = zlib.compress(content) if encoding == "zlib" else content
        sum_ = hashlib.sha256(content).hexdigest()
        entries.append(
            {"path": path, "size": len(content), "stored": len(stored), "encoding": encoding, "sha256": sum_} | changes
        )
        contents += stored
    manifest = json.dumps({"protocol": 1, "files": entries}).encode()
    return seal(f"podcov-bundle {version} {len(manifest)}\n".encode() + manifest + contents)


contents = st.dictionaries(st.text(min_size=1, max_size=20), st.binary(max_size=60), max_size=4)
encodings = st.sampled_from(["zlib", "identity"])


@given(contents, encodings)
def test_what_was_sent_arrives(files: Mapping[str, bytes], encoding: str) -> None:
    read = read_bundle(bundle(files, encoding=encoding))
    assert read.files == files
    assert list(read.files) == [entry["path"] for entry in read.manifest["files"]]
    assert read.manifest["protocol"] == 1


@given(contents, encodings, st.data())
def test_a_bundle_cut_off_anywhere_is_damaged(files: Mapping[str, bytes], encoding: str, data: st.DataObject) -> None:
    whole = bundle(files, encoding=encoding)
    with pytest.raises(DamagedError):
        read_bundle(whole[: data.draw(st.integers(0, len(whole) - 1))])


@given(contents, encodings, st.data())
def test_a_bundle_with_one_other_byte_is_damaged(files: Mapping[str, bytes], encoding: str, data: st.DataObject) -> None:
    changed = bytearray(bundle(files, encoding=encoding))
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(DamagedError):
        read_bundle(bytes(changed))


@given(contents, st.binary(min_size=1, max_size=20), st.data())
def test_a_bundle_with_bytes_too_many_is_damaged(files: Mapping[str, bytes], more: bytes, data: st.DataObject) -> None:
    whole = bundle(files)
    position = data.draw(st.integers(0, len(whole)))
    with pytest.raises(DamagedError):
        read_bundle(whole[:position] + more + whole[position:])


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_damaged_and_nothing_else(noise: bytes) -> None:
    with pytest.raises(DamagedError):
        read_bundle(b"podcov-bundle 1 2\n" + noise)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "it begins with b''"),
        (b"OCI runtime exec failed", "it begins with b'OCI runtime exec failed'"),
        (bundle({}, version=2), "it is of version 2, this podcov reads 1"),
        (bundle({"a": b"x"})[:-1], "its last line is missing"),
        (bundle({"a": b"x"}).replace(b"\nend ", b"\nend 0", 1)[:-2] + b"\n", "its sum is another"),
        (seal(b"podcov-bundle 1 1\n{"), "its manifest is no JSON"),
        (seal(b"podcov-bundle 1 2\n{}"), "its manifest lists no files"),
        (bundle({"a": b"x"}, size=7), "a is not what the manifest says"),
        (bundle({"a": b"x"}, encoding="identity", sha256="0"), "a is not what the manifest says"),
        (bundle({"a": b"x"}, encoding="rot13"), "a is encoded as 'rot13'"),
        (bundle({"a": b"x"}, stored=0, encoding="zlib"), "an entry of its manifest makes no sense"),
        (bundle({"a": b"x"}, stored="1"), "an entry of its manifest makes no sense"),
        (seal(b'podcov-bundle 1 13\n{"files": []} '), "1 bytes belong to no file"),
    ],
)
def test_the_error_says_what_is_wrong(data: bytes, what: str) -> None:
    with pytest.raises(DamagedError) as caught:
        read_bundle(data)
    assert what in caught.value.message
    assert caught.value.hint


@given(st.dictionaries(st.text(min_size=1), st.binary()), st.dictionaries(st.sampled_from(["protocol", "time"]), st.integers()))
def test_what_podcov_bundles_itself_is_read_the_same(files: dict[str, bytes], manifest: dict[str, int]) -> None:
    bundle = read_bundle(write_bundle(manifest, files))
    assert bundle.files == files
    assert bundle.manifest.items() >= manifest.items()
