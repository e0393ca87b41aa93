"""What a recorded process does from its start to its end: it names itself, records, answers, forks and ends.

How it records is a recorder's business, `podcov_monitoring.Recorder` or `podcov_tracer.Recorder`. A recorder has:

`recording`            `mapped` or `saved`
`mode`                 `line` or `branch`
`save_interval`        seconds between saves; None where recording is mapped
`begin(base, epoch)`   record from here on, into `base`.hits and `base`.codes
`child(base, epoch)`   in a forked child, before any of the app's code: begin anew in files of its own
`mark(epoch)`          what runs from now on belongs to `epoch`; called in the listener's thread
`save()`               write what ran since the last save; called every `save_interval` seconds in the listener's thread
`dump()`               save, and return the size of the hit log in bytes
`finish()`             the process is about to end
`source_path(index)`   the path of a file entry; raises LookupError for an index that is none

All of them may raise; `mark`, `save` and `dump` raise when what they promise did not come about.
"""

import atexit
import os
import sys
from _functools import reduce
from _io import open
from _thread import allocate_lock
from itertools import islice, starmap

import podcov_record
from podcov_listener import Listener
from podcov_selection import selection_of

_open, _close, _unlink, _fchmod, _fstat = os.open, os.close, os.unlink, os.fchmod, os.fstat
_listdir, _readlink = os.listdir, os.readlink

INTERPRETERS = ("python", "pypy")
SAVE_SECONDS = 2.0


def start(environ):
    """Record this process as its environment asks for.

    Raises podcov_record.Unsupported where nothing can record it, and whatever else keeps it from being recorded.
    """
    mode = "branch" if environ.get("PODCOV_MODE") == "branch" else "line"
    Process(podcov_record.target_folder(environ), _recorder(mode, environ)).start()


def _recorder(mode, environ):
    if sys.version_info >= (3, 14 if mode == "branch" else 12):
        import podcov_monitoring

        return podcov_monitoring.Recorder(mode, selection_of(environ))
    import podcov_tracer

    here = os.path.dirname(__file__)
    try:
        module = podcov_tracer.load([here, here + "/tracers"])
    except podcov_tracer.TracerUnavailable as error:
        raise podcov_record.Unsupported(str(error)) from None
    interval = float(environ.get("PODCOV_SAVE_INTERVAL") or SAVE_SECONDS)
    return podcov_tracer.Recorder(module, mode, interval, selection_of(environ))


class Process:
    """This process, from `start` on. A forked child goes on with the same object, under a name of its own."""

    def __init__(self, folder, recorder):
        self._folder = folder
        self._recorder = recorder
        self._epoch = 0
        self._marking = allocate_lock()
        self._forks = set()
        self._ended = False
        self.name = ""

    def start(self):
        """Record, listen, and say so. Raises whatever keeps it from doing so; then the app runs plain."""
        self.name = podcov_record.process_name()
        self._epoch = self._epoch_on_disk()
        with self._marking:
            self._listen()
            try:
                self._recorder.begin(self._base, self._epoch)
            except BaseException:
                self._listener.close()
                raise
        self._register(None)
        os.register_at_fork(after_in_child=self._begin_anew)
        if sys.version_info >= (3, 12):
            _replace_forks(self)
        atexit.register(self._finish)
        if self._recorder.recording == "saved":
            _replace_exits(self)

    @property
    def _base(self):
        return self._folder + "/" + self.name

    def _listen(self):
        interval = self._recorder.save_interval
        self._listener = Listener(self._folder, self.name + ".sock", self._answer, self._save, interval)
        self._listener.start()

    def _register(self, parent):
        """Write the start record. From here on the process is expected to answer."""
        recorder = self._recorder
        said = {"recording": recorder.recording, "mode": recorder.mode, "save_interval": recorder.save_interval}
        try:
            podcov_record.write(self._folder, self.name, state="recording", parent=parent, epoch=self._epoch, **said)
            # Whoever began an epoch between our first look and our listening had nobody to tell it to.
            self._mark(self._epoch_on_disk())
        except Exception:
            # The volume is full: what is left is a torn record, or none, and an error for an answer. The ledger names them all.
            return

    def _epoch_on_disk(self):
        try:
            with open(self._folder + "/epoch", "rb") as file:
                return int(file.read())
        except (OSError, ValueError):
            return 0  # nobody has begun one

    def _save(self):
        try:
            self._recorder.save()
        except Exception:
            # The next request is answered by the same error, and it must not end the thread that answers.
            return

    # Requests, answered in the listener's thread.

    def _answer(self, request):
        verb, _, argument = request.partition(" ")
        try:
            if verb not in self._answers:
                raise ValueError("unknown request %s" % verb)
            return self._answers[verb](self, argument)
        except Exception as error:
            text = "%s: %s" % (type(error).__name__, error)
            return ("error %s\n" % " ".join(text.split())).encode("utf-8", "backslashreplace")

    def _answer_ping(self, _):
        return b"ok ping\n"

    def _answer_mark(self, epoch):
        self._mark(int(epoch))
        return b"ok mark %d\n" % int(epoch)

    def _answer_dump(self, _):
        return b"ok dump %d\n" % self._recorder.dump()

    def _answer_source(self, index):
        with open(self._recorder.source_path(int(index)), "rb") as file:
            content, modified = file.read(), _fstat(file.fileno()).st_mtime_ns
        return b"ok source %d %d\n" % (len(content), modified) + content

    def _answer_scan(self, _):
        lines = list(filter(None, map(_described, filter(str.isdigit, _listdir("/proc")))))
        return "".join(["ok scan %d\n" % len(lines), *lines]).encode("ascii")

    _answers = {"ping": _answer_ping, "mark": _answer_mark, "dump": _answer_dump, "source": _answer_source, "scan": _answer_scan}

    def _mark(self, epoch):
        with self._marking:
            if epoch > self._epoch:
                self._recorder.mark(epoch)
                self._epoch = epoch

    # Forks.

    def pause(self, fork):
        """Before a fork, which must not see a thread of ours."""
        self._forks.add(fork)
        self._listener.stop()

    def resume(self, fork):
        """After it, in the parent. In the child nothing is paused: it has begun anew."""
        self._forks.discard(fork)
        if self._forks or self._ended:
            return
        try:
            self._listener.start()
        except (OSError, RuntimeError):
            # No thread to be had, or too late. Recording goes on; marks go unanswered, and the ledger says so.
            return

    def _begin_anew(self):
        """In a forked child, before any of the app's code."""
        parent, self.name = self.name, podcov_record.process_name()
        self._forks, self._marking = set(), allocate_lock()
        self._listener.forget()
        if self._ended:
            return
        try:
            with self._marking:
                self._recorder.child(self._base, self._epoch)
                self._listen()
            self._register(parent)
        except Exception as error:
            self._ended = True
            _say_failed(self._folder, self.name, parent, error)

    # The end.

    def _finish(self):
        """The interpreter is about to be taken down."""
        self._ended = True
        self._listener.close()
        self._save_for_good(self._recorder.finish)

    def _save_for_good(self, save):
        """Save by `save`, and leave the `.end` that says so; a mapped log needs neither."""
        try:
            save()
            if self._recorder.recording == "saved":
                _touch(self._base + ".end")
        except Exception:
            # What was saved before is there, and that there is no `.end` says that more may be missing.
            return

    def before_exit(self):
        """The process is about to end without taking the interpreter down."""
        self._save_for_good(self._recorder.save)

    def before_exec(self):
        """The process is about to become another program, unless that fails."""
        self._save_for_good(self._recorder.save)

    def after_failed_exec(self):
        """It goes on after all."""
        try:
            _unlink(self._base + ".end")
        except OSError:
            # It could not be made either.
            return


class _Fork:
    """One fork. Paused for from `begin` to `end`; or, where that is never reached, until this goes away.

    It has no `__init__`: a handler of the app's that raises as that is called would leave a fork that knows no process.
    """

    __slots__ = ()
    process = None

    def begin(self):
        self.process.pause(id(self))

    def end(self, pid):
        self.process.resume(id(self))
        self.__class__ = _EndedFork
        return pid

    def __del__(self):
        self.process.resume(id(self))


class _EndedFork:
    """A fork that needs nothing any more, not even a `__del__`: there, exceptions of the app's signal handlers would be lost."""

    __slots__ = ()


def _replace_forks(process):
    """Have the listener's thread away while `os.fork` runs, because from 3.12 the interpreter warns the app of threads.

    Hooks will not do: 3.13 looks for threads after they have run, and an exception that a signal handler raises in a hook is
    lost. A function around the real one will not do: where the app deserves the warning, it would name our line. This stand-in
    has no frame: calling it calls `begin`, then `reduce(_Fork.end, <one real fork>, fork)`, and that calls the real fork and
    `end`.
    """

    _Fork.process = process

    def stand_in(real):
        results = iter(real, None)

        def begin():
            fork = _Fork()
            fork.begin()
            return _Fork.end, islice(results, 1), fork

        return starmap(reduce, iter(begin, None)).__next__

    os.fork, os.forkpty = stand_in(os.fork), stand_in(os.forkpty)


def _replace_exits(process):
    """Save before the process ends, or becomes another program, without the interpreter being taken down."""
    real_exit, real_execv, real_execve = os._exit, os.execv, os.execve

    def _exit(status):
        process.before_exit()
        real_exit(status)

    def execv(path, argv, /):
        process.before_exec()
        try:
            real_execv(path, argv)
        finally:
            process.after_failed_exec()

    def execve(path, argv, env):
        process.before_exec()
        try:
            real_execve(path, argv, env)
        finally:
            process.after_failed_exec()

    os._exit, os.execv, os.execve = _exit, execv, execve


def _say_failed(folder, name, parent, error):
    reason = "%s: %s" % (type(error).__name__, error)
    try:
        podcov_record.write(folder, name, state="failed", parent=parent, reason=reason)
    except OSError:
        # Not even that: an interpreter without a record, which the ledger names.
        return


def _touch(path):
    descriptor = _open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        _fchmod(descriptor, 0o666)
    finally:
        _close(descriptor)


def _described(pid):
    """A line of `scan` for a process that looks like an interpreter, else None."""
    try:
        with open("/proc/%s/cmdline" % pid, "rb") as file:
            arguments = file.read().split(b"\0")[:-1]
    except OSError:
        return None  # it has ended meanwhile
    if not arguments or not (_is_interpreter(os.fsdecode(arguments[0])) or _is_interpreter(_executable(pid))):
        return None
    return "%s\t%d\t%s\n" % (pid, podcov_record.start_time(pid), podcov_record.json(arguments))


def _executable(pid):
    try:
        return _readlink("/proc/%s/exe" % pid).removesuffix(" (deleted)")
    except OSError:
        return ""  # another user's


def _is_interpreter(path):
    return path.rpartition("/")[2].rstrip("0123456789.td") in INTERPRETERS
