"""Stands inline in the sidecar's command. Runs the courier; where that is missing or damaged the pod must start all the same."""

import runpy
import signal
import sys

sys.path[0] = "/podcov/wrapper"
try:
    runpy.run_path("/podcov/wrapper/podcov_courier.py", run_name="__main__")
except BaseException as end:
    if isinstance(end, SystemExit) and not end.code:
        raise
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    sys.stderr.write("podcov: the courier cannot run, the pod goes on without it: %r\n" % (end,))
    while True:
        signal.pause()
