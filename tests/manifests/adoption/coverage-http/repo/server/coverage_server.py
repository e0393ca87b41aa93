"""Runs a program under coverage.py and hands its data out over HTTP: /coverage, /coverage/reset and /health."""

import base64
import json
import os
import runpy
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import coverage

measuring = coverage.Coverage(data_file=None)


class Coverage(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path.startswith("/coverage/reset"):
            measuring.erase()
        self.send_response(200)
        self.end_headers()
        data = base64.b64encode(measuring.get_data().dumps()).decode()
        self.wfile.write(json.dumps({"coverage_data": data}).encode())


def main():
    measuring.start()
    server = ThreadingHTTPServer(("0.0.0.0", int(os.environ.get("COVERAGE_PORT", "9095"))), Coverage)
    Thread(target=server.serve_forever, daemon=True).start()
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
