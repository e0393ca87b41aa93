import os
import urllib.request


def test_that_it_answers() -> None:
    urllib.request.urlopen(os.environ["SHORTENER_URL"])
