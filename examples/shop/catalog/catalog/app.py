"""The catalog's HTTP interface."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from catalog import stock


async def health(_: Request) -> Response:
    return PlainTextResponse("ok")


async def products(request: Request) -> Response:
    dearest = request.query_params.get("dearest")
    try:
        limit = int(dearest) if dearest else None
    except ValueError:
        return JSONResponse({"error": f"not a price: {dearest}"}, status_code=400)
    return JSONResponse(stock.search(request.query_params.get("q", ""), limit))


async def product(request: Request) -> Response:
    found = stock.find(request.path_params["sku"])
    if found is None:
        return JSONResponse({"error": "no such product"}, status_code=404)
    return JSONResponse(found)


app = Starlette(
    routes=[
        Route("/healthz", health),
        Route("/products", products),
        Route("/products/{sku}", product),
    ]
)
