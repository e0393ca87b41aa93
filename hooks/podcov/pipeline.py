"""The way of the data: mark, tests, dump, pull, convert, merge, report. Written against the Protocols in `podcov.platform`."""

from __future__ import annotations

from podcov.platform import ContainerStart, CourierAddress, CourierAnswer, CourierUnreachable, Platform, PlatformEvent

__all__ = ["ContainerStart", "CourierAddress", "CourierAnswer", "CourierUnreachable", "Platform", "PlatformEvent"]
