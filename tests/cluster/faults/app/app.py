"""A server that does what it is asked to, for tests that end it in hard ways. They find its lines by the name at the end of each."""

import atexit
import http.server
import os
import signal
import sys

STARTED = os.getpid()  # start-up
healthy = True


def first():
    return "first"  # first


def second():
    return "second"  # second


def health():
    if healthy:
        return "well"
    return None  # last words


def hang():
    """The kubelet finds it unhealthy, tells it to end, and then kills it."""
    global healthy
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    healthy = False  # hang
    return "hangs"


def burst():
    """Takes more memory than it may."""
    block = bytearray(os.urandom(1))  # burst
    return str(len(block * (1 << 30)))


def whoami():
    return os.environ["HOSTNAME"]


def terminated(*_):
    """SIGTERM."""
    sys.stderr.write("told to end\n")  # terminated
    sys.exit()


def left():
    sys.stderr.write("ended\n")  # left


DEEDS = {f"/{deed.__name__}": deed for deed in (first, second, health, hang, burst, whoami)}


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
    http.server.ThreadingHTTPServer(("", 8080), Handler).serve_forever()
