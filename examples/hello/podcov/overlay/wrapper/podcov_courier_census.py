"""Which interpreters run in a target, whether they registered or not.

Where the courier sees the target's processes it looks for itself; else a process of the target that lives is asked, because a
sidecar has a PID namespace of its own.
"""

import json
import os
import re
import time
from collections import namedtuple

from podcov_courier_sockets import OK, Question, ask_all

STARTING_SECONDS = 5.0
"""So long after its start an interpreter may still be on its way to registering."""
ASK_SECONDS = 5.0
LOOK_AGAIN_SECONDS = 0.1

COURIER = "podcov_courier.py"
PYTHON = re.compile(r"(python|pypy)[0-9.]*t?d?")

Seen = namedtuple("Seen", "pid start_time argv")
Census = namedtuple("Census", "taken reason seen", defaults=("", ()))
"""`taken` is False where nobody could look, and `reason` says why. `seen` lists interpreters."""


def take(target, living):
    """The census of one target; `living` are processes of it that answer."""
    if not os.path.isdir("/proc/self"):
        return Census(False, "there is no /proc")
    belongs = _sight(target)
    if belongs is not None:
        return Census(True, "", [seen for seen in interpreters() if belongs(seen.pid)])
    for process in living:
        (answer,) = ask_all([Question(process.target.path, process.name + ".sock", "scan")], ASK_SECONDS)
        if answer.kind == OK:
            return Census(True, "", list(_listed(answer.body)))
    return Census(False, "no process of it answers" if living else "no process of it is alive")


def unregistered(target, living):
    """(census, the interpreters that never registered). Looks again while one of them may still be on its way."""
    deadline = time.monotonic() + STARTING_SECONDS
    census = take(target, living)
    while True:
        strangers = _strangers(census, target.processes())
        young = [seen for seen in strangers if age(seen) < STARTING_SECONDS]
        if not young or time.monotonic() > deadline:
            return census, strangers
        time.sleep(LOOK_AGAIN_SECONDS)
        census = take(target, living)


def age(seen):
    """Seconds since a process began."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - seen.start_time / os.sysconf("SC_CLK_TCK")


def own_start_id():
    """The start id of the container that this process runs in."""
    return os.environ.get("PODCOV_START") or "%s-%s" % (_pid_one_start(), _mount_namespace("self"))


def interpreters():
    """Every process that this one sees, and that looks like a Python interpreter."""
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/%s/cmdline" % name, "rb") as file:
                    argv = [os.fsdecode(argument) for argument in file.read().split(b"\0")[:-1]]
                if argv and _looks_like_python(name, argv):
                    yield Seen(int(name), _start_time(name), argv)
            except (OSError, ValueError, IndexError):
                continue  # it has ended meanwhile


def _sight(target):
    """How to tell that a process which the courier sees belongs to the target; None where it does not see them."""
    if "PODCOV_START" in os.environ:
        if os.environ["PODCOV_START"] != target.start_id:
            return None
        sessions = {_session(p.pid) for p in target.processes() if _began(p.pid) == p.start_time}
        own = [_entry("PODCOV_START"), _entry("PODCOV_DATA")]
        return lambda pid: _session(pid) in sessions or _has_in_environment(pid, own)
    pid_one, _, namespace = target.start_id.partition("-")
    if pid_one == "0" or pid_one != _pid_one_start():
        return None
    if namespace == _mount_namespace("self"):
        # Processes of other users do not show their namespaces; in a PID namespace of its own they are the container's.
        return lambda pid: _mount_namespace(pid) in (namespace, "0")
    return lambda pid: _mount_namespace(pid) == namespace


def _strangers(census, processes):
    known = {}
    for process in processes:
        known.setdefault((process.pid, process.start_time), []).append(process)
    return [seen for seen in census.seen if not _registered(seen, known.get((seen.pid, seen.start_time), ()))]


def _registered(seen, processes):
    """Pid and start time survive an exec: a record of another program, which no longer listens, is not its own."""
    if any(os.path.basename(argument) == COURIER for argument in seen.argv):
        return True
    if any(not process.records or process.argv == seen.argv for process in processes):
        return True
    answers = ask_all([Question(p.target.path, p.name + ".sock", "ping") for p in processes], ASK_SECONDS)
    return any(answer.kind not in ("gone", "absent") for answer in answers)


def _listed(body):
    for line in body.decode("utf-8", "surrogateescape").splitlines():
        pid, start_time, argv = line.split("\t", 2)
        argv = json.loads(argv)
        if argv:  # a process that has ended and was not waited for has none
            yield Seen(int(pid), int(start_time), argv)


def _looks_like_python(pid, argv):
    if PYTHON.fullmatch(os.path.basename(argv[0])):
        return True
    try:
        return bool(PYTHON.fullmatch(os.path.basename(os.readlink("/proc/%s/exe" % pid))))
    except OSError:
        return False


def _start_time(pid):
    return int(_stat(pid)[19])


def _began(pid):
    """When a process began; 0 where that cannot be read, as in start ids."""
    try:
        return _start_time(pid)
    except (OSError, ValueError, IndexError):
        return 0


def _session(pid):
    try:
        return int(_stat(pid)[3])
    except (OSError, ValueError, IndexError):
        return 0


def _stat(pid):
    """The fields of /proc/<pid>/stat from the state on."""
    with open("/proc/%s/stat" % pid, "rb") as file:
        return file.read().rpartition(b")")[2].split()


def _pid_one_start():
    return str(_began(1))


def _mount_namespace(pid):
    try:
        return str(os.stat("/proc/%s/ns/mnt" % pid).st_ino)
    except OSError:
        return "0"


def _entry(variable):
    """As it stands in the environment of a process that was given the same."""
    return os.fsencode("%s=%s" % (variable, os.environ.get(variable, "")))


def _has_in_environment(pid, entries):
    try:
        with open("/proc/%s/environ" % pid, "rb") as file:
            return set(entries) <= set(file.read().split(b"\0"))
    except OSError:
        return False
