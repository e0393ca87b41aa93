"""Asks the catalog service for prices."""

import json
import os
from urllib.error import HTTPError, URLError
from urllib.request import urlopen


class CatalogDown(Exception):
    """The catalog does not answer."""


def base_url() -> str:
    """CATALOG_URL, or what the kubelet tells every pod of the namespace about the Service, or the Service's name."""
    if "CATALOG_URL" in os.environ:
        return os.environ["CATALOG_URL"]
    host = os.environ.get("CATALOG_SERVICE_HOST", "catalog")
    return f"http://{host}:8080"


def price(sku: str) -> int | None:
    """The price in cents; None for a product that the shop does not sell."""
    try:
        with urlopen(f"{base_url()}/products/{sku}", timeout=5) as answer:
            return json.load(answer)["price"]
    except HTTPError as error:
        error.close()
        if error.code == 404:
            return None
        raise CatalogDown(f"the catalog answers {error.code}") from error
    except URLError as error:
        raise CatalogDown(f"the catalog does not answer: {error.reason}") from error
