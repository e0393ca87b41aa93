"""`podcov dump`: see `podcov.commands.steps`."""

from podcov.commands.steps import dump

__all__ = ["dump"]
