"""A server that does what it is asked to, for tests that end it in hard ways. A comment at a line's end is what they call it."""

import atexit
import http.server
import importlib
import os
import signal
import sys
import threading
import time
from pathlib import Path

STARTED = os.getpid()  # start-up
VOLUME = os.environ.get("PODCOV_DATA", "/podcov/data")
THREADS = 8
LEFT_FOR_CHILDREN = 240
PATIENCE_SECONDS = 5.0
healthy = True
obedient = True
marked = True


def first():
    return "first"  # first


def second():
    return "second"  # second


def whoami():
    return os.environ["HOSTNAME"]


def health():
    if healthy:
        return "well"
    return None  # last words


def hang():
    """The kubelet finds it unhealthy and tells it to end; as it does not, the kubelet kills it."""
    global healthy
    healthy = False  # hang
    return "hangs"


def ignore():
    """From now on it does not end when it is told to."""
    global obedient
    obedient = False
    return "ignores"


def burst():
    """Takes more memory than it may."""
    block = bytearray(os.urandom(1))  # burst
    return str(len(block * (1 << 30)))


def fill():
    """Leaves no room in the data volume, then runs more than the room that recording has taken already."""
    with Path(VOLUME, "filler").open("wb", buffering=0) as filler:
        try:
            while True:
                filler.write(bytes(4096))
        except OSError as error:
            reason = error.strerror
    for function in once():
        function()
    return reason


def storm():
    """Lines that run once, in threads, each function right when a mark begins an epoch; all but those left for `sacrifice`.

    How long a mark takes is the machine's matter: what is left when none has come for long runs without.
    """
    functions = once()[LEFT_FOR_CHILDREN:]
    threads = [threading.Thread(target=keep_pace, args=(functions[n::THREADS],)) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return "over"


def keep_pace(functions):
    global marked
    for function in functions:
        begun = epoch()
        function()
        patience = time.monotonic() + PATIENCE_SECONDS
        while marked and epoch() == begun:
            if time.monotonic() > patience:
                marked = False
            time.sleep(0.002)


def sacrifice():
    """Child processes that are killed right after their last line."""
    functions = once()[:LEFT_FOR_CHILDREN]
    for number in range(0, len(functions), 8):
        child = os.fork()
        if not child:
            for function in functions[number : number + 8]:
                function()
            os.kill(os.getpid(), signal.SIGKILL)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    return "killed"


def once():
    module = importlib.import_module("once")
    return [function for name, function in sorted(vars(module).items()) if name.startswith("f")]


def epoch():
    return [path.read_text() for path in Path(VOLUME).glob("targets/*/*/epoch")]


def terminated(*_):
    """SIGTERM."""
    if healthy and obedient:
        sys.stderr.write("told to end\n")  # terminated
        sys.exit()
    sys.stderr.write("goes on\n")  # ignored


def left():
    sys.stderr.write("ended\n")  # left


DEEDS = {f"/{deed.__name__}": deed for deed in (first, second, whoami, health, hang, ignore, burst, fill, storm, sacrifice)}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        answer = DEEDS[self.path]()
        self.send_response(503 if answer is None else 200)
        self.end_headers()
        self.wfile.write((answer or "unhealthy").encode())

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    atexit.register(left)
    signal.signal(signal.SIGTERM, terminated)
    http.server.ThreadingHTTPServer(("", int(os.environ.get("PORT", "8080"))), Handler).serve_forever()
