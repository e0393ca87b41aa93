"""The hand as a sidecar: it keeps what a restart would overwrite, and waits with the data, never without need."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def says(hand: Any, data: Path) -> Callable[..., Any]:
    """`says("lease", "60")`: a command about this volume."""
    return lambda *arguments: json.loads(hand.output(*arguments, env={"PODCOV_DATA": str(data)}))


@pytest.fixture
def pythons(root: Path, data: Path) -> Callable[..., Any]:
    """The same, by Python's courier."""

    def call(*arguments: str) -> Any:
        command = [sys.executable, "-Es", str(root / "wrapper" / "python" / "podcov_courier.py"), *arguments]
        env = {"PODCOV_DATA": str(data), "PATH": os.environ["PATH"]}
        return json.loads(subprocess.run(command, env=env, capture_output=True, check=True).stdout)

    return call


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def test_its_folders_are_everybody_s(serving: Any, data: Path) -> None:
    serving(before=("sh", "-c", 'umask 077 && exec "$@"', "-"))
    assert {path.name: mode(path) for path in (data, *data.iterdir())} == {"data": 0o777, "courier": 0o777, "coverage": 0o777}


def test_without_a_lease_it_ends_when_it_is_told_to(serving: Any, data: Path) -> None:
    process = serving()
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    assert process.stderr.read() == b""
    assert int((data / "courier" / "ended").read_text()) > 10**18, "ns"


def test_the_first_process_of_a_container_hears_sigterm_too(serving_here: Any) -> None:
    if os.geteuid():
        pytest.skip("PID namespaces need root")
    process = serving_here(before=("unshare", "--pid", "--fork", "--kill-child", "--mount-proc"))
    (inner,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(inner), signal.SIGTERM)
    assert process.wait(10) == 0


def test_with_a_lease_it_waits_until_it_is_released(serving: Any, says: Any, data: Path) -> None:
    process = serving()
    assert says("lease", "60")["until"] == int((data / "courier" / "lease").read_text())
    assert says("wait", "0") == {"protocol": 1, "ended": False}
    process.send_signal(signal.SIGTERM)
    assert says("wait", "30") == {"protocol": 1, "ended": True}
    assert process.poll() is None
    assert says("release") == {"protocol": 1, "released": True}
    assert process.wait(10) == 0


def test_it_waits_no_longer_than_the_lease(serving: Any, says: Any) -> None:
    process = serving()
    says("lease", "60")
    process.send_signal(signal.SIGTERM)
    assert says("wait", "30")["ended"]
    assert says("lease", "0") == {"protocol": 1, "until": 0}
    assert process.wait(10) == 0


def test_a_job_s_sidecar_waits_without_a_lease(serving: Any, says: Any) -> None:
    process = serving(PODCOV_WAIT="always", PODCOV_GRACE="60")
    process.send_signal(signal.SIGTERM)
    assert says("wait", "30")["ended"]
    assert process.poll() is None
    says("release")
    assert process.wait(10) == 0


def test_it_waits_no_longer_than_the_pod_s_grace(serving: Any, says: Any) -> None:
    process = serving(PODCOV_WAIT="always", PODCOV_GRACE="0.3")
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0


def test_a_second_sigterm_ends_the_waiting(serving: Any, says: Any) -> None:
    process = serving(PODCOV_WAIT="always")
    process.send_signal(signal.SIGTERM)
    assert says("wait", "30")["ended"]
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0


def test_the_end_of_an_earlier_sidecar_means_nothing(serving: Any, says: Any) -> None:
    first = serving()
    says("release")
    first.send_signal(signal.SIGTERM)
    first.wait(10)
    second = serving()
    assert says("wait", "0")["ended"] is False
    says("lease", "60")
    second.send_signal(signal.SIGTERM)
    assert says("wait", "30")["ended"]
    assert second.poll() is None, "the release was the first one's"


def test_a_lease_is_not_shortened_by_another(says: Any) -> None:
    long = says("lease", "1000.5")["until"]
    assert says("lease", "1")["until"] == long


def test_other_couriers_read_and_answer_the_same(serving: Any, says: Any, pythons: Any) -> None:
    process = serving()
    long = says("lease", "1000")
    assert pythons("lease", "1") == long
    longer = pythons("lease", "2000")
    assert says("lease", "1") == longer
    assert says("wait", "0") == pythons("wait", "0")
    process.send_signal(signal.SIGTERM)
    assert says("wait", "30") == pythons("wait", "30") == {"protocol": 1, "ended": True}
    assert pythons("lease", "0") == says("lease", "0")
    assert process.wait(10) == 0
    assert pythons("release") == says("release")


def test_it_sleeps_until_something_happens(serving_here: Any, own_hand: Any, data: Path, wait_until: Any) -> None:
    profile = data / "coverage" / "app" / "cover.out"
    process = serving_here(profile)
    calls = {"x86_64": "271", "aarch64": "73"}  # ppoll
    call = Path(f"/proc/{process.pid}/syscall")

    def sleeps() -> bool:
        number, _, files, duration, *_ = call.read_text().split() + [""] * 4
        return (number, files, duration) == (calls[own_hand.architecture], "0x2", "0x0")

    wait_until(sleeps, what="waiting for events, for ever")
    profile.parent.mkdir()
    profile.write_text("one")
    wait_until((data / "coverage/app/cover.out.0").exists)
    wait_until(sleeps, what="waiting again")


def test_small_in_memory(serving_here: Any) -> None:
    status = Path(f"/proc/{serving_here().pid}/status").read_text()
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert int(fields["VmRSS"].split()[0]) < 500, "kB"


def test_a_volume_that_cannot_be_written_is_said(hand: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = hand.call("serve", tmp_path / "file" / "data")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.decode() == f"hand: {tmp_path}/file/data: is no folder, or below something that is none\n"


# ---- profiles


def kept(profile: Path) -> dict[str, str]:
    """Contents by what was added to the name."""
    found = {}
    for path in profile.parent.glob(f"{profile.name}*"):
        with suppress(FileNotFoundError):  # it is being kept at this moment
            found[path.name.removeprefix(profile.name)] = path.read_text()
    return found


def test_every_profile_of_a_restart_loop_is_kept(serving: Any, data: Path, wait_until: Any) -> None:
    """As a shell's loop does it: the service truncates the file of its last start, writes, ends, and is started again."""
    profile = data / "coverage" / "app" / "cover.out"
    profile.parent.mkdir(parents=True)
    serving(profile)
    for turn in range(50):
        subprocess.run(["sh", "-c", f"echo mode: count >{profile} && exec echo {turn} >>{profile}"], check=True)
        wait_until(lambda: not profile.exists(), what="kept")
    joined = "".join(kept(profile)[f".{number}"] for number in range(len(kept(profile))))
    assert joined == "".join(f"mode: count\n{turn}\n" for turn in range(50))


def test_a_profile_is_kept_when_it_is_closed_not_before(serving: Any, data: Path, wait_until: Any) -> None:
    profile, other = data / "coverage" / "cover.out", data / "coverage" / "other.out"
    profile.parent.mkdir(parents=True)
    serving(profile, other)
    other.write_text("ready")
    wait_until(lambda: ".0" in kept(other), what="watching")
    with profile.open("w") as file:
        file.write("first half, ")
        file.flush()
        other.write_text("meanwhile")
        wait_until(lambda: ".1" in kept(other), what="events up to now have been heard")
        assert kept(profile) == {"": "first half, "}
        file.write("second half")
    wait_until(lambda: kept(profile) == {".0": "first half, second half"})


def test_a_profile_that_is_renamed_to_its_name_is_kept(serving: Any, data: Path, wait_until: Any) -> None:
    profile = data / "coverage" / "cover.out"
    serving(profile)
    profile.with_name("cover.tmp").write_text("whole")
    profile.with_name("cover.tmp").rename(profile)
    wait_until(lambda: kept(profile) == {".0": "whole"})


def test_its_folder_may_come_later_and_go_and_come_again(serving: Any, data: Path, wait_until: Any) -> None:
    profile = data / "coverage" / "app" / "below" / "cover.out"
    serving(profile)
    for content in ("one", "two"):
        profile.parent.mkdir(parents=True)
        profile.write_text(content)
        wait_until(lambda content=content: content in kept(profile).values() and not profile.exists(), what=content)
        for path in profile.parent.iterdir():
            path.unlink()
        profile.parent.rmdir()
        profile.parent.parent.rmdir()


def test_numbers_go_on_where_they_ended(serving: Any, data: Path, wait_until: Any) -> None:
    profile = data / "coverage" / "cover.out"
    profile.parent.mkdir(parents=True)
    for name in ("cover.out.7", "cover.out.x", "cover.out.", "cover.outer.9"):
        profile.with_name(name).write_text(name)
    first = serving(profile)
    profile.write_text("one")
    wait_until(lambda: kept(profile).get(".8") == "one")
    profile.with_name("cover.out.8").unlink()  # somebody has taken it
    profile.write_text("two")
    wait_until(lambda: kept(profile).get(".9") == "two")
    first.kill()
    first.wait()
    serving(profile)
    profile.write_text("three")
    wait_until(lambda: kept(profile).get(".10") == "three")


def test_what_was_there_before_is_kept(serving: Any, data: Path, wait_until: Any) -> None:
    profile = data / "coverage" / "cover.out"
    profile.parent.mkdir(parents=True)
    profile.write_text("of an earlier start")
    os.utime(profile, (1, 1))
    serving(profile)
    wait_until(lambda: kept(profile) == {".0": "of an earlier start"})


def test_an_empty_file_is_no_profile(serving: Any, data: Path, wait_until: Any) -> None:
    profile, other = data / "coverage" / "cover.out", data / "coverage" / "other.out"
    serving(profile, other)
    profile.write_text("")
    other.write_text("later")
    wait_until(lambda: kept(other) == {".0": "later"})
    assert kept(profile) == {"": ""}


def test_a_profile_is_kept_while_the_sidecar_waits(serving: Any, says: Any, data: Path, wait_until: Any) -> None:
    profile = data / "coverage" / "cover.out"
    process = serving(profile, PODCOV_WAIT="always")
    process.send_signal(signal.SIGTERM)
    assert says("wait", "30")["ended"]
    profile.write_text("at the last moment")
    wait_until(lambda: kept(profile) == {".0": "at the last moment"})


def test_where_nothing_can_be_watched_it_looks(serving_here: Any, data: Path, wait_until: Any) -> None:
    if os.geteuid():
        pytest.skip("user namespaces may need root")
    profile = data / "coverage" / "app" / "cover.out"
    none_left = 'echo 0 >/proc/sys/user/max_inotify_instances && exec "$@"'
    process = serving_here(profile, before=("unshare", "--user", "--map-root-user", "sh", "-c", none_left, "-"))
    assert process.stderr.readline().decode() == f"hand: {profile.parent}: too many open files or watches\n"
    assert process.stderr.readline().decode() == f"hand: {profile}: is looked for once a second, as it cannot be watched\n"
    for number, content in enumerate(("one", "two")):
        profile.parent.mkdir(exist_ok=True)
        profile.write_text(content)
        wait_until(lambda number=number, content=content: kept(profile).get(f".{number}") == content, what=content)


def test_a_profile_needs_an_absolute_path(hand: Any, tmp_path: Path) -> None:
    done = hand.call("serve", tmp_path, "cover.out")
    assert (done.returncode, done.stderr) == (1, b"hand: cover.out: is no absolute path of a profile\n")
