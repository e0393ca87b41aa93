def app(environ: dict, start_response: object) -> list[bytes]:
    return [b"ok"]
