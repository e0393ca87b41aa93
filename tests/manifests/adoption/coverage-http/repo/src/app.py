"""Greets whoever asks, in the language of the deployment."""

import os
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

GREETINGS = {"en": "Hello", "de": "Hallo"}


class Greeter(BaseHTTPRequestHandler):
    def do_GET(self):
        name = self.path.strip("/")
        if name == "nobody":
            self.answer(404, "There is nobody here")
        else:
            self.answer(200, f"{GREETINGS[os.environ.get('LANGUAGE', 'en')]} {name or 'world'}")

    def answer(self, status, text):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *arguments):
        pass


def main(port):
    HTTPServer(("0.0.0.0", port), Greeter).serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[sys.argv.index("--port") + 1]) if "--port" in sys.argv else 8080)
