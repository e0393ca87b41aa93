"""Services that measure themselves: how each kind hands its coverage over. One module a way, one line a way in `_WAYS`.

    host_courier    answers a courier's commands for one pod, so that nobody else need know of this
    journal         which file is of which epoch, written down beside the files
    folders         the target folders that are made of the files
    signal          a handler of the service's own writes, and perhaps clears, its counters
    killswitch      a request ends a test binary, which writes its profile and is started again
    exit            its end, which the platform brings about, makes the service write
    node_files      which pod wrote which file of a folder that all pods of a node share

What is done inside a pod is done by `contract.Hands`, which `podcov.edges.cluster.hands` fulfils.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from podcov.config import DumpBy
from podcov.dumps.contract import Dumped, Hands, HandsError, Listed, NoTool, Piece, Process, Start, Subject, Way
from podcov.dumps.exit import ExitWay
from podcov.dumps.killswitch import KillswitchWay
from podcov.dumps.signal import SignalWay

__all__ = ["Dumped", "Hands", "HandsError", "Listed", "NoTool", "Piece", "Process", "Start", "Subject", "Way", "way"]

_WAYS: Final[Mapping[DumpBy, Way]] = {"signal": SignalWay(), "killswitch": KillswitchWay(), "exit": ExitWay()}


def way(by: DumpBy) -> Way:
    """How services are dumped whose `dump.by` says so."""
    return _WAYS[by]
