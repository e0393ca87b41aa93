"""Takes orders over HTTP, and counts them."""

import os
from http.server import BaseHTTPRequestHandler, HTTPServer

taken = 0


class Orders(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(200, str(taken))

    def do_POST(self):
        global taken
        if self.path == "/orders":
            taken += 1
            self.answer(201, str(taken))
        else:
            self.answer(404, "no such thing")

    def answer(self, status, text):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *arguments):
        pass


if __name__ == "__main__":
    HTTPServer(("0.0.0.0", int(os.environ.get("PORT", "8080"))), Orders).serve_forever()
