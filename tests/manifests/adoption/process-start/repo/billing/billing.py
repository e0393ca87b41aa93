"""Says what an order costs."""


def app(environ, start_response):
    path = environ["PATH_INFO"].strip("/")
    if not path.isdigit():
        start_response("400 Bad Request", [("Content-Type", "text/plain")])
        return [b"a number, please"]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(int(path) * 5).encode()]
