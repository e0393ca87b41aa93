"""A pull brings every file of every target, and the text of everything that ran."""

from __future__ import annotations

import hashlib
import os
import signal
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from podcov.formats.courier import status_of
from podcov.formats.records import parse_target

APP = """\
import sys
sys.path.insert(0, sys.argv[1])
import module
print("up", flush=True)
sys.stdin.read()
"""

STORM = """\
import os, sys

for number in range(int(sys.argv[1])):
    if not os.fork():
        work = number
        os._exit(0)
    os.wait()
"""


def digest(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def sources(target: Any) -> dict[str, tuple[str | None, str]]:
    return {Path(source.path).name: (source.digest, source.reason) for source in target.sources}


def table(path: Path, *entries: tuple[object, ...]) -> None:
    texts = [b"\x1f".join(os.fsencode(str(field)) for field in entry) for entry in entries]
    path.write_bytes(b"PODCOVT1" + b"".join(struct.pack("<I", len(text)) + text for text in texts) + bytes(1000))


@pytest.fixture
def app(pods: Any) -> Any:
    """A pod with a program that imports a module from the folder that it is given."""
    pod = pods("3.13")
    pod.write("lib/module.py", "answer = 42\n")
    pod.write("app.py", APP)
    return pod


def run(app: Any) -> Any:
    return app.started(str(app.folder / "app.py"), str(app.folder / "lib"))


def test_a_pull_is_the_target_folder_without_its_sockets(app: Any, couriers: Any) -> None:
    courier = couriers(app.data)
    with run(app) as process:
        process.stdout.readline()
        courier.mark("run-1", "label")
        bundle = courier.pull()
        here = {p.name: p.read_bytes() for p in app.target.iterdir() if not p.is_socket()}
    pulled = {path.removeprefix("targets/app/one/"): content for path, content in bundle.files.items()}
    assert pulled.keys() == here.keys()
    assert all(here[name].startswith(content) and not any(here[name][len(content) :]) for name, content in pulled.items())
    assert sum(map(len, pulled.values())) < sum(map(len, here.values())), "allocated space is not sent"
    assert parse_target(pulled) == parse_target(here)
    assert parse_target(pulled).epochs_of("run-1") == (1,)


def test_a_pull_says_what_a_status_says(app: Any, couriers: Any) -> None:
    courier = couriers(app.data, container="app", start="one")
    with run(app) as process:
        process.stdout.readline()
        pulled, status = courier.pulled(), courier.target()
    assert pulled.processes == status.processes
    assert (pulled.epoch, pulled.epochs, pulled.scanned) == (status.epoch, status.epochs, status.scanned)


def test_an_empty_volume_is_an_empty_bundle(courier: Any) -> None:
    courier.data.mkdir()
    bundle = courier.pull()
    assert bundle.files == {}
    assert bundle.manifest["targets"] == []


@pytest.mark.parametrize("where", ["in the container", "in a sidecar"])
def test_the_text_of_what_ran_comes_too(app: Any, couriers: Any, where: str) -> None:
    inside = {"container": "app", "start": "one"} if where == "in the container" else {}
    courier = couriers(app.data, **inside)
    with run(app) as process:
        process.stdout.readline()
        assert sources(courier.pulled()) == {"app.py": (digest(APP), ""), "module.py": (digest("answer = 42\n"), "")}
        process.kill()
    bundle = courier.sources(digest(APP), digest("nobody has this"), digest("answer = 42\n"))
    assert bundle.files == {
        f"sources/{digest(APP)}": APP.encode(),
        f"sources/{digest('answer = 42' + chr(10))}": b"answer = 42\n",
    }


def test_a_file_that_changed_after_its_import_is_not_taken_for_what_ran(app: Any, couriers: Any) -> None:
    with run(app) as process:
        process.stdout.readline()
        app.write("lib/module.py", "answer = 43\n")
        assert sources(couriers(app.data, container="app", start="one").pulled())["module.py"] == (
            None,
            "it has changed since it was imported",
        )


def test_a_file_that_was_deleted_after_its_import_is_named(app: Any, couriers: Any) -> None:
    with run(app) as process:
        process.stdout.readline()
        (app.folder / "lib" / "module.py").unlink()
        found, reason = sources(couriers(app.data).pulled())["module.py"]
    assert found is None
    assert "No such file" in reason


def test_what_was_kept_before_is_there_when_the_file_and_the_process_are_gone(app: Any, couriers: Any) -> None:
    courier = couriers(app.data)
    with run(app) as process:
        process.stdout.readline()
        courier.pull()
        process.kill()
        process.wait()
    (app.folder / "lib" / "module.py").unlink()
    assert sources(courier.pulled())["module.py"] == (digest("answer = 42\n"), "")


def test_with_nobody_left_a_sidecar_says_that_nobody_has_it(app: Any, couriers: Any) -> None:
    with run(app) as process:
        process.stdout.readline()
        process.kill()
        process.wait()
    found, reason = sources(couriers(app.data).pulled())["module.py"]
    assert (found, reason) == (None, "no process that has it is alive")


def test_a_stopped_process_does_not_hold_up_those_that_have_the_same_file(app: Any, couriers: Any) -> None:
    with run(app) as first, run(app) as second:
        first.stdout.readline()
        second.stdout.readline()
        os.kill(first.pid, signal.SIGSTOP)
        assert sources(couriers(app.data).pulled())["module.py"] == (digest("answer = 42\n"), "")


def test_a_sidecar_that_is_told_whose_image_it_has_looks_there_itself(app: Any, couriers: Any) -> None:
    with run(app) as process:
        process.stdout.readline()
        process.kill()
        process.wait()
    assert sources(couriers(app.data, container="app").pulled())["module.py"] == (digest("answer = 42\n"), "")
    assert sources(couriers(app.data, container="other").pulled())["module.py"] == (digest("answer = 42\n"), ""), "it is kept"


def test_one_path_in_two_containers_may_hold_two_texts(courier: Any, fake: Any, tmp_path: Path) -> None:
    shared = tmp_path / "main.py"
    shared.write_text("x = 1\n")
    seen = shared.stat()
    for container in ("app", "other"):
        process = fake("answers", container=container)
        table(courier.data / f"targets/{container}/one/{process.id}.codes", ("F", seen.st_size, seen.st_mtime_ns, shared))
        process.process.kill()
        process.process.wait()
    app, other = pulled_by(courier, container="app")
    assert sources(app) == {"main.py": (digest("x = 1\n"), "")}
    assert sources(other) == {"main.py": (None, "no process that has it is alive")}


def pulled_by(courier: Any, **changes: str) -> Any:
    return status_of(replace(courier, **changes).pull().manifest).targets


def test_names_that_are_not_utf8_are_carried(couriers: Any, fake: Any, tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"caf\xe9.py")
    odd.write_text("x = 1\n")
    seen = odd.stat()
    courier = couriers(tmp_path / "data", container="app")
    process = fake("answers")
    table(courier.data / f"targets/app/one/{process.id}.codes", ("F", seen.st_size, seen.st_mtime_ns, odd))
    (source,) = courier.pulled().sources
    assert (source.path, source.digest) == (str(odd), digest("x = 1\n"))


def test_damaged_tables_and_logs_are_pulled_as_they_are(courier: Any, fake: Any) -> None:
    process = fake("answers")
    folder = courier.data / "targets" / "app" / "one"
    table(folder / f"{process.id}.codes", ("F", "many", 1, "/x.py"), ("X",), ("F", -1, -1, "/gone.py"))
    (folder / f"{process.id}.hits").write_bytes(b"not a log")
    bundle = courier.pull()
    assert bundle.files[f"targets/app/one/{process.id}.hits"][:9] == b"not a log"
    (target,) = bundle.manifest["targets"]
    assert [(s["path"], s["digest"], s["reason"]) for s in target["sources"]] == [
        ("/gone.py", None, "the process itself could not read it")
    ]


def test_sources_by_nonsense_are_one_line_of_trouble(courier: Any) -> None:
    courier.data.mkdir()
    done = courier.call("sources", stdin=b"{")
    assert done.returncode == 1
    assert done.stderr.startswith(b"podcov courier: sources: its input is no JSON list of digests")
    assert courier.sources("../lease", "").files == {}


def test_many_processes_are_pulled_while_they_run(pods: Any, couriers: Any) -> None:
    pod = pods("3.13")
    with pod.started(pod.write("app.py", STORM), "200") as process:
        while process.poll() is None:
            bundle = couriers(pod.data).pull()
            target = parse_target({path.rpartition("/")[2]: content for path, content in bundle.files.items()})
            assert [(p.id, p.damage) for p in target.processes if p.damage] == []
        assert process.returncode == 0
