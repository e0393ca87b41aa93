"""`podcov mark`: see `podcov.commands.steps`."""

from podcov.commands.steps import mark

__all__ = ["mark"]
