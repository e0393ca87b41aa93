"""`podcov pull`: see `podcov.commands.steps`."""

from podcov.commands.steps import pull

__all__ = ["pull"]
