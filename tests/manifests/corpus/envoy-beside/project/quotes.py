import os

from aiohttp import web

routes = web.RouteTableDef()


@routes.get("/")
async def quote(request: web.Request) -> web.Response:
    return web.json_response({"quote": "so it goes"})


app = web.Application()
app.add_routes(routes)
if __name__ == "__main__":
    web.run_app(app, port=int(os.environ["PORT"]))
