"""The data volume as the courier sees it: targets, the files of their processes, epochs. Only this module writes into targets."""

import fcntl
import json
import os
import re
import struct
import time
from contextlib import contextmanager

PROTOCOL = 1
DEFAULT_FOLDER = "/podcov/data"
WRITING_SECONDS = 0.5
TABLE_MAGIC = b"PODCOVT1"
HEADER = struct.Struct("<8sIIQ")
HEADER_SIZE = 64
MARK_TAIL = b"\0\0\0\x80"  # the upper half of a mark word: kind 4, index 0
PROCESS_FILE = re.compile(r"(\d+-\d+-[0-9a-f]{8})\.(start|hits|codes|sock|end)")


class CourierError(Exception):
    """The command failed; the message is for people, in one line."""


class Volume:
    """One data volume. `path` is its folder, `courier` that of the courier's own state."""

    def __init__(self, path=None):
        self.path = path or os.environ.get("PODCOV_DATA") or DEFAULT_FOLDER
        self.courier = os.path.join(self.path, "courier")

    def make(self):
        """Makes the folders that processes of any user write into."""
        for folder in (self.path, self.courier, os.path.join(self.path, "targets")):
            make_shared_folder(folder)

    def targets(self):
        """Every target, in the order of their names."""
        found = []
        top = os.path.join(self.path, "targets")
        for container in _folders(top):
            for start_id in _folders(os.path.join(top, container)):
                found.append(Target(container, start_id, os.path.join(top, container, start_id)))
        return found

    @contextmanager
    def locked(self):
        """One courier at a time."""
        self.make()
        with open(os.path.join(self.courier, "lock"), "ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def read_state(self, name):
        """The courier's own file of that name; empty where there is none."""
        return read_file(os.path.join(self.courier, name)) or b""

    def write_state(self, name, content):
        replace_file(os.path.join(self.courier, name), content)

    def remove_state(self, name):
        _remove(os.path.join(self.courier, name))


class Target:
    """One start of one container. `name` is `<container>/<start id>`."""

    def __init__(self, container, start_id, path):
        self.container = container
        self.start_id = start_id
        self.path = path
        self.name = "%s/%s" % (container, start_id)

    def processes(self):
        """Every process that left something, by start time."""
        suffixes = {}
        for name in _names(self.path):
            match = PROCESS_FILE.fullmatch(name)
            if match:
                suffixes.setdefault(match[1], set()).add(match[2])
        return sorted(
            (Process(self, name, found) for name, found in suffixes.items()), key=lambda p: (p.start_time, p.pid, p.name)
        )

    def names(self, ending):
        """The names of files that end so."""
        return [name for name in _names(self.path) if name.endswith(ending)]

    def files(self):
        """(name, content as it is sent) of every file but sockets; hit logs before tables, so that every word has its entry."""
        names = [name for name in _names(self.path) if not name.endswith(".sock")]
        for name in sorted(names, key=lambda name: (not name.endswith(".hits"), name)):
            read = read_start_record if name.endswith(".start") else read_file
            content = read(os.path.join(self.path, name))
            if content is not None:  # a temporary file may have got its name meanwhile
                yield name, without_unused_end(name, content)

    def epoch(self):
        """The current epoch."""
        try:
            return int(read_file(os.path.join(self.path, "epoch")) or 0)
        except ValueError:
            return max((epoch["epoch"] for epoch in self.epochs()), default=0)

    def epochs(self):
        """What began each epoch since the first: list of {epoch, run, label, time}. Torn lines are left out."""
        found = []
        for line in (read_file(os.path.join(self.path, "epochs")) or b"").decode("utf-8", "surrogateescape").split("\n"):
            try:
                epoch, run, label, moment = line.split("\t")
                found.append({"epoch": int(epoch), "run": run, "label": label, "time": int(moment)})
            except ValueError:
                continue
        return found

    def begin_epoch(self, epoch, run, label):
        """From now on, processes that begin, begin in this epoch."""
        line = "%d\t%s\t%s\t%d\n" % (epoch, _one_field(run), _one_field(label), time.time_ns())
        path = os.path.join(self.path, "epochs")
        so_far = read_file(path) or b""
        separator = "" if so_far.endswith(b"\n") or not so_far else "\n"  # a line that a full volume cut off
        with open(path, "ab") as file:
            file.write((separator + line).encode("utf-8", "surrogateescape"))
        _share(path)
        replace_file(os.path.join(self.path, "epoch"), b"%d\n" % epoch)


class Process:
    """What one process left. `start` is its start record, or None and `problem` says why."""

    def __init__(self, target, name, suffixes):
        self.target = target
        self.name = name
        self.ended = "end" in suffixes
        pid, start_time, _ = name.split("-")
        self.pid = int(pid)
        self.start_time = int(start_time)
        self.start, self.problem = _read_start(self.path("start"))

    @property
    def records(self):
        return self.start is not None and self.start.get("state") == "recording"

    @property
    def saves(self):
        """Recording is not mapped."""
        return self.records and self.start.get("recording") == "saved"

    @property
    def argv(self):
        return list(self.start.get("argv") or ()) if self.start else []

    def path(self, suffix):
        return os.path.join(self.target.path, "%s.%s" % (self.name, suffix))

    def log(self):
        """(flags, epochs that the hit log mentions)."""
        hits = read_file(self.path("hits")) or b""
        if len(hits) < HEADER_SIZE or not hits.startswith(b"PODCOVH1"):
            return 0, []
        _, flags, epoch, _ = HEADER.unpack_from(hits)
        return flags, sorted({epoch, *_marks(hits)})


def entries(table):
    """(index, fields) of every whole entry of a table, fields being bytes."""
    if table.startswith(TABLE_MAGIC):
        for index, fields, _ in _entries(table, len(TABLE_MAGIC), 0):
            yield index, fields


def new_entries(path, offset, index):
    """(index, fields, position) of the entries behind a position: (offset, index of the entry before it), (0, 0) at first."""
    try:
        with open(path, "rb", buffering=0) as file:
            if not offset:
                if file.read(len(TABLE_MAGIC)) != TABLE_MAGIC:
                    return
                offset = len(TABLE_MAGIC)
            file.seek(offset)
            length = file.read(4)
            if not any(length):
                return  # as a rule there is nothing new: the rest of the table need not be read to know
            table = length + file.read()
    except FileNotFoundError:
        return
    for found, fields, end in _entries(table, 0, index):
        yield found, fields, (offset + end, found)


def _entries(table, position, index):
    while position + 4 <= len(table):
        (length,) = struct.unpack_from("<I", table, position)
        position += 4
        if not length or position + length > len(table):
            return
        index += 1
        end = position + length
        yield index, table[position:end].split(b"\x1f"), end
        position = end


def without_unused_end(name, content):
    """A hit log or table without the space that was allocated and not used yet."""
    if name.endswith(".hits"):
        used = max(HEADER_SIZE, len(content.rstrip(b"\0")))
        return content[: used + -used % 8]
    if name.endswith(".codes"):
        return content[: max(8, len(content.rstrip(b"\0")))]
    return content


def make_shared_folder(path):
    """A folder that every user may write into."""
    os.makedirs(path, exist_ok=True)
    try:
        os.chmod(path, 0o777)
    except PermissionError:
        pass  # somebody else made it, the volume itself as a rule, and gave it the mode that it is to have


def replace_file(path, content):
    """Writes a file whole or not at all."""
    temporary = "%s.%s.tmp" % (path, os.urandom(4).hex())
    try:
        with open(temporary, "wb") as file:
            file.write(content)
        _share(temporary)
        os.replace(temporary, path)
    except OSError:
        _remove(temporary)
        raise


def read_file(path):
    """The content; None where there is no such file."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


def read_start_record(path):
    """A start record as it stands; one that is being written at this moment is waited for. None where there is none."""
    deadline = time.monotonic() + WRITING_SECONDS
    while True:
        content = read_file(path)
        if content is None or content.endswith(b"\n") or time.monotonic() > deadline:
            return content
        if time.time() - os.stat(path).st_mtime > WRITING_SECONDS:
            return content
        time.sleep(0.01)


def _remove(path):
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def _share(path):
    try:
        os.chmod(path, 0o666)
    except PermissionError:
        pass  # another user's, who did this when making it


def _read_start(path):
    try:
        content = read_start_record(path)
        if content is None:
            return None, "its start record is missing"
        if not content.endswith(b"\n"):
            return None, "its start record is torn: still being written, or the volume was full"
        record = json.loads(content.decode("utf-8", "surrogateescape"))
    except (OSError, ValueError) as error:
        return None, "its start record cannot be read: %s" % error
    if not isinstance(record, dict) or record.get("protocol") != PROTOCOL:
        return None, "its start record is not of protocol %d" % PROTOCOL
    if not isinstance(record.get("time", 0), int) or not isinstance(record.get("argv", []), list):
        return None, "its start record makes no sense"
    return record, ""


def _marks(hits):
    tail = hits.find(MARK_TAIL, HEADER_SIZE + 4)
    while tail >= 0:
        if tail % 8 == 4:
            yield int.from_bytes(hits[tail - 4 : tail], "little")
        tail = hits.find(MARK_TAIL, tail + 1)


def _one_field(text):
    return " ".join(text.split())


def _names(path):
    try:
        return os.listdir(path)
    except FileNotFoundError:
        return []


def _folders(path):
    return sorted(name for name in _names(path) if os.path.isdir(os.path.join(path, name)))
