# Loads everything, in threads too, and ends by an exception that nobody catches.
import threading

import asynchronous
import control
import declarations
import docstring_only
import empty
import generators
import line_ends
import matching

modules = (asynchronous, control, declarations, docstring_only, empty, generators, line_ends, matching)


def work(number):
    if number == 1:
        control.loops(5)
    else:
        generators.recursive(3)


threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()


def last():
    try:
        raise SystemExit(0)
    finally:
        print("leaving")


if modules:
    last()
print("never")
