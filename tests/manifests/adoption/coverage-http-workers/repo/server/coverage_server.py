"""Runs a module, and hands the files that its processes wrote out over HTTP."""

import runpy
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import coverage


class Files(BaseHTTPRequestHandler):
    def do_GET(self):
        combined = coverage.Coverage(data_file="/dev/shm/combined")
        combined.combine(map(str, Path("/dev/shm").glob(".coverage.*")), keep=True)
        self.send_response(200)
        self.end_headers()


if __name__ == "__main__":
    Thread(target=HTTPServer(("0.0.0.0", 9095), Files).serve_forever, daemon=True).start()
    sys.argv = sys.argv[2:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
