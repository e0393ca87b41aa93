"""The courier as a sidecar: it unpacks the wrapper, keeps sources, and waits with its data, never without need."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

WrapperCopy = Callable[..., Path]


@pytest.fixture
def serving(wait_until: Any) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """`serving(courier)`: a sidecar that has unpacked its wrapper. `before` stands in front of its command."""
    with ExitStack() as running:

        def start(courier: Any, before: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
            command = [*before, *courier.command("serve")]
            process = running.enter_context(subprocess.Popen(command, env=courier.env, stderr=subprocess.PIPE))
            running.callback(process.kill)
            wait_until((courier.data / "wrapper" / "podcov_courier.py").exists, what="unpacked")
            return process

        yield start


@pytest.fixture
def wrapper_copy(root: Path, tmp_path: Path) -> WrapperCopy:
    """A wrapper as a ConfigMap mounts it: links into a hidden folder."""

    def copy(**changes: str) -> Path:
        mounted, hidden = tmp_path / "mounted", tmp_path / "mounted" / "..data"
        hidden.mkdir(parents=True)
        for path in (root / "wrapper" / "python").glob("*.py"):
            (hidden / path.name).write_text(changes.get(path.stem, path.read_text()))
            (mounted / path.name).symlink_to(Path("..data") / path.name)
        return mounted / "podcov_courier.py"

    return copy


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def begun(data: Path) -> bool:
    """Somebody waits: the service's containers have ended."""
    return (data / "courier" / "ended").exists()


def test_the_wrapper_is_unpacked_and_compiled(courier: Any, wrapper_copy: WrapperCopy) -> None:
    program = wrapper_copy()
    assert replace(courier, program=program).json("unpack")["folder"] == str(courier.data / "wrapper")
    unpacked = courier.data / "wrapper"
    modules = sorted(path.name for path in unpacked.glob("*.py"))
    assert modules == sorted(path.name for path in program.parent.glob("*.py"))
    compiled = list((unpacked / "__pycache__").iterdir())
    assert len(compiled) == len(modules)
    assert {path.read_bytes()[4] for path in compiled} == {1}, "unchecked: importing does not look at the source"
    assert {mode(unpacked), mode(unpacked / "__pycache__"), *map(mode, unpacked.glob("*.py")), *map(mode, compiled)} == {
        0o755,
        0o644,
    }
    assert {mode(courier.data), mode(courier.data / "targets"), mode(courier.data / "courier")} == {0o777}
    assert sorted(path.name for path in courier.data.iterdir()) == ["courier", "targets", "wrapper"]


def test_a_process_uses_what_was_compiled(pods: Any, couriers: Any) -> None:
    pod = pods("3.13")
    unpacked = couriers(pod.data, interpreter=pod.interpreter.command[0]).json("unpack")
    assert unpacked["python"].startswith("3.13.")
    said = pod.run("-v", pod.write("app.py", "x = 1\n"), env=pod.env() | {"PYTHONPATH": unpacked["folder"]}).stderr
    assert f"code object from '{unpacked['folder']}/__pycache__/sitecustomize.cpython-313.pyc'" in said
    assert "podcov_process" in said
    assert f"wrote '{unpacked['folder']}" not in said
    assert f"code object from {unpacked['folder']}" not in said


def test_another_wrapper_takes_the_place_of_the_first(courier: Any, wrapper_copy: WrapperCopy, root: Path) -> None:
    courier.output("unpack")
    old = courier.data / "wrapper" / "left-over.py"
    old.write_text("")
    replace(courier, program=wrapper_copy()).output("unpack")
    assert not old.exists()
    assert (courier.data / "wrapper" / "podcov_courier.py").exists()


def test_the_courier_in_the_volume_does_not_unpack_itself(courier: Any) -> None:
    courier.output("unpack")
    within = replace(courier, program=courier.data / "wrapper" / "podcov_courier.py")
    assert within.json("unpack")["folder"] == str(courier.data / "wrapper")
    assert within.status().targets == ()


def test_a_damaged_module_stops_nobody(courier: Any, wrapper_copy: WrapperCopy) -> None:
    done = replace(courier, program=wrapper_copy(podcov_monitoring="def (:\n")).call("unpack")
    assert done.returncode == 0
    assert done.stderr.startswith(b"podcov courier: podcov_monitoring.py: ")
    assert (courier.data / "wrapper" / "podcov_monitoring.py").read_text() == "def (:\n"


def test_without_a_lease_it_ends_when_it_is_told_to(courier: Any, serving: Any) -> None:
    process = serving(courier)
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    assert process.stderr.read() == b""
    assert begun(courier.data)


def test_the_first_process_of_a_container_hears_sigterm_too(courier: Any, serving: Any) -> None:
    if os.geteuid():
        pytest.skip("PID namespaces need root")
    process = serving(courier, before=("unshare", "--pid", "--fork", "--kill-child", "--mount-proc"))
    (inner,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(inner), signal.SIGTERM)
    assert process.wait(10) == 0


def test_with_a_lease_it_waits_until_it_is_released(courier: Any, serving: Any, wait_until: Any) -> None:
    process = serving(courier)
    courier.output("lease", "60")
    assert courier.json("wait", "0") == {"protocol": 1, "ended": False}
    process.send_signal(signal.SIGTERM)
    assert courier.json("wait", "30") == {"protocol": 1, "ended": True}
    assert process.poll() is None
    assert courier.json("release") == {"protocol": 1, "released": True}
    assert process.wait(10) == 0


def test_it_waits_no_longer_than_the_lease(courier: Any, serving: Any) -> None:
    process = serving(courier)
    courier.output("lease", "60")
    process.send_signal(signal.SIGTERM)
    assert courier.json("wait", "30")["ended"]
    assert courier.json("lease", "0") == {"protocol": 1, "until": 0}
    assert process.wait(10) == 0


def test_a_job_s_sidecar_waits_without_a_lease_but_not_for_ever(courier: Any, serving: Any) -> None:
    waiting = replace(courier, more={"PODCOV_WAIT": "always", "PODCOV_GRACE": "60"})
    process = serving(waiting)
    process.send_signal(signal.SIGTERM)
    assert courier.json("wait", "30")["ended"]
    assert process.poll() is None
    courier.output("release")
    assert process.wait(10) == 0
    elsewhere = replace(courier, data=courier.data.with_name("data-2"))
    brief = serving(replace(elsewhere, more={"PODCOV_WAIT": "always", "PODCOV_GRACE": "0.3"}))
    brief.send_signal(signal.SIGTERM)
    assert brief.wait(10) == 0


def test_a_second_sigterm_ends_the_waiting(courier: Any, serving: Any) -> None:
    process = serving(replace(courier, more={"PODCOV_WAIT": "always"}))
    process.send_signal(signal.SIGTERM)
    assert courier.json("wait", "30")["ended"]
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0


def test_a_lease_is_not_shortened_by_another(courier: Any) -> None:
    long = courier.json("lease", "1000")["until"]
    assert courier.json("lease", "1")["until"] == long


def test_the_end_of_an_earlier_sidecar_means_nothing(courier: Any, serving: Any, wait_until: Any) -> None:
    first = serving(courier)
    courier.output("release")
    first.send_signal(signal.SIGTERM)
    first.wait(10)
    serving(courier)  # its wrapper is the first's: what it forgets has to be waited for
    wait_until(lambda: not begun(courier.data), what="forgotten")
    assert courier.json("wait", "0")["ended"] is False


def test_a_source_is_kept_while_its_process_lives(pods: Any, couriers: Any, serving: Any, wait_until: Any) -> None:
    pod = pods("3.13")
    courier = couriers(pod.data)
    serving(courier)
    kept = pod.data / "courier" / "sources"
    with pod.started(pod.write("app.py", "print(1, flush=True)\ninput()\n")) as process:
        process.stdout.readline()
        wait_until(lambda: kept.is_dir() and any(not path.name.endswith(".tmp") for path in kept.iterdir()), what="kept")
        process.kill()
    (pod.folder / "app.py").unlink()
    (source,) = courier.pulled().sources
    assert courier.sources(source.digest).files[f"sources/{source.digest}"] == b"print(1, flush=True)\ninput()\n"


def test_the_sidecar_s_command_runs_the_courier(root: Path, courier: Any) -> None:
    """What stands inline in manifests looks for it at a fixed place; with nothing there it waits, and ends when it is told to."""
    if Path("/podcov/wrapper").exists():
        pytest.skip("this machine has a wrapper at the place where pods have it")
    text = (root / "wrapper" / "python" / "sidecar.py").read_text()
    with subprocess.Popen([sys.executable, "-Es", "-c", text, "serve"], env=courier.env, stderr=subprocess.PIPE) as process:
        assert b"the courier cannot run" in process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_small_in_memory(courier: Any, serving: Any) -> None:
    process = serving(courier)
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{process.pid}/status").read_text().splitlines() if ":\t" in line)
    assert int(status["VmRSS"].split()[0]) < 32_000, "kB"


def test_states_are_json_of_one_line(courier: Any) -> None:
    for command in (("lease", "1"), ("wait", "0"), ("release",)):
        output = courier.output(*command)
        assert output.count(b"\n") == 1
        assert json.loads(output)["protocol"] == 1
