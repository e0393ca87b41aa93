"""For all rooms of the tests: where things are, how to wait, and no silent skips in CI."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, settings

T = TypeVar("T")
ROOT = Path(__file__).parent.parent

# How long an example takes says more of a busy machine than of the code; and what CI says depends on the change alone.
settings.register_profile("podcov", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("podcov-ci", settings.get_profile("podcov"), derandomize=True)
settings.load_profile("podcov-ci" if os.environ.get("PODCOV_NO_SKIP") else "podcov")

# A script that starts the tests in the background has them, and all programs that they start, ignore Ctrl-C.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture
def example(root: Path, tmp_path: Path) -> Callable[[str], Path]:
    """`example("shop")`: a copy of that example as a checkout has it, without what runs left there."""

    def copy(name: str) -> Path:
        return shutil.copytree(root / "examples" / name, tmp_path / name, ignore=shutil.ignore_patterns(".podcov", "__pycache__"))

    return copy


@pytest.fixture(scope="session")
def wait_until() -> Callable[..., object]:
    """`wait_until(look, seconds=10, what="...")`: polls until `look()` is true and returns that; fails after the bound."""

    def wait(look: Callable[[], T], seconds: float = 10.0, what: str = "") -> T:
        end = time.monotonic() + seconds
        pause = 0.005
        while not (seen := look()):
            if time.monotonic() > end:
                pytest.fail(f"not within {seconds:g} s: {what or look}")
            time.sleep(pause)
            pause = min(pause * 1.5, 0.25)
        return seen

    return wait


@pytest.fixture(scope="session")
def alone() -> Callable[[Path], AbstractContextManager[None]]:
    """`with alone(path):` makes what is kept at that path; another process that is about to make the same waits meanwhile."""

    @contextmanager
    def locked(path: Path) -> Iterator[None]:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.with_name(f".{path.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    return locked


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(session: pytest.Session) -> object:
    """With PODCOV_NO_SKIP a skipped test fails the session: CI has everything that the tests need."""
    result = yield
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    if skipped and os.environ.get("PODCOV_NO_SKIP"):
        reporter.write_line(f"{len(skipped)} skipped, and PODCOV_NO_SKIP is set: this counts as failed", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    return result
