"""The socket of a process: one thread that takes requests, one connection after another.

The thread is a guest in somebody else's process. It takes no signal; it sleeps in the kernel until somebody connects (a timer
would now and then run the app's finalizers in this thread); it keeps low descriptor numbers free, which an app may count on; it
can be stopped around a fork, which must not see it; and it does not mind when the app closes every descriptor that it finds.

What is called later is bound by name at import, because apps replace functions of these modules, as gevent does.
"""

import os
from _signal import SIG_BLOCK, SIGBUS, SIGFPE, SIGILL, SIGSEGV, pthread_sigmask, valid_signals
from _socket import AF_UNIX, MSG_NOSIGNAL, SHUT_RDWR, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM, socket
from _thread import RLock, allocate_lock, get_native_id, start_new_thread
from fcntl import F_DUPFD_CLOEXEC, fcntl
from os import O_CLOEXEC, O_DIRECTORY, close, fstat, rename, stat
from time import monotonic, sleep

_open, _chmod, _sysconf = os.open, os.chmod, os.sysconf

BACKLOG = 128
REQUEST_BYTES = 256
CLIENT_SECONDS = 5.0
"""So long a client may take to send its request or to take the answer."""
PATIENCE_SECONDS = 0.2
"""So long a fork waits for a request that is being answered; then the client is cut off, and asks again."""
STOP_SECONDS = 3.0
"""So long a fork waits for the thread at all: the app goes first."""
UNTIL_SOMEBODY_CONNECTS = 1e6
"""Seconds. Without any, accepting would reserve the lowest free descriptor for as long as it sleeps."""
POLL_SECONDS = 0.00005
RECOVERY_SECONDS = 0.1
DESCRIPTORS_FROM = 4096
DESCRIPTORS_SPARED = 64


class Listener:
    """Answers on `folder`/`name`: `answer(request)` is called in the thread with the line, and returns the bytes to send.

    `tick` is called in the thread every `interval` seconds, or hardly ever where that is None.
    """

    def __init__(self, folder, name, answer, tick, interval):
        self._folder = folder
        self._name = name
        self._answer = answer
        self._tick = tick
        self._interval = interval or UNTIL_SOMEBODY_CONNECTS
        self._socket = None
        self._inode = None
        self._client = None
        self._stopping = False
        self._lost = False  # the thread did not end when it was told to; nobody waits for it again
        self._thread = 0
        self._switching = RLock()

    def start(self):
        """Listen, from when this returns. Raises OSError or RuntimeError where that is impossible."""
        try:
            self._switching.acquire(timeout=STOP_SECONDS)
            self._start()
        finally:
            let_go(self._switching)

    def _start(self):
        if self._thread:
            return
        if not self._is_open():
            self._listen()
        self._stopping = False
        running = allocate_lock()
        running.acquire()
        start_new_thread(self._run, (running,))
        running.acquire()

    def stop(self):
        """End the thread; connections wait until `start`. Returns when the kernel has forgotten the thread too."""
        try:
            self._switching.acquire(timeout=STOP_SECONDS)
            self._stop()
        finally:
            let_go(self._switching)

    def _stop(self):
        thread = self._thread
        if not thread or thread == get_native_id():
            return
        self._stopping = True
        self._wake()
        self._wait_for_end(thread)
        self._thread = 0

    def _wait_for_end(self, thread):
        begin = monotonic()
        while _thread_exists(thread):
            waited = monotonic() - begin
            if waited > STOP_SECONDS or self._lost:
                self._lost = True
                return
            if waited > PATIENCE_SECONDS:
                self._cut_off()
            sleep(POLL_SECONDS)

    def close(self):
        """End the thread and refuse connections."""
        self.stop()
        self._forget_socket()

    def forget(self):
        """In a forked child: the parent's socket is the parent's, and so is its thread."""
        self._forget_socket()
        if self._client is not None:
            close(self._client.detach())

    def _run(self, running):
        pthread_sigmask(SIG_BLOCK, valid_signals() - {SIGSEGV, SIGBUS, SIGFPE, SIGILL})
        self._thread = get_native_id()
        running.release()
        try:
            while not self._stopping:
                self._serve_or_recover()
        except Exception:
            # The app's stderr is not ours. Requests go unanswered from here on, and the ledger says so.
            return

    def _serve_or_recover(self):
        try:
            self._serve()
        except OSError:
            if self._is_open():
                sleep(RECOVERY_SECONDS)  # out of descriptors for the moment; whoever connected is waiting
            else:
                self._listen_again()

    def _serve(self):
        """Accept one connection and answer it, unless it is the one that ends the thread."""
        try:
            descriptor, _ = self._socket._accept()
        except TimeoutError:
            self._tick()
            return
        connection = _out_of_the_way(socket(fileno=descriptor))
        self._client = connection
        try:
            self._converse(connection)
        finally:
            self._client = None
            connection.close()
        if not self._is_open():
            self._listen()

    def _converse(self, connection):
        connection.settimeout(CLIENT_SECONDS)
        request = b""
        try:
            while not request.endswith(b"\n"):
                piece = connection.recv(REQUEST_BYTES)
                if not piece or len(request) > REQUEST_BYTES:
                    return
                request += piece
            answer = memoryview(self._answer(request.decode("utf-8", "replace").strip()))
            while answer:
                answer = answer[connection.send(answer, MSG_NOSIGNAL) :]
        except OSError:
            # The client hung up or took too long. It knows.
            return

    def _listen(self):
        """Listen on a new socket. It takes the earlier one's place at once: to find no socket means that a process has ended."""
        folder = _open(self._folder, O_DIRECTORY | O_CLOEXEC)
        listening = _out_of_the_way(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC))
        try:
            # A socket's path ends at 108 bytes; by way of a descriptor it is short, however deep the volume lies.
            path = "/proc/self/fd/%d/%s" % (folder, self._name)
            listening.bind(path + ".new")
            _chmod(path + ".new", 0o666)
            listening.listen(BACKLOG)
            rename(path + ".new", path)
        except OSError:
            listening.close()
            raise
        finally:
            close(folder)
        listening.settimeout(self._interval)
        self._forget_socket()
        self._socket, self._inode = listening, fstat(listening.fileno())[1:3]

    def _listen_again(self):
        """The app closed our socket: another comes in its place. A client that was cut off asks again."""
        while not self._stopping:
            try:
                self._listen()
                return
            except OSError:
                # Out of descriptors, or the folder is out of reach. Only marks are lost, and the ledger names those.
                sleep(RECOVERY_SECONDS)

    def _is_open(self):
        """Whether our descriptor is still our socket: daemons close what they find, and others take the number."""
        try:
            return self._socket is not None and fstat(self._socket.fileno())[1:3] == self._inode
        except OSError:
            return False

    def _forget_socket(self):
        if self._socket is None:
            return
        mine = self._is_open()
        descriptor = self._socket.detach()
        self._socket = None
        if mine:
            close(descriptor)

    def _wake(self):
        """Have the thread look at `_stopping`: connect to our own socket, or do away with it."""
        try:
            self._connect()
        except BlockingIOError:
            # Its queue is full: it is awake.
            return
        except OSError:
            # A change of user or of the root folder has put the folder out of reach.
            if self._is_open():
                self._socket.shutdown(SHUT_RDWR)
                self._forget_socket()

    def _connect(self):
        folder = _open(self._folder, O_DIRECTORY | O_CLOEXEC)
        caller = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK)
        try:
            caller.connect("/proc/self/fd/%d/%s" % (folder, self._name))
        finally:
            caller.close()
            close(folder)

    def _cut_off(self):
        client = self._client
        try:
            if client is not None:
                client.shutdown(SHUT_RDWR)
        except OSError:
            # It has been closed meanwhile, which is what we want.
            pass


def let_go(lock):
    """Release an RLock if this thread has it.

    For a `finally` around the taking too: a signal handler of the app can raise between the taking and whatever comes next.
    """
    while lock._is_owned():
        lock.release()


def _thread_exists(thread):
    try:
        stat("/proc/self/task/%d" % thread)
    except OSError:
        return False
    return True


def _out_of_the_way(opened):
    """The same socket under a high number, where it disturbs no app that counts on its own being the next."""
    limit = _sysconf("SC_OPEN_MAX")
    lowest = (DESCRIPTORS_FROM if limit < 0 else min(DESCRIPTORS_FROM, limit)) - DESCRIPTORS_SPARED
    try:
        moved = fcntl(opened.fileno(), F_DUPFD_CLOEXEC, max(lowest, 3))
    except OSError:
        return opened
    opened.close()
    return socket(fileno=moved)
