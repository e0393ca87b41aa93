"""What `podcov run` tells of services on this machine while the tests run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

CONFIG = "version: 1\nservices: {app: {source: [.], local: {command: [python3, app.py]}}}\n"
APP = "import os\nopen('pid', 'w').write(str(os.getpid()))\nraise SystemExit('no database')\n"
TESTS = """\
import os, time
while not os.path.exists("pid") or not (pid := open("pid").read()) or os.path.exists(f"/proc/{pid}"):
    time.sleep(0.01)
"""
"""until the service has ended"""


def test_a_service_that_does_not_outlive_the_tests_is_named_with_what_it_printed(tmp_path: Path) -> None:
    (tmp_path / "podcov.yaml").write_text(CONFIG)
    (tmp_path / "app.py").write_text(APP)
    podcov = [sys.executable, "-c", "from podcov.commands.main import main; main()", "run", "--platform", "local"]
    done = subprocess.run(
        [*podcov, "--", sys.executable, "-c", TESTS], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
    )
    (log,) = re.findall(r"app did not outlive the tests \(Error\); what it printed: (\S+)", done.stderr)
    assert (tmp_path / log).read_text() == "no database\n"
