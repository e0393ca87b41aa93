def create_app() -> object:
    return None
