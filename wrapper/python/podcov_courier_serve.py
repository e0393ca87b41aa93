"""The courier as a sidecar: unpacks the wrapper, keeps sources while the app lives, and waits with its data when it has ended."""

import os
import py_compile
import select
import shutil
import signal
import sys
import time
from importlib.util import cache_from_source

from podcov_courier_sources import Keeper

KEEP_SECONDS = 1.0
ASK_SECONDS = 2.0
RELEASE_SECONDS = 0.1
DEFAULT_GRACE_SECONDS = 30.0
"""how long data are waited with after SIGTERM at most; the kubelet kills at the end of the pod's grace period anyway"""


def serve(volume):
    """Runs until it is told to stop and need not wait for anybody."""
    stop = _Stop()
    volume.make()
    for name in ("ended", "released"):
        volume.remove_state(name)
    unpack(volume)
    keeper = Keeper(volume)
    while not stop.within(KEEP_SECONDS):
        _keep(keeper, volume)
    volume.write_state("ended", b"%d\n" % time.time_ns())
    _keep(keeper, volume)
    _wait_for_release(volume, stop)


def unpack(volume, source=None):
    """Copies the wrapper into the volume and compiles it for this interpreter, so that no process pays for that at its start."""
    source = source or os.path.dirname(os.path.abspath(__file__))
    folder = os.path.join(volume.path, "wrapper")
    if os.path.realpath(source) == os.path.realpath(folder):
        return folder
    volume.make()
    fresh = "%s.%s" % (folder, os.urandom(4).hex())
    os.mkdir(fresh)
    try:
        for path in _wrapper_files(source):
            _install(path, os.path.join(fresh, os.path.basename(path)), folder)
        os.chmod(fresh, 0o755)
        _swap(fresh, folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return folder


class _Stop:
    """SIGTERM, and SIGINT for people who try it out. As PID 1 a process without a handler would ignore them."""

    def __init__(self):
        self.signals = 0
        self._woken, waker = os.pipe()
        os.set_blocking(waker, False)
        os.set_blocking(self._woken, False)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._count)

    def within(self, seconds, signals=1):
        """Waits at most so long for the first signal, or for more of them."""
        deadline = time.monotonic() + seconds
        while self.signals < signals:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            if select.select([self._woken], [], [], left)[0]:
                os.read(self._woken, 100)
        return True

    def _count(self, *_):
        self.signals += 1


def _keep(keeper, volume):
    try:
        keeper.keep(volume.targets(), ASK_SECONDS)
    except OSError as error:  # a full volume as a rule: there may be room again later
        sys.stderr.write("podcov courier: sources cannot be kept: %s\n" % error)


def _wait_for_release(volume, stop):
    grace = float(os.environ.get("PODCOV_GRACE") or DEFAULT_GRACE_SECONDS)
    always = os.environ.get("PODCOV_WAIT") == "always"
    deadline = time.monotonic() + grace
    while time.monotonic() < deadline and (always or lease_until(volume) > time.time_ns()):
        if volume.read_state("released") or stop.within(RELEASE_SECONDS, signals=2):
            return


def lease_until(volume):
    """When the lease ends, in ns; 0 where there is none."""
    try:
        return int(volume.read_state("lease") or 0)
    except ValueError:
        return 0


def _wrapper_files(source):
    """A checkout has the tracers in a folder of their own; in a pod they lie beside the modules, and so they do here."""
    for folder in (source, os.path.join(source, "tracers")):
        if os.path.isdir(folder):
            for name in sorted(os.listdir(folder)):
                path = os.path.join(folder, name)
                if os.path.isfile(path) and not name.startswith("."):
                    yield path


def _install(path, copy, folder):
    shutil.copyfile(path, copy)
    os.chmod(copy, 0o644)
    if copy.endswith(".py"):
        final = os.path.join(folder, os.path.basename(copy))
        try:
            # Unchecked: nothing but this writes there, and importing need not look at the source.
            mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
            compiled = py_compile.compile(copy, cache_from_source(copy), final, doraise=True, invalidation_mode=mode)
            os.chmod(compiled, 0o644)
            os.chmod(os.path.dirname(compiled), 0o755)
        except py_compile.PyCompileError as error:  # the processes that import it say so in their records
            sys.stderr.write("podcov courier: %s: %s\n" % (os.path.basename(copy), error.exc_value))


def _swap(fresh, folder):
    """Between the two renames processes use the wrapper as it was mounted."""
    old = "%s.old" % fresh
    try:
        os.rename(folder, old)
    except FileNotFoundError:
        pass
    os.rename(fresh, folder)
    shutil.rmtree(old, ignore_errors=True)
