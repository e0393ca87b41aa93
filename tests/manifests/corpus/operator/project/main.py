import kopf


@kopf.on.resume("backups")
def resumed(**_: object) -> None: ...
