"""The steps alone: mark, then whatever tests, then collect. Nobody watches the pods in between."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

GREET = "import urllib.request as u; print(u.urlopen('http://localhost:8080/hello?name=Ada').read().decode())"


def test_a_mark_begins_a_run_that_collect_ends(
    namespace: Any, root: Path, tmp_path: Path, wait_until: Callable[..., Any]
) -> None:
    hello = tmp_path / "hello"
    shutil.copytree(root / "examples/hello", hello, ignore=shutil.ignore_patterns(".podcov"))
    config = hello / "podcov.yaml"
    config.write_text(config.read_text().replace("[python3, -m, unittest, discover, -s, tests/integration]", '["true"]'))
    namespace.skaffold("run", "--profile", "coverage", cwd=hello, env={"BASE": namespace.cluster.image("python:3.13")})

    def step(*arguments: str, check: bool = True) -> Any:
        return namespace.podcov(*arguments, "--context", "podcov-test", "--namespace", namespace.name, cwd=hello, check=check)

    unmarked = step("collect", "--json", check=False)
    idle = json.loads(unmarked.stdout)
    assert unmarked.returncode == 3, "it counts up to the mark of the run that Skaffold had made, which is not what anybody asks"
    run = step("mark").stdout.strip()
    assert run != idle["run"]
    namespace.kubectl("exec", "deployment/hello", "--container", "hello", "--", "python3", "-c", GREET)
    assert json.loads(step("dump", "--json").stdout) == {"undumped": {}, "unreached": []}
    folder = Path(step("pull").stdout.strip())
    assert list(folder.glob("raw/hello/*/*.hits"))

    told = json.loads(step("collect", "--json").stdout)
    assert told["run"] == run
    assert told["ledger"]["complete"]
    assert told["total"]["covered"] > idle["total"]["covered"]
    assert json.loads(namespace.podcov("report", "--json", cwd=hello).stdout) == told

    step("mark")
    namespace.kubectl("delete", "pod", "--all", "--grace-period", "2")
    ready = ("wait", "pod", "--all", "--for=condition=Ready", "--timeout=5s")
    wait_until(lambda: namespace.kubectl(*ready, check=False), 110, "what takes its place has begun, and is collected")
    lost = step("collect", check=False)
    assert lost.returncode == 3
    assert "podcov run" in lost.stdout, "it says how pods that end are not lost"
