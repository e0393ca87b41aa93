"""Recording with coverage.py's C tracer: Python 3.11, and branch mode on 3.12 and 3.13.

The tracer's shared object works alone: no coverage package is imported, and the app never sees one. It asks for each file name
that it meets, and then adds line numbers (or pairs of them) to one set a file, without any Python code.

Sets cannot lie in a mapped file, so they are saved: every `save_interval` seconds, when asked, and when the process ends by
anything that it does itself. A save copies; it never takes anything away. A mark takes exactly the copy that it made out of the
living set, in place, because frames that run hold on to the set. Copying a set and subtracting one from another are single steps
under the interpreter lock, so threads that run meanwhile lose nothing.

There is no pure Python stand-in: an app at a tenth of its speed is another app. Without a tracer that fits, it runs plain, and
its start record says so.
"""

import _imp
import _signal
import _thread
import os
import sys
import time
import zlib
from _frozen_importlib import ModuleSpec
from _frozen_importlib_external import ExtensionFileLoader
from _struct import pack

from podcov_record import Unsupported

LINE, MARK, ARC = 1, 4, 5
VOLUME_FULL, LEFT_OUT, TRACE_REPLACED = 1, 4, 8
FIELDS = "\x1f"
LOCK_SECONDS = 5.0

_open, _write, _pwrite, _close, _replace, _unlink = os.open, os.write, os.pwrite, os.close, os.replace, os.unlink
_stat, _fchmod, _getpid, _getpgrp = os.stat, os.fchmod, os.getpid, os.getpgrp
_now, _settrace, _gettrace = time.time_ns, sys.settrace, sys.gettrace


class TracerUnavailable(Unsupported):
    """No tracer for this interpreter was shipped; the message says which one was looked for, and where."""


def wanted_tracer():
    """The name of the tracer that fits this interpreter: `cp311-x86_64-gnu`."""
    tag, _, rest = _imp.extension_suffixes()[0].removeprefix(".cpython-").partition("-")
    with open("/proc/self/maps", "rb") as maps:
        # The suffix alone does not say it: early musl builds of Python call themselves gnu.
        libc = "musl" if b"/ld-musl-" in maps.read() else "gnu"
    return "cp%s-%s-%s" % (tag, rest.partition("-linux-")[0], libc)


def load(folders):
    """The tracer's module, from the first folder that has the one that fits this interpreter.

    Raises TracerUnavailable where none has it, and ImportError, OSError or zlib.error where it is damaged or cannot be loaded.
    """
    name = "podcov_tracer.%s.so.z" % wanted_tracer()
    for folder in folders:
        try:
            with open(folder + "/" + name, "rb") as file:
                return _load_library(zlib.decompress(file.read()), name)
        except FileNotFoundError:
            continue
    raise TracerUnavailable("%s is needed to record this Python, and is not in %s" % (name, " or ".join(folders)))


def _load_library(library, name):
    """Load a shared object that lies in memory, so that no folder need be writable or allow execution."""
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC)
    try:
        _write_all(descriptor, library)
        path = "/proc/self/fd/%d" % descriptor
        # The last part of the name is the name of its init function; nothing is put into sys.modules.
        spec = ModuleSpec("podcov_tracer.tracer", ExtensionFileLoader("podcov_tracer.tracer", path), origin=path)
        module = _imp.create_dynamic(spec)
        _imp.exec_dynamic(module)
    finally:
        _close(descriptor)
    return module


class Recorder:
    """Records the process that it is in.

    `select(filename, frame)` gives the path that a code object's file is recorded as, or None; it must not raise. `mode` is
    `line` or `branch`; `save_interval` is in seconds, for the ledger and for whoever calls `save`.
    """

    recording = "saved"

    def __init__(self, module, mode, save_interval, select):
        self.mode = mode
        self.save_interval = save_interval
        self._disposition = module.CFileDisposition
        self._tracer = _safe_to_free(module.CTracer)
        self._select = select
        self._sets = {}
        self._judgements = {}
        self._first_seen = {}
        self._greenlets = None
        self._reset(None, 0)

    def _reset(self, base, epoch):
        self._base = base
        self._epoch = self._first_epoch = epoch
        self._indexes = {}
        self._tabled = None
        self._closed = b""
        self._flags = 0
        self._saved = None
        self._lock = _thread.RLock()

    def begin(self, base, epoch):
        """Record from here on, this thread and every one that it starts, into `base`.hits and `base`.codes.

        Raises OSError where these cannot be written.
        """
        self._reset(base, epoch)
        self._save()
        self._watch_threads()
        self._watch_own_signals()
        self._watch_settrace()
        self.trace_this_thread()

    def child(self, base, epoch):
        """Begin anew in a forked child: what the parent ran stays the parent's. Files come with the first save."""
        self._reset(base, epoch)
        if not self._is_tracing():
            self._flags = TRACE_REPLACED
        for ran in self._sets.copy().values():
            ran.clear()

    def mark(self, epoch):
        """What runs from now on belongs to `epoch`."""
        self._record_finalizers()
        with self._lock:
            words = [self._closed]
            for path, ran in self._sets.copy().items():
                copy = ran.copy()
                words.append(self._words(path, copy))
                ran.difference_update(copy)
            words.append(pack("<Q", MARK << 61 | epoch))
            self._closed = b"".join(words)
            self._epoch = epoch

    def save(self):
        """Write what ran since the last save, if anything did. Raises OSError where that fails; what was saved before stays."""
        self._record_finalizers()
        self._save()

    def dump(self):
        """Save, and return the size of the hit log in bytes."""
        self.save()
        return _stat(self._base + ".hits").st_size

    def finish(self):
        """The process is about to end: save, and trace no more, because what tracing needs is taken down before the app is."""
        self._save()
        self.leave_this_thread()

    def source_path(self, index):
        """The path of a file entry, counted from 1. Raises IndexError."""
        if index < 1:
            raise IndexError(index)
        return list(self._indexes)[index - 1]

    def _record_finalizers(self):
        """The thread that asks for saves and marks now and then collects the app's garbage, and runs its finalizers."""
        if _gettrace() is None:
            self.trace_this_thread()

    def trace_this_thread(self):
        """Record what this thread runs from here on."""
        tracer = self._new_tracer()
        tracer.start()
        if self._greenlets is not None:
            self._follow_greenlets(tracer)

    def leave_this_thread(self):
        """End what `trace_this_thread` began."""
        if self._is_tracing():
            _settrace(None)

    def _is_tracing(self):
        """No longer so in a thread whose trace function the app has replaced."""
        return isinstance(_gettrace(), self._tracer)

    def _new_tracer(self):
        tracer = self._tracer()
        tracer.data = self._sets
        # Finding or making a file's set is one step under the interpreter lock, so there is nothing to guard.
        tracer.lock_data = tracer.unlock_data = [].clear
        tracer.trace_arcs = self.mode == "branch"
        tracer.should_trace = self._judge
        tracer.should_trace_cache = self._judgements
        # For plug-ins and contexts: none of these is ever called, but the tracer reads them, and null pointers end the process.
        tracer.should_start_context = tracer.switch_context = tracer.concur_id_func = None
        tracer.check_include = tracer.disable_plugin = tracer.warn = None
        tracer.file_tracers = {}
        return tracer

    def _meet_greenlets(self):
        """The greenlet package is being imported. What threads that are running already do with it later is not followed."""
        try:
            from greenlet import _greenlet
        except ImportError:
            return
        self._greenlets = _greenlet
        self._follow_greenlets(_gettrace())

    def _follow_greenlets(self, tracer):
        """Give each greenlet that runs in this thread a tracer of its own; `tracer` is that of the one that runs now.

        A tracer mirrors the call stack. One for all greenlets would take a frame of one for the caller of another's, and note
        lines under the wrong file.
        """
        tracers = {id(self._greenlets.getcurrent()): tracer}

        def switched(_event, origin_and_target):
            origin, target = origin_and_target
            if not self._is_tracing():
                return
            tracer = tracers.get(id(target))
            if tracer is None:
                tracer = tracers[id(target)] = self._new_tracer()
            tracer.start()
            if origin.dead:
                tracers.pop(id(origin), None)

        self._greenlets.settrace(switched)

    def _judge(self, filename, frame):
        """The tracer's question about a file name that it meets for the first time."""
        if filename.endswith("/greenlet/__init__.py"):
            self._meet_greenlets()
        disposition = self._disposition()
        path = self._select(filename, frame)
        if path is not None and path not in self._first_seen:
            self._first_seen[path] = _size_and_time(path)
        disposition.original_filename = disposition.canonical_filename = filename
        disposition.source_filename = path
        disposition.trace = path is not None
        disposition.reason = ""
        disposition.file_tracer = None
        disposition.has_dynamic_filename = False
        return disposition

    def _save(self):
        if self._base is None:
            return  # the listener is there before recording begins
        if not self._lock.acquire(True, LOCK_SECONDS):
            raise TimeoutError("another thread has been saving for %g seconds" % LOCK_SECONDS)
        try:
            progress = self._progress()
            if progress != self._saved:
                self._write_files()
                self._saved = progress
        except OSError:
            self._say_full()
            raise
        finally:
            self._lock.release()

    def _progress(self):
        """Differs from an earlier one when something ran since: within an epoch, sets only grow."""
        return self._epoch, self._flags, sum(map(len, self._sets.copy().values()))

    def _write_files(self):
        hits = [b""]
        for path, ran in self._sets.copy().items():
            hits.append(self._words(path, ran.copy()))
        hits[0] = pack("<8sIIQ40x", b"PODCOVH1", self._flags, self._first_epoch, _now()) + self._closed
        # The table goes first: a hit must never name an entry that is not there.
        if self._tabled != len(self._indexes):
            _write_file(self._base + ".codes", self._table())
            self._tabled = len(self._indexes)
        _write_file(self._base + ".hits", b"".join(hits))

    def _table(self):
        entries = [b"PODCOVT1"]
        for path in self._indexes:
            text = FIELDS.join(("F", *map(str, self._first_seen[path]), path)).encode("utf-8", "surrogateescape")
            entries.append(pack("<I", len(text)) + text)
        return b"".join(entries)

    def _words(self, path, ran):
        if not ran:
            return b""
        index = self._indexes.setdefault(path, len(self._indexes) + 1) << 40
        if self.mode == "line":
            words = [LINE << 61 | index | line for line in sorted(ran)]
        else:
            words = [ARC << 61 | index | value for value in map(_arc_value, sorted(ran)) if value is not None]
            if len(words) < len(ran):
                self._flags |= LEFT_OUT
        return pack("<%dQ" % len(words), *words)

    def _say_full(self):
        """Set the flag in the hit log that is there; no space is needed for that."""
        try:
            descriptor = _open(self._base + ".hits", os.O_WRONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            _pwrite(descriptor, pack("<I", self._flags | VOLUME_FULL), 8)
        finally:
            _close(descriptor)

    def _watch_threads(self):
        """Have every thread traced from its first step, however it is started, without importing `threading`."""
        for name in ("start_new_thread", "start_new", "start_joinable_thread"):
            real = getattr(_thread, name, None)
            if real is not None:
                _replace_function(real, self._starter(real), ("_thread", name), ("threading", "_" + name))

    def _starter(self, real):
        def start(*arguments, **named):
            if arguments and callable(arguments[0]):
                arguments = (_Traced(arguments[0], self), *arguments[1:])
            elif callable(named.get("function")):
                named["function"] = _Traced(named["function"], self)
            return real(*arguments, **named)

        return start

    def _watch_own_signals(self):
        """Save before this process ends itself by a signal, which runs no exit handler."""
        kill, killpg, raise_signal, abort = os.kill, os.killpg, _signal.raise_signal, os.abort

        def saving_kill(pid, signal, /):
            if pid in (_getpid(), 0, -1, -_getpgrp()):
                self._save_if_fatal(signal)
            return kill(pid, signal)

        def saving_killpg(pgid, signal, /):
            if pgid in (0, _getpgrp()):
                self._save_if_fatal(signal)
            return killpg(pgid, signal)

        def saving_raise_signal(signalnum, /):
            self._save_if_fatal(signalnum)
            return raise_signal(signalnum)

        def saving_abort():
            self._save_if_fatal(_signal.SIGABRT)
            abort()

        _replace_function(kill, saving_kill, ("os", "kill"))
        _replace_function(killpg, saving_killpg, ("os", "killpg"))
        _replace_function(abort, saving_abort, ("os", "abort"))
        _replace_function(raise_signal, saving_raise_signal, ("_signal", "raise_signal"), ("signal", "raise_signal"))

    def _save_if_fatal(self, signal):
        try:
            if signal and _signal.getsignal(signal) in (_signal.SIG_DFL, None):
                self._save()
        except Exception:
            # A full volume is flagged in the log; a wrong signal is for the real function to complain about.
            return

    def _watch_settrace(self):
        """What the app sets replaces the tracer in that thread, and the log says so, until the app unsets it."""

        def settrace(function, /):
            if isinstance(function, self._tracer):
                function.start()
            elif function is not None:
                self._flags |= TRACE_REPLACED
                _settrace(function)
            elif not self._is_tracing():
                self._new_tracer().start()

        _replace_function(_settrace, settrace, ("sys", "settrace"))


class _Traced:
    """A thread's function, recorded. Looks like it in what the interpreter prints when it fails."""

    __slots__ = ("_function", "_recorder")

    def __init__(self, function, recorder):
        self._function = function
        self._recorder = recorder

    def __repr__(self):
        return repr(self._function)

    def __call__(self, *arguments, **named):
        self._recorder.trace_this_thread()
        try:
            return self._function(*arguments, **named)
        except BaseException as error:
            error.__traceback__ = error.__traceback__.tb_next
            raise
        finally:
            self._recorder.leave_this_thread()


def _safe_to_free(tracer):
    class Tracer(tracer):
        """One that is freed while it is started would stop the tracer of the thread that frees it."""

        __slots__ = ()
        __del__ = tracer.stop

    return Tracer


def _replace_function(real, stand_in, *places):
    """Put `stand_in` in the place of a built-in function, in each of `places` (module and name) that is there already."""
    stand_in.__name__, stand_in.__qualname__ = real.__name__, real.__qualname__
    stand_in.__doc__, stand_in.__module__ = real.__doc__, real.__module__
    for module, name in places:
        if hasattr(sys.modules.get(module), name):
            setattr(sys.modules[module], name, stand_in)


def _arc_value(packed):
    """The protocol's 40 bits for the tracer's pair (two numbers of 28 bits, their signs above). None where they do not fit."""
    source, target = packed & 0xFFFFFFF, packed >> 28 & 0xFFFFFFF
    if source > 0x7FFFF or target > 0x7FFFF:
        return None
    if packed & 1 << 56:
        source = -source
    if packed & 1 << 57:
        target = -target
    return (source & 0xFFFFF) << 20 | target & 0xFFFFF


def _size_and_time(path):
    try:
        status = _stat(path)
    except (OSError, ValueError):
        return -1, -1
    return status.st_size, status.st_mtime_ns


_scratch_names = iter(range(sys.maxsize)).__next__


def _write_file(path, content):
    """Replace a file whole; readable and writable for every user, because processes of one container may have several."""
    # A signal handler may save while this thread is saving: each writes a file of its own.
    scratch = "%s.%d~" % (path, _scratch_names())
    descriptor = _open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    try:
        try:
            _write_all(descriptor, content)
            _fchmod(descriptor, 0o666)
        finally:
            _close(descriptor)
        _replace(scratch, path)
    except OSError:
        _unlink(scratch)
        raise


def _write_all(descriptor, content):
    rest = memoryview(content)
    while rest:
        rest = rest[_write(descriptor, rest) :]
