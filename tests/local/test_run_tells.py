"""What `podcov run` tells of services on this machine while the tests run."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

CONFIG = "version: 1\nservices: {app: {source: [.], local: {command: [python3, app.py]}}}\n"
APP = "import os\nopen('pid', 'w').write(str(os.getpid()))\nraise SystemExit('no database')\n"
TESTS = """\
import os, time
end = time.monotonic() + 60
while not os.path.exists("pid") or not (pid := open("pid").read()) or os.path.exists(f"/proc/{pid}"):
    assert time.monotonic() < end, "the service has not ended"
    time.sleep(0.01)
"""
"""until the service has ended"""


def run(project: Path, tests: str) -> subprocess.CompletedProcess[str]:
    """Of services on this machine. `tests` is a Python program."""
    podcov = [sys.executable, "-c", "from podcov.commands.main import main; main()", "run", "--platform", "local"]
    command = [*podcov, "--", sys.executable, "-c", tests]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, check=False, timeout=120)


def test_a_service_that_does_not_outlive_the_tests_is_named_with_what_it_printed(tmp_path: Path) -> None:
    (tmp_path / "podcov.yaml").write_text(CONFIG)
    (tmp_path / "app.py").write_text(APP)
    done = run(tmp_path, TESTS)
    (log,) = re.findall(r"app did not outlive the tests \(Error\); what it printed: (\S+)", done.stderr)
    assert (tmp_path / log).read_text() == "no database\n"


def test_tests_that_somebody_interrupts_are_not_said_to_have_failed(tmp_path: Path) -> None:
    (tmp_path / "podcov.yaml").write_text(CONFIG)
    (tmp_path / "app.py").write_text("import signal\nsignal.pause()\n")
    done = run(tmp_path, "import os, signal; os.kill(os.getppid(), signal.SIGINT); signal.pause()")
    assert done.returncode == 130, done.stderr
    assert done.stdout.splitlines()[-1].startswith("The tests were INTERRUPTED (SIGINT), exit code 130: ")
    told = json.loads((tmp_path / ".podcov/runs/latest/summary.json").read_text())
    assert told["exit"] == {"code": 130, "reason": "tests interrupted"}
