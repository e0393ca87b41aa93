import kopf


@kopf.on.create("orders")
def created(**_: object) -> None: ...
