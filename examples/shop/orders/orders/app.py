"""The HTTP interface of orders."""

from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import BadRequest

from orders import catalog, totals

app = Flask(__name__)


@app.get("/healthz")
def health() -> str:
    return "ok"


@app.post("/orders")
def order() -> tuple[Response, int]:
    wanted = request.get_json()
    lines = []
    for sku, quantity in wanted["items"].items():
        if quantity < 1:
            raise BadRequest(f"{sku}: order at least one")
        price = catalog.price(sku)
        if price is None:
            return jsonify(error=f"no such product: {sku}"), 404
        lines.append((price, quantity))
    return jsonify(totals.total(lines, express=wanted.get("express", False))), 201


@app.errorhandler(catalog.CatalogDown)
def catalog_down(error: catalog.CatalogDown) -> tuple[Response, int]:
    return jsonify(error=str(error)), 503
