"""Registers, and then behaves as its argument says: what recorders do only when something is wrong with them.

Usage: fake_process.py BEHAVIOUR FOLDER [KEY=JSON ...]; the keys change its start record. Prints its name when it is ready.
"""

import json
import os
import socket
import sys
import time
from pathlib import Path


def main():
    behaviour, folder, *changes = sys.argv[1:]
    Path(folder).mkdir(parents=True, exist_ok=True)
    os.chdir(folder)  # a socket's path is short
    started = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    name = f"{os.getpid()}-{started}-{os.urandom(4).hex()}"
    record = {
        "protocol": 1,
        "language": "python",
        "pid": os.getpid(),
        "ppid": os.getppid(),
        "start_time": started,
        "parent": None,
        "time": time.time_ns(),
        "executable": sys.executable,
        "argv": sys.orig_argv,
        "implementation": "cpython",
        "version": "3.13.0",
        "state": "recording",
        "reason": None,
        "recording": "mapped",
        "mode": "line",
        "save_interval": None,
        "epoch": 0,
        **{key: json.loads(value) for key, value in (change.split("=", 1) for change in changes)},
    }
    Path(f"{name}.start").write_text(json.dumps(record) + "\n")
    BEHAVIOURS[behaviour](name)
    while True:
        time.sleep(60)


def listening(name):
    server = socket.socket(socket.AF_UNIX)
    server.bind(f"{name}.sock")
    server.listen(16)
    return server


def announce(name):
    print(name, flush=True)


def answer(server, text):
    connection, _ = server.accept()
    with connection:
        request = connection.makefile().readline().strip()
        connection.sendall((text or "ok " + request).encode() + b"\n")


def has_no_socket(name):
    announce(name)


def listens_late(name):
    announce(name)
    time.sleep(1)
    serve(listening(name))


def answers(name, text=""):
    server = listening(name)
    announce(name)
    serve(server, text)


def serve(server, text=""):
    while True:
        answer(server, text)


def refuses(name):
    answers(name, "error the table is gone")


def talks_nonsense(name):
    answers(name, "ok source many")


def hangs_up_twice(name):
    server = listening(name)
    announce(name)
    for _ in range(2):
        server.accept()[0].close()
    serve(server)


BEHAVIOURS = {
    "answers": answers,
    "has-no-socket": has_no_socket,
    "listens-late": listens_late,
    "refuses": refuses,
    "talks-nonsense": talks_nonsense,
    "hangs-up-twice": hangs_up_twice,
}

if __name__ == "__main__":
    main()
