"""Recording with `sys.monitoring`, straight into files that the kernel keeps: lines from Python 3.12, branches from 3.14.

Each event is stored in a mapping of the hit log at the moment that it happens, and is then switched off for that place until
the next mark. So whatever ends the process loses nothing, and code that has run runs at full speed.

Three rules keep hits from being lost, with any number of threads:
- A word's slot is taken by one step under the interpreter lock (`next` of a counter), so no two threads share one.
- A mark stores its word first, then changes the epoch, then switches all events on again. A callback switches its event off
  only if the epoch is still the one that it saw before it took its slot.
- Table entries are complete before a word refers to them.

What is not seen: a signal handler of the app, or a finalizer, that runs inside of one of these callbacks, because the interpreter
reports no events then. Its lines are recorded when it runs again.
"""

import os
from _struct import pack
from _thread import RLock
from itertools import count
from sys import _getframe, monitoring

from podcov_listener import let_go
from podcov_mapped import MappedFile, keep_mappings
from podcov_record import Unsupported

_open, _close, _stat = os.open, os.close, os.stat

events = monitoring.events
DISABLE = monitoring.DISABLE

TOOLS = (4, 3, 5, 2, 1, 0)
"""Identifiers in the order of our liking: first those that the interpreter sets aside for nobody."""

LINE, BRANCH, RETURN, MARK = 1 << 61, 2 << 61, 3 << 61, 4 << 61
INDEX_SHIFT = 40
MOST_INDEXES = (1 << 21) - 1
OFFSET_BITS = 20
HEADER_BYTES = 64
WORD_BYTES = 8
FLAGS_WORD = 1
VOLUME_FULL, INTERNAL_ERROR, LEFT_OUT = 1, 2, 4
FIELDS = "\x1f"

LOG_BYTES = 8 << 10
TABLE_BYTES = 4 << 10
LOCK_SECONDS = 5.0
"""So long a thread waits for another to lengthen a file. It takes far less, unless a signal handler runs meanwhile."""


class Stopped(Exception):
    """Recording has stopped for good; the message says why."""


def _carefully(step):
    """`step`, by one thread at a time. An error of ours in it ends recording, never the app."""

    def careful(self, *arguments):
        if self._stopped:
            return None
        try:
            if not self._lock.acquire(timeout=LOCK_SECONDS):
                return self._stop(INTERNAL_ERROR, "another thread has been at it for %g seconds" % LOCK_SECONDS)
            return step(self, *arguments)
        except OSError as error:
            if not _is_ours(error):
                raise
            return self._stop(VOLUME_FULL, error)
        except Exception as error:
            if not _is_ours(error):
                raise
            return self._stop(INTERNAL_ERROR, error)
        finally:
            let_go(self._lock)

    return careful


def _is_ours(error):
    """Whether it was raised here, and not by a signal handler of the app that happened to run here."""
    innermost = error.__traceback__
    while innermost.tb_next is not None:
        innermost = innermost.tb_next
    module = innermost.tb_frame.f_globals.get("__name__", "")
    return module.startswith("podcov_") and not isinstance(error, (MemoryError, RecursionError))


class Recorder:
    """Records the process that it is in, by lines or by branches.

    `mode` is `line` or `branch`; `select(filename, frame)` gives the path that a code object's file is recorded as, or None.
    """

    recording = "mapped"
    save_interval = None

    def __init__(self, mode, select):
        self.mode = mode
        self._select = select
        # What runs under the lock must have been judged before, because judging takes the lock.
        own = (_is_ours, MappedFile.grow)
        self._paths = {function.__code__.co_filename: "" for function in own}
        self._paths_by_code = {}
        self._reset(None, 0)

    def _reset(self, base, epoch):
        self._base = base
        self._epoch = epoch
        self._stopped = None
        self._lock = RLock()
        self._log = MappedFile("%s.hits" % base, "Q", LOG_BYTES)
        self._words = self._log.view
        self._slots = count(HEADER_BYTES // WORD_BYTES)
        self._table = MappedFile("%s.codes" % base, "B", TABLE_BYTES)
        self._table_end = 8
        self._entries = []
        self._files = {}
        self._codes = {}

    def begin(self, base, epoch):
        """Record from here on into `base`.hits and `base`.codes, which are made when there is something to store.

        Raises Unsupported where no tool identifier of `sys.monitoring` is free.
        """
        self._reset(base, epoch)
        self._tool = _take_tool()
        callbacks = {events.LINE: self._line}
        if self.mode == "branch":
            from zlib import crc32  # now, because nothing can be imported once the interpreter is being taken down

            self._crc32 = crc32
            callbacks = {
                events.LINE: self._line_of_code,
                events.BRANCH_LEFT: self._branch,
                events.BRANCH_RIGHT: self._branch,
                events.PY_RETURN: self._return,
            }
        self._local_events = sum(callbacks)
        callbacks[events.PY_START] = self._start
        for event, callback in callbacks.items():
            monitoring.register_callback(self._tool, event, callback)
        monitoring.set_events(self._tool, events.PY_START)

    def child(self, base, epoch):
        """Begin anew in a forked child: what the parent ran stays the parent's."""
        stopped = self._stopped
        self._reset(base, epoch)
        if stopped:
            self._stop(0, stopped)

    def mark(self, epoch):
        """What runs from now on belongs to `epoch`. Raises Stopped."""
        self._raise_if_stopped()
        self._begin_epoch(epoch)
        self._raise_if_stopped()
        monitoring.restart_events()

    def dump(self):
        """The size of the hit log in bytes; what has run is in it already. Raises Stopped."""
        self._raise_if_stopped()
        return self._words.nbytes

    def save(self):
        """Nothing to do: the kernel has it all."""

    def finish(self):
        """The interpreter is about to be taken down."""
        keep_mappings()

    def source_path(self, index):
        """The path of the file entry with that index, counted from 1. Raises IndexError."""
        path = self._entries[index - 1] if index > 0 else None
        if path is None:
            raise IndexError(index)
        return path

    def _start(self, code, _):
        if code.co_name == "__annotate__":
            return DISABLE  # annotations are no code that runs, as coverage.py has it
        path = self._paths.get(code.co_filename)
        if path is None:
            if code.co_filename.startswith(_OWN_FOLDER):
                return DISABLE  # ours, perhaps by the thread that has the lock
            path = self._judge(code, _getframe(1))
        if path:
            monitoring.set_local_events(self._tool, code, self._local_events)
        return DISABLE

    def _line(self, code, line):
        epoch = self._epoch
        index = self._files.get(code.co_filename) or self._file_index(code)
        if index:
            self._store(LINE | index << INDEX_SHIFT | line)
        return DISABLE if epoch == self._epoch else None

    def _line_of_code(self, code, line):
        epoch = self._epoch
        index = self._codes.get(id(code)) or self._code_index(code)
        if index:
            self._store(LINE | index[0] << INDEX_SHIFT | line)
        return DISABLE if epoch == self._epoch else None

    def _branch(self, code, source, destination):
        epoch = self._epoch
        index = self._codes.get(id(code)) or self._code_index(code)
        if index:
            if (source | destination) >> OFFSET_BITS:
                self._leave_out()
            else:
                self._store(BRANCH | index[0] << INDEX_SHIFT | source << OFFSET_BITS | destination)
        return DISABLE if epoch == self._epoch else None

    def _return(self, code, offset, _):
        epoch = self._epoch
        index = self._codes.get(id(code)) or self._code_index(code)
        if index:
            self._store(RETURN | index[0] << INDEX_SHIFT | offset)
        return DISABLE if epoch == self._epoch else None

    @_carefully
    def _judge(self, code, frame):
        """The path that a code object's file is recorded as, or an empty string."""
        filename = code.co_filename
        path = self._select(filename, frame) or ""
        if filename.startswith(("/", "<")):
            self._paths[filename] = path
        elif path:
            # The same relative name is another file once the app has changed its folder.
            self._paths_by_code[id(code)] = (path, code)
        return path

    def _store(self, word):
        slot = next(self._slots)
        try:
            self._words[slot] = word
        except IndexError:
            self._store_beyond(slot, word)

    @_carefully
    def _store_beyond(self, slot, word):
        self._lengthen_log(slot)
        self._words[slot] = word

    @_carefully
    def _begin_epoch(self, epoch):
        if self._words:
            slot = next(self._slots)
            self._lengthen_log(slot)
            self._words[slot] = MARK | epoch
        self._epoch = epoch

    def _lengthen_log(self, slot):
        if not self._words:
            self._log.create(pack("<8sII48x", b"PODCOVH1", 0, self._epoch))
        self._log.grow((slot + 1) * WORD_BYTES)
        self._words = self._log.view

    @_carefully
    def _file_index(self, code):
        return self._file_entry(code)

    @_carefully
    def _code_index(self, code):
        """The index of a code object's entry, in a tuple with the code object: that keeps it alive, and so its identity its
        own."""
        known = self._codes.get(id(code))
        if known:
            return known
        crc = "%08x" % self._crc32(code.co_code)
        index = self._entry(None, "C", self._file_entry(code), code.co_firstlineno, crc, code.co_qualname)
        self._codes[id(code)] = index, code
        return self._codes[id(code)]

    def _file_entry(self, code):
        path = code.co_filename
        if id(code) in self._paths_by_code and not path.startswith("/"):
            path = self._paths_by_code[id(code)][0]
        if path not in self._files:
            self._files[path] = self._entry(path, "F", *_size_and_time(path), path)
        return self._files[path]

    def _entry(self, path, *fields):
        """Write an entry to the table; returns its index. `path` is that of a file entry."""
        if len(self._entries) == MOST_INDEXES:
            raise OverflowError("more code objects than the hit log can name")
        text = FIELDS.join(map(str, fields)).encode("utf-8", "surrogateescape")
        if not self._table.view:
            self._table.create(b"PODCOVT1")
        begin, end = self._table_end + 4, self._table_end + 4 + len(text)
        self._table.grow(end + 4)
        length, view = pack("<I", len(text)), self._table.view
        view[begin : end + 4] = text + bytes(4)
        # No call in the next three lines, so no signal handler that raises: an entry counts if and only if it can be read.
        self._table_end = end
        view[begin - 4 : begin] = length
        self._entries += (path,)
        return len(self._entries)

    @_carefully
    def _leave_out(self):
        self._raise_flag(LEFT_OUT)

    def _raise_flag(self, flag):
        if self._words:
            self._words[FLAGS_WORD] |= flag
        else:
            self._leave_trace()

    def _leave_trace(self):
        """An empty hit log: a process that could not even begin one must not look like one that ran nothing."""
        try:
            _close(_open(self._base + ".hits", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666))
        except OSError:
            # Not even that. Who asks the process is told; see `Stopped`.
            pass

    def _stop(self, flag, reason):
        self._stopped = str(reason) or type(reason).__name__
        self._raise_flag(flag)
        monitoring.set_events(self._tool, events.NO_EVENTS)

    def _raise_if_stopped(self):
        if self._stopped:
            raise Stopped("recording stopped: %s" % self._stopped)


_OWN_FOLDER = os.path.dirname(_is_ours.__code__.co_filename) + "/"


def _take_tool():
    for tool in TOOLS:
        try:
            monitoring.use_tool_id(tool, "podcov")
            return tool
        except ValueError:
            # Somebody else's already.
            continue
    raise Unsupported("all tools of sys.monitoring are taken")


def _size_and_time(path):
    try:
        status = _stat(path)
    except (OSError, ValueError):
        return -1, -1
    return status.st_size, status.st_mtime_ns
