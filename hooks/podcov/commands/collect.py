"""`podcov collect`: see `podcov.commands.steps`."""

from podcov.commands.steps import collect

__all__ = ["collect"]
