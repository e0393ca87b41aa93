"""Where the services are: CATALOG_URL, ORDERS_URL and SHIPPING_URL; without them, where `tilt up` forwards them to."""

import json
import os
from collections.abc import Callable
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

Answer = tuple[int, Any]


def ask(url: str, body: object = None) -> Answer:
    """GET, or POST where there is a body; the status and the JSON of the answer."""
    data = None if body is None else json.dumps(body).encode()
    try:
        with urlopen(Request(url, data, {"Content-Type": "application/json"}), timeout=10) as answer:
            return answer.status, json.load(answer)
    except HTTPError as error:
        with error:
            return error.code, json.loads(error.read() or b"null") if error.headers.get_content_subtype() == "json" else None


@pytest.fixture
def catalog() -> Callable[[str], Answer]:
    url = os.environ.get("CATALOG_URL", "http://127.0.0.1:8081")
    return lambda path: ask(url + path)


@pytest.fixture
def order() -> Callable[..., Answer]:
    url = os.environ.get("ORDERS_URL", "http://127.0.0.1:8082")
    return lambda items, **options: ask(f"{url}/orders", {"items": items, **options})


@pytest.fixture
def shipping() -> Callable[[str], Answer]:
    url = os.environ.get("SHIPPING_URL", "http://127.0.0.1:8083")
    return lambda path: ask(url + path)
