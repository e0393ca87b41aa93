"""The bootstrap stands before a container's own command, and gets out of its way."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Pod

EVERY = ("2.7", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14")


@pytest.fixture(scope="session")
def bootstrap(root: Path) -> str:
    return (root / "wrapper" / "python" / "bootstrap.py").read_text()


@pytest.fixture(params=EVERY)
def any_pod(request: pytest.FixtureRequest, pods: Callable[..., Pod]) -> Pod:
    """A pod for each Python that there is, and nothing of the wrapper in its environment yet."""
    return pods(request.param)


def environment(pod: Pod, **more: str) -> dict[str, str]:
    env = pod.env(PODCOV_WRAPPER=pod.inside(pod.wrapper), **more)
    if "PYTHONPATH" not in more:
        del env["PYTHONPATH"]
    return {**env, **more}


def test_it_stays_short(bootstrap: str):
    assert len([line for line in bootstrap.splitlines() if line]) < 12


def test_the_command_runs_under_the_wrapper(any_pod: Pod, bootstrap: str):
    program = any_pod.write("main.py", "import sys\nprint(sys.argv[1:])\n")
    command = ["-c", bootstrap, *any_pod.interpreter.command[-1:], program, "a b", "", "-c"]
    assert any_pod.check(*command, env=environment(any_pod)) == "['a b', '', '-c']\n"
    (process,) = any_pod.processes()
    assert process.start is not None
    assert process.start.argv[-3:] == ("a b", "", "-c")


def test_the_path_of_the_image_is_kept(any_pod: Pod, bootstrap: str):
    theirs = f"{any_pod.inside(any_pod.folder)}:/some/where"
    any_pod.write("theirs.py", "print('theirs')\n")
    command = ["-c", bootstrap, *any_pod.interpreter.command[-1:], "-c", "import os, theirs; print(os.environ['PYTHONPATH'])"]
    printed = any_pod.check(*command, env=environment(any_pod, PYTHONPATH=theirs))
    assert printed == f"theirs\n{any_pod.inside(any_pod.wrapper)}:{theirs}\n"


def test_the_unpacked_wrapper_is_preferred(any_pod: Pod, bootstrap: str):
    (any_pod.data / "wrapper").mkdir()
    command = ["-c", bootstrap, *any_pod.interpreter.command[-1:], "-c", "import os; print(os.environ['PYTHONPATH'])"]
    printed = any_pod.check(*command, env=environment(any_pod))
    assert printed == f"{any_pod.inside(any_pod.data / 'wrapper')}:{any_pod.inside(any_pod.wrapper)}\n"


def test_without_a_wrapper_the_command_runs_as_it_is(any_pod: Pod, bootstrap: str):
    python = any_pod.interpreter.command[-1]
    look = "import sys; print(sys.path)"
    plain = any_pod.check("-c", look, env=any_pod.plain_env())
    env = any_pod.plain_env(PODCOV_DATA="/nonexistent", PODCOV_WRAPPER="/nonexistent")
    assert any_pod.check("-c", bootstrap, python, "-c", look, env=env) == plain


@pytest.mark.parametrize(
    ("command", "code", "message"),
    [
        ("no-such-command --flag", 127, "podcov: no-such-command: No such file or directory\n"),
        ("/nonexistent/app", 127, "podcov: /nonexistent/app: No such file or directory\n"),
        ("/etc/passwd", 126, "podcov: /etc/passwd: Permission denied\n"),
        ("/etc", 126, "podcov: /etc: Permission denied\n"),
    ],
)
def test_a_command_that_cannot_run_is_named_as_a_shell_does(any_pod: Pod, bootstrap: str, command: str, code: int, message: str):
    done = any_pod.run("-c", bootstrap, *command.split(), env=environment(any_pod))
    assert (done.returncode, done.stdout, done.stderr) == (code, "", message)


def test_the_commands_own_status_and_signals_are_kept(any_pod: Pod, bootstrap: str):
    assert any_pod.run("-c", bootstrap, "sh", "-c", "exit 3", env=environment(any_pod)).returncode == 3
    assert any_pod.run("-c", bootstrap, "sh", "-c", "kill -9 $$", env=environment(any_pod)).returncode == -9


def test_it_survives_quoting_for_a_shell_and_for_a_manifest(bootstrap: str):
    command = shlex.join([sys.executable, "-c", bootstrap, "echo", "on"])
    assert subprocess.run(command, shell=True, capture_output=True, text=True, check=True).stdout == "on\n"
    assert "$(" not in bootstrap, "Kubernetes would expand it"
