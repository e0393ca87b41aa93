"""Registers, and then behaves as its argument says: what recorders do only when something is wrong with them.

Usage: fake_process.py BEHAVIOUR FOLDER [KEY=JSON ...]; the keys change its start record. Prints its process name once it is
registered.
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
    print(name, flush=True)
    BEHAVIOURS[behaviour](f"{name}.sock")
    while True:
        time.sleep(60)


def listening(path):
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen(16)
    return server


def answer(server, text):
    connection, _ = server.accept()
    with connection:
        request = connection.makefile().readline().strip()
        connection.sendall((text or "ok " + request).encode() + b"\n")


def has_no_socket(path):
    pass


def listens_late(path):
    time.sleep(1)
    answers(path)


def answers(path, text=""):
    server = listening(path)
    while True:
        answer(server, text)


def refuses(path):
    answers(path, "error the table is gone")


def talks_nonsense(path):
    answers(path, "ok source many")


def hangs_up_twice(path):
    server = listening(path)
    for _ in range(2):
        server.accept()[0].close()
    while True:
        answer(server, "")


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
