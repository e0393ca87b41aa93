"""Files that lie in memory and in the target folder at once: what is stored there is the kernel's, whatever ends the process."""

import os
import sys
from _thread import allocate_lock, start_new_thread
from errno import EINVAL, EOPNOTSUPP
from mmap import mmap

_open, _close, _rename, _unlink, _listdir, _readlink = os.open, os.close, os.rename, os.unlink, os.listdir, os.readlink
_fchmod, _fstat, _write_at, _allocate = os.fchmod, os.fstat, os.pwrite, getattr(os, "posix_fallocate", None)

MOST_GROWTH = 1 << 20
"""Files begin small, because a server may fork hundreds of children, and double until they grow by this many bytes."""


class MappedFile:
    """A file that appears whole, with its header, and grows.

    `view` has items of `format` (as in `struct`). It is empty until `create`, and replaced whenever `grow` makes the file longer;
    who still writes into an earlier view writes into the same pages.
    """

    def __init__(self, path, format, first_bytes):
        self._path = path
        self._format = format
        self._first_bytes = first_bytes
        self.view = memoryview(bytearray())

    def create(self, header):
        """Make the file, of zeros after the header. Raises OSError where there is no room."""
        unfinished = self._path + ".new"
        descriptor = _open(unfinished, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            _fchmod(descriptor, 0o666)
            view = self._map(descriptor, self._first_bytes)
            view[: len(header)] = header
            _rename(unfinished, self._path)
            self.view = view.cast(self._format)
        except OSError:
            _unlink(unfinished)
            raise
        finally:
            _close(descriptor)

    def grow(self, size):
        """Make it at least `size` bytes long. Raises OSError where there is no room."""
        while self.view.nbytes < size:
            descriptor = _open(self._path, os.O_RDWR | os.O_CLOEXEC)
            try:
                longer = self.view.nbytes + min(self.view.nbytes, MOST_GROWTH)
                self.view = self._map(descriptor, longer).cast(self._format)
            finally:
                _close(descriptor)

    @staticmethod
    def _map(descriptor, size):
        _reserve(descriptor, size)
        return memoryview(_mapping(descriptor, size))


def _reserve(descriptor, size):
    """Give the file `size` bytes that really exist: a hole that the volume has no room for would end the app by SIGBUS."""
    if _allocate is not None:
        try:
            _allocate(descriptor, 0, size)
            return
        except OSError as error:
            if error.errno not in (EINVAL, EOPNOTSUPP):
                raise  # those two say that this file system has to be asked in another way
    position = _fstat(descriptor).st_size
    while position < size:
        position += _write_at(descriptor, bytes(min(size - position, MOST_GROWTH)), position)


if sys.version_info >= (3, 13):

    def _mapping(descriptor, size):
        return mmap(descriptor, size, trackfd=False)

    def keep_mappings():
        """Nothing to keep: these mappings have no descriptors."""

else:
    _mappings = []

    def _mapping(descriptor, size):
        # A mapping of 3.12 has a descriptor, and closes that number when it is freed, whatever the app has there by then.
        _mappings.append(mmap(descriptor, size))
        return _mappings[-1]

    def keep_mappings():
        """Before the interpreter is taken down: if the app closed descriptors of our mappings, have those never freed."""
        if sum(map(_is_ours, _listdir("/proc/self/fd"))) < len(_mappings):
            forever = allocate_lock()
            forever.acquire()
            start_new_thread(lambda _: forever.acquire(), (_mappings,))

    def _is_ours(descriptor):
        try:
            return _readlink("/proc/self/fd/" + descriptor).endswith((".hits", ".codes", ".new"))
        except OSError:
            return False
