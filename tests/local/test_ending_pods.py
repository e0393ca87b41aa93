"""Pods that end have what they ran analysed while their interpreters are there: many at a time, and none holds up another."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from podcov.commands.reporting import EndingPods
from podcov.commands.session import Project
from podcov.edges import coverage_config
from podcov.formats import run_json
from podcov.platform import CourierAddress

JOB = f"""\
    source: [app]
    interpreter: {sys.executable}
    local: {{command: [{sys.executable}, app/main.py]}}
"""
FILES = {
    "podcov.yaml": f"version: 1\nplatform: local\nservices:\n  one:\n{JOB}  two:\n{JOB}tests:\n  command: ['true']\n",
    "app/main.py": "print('ran')\n",
}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """After a run of two services, with all forgotten that was analysed for its report."""
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    command = [sys.executable, "-c", "from podcov.commands.main import main; main()", "run"]
    subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    shutil.rmtree(tmp_path / ".podcov/cache/analysis")
    return Project.open(tmp_path / "podcov.yaml")


async def unused(*_: object) -> object:
    raise AssertionError("this machine has an interpreter of that version")


def test_pods_that_end_together_have_the_checkout_read_once(project: Project, monkeypatch: pytest.MonkeyPatch):
    read, loop_goes_on = [], threading.Event()
    really_read = coverage_config.read

    async def end_both():
        loop = asyncio.get_running_loop()

        def counted(root, services):
            asked = list(services)
            read.append(sorted(service.name for service in asked))
            loop.call_soon_threadsafe(loop_goes_on.set)
            assert loop_goes_on.wait(10), "the event loop waits for this"
            return really_read(root, asked)

        monkeypatch.setattr(coverage_config, "read", counted)
        folder = project.store.run("latest")
        ending = EndingPods(project, folder, run_json.load(folder.read("run.json")))
        addresses = [CourierAddress(name, "", name, name, name, False, (name,)) for name in ("one", "two", "one")]
        await asyncio.gather(*(ending.analyse(address, unused) for address in addresses))

    asyncio.run(end_both())
    assert read == [["one", "two"]]
    assert list((project.store.cache / "analysis").iterdir())
