"""However a program is built: with podcov in the toolchain it records the same as the standard one does."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from podcov.generate.languages.go import NO_LIMIT

VERSIONS = ("1.20.14", "1.22.12", "1.23.12", "1.25.3")
FLAGS = {
    "default": ("-cover",),
    "stripped": ("-cover", "-ldflags=-s -w", "-trimpath"),
    "position-independent": ("-cover", "-buildmode=pie"),
    "count": ("-cover", "-covermode=count"),
    "everything": ("-cover", "-coverpkg=all"),
    "external-linker": ("-cover", "-ldflags=-linkmode=external"),
    "race": ("-race", "-cover"),
}


def equal(container: Any, direct: Any, podcov: Path, standard: Path, *arguments: str) -> None:
    pod = container(podcov)
    pod.run(*arguments)
    (process,) = pod.status().targets[0].processes
    assert (process.start.state, process.start.reason, process.start.recording, process.reason) == (
        "recording",
        None,
        "mapped",
        "",
    )
    assert pod.blocks() == direct(standard, *arguments)


@pytest.mark.parametrize("flags", FLAGS)
def test_flags(flags: str, plain_go: Any, podcov_go: Any, programs: Path, container: Any, direct: Any, tmp_path: Path) -> None:
    source = programs / "ends"
    podcov = podcov_go.build(tmp_path / "podcov", *FLAGS[flags], ".", cwd=source)
    standard = plain_go.build(tmp_path / "standard", *FLAGS[flags], ".", cwd=source)
    if flags != "everything":
        equal(container, direct, podcov, standard, "exit")
        return
    pod = container(podcov)
    assert pod.run("exit").returncode == 3
    assert app(pod.blocks()) == app(direct(standard, "exit"))  # what the toolchain itself ran is another matter


def app(blocks: dict[str, bool]) -> dict[str, bool]:
    return {block: yes for block, yes in blocks.items() if block.startswith("example.com/")}


def test_several_commands_of_a_module(
    plain_go: Any, podcov_go: Any, programs: Path, container: Any, direct: Any, tmp_path: Path
) -> None:
    for go, folder in ((plain_go, tmp_path / "standard"), (podcov_go, tmp_path / "podcov")):
        folder.mkdir()
        go.go("build", "-cover", "-o", f"{folder}/", "./...", cwd=programs / "ends")
    for name, arguments in (("ends", ["exit"]), ("second", [])):
        equal(container, direct, tmp_path / "podcov" / name, tmp_path / "standard" / name, *arguments)
    pod = container(tmp_path / "podcov" / "second")
    pod.run()
    pod.binary = tmp_path / "podcov" / "ends"  # one container, two programs, and each is a courier of both
    pod.run("exit")
    pulled = pod.pull()
    assert (len(pulled.metas), len(pulled.counters)) == (2, 2)


def test_a_workspace_and_vendored_dependencies(
    plain_go: Any, podcov_go: Any, programs: Path, container: Any, direct: Any, tmp_path: Path
) -> None:
    shutil.copytree(programs / "ends", tmp_path / "ends")
    app = tmp_path / "app"
    app.mkdir()
    (app / "go.mod").write_text("module example.com/app\n\ngo 1.20\n\nrequire example.com/ends v0.0.0\n")
    (app / "main.go").write_text(
        'package main\n\nimport "example.com/ends/work"\n\nfunc main() {\n\tif work.Even(2) {\n\t\tprintln(work.Sum(3))\n\t}\n}\n'
    )
    (tmp_path / "go.work").write_text("go 1.20\n\nuse (\n\t./app\n\t./ends\n)\n")
    cover = ("-cover", "-coverpkg=example.com/...")
    workspace = [go.build(tmp_path / f"w{n}", *cover, "./app", cwd=tmp_path) for n, go in enumerate((podcov_go, plain_go))]
    equal(container, direct, *workspace)
    (tmp_path / "go.work").unlink()
    with (app / "go.mod").open("a") as module:
        module.write("\nreplace example.com/ends => ../ends\n")
    plain_go.go("mod", "vendor", cwd=app)
    shutil.rmtree(tmp_path / "ends")
    vendored = [go.build(tmp_path / f"v{n}", *cover, ".", cwd=app) for n, go in enumerate((podcov_go, plain_go))]
    equal(container, direct, *vendored)


@pytest.fixture
def no_c() -> None:
    if not shutil.which("gcc"):
        pytest.skip("there is no gcc, which cgo compiles with: `tests/cluster/cluster build` installs it")


@pytest.mark.usefixtures("no_c")
def test_cgo(plain_go: Any, podcov_go: Any, programs: Path, container: Any, direct: Any, tmp_path: Path) -> None:
    source = programs / "cgo"
    builds = [go.build(tmp_path / f"b{n}", "-cover", ".", cwd=source) for n, go in enumerate((podcov_go, plain_go))]
    equal(container, direct, *builds)


@pytest.mark.usefixtures("no_c")
def test_counters_that_cannot_be_mapped_are_saved_and_the_record_says_so(
    plain_go: Any, podcov_go: Any, programs: Path, container: Any, direct: Any, tmp_path: Path
) -> None:
    """The linker lays variables of a static libc behind the counters."""
    source = programs / "cgo"
    static = ("-cover", "-ldflags=-linkmode=external -extldflags=-static")
    podcov = podcov_go.build(tmp_path / "podcov", *static, ".", cwd=source)
    standard = plain_go.build(tmp_path / "standard", "-cover", ".", cwd=source)
    pod = container(podcov)
    pod.run()
    (process,) = pod.status().targets[0].processes
    assert (process.start.recording, process.start.save_interval, process.ended) == ("saved", 2, True)
    assert pod.blocks() == direct(standard)

    pod = container(podcov)
    with pod.started("wait", PODCOV_SAVE_INTERVAL="1000") as process:
        assert next(line for line in process.stdout if line == "ready\n")
        assert [p.state for p in pod.mark().targets[0].processes] == ["acknowledged"]
        process.stdin.write("\n")
        process.stdin.flush()
        assert next(line for line in process.stdout if line == "done\n")
        assert [p.state for p in pod.dumped().targets[0].processes] == ["complete"]
        again = {block for block, yes in pod.blocks(1).items() if yes}
        assert [block.split(":")[1].split(".")[0] for block in again] == ["35"]  # the body of again
        process.kill()
        process.wait(30)
    (answer,) = pod.dumped().targets[0].processes
    assert (answer.state, "without a last save" in answer.reason) == ("bounded", True)


def test_a_variable_larger_than_the_padding_leaves_the_first_counters_to_be_saved(
    plain_go: Any, podcov_go: Any, programs: Path, container: Any, direct: Any, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    shutil.copytree(programs / "ends", source)
    (source / "huge.go").write_text("package main\n\nvar huge [50 << 20]byte\n\nfunc init() {\n\thuge[len(huge)-1]++\n}\n")
    podcov = podcov_go.build(tmp_path / "podcov", "-cover", ".", cwd=source)
    standard = plain_go.build(tmp_path / "standard", "-cover", ".", cwd=source)
    pod = container(podcov)
    pod.run("exit")
    (process,) = pod.status().targets[0].processes
    assert (process.start.recording, process.ended) == ("saved", True)
    assert pod.blocks() == direct(standard, "exit")


def test_a_test_binary_writes_its_own_profile_and_records(
    plain_go: Any, podcov_go: Any, programs: Path, container: Any, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    shutil.copytree(programs / "ends", source)
    (source / "work" / "work_test.go").write_text(
        'package work\n\nimport "testing"\n\nfunc TestEven(t *testing.T) {\n\tif !Even(2) {\n\t\tt.Fatal()\n\t}\n}\n'
    )
    profiles = []
    for go, name in ((plain_go, "standard"), (podcov_go, "podcov")):
        test = ("test", "-c", "-cover", "-covermode=count", "-coverpkg=./...", "-o", tmp_path / name, "./work")
        go.go(*test, cwd=source)
        pod = container(tmp_path / name)
        done = pod.run(f"-test.coverprofile={tmp_path}/{name}.out")
        assert (done.returncode, done.stdout.splitlines()[0]) == (0, "PASS")
        profiles.append((tmp_path / f"{name}.out").read_text())
    assert profiles[0] == profiles[1]
    ours = sorted(block for block, yes in pod.blocks().items() if yes)
    assert ours == sorted(line.rpartition(" ")[0] for line in profiles[0].splitlines()[1:] if not line.endswith(" 0"))


def test_a_binary_without_cover_says_so(podcov_go: Any, programs: Path, container: Any, tmp_path: Path) -> None:
    pod = container(podcov_go.build(tmp_path / "plain", ".", cwd=programs / "ends"))
    done = pod.run("exit")
    assert (done.returncode, done.stderr) == (3, "")
    (process,) = pod.status().targets[0].processes
    assert (process.start.state, process.start.reason) == (
        "unsupported",
        "it was built without -cover, or no package of it is covered",
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_toolchains(
    version: str, with_podcov: Any, programs: Path, container: Any, direct: Any, tmp_path: Path, old_go: Callable[[str], Any]
) -> None:
    plain = old_go(version)
    podcov = with_podcov(plain)
    builds = [go.build(tmp_path / f"b{n}", "-cover", "./second", cwd=programs / "ends") for n, go in enumerate((podcov, plain))]
    equal(container, direct, *builds)
    as_sidecar(container, *builds)


def as_sidecar(container: Any, podcov: Path, standard: Path) -> None:
    """With what sidecars have in their environment, the one is a courier, and the other ends before any code of the app."""
    pod = container(podcov)
    pod.run()
    pod.environment = {"GOMEMLIMIT": NO_LIMIT}
    assert len(pod.status().targets[0].processes) == 1
    pod.binary = standard
    done = pod.run("--podcov-courier", "serve")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[0] == f"GOMEMLIMIT={NO_LIMIT}"
    assert len(list(pod.target.glob("*.start"))) == 1
    pod.binary = pod.link
    assert len(pod.status().targets[0].processes) == 1, "as it is called without a sidecar"


@pytest.mark.skipif(
    platform.machine() != "x86_64" or not shutil.which("qemu-aarch64-static"),
    reason="needs qemu-aarch64-static on x86_64, to run programs for arm64; tests/cluster/cluster build installs it for CI",
)
def test_arm64(plain_go: Any, podcov_go: Any, programs: Path, container: Any, direct: Any, tmp_path: Path) -> None:
    standard = plain_go.build(tmp_path / "standard", "-cover", ".", cwd=programs / "ends")
    built = podcov_go.build(tmp_path / "arm64", "-cover", ".", cwd=programs / "ends", GOARCH="arm64", CGO_ENABLED="0")
    assert built.read_bytes()[18] == 183  # the machine in an ELF header: AArch64
    emulated = tmp_path / "emulated"
    emulated.write_text(f'#!/bin/sh\nexec qemu-aarch64-static {built} "$@"\n')
    emulated.chmod(0o755)
    equal(container, direct, emulated, standard, "exit")


def test_other_systems_get_the_standard_runtime(podcov_go: Any, programs: Path, tmp_path: Path) -> None:
    for system, architecture in (("windows", "amd64"), ("darwin", "arm64"), ("linux", "arm")):
        podcov_go.build(
            tmp_path / system, "-cover", ".", cwd=programs / "ends", GOOS=system, GOARCH=architecture, CGO_ENABLED="0"
        )


@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("unshare"),
    reason="needs root and unshare, to run as another user in a chroot; CI has both",
)
def test_an_image_from_scratch_read_only_and_without_root(
    podcov_go: Any, plain_go: Any, programs: Path, container: Any, direct: Any, tmp_path: Path
) -> None:
    """A root with nothing in it but the binary, /proc and the data volume: no shell, no /dev, no /tmp."""
    source = programs / "ends"
    standard = plain_go.build(tmp_path / "standard", "-cover", ".", cwd=source)
    tmp_path.chmod(0o755)
    root = tmp_path / "root"
    for folder in ("proc", "data"):
        (root / folder).mkdir(parents=True)
    podcov_go.build(root / "app", "-cover", ".", cwd=source, CGO_ENABLED="0")
    pod = container(root / "app")
    script = (
        'mount --bind "$0" "$0" && mount -t proc proc "$0/proc" && mount -t tmpfs -o mode=0777,noexec tmpfs "$0/data"'
        ' && mount -o remount,ro,bind "$0" && for run in exit "--podcov-courier status" "--podcov-courier mark run label"'
        ' "--podcov-courier pull"; do chroot --userspec=1234:1234 "$0" /app $run; done'
        ' && chroot --userspec=1234:1234 "$0" /data/programs/app --podcov-courier status >&2'
        ' && cp -a "$0/data/." "$1"'
    )
    command = ["unshare", "--mount", "sh", "-c", script, str(root), str(pod.data)]
    env = {"PATH": os.environ["PATH"], "PODCOV_DATA": "/data", "PODCOV_CONTAINER": "app", "PODCOV_START": "one"}
    done = subprocess.run(command, env=env, capture_output=True, timeout=120, check=True)
    assert done.stderr.startswith(b'{"protocol":1'), "that is what its link answers"
    assert pod.blocks() == direct(standard, "exit")
