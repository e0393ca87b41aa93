"""Asks one question a connection, and then each of its arguments; `kill` ends the process that answers."""

import os
import signal
import socket
import sys


def ask(question: str) -> str:
    address = os.environ["NUMBERS_HOST"], int(os.environ["NUMBERS_PORT"])
    with socket.create_connection(address, timeout=20) as connection:
        connection.sendall(f"{question}\n".encode())
        return connection.makefile().readline().strip()


for question, expected in {"parity 2": "even", "parity 3": "odd", "size 7": "small", "size x": "no number"}.items():
    assert ask(question) == expected, question
for how in sys.argv[1:]:
    if how == "kill":
        os.kill(int(ask("pid")), signal.SIGKILL)
    else:
        ask(how)
