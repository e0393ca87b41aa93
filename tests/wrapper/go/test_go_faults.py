"""What goes wrong never reaches the app, and is said."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("mount"), reason="needs root and mount, to fill a small volume; CI has both"
)


@pytest.fixture(scope="module")
def early(podcov_go: Any, programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("early") / "early"
    return podcov_go.build(output, "-cover", ".", cwd=programs / "early")  # type: ignore[no-any-return]


@pytest.fixture
def pod(early: Path, container: Callable[[Path], Any]) -> Any:
    return container(early)


def test_an_end_before_main_is_named(pod: Any) -> None:
    assert pod.run(SETUP="exit").returncode == 4
    (process,) = pod.status().targets[0].processes
    assert (process.alive, process.reason.partition(":")[0]) == (False, "it ended before main began")
    (answer,) = pod.dumped().targets[0].processes
    assert answer.state == "failed"
    assert pod.pull().counters == ()


def test_what_ran_before_main_counts_for_the_epoch_in_which_main_begins(pod: Any) -> None:
    with pod.started(SETUP="wait") as process:
        assert process.stdout.readline() == "waiting\n"
        assert [p.state for p in pod.mark().targets[0].processes] == ["acknowledged"]
        assert "main" in pod.status().targets[0].processes[0].reason
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "main true\n"
        assert pod.pull().epochs() == {1}
        ran = {block for block, yes in pod.blocks(1).items() if yes}
        assert {block.split("/")[-1].split(":")[0] for block in ran} == {"main.go", "setup.go"}


@contextmanager
def small(pod: Any, size: str, inodes: str = "100") -> Iterator[None]:
    options = f"size={size},nr_inodes={inodes},mode=0777"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", pod.data], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", pod.data], check=True)


@needs_root
@pytest.mark.parametrize(("size", "inodes"), [("4k", "100"), ("8k", "100"), ("100k", "4"), ("100k", "5"), ("100k", "6")])
def test_a_full_volume_does_not_reach_the_app(pod: Any, size: str, inodes: str) -> None:
    with small(pod, size, inodes):
        done = pod.run()
        assert (done.returncode, done.stdout, done.stderr) == (0, "main true\n", "")
        for target in pod.status().targets:
            for process in target.processes:
                assert process.reason or (process.start and process.start.reason)


@needs_root
def test_a_record_says_that_the_volume_had_no_room(pod: Any) -> None:
    with small(pod, "12k"):
        (pod.data / "filler").write_bytes(bytes(8192))
        pod.run()
        (process,) = pod.status().targets[0].processes
        assert (process.start.state, process.start.reason) == (
            "failed",
            "its counters do not fit into the data volume: no space left on device",
        )


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass


@needs_root
def test_a_mark_for_which_there_is_no_room_fails_and_changes_nothing(pod: Any) -> None:
    with small(pod, "40k"), pod.started() as process:
        assert process.stdout.readline() == "main true\n"
        before = pod.blocks()
        with pytest.raises(OSError, match="No space"):
            fill(pod.data / "filler")
        command = [pod.binary, "--podcov-courier", "mark", "run", "label"]
        done = subprocess.run(command, env=pod.env(), capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == "podcov courier: mark: no space left on device\n"
        (pod.data / "filler").unlink()
        assert pod.blocks(0) == before
        assert pod.mark().targets[0].processes[0].state == "acknowledged"
        assert pod.blocks(0) == before


def test_other_users_processes_and_a_umask_do_no_harm(pod: Any) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to run processes as two other users; CI is root")
    for folder in (pod.folder, *pod.folder.parents):
        if folder.stat().st_uid == 0 and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o055)
    pod.binary.parent.chmod(0o755)
    for folder in pod.binary.parents[:3]:
        folder.chmod(folder.stat().st_mode | 0o055)
    pod.data.chmod(0o777)
    for user in (1234, 5678):
        command = [
            "setpriv",
            f"--reuid={user}",
            f"--regid={user}",
            "--clear-groups",
            "sh",
            "-c",
            'umask 077; exec "$0" </dev/null',
        ]
        done = subprocess.run([*command, pod.binary], env=pod.env(), capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (0, "main true\n"), done
    as_nobody = ["setpriv", "--reuid=4321", "--regid=4321", "--clear-groups"]
    done = subprocess.run(
        [*as_nobody, pod.binary, "--podcov-courier", "mark", "run", "label"], env=pod.env(), capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert len(pod.pull().counters) == 2
