"""Keeping the text that ran, once by content, so that it outlives the process that ran it and the image that it came from.

A file entry is known by (target's name, path, size, mtime), because one path in two containers may hold two texts.
"""

import errno
import json
import os
import stat
from collections import namedtuple

from podcov_courier_census import own_start_id
from podcov_courier_sockets import ABSENT, ERROR, GONE, SILENT, Question, ask_all
from podcov_courier_volume import entries, make_shared_folder, new_entries, read_file, replace_file

try:
    from _sha2 import sha256
except ImportError:
    from hashlib import sha256

ASK_SECONDS = 5.0
AT_ONCE = 64
"""answers that are held in memory at a time"""

Holder = namedtuple("Holder", "folder process index")
"""A process that has a file entry, and the entry's index in its table."""


class Keeper:
    """Keeps the sources of one volume. `failures` says of an entry why its text could not be had."""

    def __init__(self, volume):
        self.folder = os.path.join(volume.courier, "sources")
        self.digests = {}
        self.failures = {}
        self._wanted = {}
        self._index = os.path.join(volume.courier, "sources.index")
        self._index_read = 0
        self._tables_read = {}

    def keep(self, targets, seconds=ASK_SECONDS):
        """Keeps what is new in the tables of these targets; what busy processes did not hand out is tried again next time."""
        self._read_index()
        owned = set()
        for target in targets:
            self._find_new(target)
            if _has_own_files(target):
                owned.add(target.name)
        if not self._wanted:
            return
        make_shared_folder(self.folder)
        known = len(self.digests)
        for entry in [entry for entry in self._wanted if entry[0] in owned]:
            self._take_own(entry)
        self._ask(seconds)
        self._append_index(list(self.digests.items())[known:])

    def describe(self, target):
        """Each file entry of a target's tables once: list of {path, size, mtime, digest, reason}."""
        found = {}
        for name in target.names(".codes"):
            for _, fields in entries(read_file(os.path.join(target.path, name)) or b""):
                found[_entry(target, fields)] = None
        found.pop(None, None)
        return [
            {
                "path": entry[1],
                "size": entry[2],
                "mtime": entry[3],
                "digest": self.digests.get(entry),
                "reason": "" if entry in self.digests else self.failures.get(entry, ""),
            }
            for entry in found
        ]

    def content(self, digest):
        """A kept text; None where there is none of that digest."""
        return read_file(os.path.join(self.folder, os.path.basename(digest)))

    def _find_new(self, target):
        for name in target.names(".codes"):
            path = os.path.join(target.path, name)
            position = self._tables_read.get(path, (0, 0))
            for index, fields, position in new_entries(path, *position):
                entry = _entry(target, fields)
                if entry and entry not in self.digests and entry not in self.failures:
                    self._wanted.setdefault(entry, []).append(Holder(target.path, name[: -len(".codes")], index))
            self._tables_read[path] = position

    def _take_own(self, entry):
        """From the courier's own file system, where the file is the one that the process saw."""
        _, path, size, mtime = entry
        try:
            with open(path, "rb") as file:
                found = os.fstat(file.fileno())
                if stat.S_ISREG(found.st_mode) and (found.st_size, found.st_mtime_ns) == (size, mtime):
                    self._keep_content(entry, file.read(size))
        except OSError:
            pass  # not there, or not for this user: a process that can read it is asked

    def _ask(self, seconds):
        gone, mute = set(), set()
        while True:
            batch = [(entry, holder) for entry, holder in self._askable(gone, mute)][:AT_ONCE]
            if not batch:
                return
            questions = [Question(h.folder, h.process + ".sock", "source %d" % h.index) for _, h in batch]
            for (entry, holder), answer in zip(batch, ask_all(questions, seconds)):
                if answer.kind == GONE:
                    gone.add(holder[:2])
                elif answer.kind in (ABSENT, SILENT):
                    mute.add(holder[:2])
                elif answer.kind == ERROR:
                    self._fail(entry, answer.text)
                else:
                    self._take_answer(entry, answer)

    def _askable(self, gone, mute):
        """(entry, a process that may hand it out). Entries for which there is none any more are given up."""
        for entry, holders in list(self._wanted.items()):
            if entry[2] < 0:
                self._fail(entry, "the process itself could not read it")
                continue
            living = [holder for holder in holders if holder[:2] not in gone]
            if not living:
                self._fail(entry, "no process that has it is alive")
                continue
            holder = next((holder for holder in living if holder[:2] not in mute), None)
            if holder:
                yield entry, holder
            else:
                self.failures[entry] = "its process did not answer"

    def _take_answer(self, entry, answer):
        _, _, size, mtime = entry
        words = answer.text.split()
        found = int(words[1])
        changed = found != size or (len(words) > 2 and words[2] != str(mtime))
        if changed:
            self._fail(entry, "it has changed since it was imported")
        else:
            self._keep_content(entry, answer.body[:size])

    def _keep_content(self, entry, content):
        if len(content) != entry[2]:
            return
        digest = "sha256:" + sha256(content).hexdigest()
        path = os.path.join(self.folder, digest)
        try:
            if not os.path.exists(path):
                replace_file(path, content)
        except OSError as error:
            self._fail(entry, "the data volume is full" if error.errno == errno.ENOSPC else str(error))
            return
        self.digests[entry] = digest
        self._wanted.pop(entry, None)
        self.failures.pop(entry, None)

    def _fail(self, entry, reason):
        self.failures[entry] = reason
        self._wanted.pop(entry, None)

    def _read_index(self):
        """What another courier has kept meanwhile."""
        index = (read_file(self._index) or b"")[self._index_read :]
        whole = index[: index.rfind(b"\n") + 1]
        self._index_read += len(whole)
        for line in whole.splitlines():
            try:
                *entry, digest = json.loads(line)
            except ValueError:
                continue  # torn when the volume was full
            self.digests[tuple(entry)] = digest
            self._wanted.pop(tuple(entry), None)

    def _append_index(self, kept):
        lines = "".join(json.dumps([*entry, digest]) + "\n" for entry, digest in kept).encode()
        if lines:
            descriptor = os.open(self._index, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                os.write(descriptor, lines)
            finally:
                os.close(descriptor)


def _entry(target, fields):
    """What a file entry is known by; None for other entries, and for damaged ones, which the reader on the host names."""
    try:
        kind, size, mtime, *path = fields
        if kind == b"F":
            return (target.name, b"\x1f".join(path).decode("utf-8", "surrogateescape"), int(size), int(mtime))
    except ValueError:
        pass
    return None


def _has_own_files(target):
    """Whether the courier has the same file system as the target: it is in its container, or has its image."""
    return target.container == os.environ.get("PODCOV_CONTAINER") or target.start_id == own_start_id()
