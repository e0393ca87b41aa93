"""Greets whoever asks, over HTTP. Nothing but the standard library."""

import signal
import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

GREETINGS = {"de": "Hallo", "en": "Hello", "fr": "Bonjour"}
LONGEST_NAME = 40


def greeting(name: str, language: str) -> str:
    if len(name) > LONGEST_NAME:
        raise ValueError(f"a name has at most {LONGEST_NAME} characters")
    return f"{GREETINGS.get(language, GREETINGS['en'])}, {name}!"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path == "/healthz":
            self.answer(HTTPStatus.OK, "ok")
        elif url.path == "/hello":
            self.greet(parse_qs(url.query))
        else:
            self.answer(HTTPStatus.NOT_FOUND, f"no such page: {url.path}")

    def greet(self, query: dict[str, list[str]]) -> None:
        name = query.get("name", ["world"])[0]
        language = query.get("language", ["en"])[0]
        try:
            self.answer(HTTPStatus.OK, greeting(name, language))
        except ValueError as error:
            self.answer(HTTPStatus.BAD_REQUEST, str(error))

    def answer(self, status: HTTPStatus, text: str) -> None:
        body = f"{text}\n".encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """A greeting is nothing to write home about."""


def main() -> None:
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8080
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("told to stop"))
    ThreadingHTTPServer(("", port), Handler).serve_forever()


if __name__ == "__main__":
    main()
