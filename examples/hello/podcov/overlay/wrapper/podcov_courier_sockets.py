"""Asking many processes at once, each on its own socket, in a bounded time and without a thread.

A process that is gone refuses the connection; one that is busy in C code, or stopped, takes it and says nothing.
"""

import errno
import os
import resource
import select
import socket
import time
from collections import deque, namedtuple

OK = "ok"
ERROR = "error"
"""it answered that it could not"""
GONE = "gone"
"""nobody listens any more"""
ABSENT = "absent"
"""there is no socket"""
SILENT = "silent"
"""it did not answer in time"""

RETRY_SECONDS = 0.02
DOUBT_SECONDS = 1.0
"""A process that hung up and then refuses has ended, or is about to open another socket because its app closed the first."""
SPARE_DESCRIPTORS = 40

Question = namedtuple("Question", "folder name request patience", defaults=(0.0,))
"""`folder`/`name` is the socket, `request` a line. `patience`: seconds that a socket which does not exist yet is waited for."""

Answer = namedtuple("Answer", "kind text body", defaults=("", b""))
"""`kind` is one of the above, `text` what stood behind `ok` or `error`, `body` what followed that line."""


def ask_all(questions, seconds):
    """The answers, in the order of the questions, after at most so many seconds."""
    begin = time.monotonic()
    folders = {}
    talks = []
    try:
        for question in questions:
            if question.folder not in folders:
                folders[question.folder] = os.open(question.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            talks.append(_Talk(question, folders[question.folder], begin))
        _hold(talks, begin + seconds)
    finally:
        for descriptor in folders.values():
            os.close(descriptor)
    return [talk.answer for talk in talks]


def _hold(talks, deadline):
    window = _allow_descriptors(len(talks))
    waiting, running = deque(talks), {}
    poll = select.poll()
    while True:
        now = time.monotonic()
        if now >= deadline:
            for talk in (*waiting, *running.values()):
                talk.give_up()
            return
        for _ in range(min(len(waiting), window - len(running))):
            talk = waiting.popleft()
            if talk.begin(now):
                running[talk.fileno] = talk
                poll.register(talk.fileno, select.POLLIN)
            elif talk.answer is None:
                waiting.append(talk)
        if not running and not waiting:
            return
        patience = RETRY_SECONDS if waiting else deadline - now
        for fileno, _ in poll.poll(max(1, int(patience * 1000))):
            talk = running[fileno]
            if talk.go_on():
                continue
            poll.unregister(fileno)
            del running[fileno]
            talk.close()
            if talk.answer is None:
                waiting.append(talk)


class _Talk:
    """One question on its way. `answer` is None until it is over."""

    def __init__(self, question, folder, begin):
        # A socket's path ends at 108 bytes; by way of a descriptor it is short, however deep the volume lies.
        self.address = "/proc/self/fd/%d/%s" % (folder, question.name)
        self.request = question.request.encode() + b"\n"
        self.patient_until = begin + question.patience
        self.doubtful_until = begin
        self.answer = None
        self.received = b""
        self.socket = None

    @property
    def fileno(self):
        return self.socket.fileno()

    def begin(self, now):
        """Connects and asks. False where that did not come off: then there is an answer, or it is to be tried again."""
        self.received = b""
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            self.socket.connect(self.address)
            self.socket.sendall(self.request)
            return True
        except OSError as error:
            self.close()
            if error.errno == errno.ECONNREFUSED:
                if now >= self.doubtful_until:
                    self.answer = Answer(GONE)
            elif error.errno == errno.ENOENT:
                if now >= self.patient_until:
                    self.answer = Answer(ABSENT)
            elif error.errno in (errno.EPIPE, errno.ECONNRESET):
                self.doubtful_until = now + DOUBT_SECONDS
            elif error.errno != errno.EAGAIN:  # its queue is full
                self.answer = Answer(ERROR, "cannot be asked: %s" % error.strerror)
            return False

    def go_on(self):
        """Takes what came. True while more is to come."""
        try:
            piece = self.socket.recv(1 << 20)
        except BlockingIOError:
            return True
        except OSError:
            piece = b""
        if not piece:
            self.doubtful_until = time.monotonic() + DOUBT_SECONDS
            return False  # it hung up in the middle: asked again, it refuses if it has gone
        self.received += piece
        self.answer = _parse(self.received)
        return self.answer is None

    def give_up(self):
        self.close()
        self.answer = Answer(SILENT)

    def close(self):
        if self.socket is not None:
            self.socket.close()
            self.socket = None


def _parse(received):
    """The answer, or None while it is not whole."""
    line, newline, body = received.partition(b"\n")
    if not newline:
        return None
    kind, _, text = line.decode("utf-8", "surrogateescape").partition(" ")
    if kind != OK:
        return Answer(ERROR, text or kind)
    words = text.split()
    if words[:1] not in (["source"], ["scan"]):
        return Answer(OK, text)
    if len(words) < 2 or not words[1].isdigit():
        return Answer(ERROR, "answered %r" % line[:80])
    arrived = len(body) if words[0] == "source" else body.count(b"\n")
    return Answer(OK, text, body) if arrived >= int(words[1]) else None


def _allow_descriptors(wanted):
    """How many sockets may be open at once; silent processes keep theirs to the end."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + SPARE_DESCRIPTORS
    if hard != resource.RLIM_INFINITY:
        needed = min(needed, hard)
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
        soft = needed
    return wanted if soft == resource.RLIM_INFINITY else max(1, soft - SPARE_DESCRIPTORS)
