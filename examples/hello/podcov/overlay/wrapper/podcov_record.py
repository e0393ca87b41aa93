"""What a process says of itself: its target folder, its name and its start record, as PROTOCOL.md has them.

Every Python from 2.7 runs this file, because an interpreter that cannot be measured says so here.
"""

import os
import sys
import time

# By these names, because apps replace functions of modules (gevent does), and forked children come here late.
_open, _write, _close, _mkdir, _chmod, _stat = os.open, os.write, os.close, os.mkdir, os.chmod, os.stat
_fchmod, _getpid, _getppid, _urandom, _now = getattr(os, "fchmod", None), os.getpid, os.getppid, os.urandom, time.time

PROTOCOL = 1
TEXT = type(b"".decode())


class Unsupported(Exception):
    """This interpreter cannot be measured; the message says what is missing, for people."""

    state = "unsupported"


def target_folder(environ):
    """The folder of this start of this container, made if need be. Raises OSError where that is impossible."""
    folder = environ["PODCOV_DATA"]
    for name in ("targets", environ.get("PODCOV_CONTAINER") or "unnamed", environ.get("PODCOV_START") or start_id()):
        folder = os.path.join(folder, name)
        try:
            _mkdir(folder)
        except OSError:
            if not os.path.isdir(folder):
                raise
        else:
            _chmod(folder, 0o777)  # the umask is the app's, and other users of this container come here too
    return folder


def start_id():
    """The same for every process of one start of a container, and another after a restart."""
    try:
        namespace = _stat("/proc/self/ns/mnt").st_ino
    except OSError:
        namespace = 0
    return "%d-%d" % (start_time("1"), namespace)


def start_time(pid):
    """When a process began, in clock ticks since boot; 0 where that cannot be read."""
    try:
        with open("/proc/%s/stat" % pid, "rb") as stat:
            return int(stat.read().rpartition(b")")[2].split()[19])
    except (EnvironmentError, IndexError, ValueError):
        return 0


def process_name():
    """A new name for this process: a fork has its own pid, an exec its own nonce."""
    return "%d-%d-%02x%02x%02x%02x" % ((_getpid(), start_time("self")) + tuple(bytearray(_urandom(4))))


def write(folder, name, **said):
    """Write the start record, whole and once. `said` are the keys that depend on how the process is recorded."""
    pid, started, _ = name.split("-")
    record = {
        "protocol": PROTOCOL,
        "language": "python",
        "pid": int(pid),
        "ppid": _getppid(),
        "start_time": int(started),
        "parent": None,
        "time": int(_now() * 1e9),
        "executable": sys.executable,
        "argv": command_line(),
        "implementation": implementation(),
        "version": ".".join(map(str, sys.version_info[:3])),
        "reason": None,
        "recording": None,
        "mode": None,
        "save_interval": None,
        "epoch": 0,
    }
    record.update(said)
    descriptor = _open(os.path.join(folder, name + ".start"), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        if _fchmod:
            _fchmod(descriptor, 0o666)
        _write(descriptor, (json(record) + "\n").encode("ascii"))
    finally:
        _close(descriptor)


def implementation():
    """`cpython`, `pypy`, ..."""
    if hasattr(sys, "implementation"):
        return sys.implementation.name
    return "pypy" if hasattr(sys, "pypy_version_info") else "cpython"


def command_line():
    """The command line as it was given, interpreter and options included."""
    if hasattr(sys, "orig_argv"):
        return list(sys.orig_argv)
    try:
        with open("/proc/self/cmdline", "rb") as arguments:
            return arguments.read().split(b"\0")[:-1]
    except EnvironmentError:
        return [sys.executable]


def json(value):
    """`value` as JSON in ASCII. The `json` module would cost the app half a millisecond a process."""
    if value is None:
        return "null"
    if isinstance(value, dict):
        return "{%s}" % ", ".join("%s: %s" % (json(key), json(value[key])) for key in value)
    if isinstance(value, (list, tuple)):
        return "[%s]" % ", ".join(map(json, value))
    if isinstance(value, bytes):
        return _quoted(value.decode("utf-8", "replace" if sys.version_info < (3,) else "surrogateescape"))
    if isinstance(value, TEXT):
        return _quoted(value)
    return repr(value).rstrip("L")


def _quoted(text):
    return '"%s"' % "".join(character if _stands_for_itself(character) else _escaped(ord(character)) for character in text)


def _stands_for_itself(character):
    return " " <= character <= "~" and character not in '"\\'


def _escaped(code):
    if code < 0x10000:
        return "\\u%04x" % code
    code -= 0x10000
    return "\\u%04x\\u%04x" % (0xD800 | code >> 10, 0xDC00 | code & 0x3FF)
