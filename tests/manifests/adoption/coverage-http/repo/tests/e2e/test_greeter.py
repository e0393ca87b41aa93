import urllib.request


def test_it_greets(url):
    with urllib.request.urlopen(f"{url}/Ada") as answer:
        assert answer.read() == b"Hello Ada"
