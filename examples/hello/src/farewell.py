"""Says goodbye. No code imports this module, and the coverage report says so."""


def farewell(name: str) -> str:
    return f"Goodbye, {name}!"
