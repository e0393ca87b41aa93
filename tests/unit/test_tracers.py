"""The C tracers: pinned to the byte, fetched once, and made small without losing what the loader needs."""

from __future__ import annotations

import json
import sys
import sysconfig
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podcov.edges import tracers
from podcov.errors import UsageError

VARIANT = "x86_64-gnu"
LIBRARY = Path(sysconfig.get_path("platlib"), "coverage", f"tracer{sysconfig.get_config_var('EXT_SUFFIX')}").read_bytes()


@pytest.fixture(scope="session")
def lock(root: Path) -> Path:
    return root / "wrapper" / "python" / "tracers.json"


@pytest.fixture(scope="session")
def fetched(lock: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one tracer, downloaded for real."""
    folder = tmp_path_factory.mktemp("tracers")
    tracers.ensure(["3.11"], folder, lock=lock, variants=[VARIANT])
    return folder


@pytest.fixture
def no_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """pip finds nothing, as on a machine without a network."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")


def test_every_python_that_needs_a_tracer_has_one_for_each_architecture_and_libc(lock: Path) -> None:
    pinned = {(t.python, t.variant) for t in tracers.pinned(lock)}
    variants = ("x86_64-gnu", "x86_64-musl", "aarch64-gnu", "aarch64-musl")
    assert pinned == {(minor, variant) for minor in tracers.minors_for("branch") for variant in variants}
    assert set(tracers.minors_for("line")) <= set(tracers.minors_for("branch"))


def test_what_is_pinned_is_fetched_with_its_notice(fetched: Path) -> None:
    assert sorted(path.name for path in fetched.iterdir()) == [tracers.NOTICE, "podcov_tracer.cp311-x86_64-gnu.so.z"]
    assert "Ned Batchelder" in (fetched / tracers.NOTICE).read_text()


def test_each_tracer_is_for_the_architecture_and_libc_that_its_name_says() -> None:
    machines = {62: "x86_64", 183: "aarch64"}
    for path in tracers.ensure(tracers.minors_for("branch")):
        library = zlib.decompress(path.read_bytes())
        machine = machines[int.from_bytes(library[18:20], "little")]
        libc = "musl" if b"\0libc.musl-" in library else "gnu"
        assert path.name.endswith(f"-{machine}-{libc}.so.z")
        assert b"\0PyInit_tracer\0" in library


def test_what_is_there_needs_no_network_and_is_left_alone(fetched: Path, lock: Path, no_index: None) -> None:
    before = {path: path.stat().st_mtime_ns for path in fetched.iterdir()}
    assert tracers.ensure(["3.11"], fetched, lock=lock, variants=[VARIANT]) == [fetched / "podcov_tracer.cp311-x86_64-gnu.so.z"]
    assert {path: path.stat().st_mtime_ns for path in fetched.iterdir()} == before


@pytest.mark.parametrize("damage", [b"", b"not compressed", zlib.compress(b"another library")])
def test_a_damaged_tracer_is_fetched_again(fetched: Path, lock: Path, tmp_path: Path, damage: bytes) -> None:
    name = "podcov_tracer.cp311-x86_64-gnu.so.z"
    (tmp_path / name).write_bytes(damage)
    tracers.ensure(["3.11"], tmp_path, lock=lock, variants=[VARIANT])
    assert zlib.decompress((tmp_path / name).read_bytes()) == zlib.decompress((fetched / name).read_bytes())


def test_without_a_network_the_error_says_what_is_missing_and_what_to_do(lock: Path, tmp_path: Path, no_index: None) -> None:
    with pytest.raises(UsageError) as error:
        tracers.ensure(["3.11"], tmp_path, lock=lock, variants=[VARIANT])
    assert "cannot download the C tracer for Python 3.11 on x86_64-gnu" in error.value.message
    assert "pip download" in error.value.hint
    assert list(tmp_path.glob("*.so.z")) == []


@pytest.mark.parametrize(
    ("pin", "says"), [("wheel_sha256", "cannot download"), ("sha256", "is not the tracer that tracers.json pins")]
)
def test_anything_but_what_is_pinned_is_refused(lock: Path, tmp_path: Path, pin: str, says: str) -> None:
    document = json.loads(lock.read_text())
    document["tracers"]["cp311-x86_64-gnu"][pin] = "0" * 64
    changed = tmp_path / "tracers.json"
    changed.write_text(json.dumps(document))
    with pytest.raises(UsageError, match=says):
        tracers.ensure(["3.11"], tmp_path / "out", lock=changed, variants=[VARIANT])
    assert list((tmp_path / "out").glob("*.so.z")) == []


@pytest.mark.parametrize(
    ("minor", "variant", "says"),
    [("3.10", VARIANT, "no C tracer for Python 3.10"), ("3.11", "riscv64-gnu", "no C tracer for platform riscv64-gnu")],
)
def test_an_unknown_python_or_platform_is_named_with_those_that_there_are(
    lock: Path, tmp_path: Path, minor: str, variant: str, says: str
) -> None:
    with pytest.raises(UsageError, match=says) as error:
        tracers.ensure([minor], tmp_path, lock=lock, variants=[variant])
    assert "3.12" in error.value.hint or "aarch64-musl" in error.value.hint


def test_tracers_are_kept_beside_the_wrapper_where_that_can_be_written(tmp_path: Path) -> None:
    assert tracers.default_folder(tmp_path) == tmp_path / "tracers"


def test_tracers_are_kept_in_the_users_cache_where_the_wrapper_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert tracers.default_folder(Path("/proc/self")) == tmp_path / "podcov" / "tracers"


@pytest.mark.skipif(sys.platform != "linux", reason="shared objects of other systems are not ELF files")
def test_the_loadable_part_is_a_fraction_and_is_stable() -> None:
    small = tracers.loadable_part(LIBRARY)
    assert len(small) < len(LIBRARY) / 2
    assert tracers.loadable_part(small) == small


@given(st.integers(min_value=0, max_value=len(LIBRARY) - 1))
def test_a_truncated_library_is_refused_or_was_cut_behind_what_is_loaded(length: int) -> None:
    try:
        small = tracers.loadable_part(LIBRARY[:length])
    except ValueError:
        return
    assert small == tracers.loadable_part(LIBRARY)


@given(st.binary(max_size=300), st.booleans())
def test_what_is_no_library_is_refused(noise: bytes, disguised: bool) -> None:
    with pytest.raises(ValueError, match="ELF"):
        tracers.loadable_part((b"\x7fELF\x02\x01" if disguised else b"") + noise)
