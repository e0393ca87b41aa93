"""Answers every request, until it is told to end."""

import signal
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"here")

    def log_message(self, *_):
        """Nothing: probes come each second."""


signal.signal(signal.SIGTERM, lambda *_: sys.exit())
HTTPServer(("", 8080), Handler).serve_forever()
