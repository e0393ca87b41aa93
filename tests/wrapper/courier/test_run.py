"""`run` lends the service's interpreter to a module that comes in a zip."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import pytest
from podcov.formats.courier import frame, run_input

ECHO = """\
import sys
from helper import shout

size = int(sys.stdin.buffer.readline())
sys.stdout.write(shout(sys.stdin.buffer.read(size).decode()))
"""


@pytest.fixture
def archive() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as files:
        files.writestr("echo.py", ECHO)
        files.writestr("helper.py", "def shout(text):\n    return text.upper()\n")
        files.writestr("broken.py", "1 / 0\n")
    return content.getvalue()


def test_the_module_reads_what_follows_the_zip(courier: Any, archive: bytes) -> None:
    for text in ("hello", "", "x" * 20_000):
        assert courier.output("run", "echo", stdin=run_input(archive, frame(text.encode()))) == text.upper().encode()


def test_it_needs_no_room_in_the_volume(courier: Any, archive: bytes) -> None:
    courier.output("run", "echo", stdin=run_input(archive, frame(b"x")))
    assert not courier.data.exists()


def test_a_module_that_fails_fails_the_command(courier: Any, archive: bytes) -> None:
    done = courier.call("run", "broken", stdin=run_input(archive, b""))
    assert done.returncode == 1
    assert b"ZeroDivisionError" in done.stderr


@pytest.mark.parametrize("stdin", [b"", b"x\n", b"9\nPK"])
def test_input_without_a_zip_is_one_line_of_trouble(courier: Any, stdin: bytes) -> None:
    done = courier.call("run", "echo", stdin=stdin)
    assert done.returncode == 1
    assert done.stderr.startswith(b"podcov courier: run: its input ")
    assert done.stderr.count(b"\n") == 1
