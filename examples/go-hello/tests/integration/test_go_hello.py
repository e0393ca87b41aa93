"""Asks the running service; GO_HELLO_URL says where it is."""

import os
import unittest
from urllib.error import HTTPError
from urllib.request import urlopen

URL = os.environ.get("GO_HELLO_URL", "http://127.0.0.1:8080")


def get(path: str) -> tuple[int, str]:
    try:
        with urlopen(URL + path, timeout=10) as answer:
            return answer.status, answer.read().decode().strip()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode().strip()


class HelloTest(unittest.TestCase):
    def test_greets_the_world(self) -> None:
        assert get("/hello") == (200, "Hello, world!")

    def test_greets_by_name_in_a_language(self) -> None:
        assert get("/hello?name=Ada&language=fr") == (200, "Bonjour, Ada!")

    def test_knows_not_every_language(self) -> None:
        assert get("/hello?language=tlh") == (404, 'no greeting in "tlh"')


if __name__ == "__main__":
    unittest.main()
