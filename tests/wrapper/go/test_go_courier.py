"""The binary as its own courier: it answers what PROTOCOL.md says, and the host reads it as it reads any courier."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from podcov.formats.bundle import read_bundle
from podcov.formats.courier import read_ended
from podcov.formats.records import parse_target
from podcov.generate.languages.go import COURIER_ENVIRONMENT

COURIER = "--podcov-courier"


@pytest.fixture(scope="module")
def ends(podcov_go: Any, programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("courier") / "ends"
    return podcov_go.build(output, "-cover", ".", cwd=programs / "ends")  # type: ignore[no-any-return]


@pytest.fixture
def pod(ends: Path, container: Callable[[Path], Any]) -> Any:
    return container(ends)


def refused(pod: Any, *arguments: str, stdin: bytes = b"", **env: str) -> tuple[int, str]:
    """The exit code, and the one line that says why."""
    command = [str(pod.binary), COURIER, *arguments]
    done = subprocess.run(command, env=pod.env(**env), input=stdin, capture_output=True, timeout=60, check=False)
    assert done.stdout == b""
    (line,) = done.stderr.decode().splitlines()
    return done.returncode, line


def test_the_app_does_not_run_as_a_courier(pod: Any) -> None:
    assert json.loads(pod.courier("status"))["targets"] == []
    assert list(pod.data.iterdir()) == []


def test_an_image_that_switches_podcov_off_is_a_courier_all_the_same(pod: Any) -> None:
    """What stands in a sidecar's environment takes the place of what the image has."""
    image = {"PODCOV_OFF": "1", "GOMEMLIMIT": "1GiB"}
    assert "working" in pod.run(COURIER, "status", **image).stdout, "that is the service, which nobody measures"
    pod.environment = image | COURIER_ENVIRONMENT
    assert json.loads(pod.courier("status"))["targets"] == []


def called_by(link: Path, *arguments: str, **env: str) -> Any:
    """What a courier says that is called by a link, with nothing else in its environment than is given."""
    done = subprocess.run([link, COURIER, *arguments], env=env, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, b""), done
    return json.loads(done.stdout)


def test_a_program_leaves_a_link_by_which_it_is_called_in_its_own_container(pod: Any) -> None:
    pod.run("exit")
    assert pod.link.readlink() == pod.binary
    (target,) = called_by(pod.link, "status", **pod.env())["targets"]
    assert len(target["processes"]) == 1


@pytest.mark.parametrize("env", [{}, {"PODCOV_DATA": "/elsewhere"}, {"PODCOV_OFF": "1"}], ids=["nothing", "elsewhere", "off"])
def test_what_is_called_by_its_link_is_a_courier_whatever_its_environment(pod: Any, env: dict[str, str]) -> None:
    """Else it would be the service once more, where a script has set for it what the container has not."""
    pod.run("exit")
    assert len(called_by(pod.link, "status", **env)["targets"]) == 1


def test_where_nobody_records_there_is_no_link_to_call(pod: Any, plain_go: Any, programs: Path, tmp_path: Path) -> None:
    pod.run("exit", PODCOV_OFF="1")
    pod.run(COURIER, "status")
    pod.binary = plain_go.build(tmp_path / "plain", "-cover", ".", cwd=programs / "ends")
    pod.run("exit")
    assert list(pod.data.iterdir()) == []


def test_each_container_has_a_link_of_its_own(pod: Any) -> None:
    for container in ("app", "beside", "beside"):
        pod.run("exit", PODCOV_CONTAINER=container)
    assert {link.name: link.readlink() for link in pod.link.parent.iterdir()} == {"app": pod.binary, "beside": pod.binary}


def test_the_link_is_of_the_program_that_began_last_and_has_a_path(pod: Any, ends: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copy(ends, other)
    pod.binary = other
    with other.open("rb") as file:
        pod.run("exit")
        assert pod.link.readlink() == other
        pod.binary = ends
        pod.run("exit")
        other.unlink()
        nameless = [f"/proc/self/fd/{file.fileno()}", "exit"]
        done = subprocess.run(nameless, env=pod.env(), pass_fds=[file.fileno()], capture_output=True, timeout=60, check=False)
    assert b"working" in done.stdout
    assert len(pod.status().targets[0].processes) == 3
    assert pod.link.readlink() == ends


def test_a_pull_holds_start_records_epochs_and_counters_and_the_meta_data_once(pod: Any) -> None:
    for _ in range(3):
        pod.run("exit")
    pod.mark("r1", "after\tthree\n")
    pulled = pod.pull()
    target = parse_target(pulled.files)
    assert [(process.start.language, process.damage) for process in target.processes] == [("go", ())] * 3
    assert (target.epoch, target.epochs_of("r1"), target.epochs[0].label) == (1, (1,), "after three")
    assert len(pulled.counters) == 3
    assert {file.content[8:24].hex() for file in pulled.counters} == set(pulled.metas)
    assert not [name for name in pulled.files if "covmeta" in name or name.endswith(".counters")]


def test_only_the_meta_data_that_are_asked_for_are_sent(pod: Any) -> None:
    pod.run("exit")
    (source,) = pod.status() and pod.pull().status.targets[0].sources
    asked = json.dumps([source.digest, "sha256:" + 64 * "0"]).encode()
    assert list(read_bundle(pod.courier("sources", stdin=b"%d\n%b" % (len(asked), asked))).files) == [f"sources/{source.digest}"]
    assert read_bundle(pod.courier("sources", stdin=b"2\n[]")).files == {}


def test_a_large_pull_has_the_right_sum(pod: Any) -> None:
    """SHA-256 of our own against Python's: read_bundle checks each file and the whole."""
    pod.run("exit")
    for size in (0, 1, 55, 56, 63, 64, 65, 119, 120, 1000, 300_001):
        (pod.target / f"file-{size}").write_bytes(os.urandom(size))
    files = pod.pull().files
    assert {name: len(content) for name, content in files.items() if name.startswith("file-")} == {
        f"file-{size}": size for size in (0, 1, 55, 56, 63, 64, 65, 119, 120, 1000, 300_001)
    }


def test_arguments_that_are_no_text_are_carried(pod: Any) -> None:
    odd = [b"\xff\xfe", b'a"b\\c\n\x7f', "\U0001f40d\u00e9".encode()]
    subprocess.run([os.fsencode(pod.binary), b"exit", *odd], env=pod.env(), capture_output=True, check=False)
    (process,) = pod.status().targets[0].processes
    assert [os.fsencode(argument) for argument in process.start.argv[2:]] == odd


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        ((), 2, "'' is no command; there are: serve, unpack, status"),
        (("fly",), 2, "'fly' is no command"),
        (("mark", "run"), 2, "usage: --podcov-courier mark RUN LABEL [SECONDS]"),
        (("mark", "run", "label", "soon"), 1, 'mark: "soon" is no number of seconds'),
        (("lease", "-1"), 1, 'lease: "-1" is no number of seconds'),
        (("sources",), 1, 'sources: its input begins with "" instead of its length'),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(pod: Any, arguments: tuple[str, ...], code: int, text: str) -> None:
    found, line = refused(pod, *arguments)
    assert (found, line.startswith(f"podcov courier: {text}")) == (code, True), line


def test_a_cut_off_input_and_a_missing_volume_are_named(pod: Any) -> None:
    assert refused(pod, "sources", stdin=b"100\n[]") == (1, "podcov courier: sources: its input was cut off after 2 of 100 bytes")
    assert refused(pod, "pull", PODCOV_DATA="/nowhere") == (1, "podcov courier: pull: there is no data volume at /nowhere")


def test_what_is_damaged_is_named_and_the_rest_is_there(pod: Any) -> None:
    pod.run("exit")
    pod.run("return")
    torn, whole = sorted(pod.target.glob("*.start"))
    torn.write_bytes(torn.read_bytes()[:20])
    (meta,) = (pod.data / "go").iterdir()
    problems = {process.id: (process.start is None, process.reason) for process in pod.status().targets[0].processes}
    assert problems[torn.stem] == (True, "its start record is torn: still being written, or the volume was full")
    assert problems[whole.stem] == (False, "")
    meta.write_bytes(meta.read_bytes()[:50])
    assert pod.pull().counters == ()
    counters = pod.target / f"{whole.stem}.counters"
    counters.write_bytes(b"short")
    reasons = {process.id: process.reason for process in pod.status().targets[0].processes}
    assert reasons[whole.stem] == "its file of counters is not complete"


def test_the_sidecar_waits_with_the_data_while_somebody_collects(pod: Any, wait_until: Callable[..., object]) -> None:
    with pod.started(COURIER, "serve") as sidecar:
        wait_until((pod.data / "courier").is_dir)
        assert not read_ended(pod.courier("wait", "0"))
        assert json.loads(pod.courier("lease", "60"))["until"] > 0
        sidecar.send_signal(signal.SIGTERM)
        assert read_ended(pod.courier("wait", "30"))
        assert sidecar.poll() is None
        assert json.loads(pod.courier("release"))["released"] is True
        assert sidecar.wait(30) == 0
        assert sidecar.stderr.read() == ""


@pytest.mark.parametrize(("env", "waits"), [({}, False), ({"PODCOV_WAIT": "always"}, True)])
def test_the_sidecar_does_not_wait_for_nobody(
    pod: Any, wait_until: Callable[..., object], env: dict[str, str], waits: bool
) -> None:
    with pod.started(COURIER, "serve", **env) as sidecar:
        wait_until((pod.data / "courier").is_dir)
        sidecar.send_signal(signal.SIGTERM)
        wait_until((pod.data / "courier" / "ended").exists)
        if waits:
            assert sidecar.poll() is None
            sidecar.send_signal(signal.SIGTERM)  # the second one is meant
        assert sidecar.wait(30) == 0


def test_the_sidecar_waits_no_longer_than_the_grace_period(pod: Any, wait_until: Callable[..., object]) -> None:
    with pod.started(COURIER, "serve", PODCOV_WAIT="always", PODCOV_GRACE="0.2") as sidecar:
        wait_until((pod.data / "courier").is_dir)
        sidecar.send_signal(signal.SIGTERM)
        assert sidecar.wait(30) == 0


def test_a_lease_is_only_made_longer_and_ends_when_told(pod: Any) -> None:
    until = json.loads(pod.courier("lease", "100"))["until"]
    assert json.loads(pod.courier("lease", "1"))["until"] == until
    assert json.loads(pod.courier("lease", "0"))["until"] == 0


def test_a_mark_that_a_courier_did_not_finish_is_finished_by_the_next(pod: Any) -> None:
    """It had written the file of the epoch and was killed before it had taken the counters."""
    with pod.started("wait") as process:
        assert next(line for line in process.stdout if line == "ready\n")
        (now,) = pod.pull().counters
        (pod.target / now.name.replace(".now.", ".0.")).write_bytes(now.content)
        before = pod.blocks()
        pod.mark()
        assert sorted(file.name.split(".", 1)[1] for file in pod.pull().counters if file.epoch == 0) == [
            "0.0.covcounters",
            "0.1.covcounters",
        ]
        assert pod.blocks(0) == before


def test_a_process_of_another_language_is_not_passed_over(pod: Any) -> None:
    pod.run("exit")
    record = {"protocol": 1, "language": "python", "pid": 1, "start_time": 2, "state": "recording", "recording": "mapped"}
    (pod.target / "1-2-00000000.start").write_text(json.dumps(record) + "\n")
    answers = {answer.id: answer for answer in pod.mark().targets[0].processes}
    assert (answers["1-2-00000000"].state, answers["1-2-00000000"].reason[:23]) == ("failed", "it is not a Go process,")
    status = {process.id: process for process in pod.status().targets[0].processes}["1-2-00000000"]
    assert (status.alive, status.start.language, status.reason[:23]) == (None, "python", "it is not a Go process,")


def test_meta_data_are_written_once_a_build(pod: Any) -> None:
    pod.run("exit")
    (meta,) = (pod.data / "go").iterdir()
    first = meta.stat()
    pod.run("return")
    assert list((pod.data / "go").iterdir()) == [meta]
    assert (meta.stat().st_ino, meta.stat().st_mtime_ns) == (first.st_ino, first.st_mtime_ns)
