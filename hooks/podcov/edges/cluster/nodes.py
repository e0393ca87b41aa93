"""Couriers for pods whose services leave their files on the node: what is known of the pods, for `nodes.NodeHands`."""

from __future__ import annotations

import time
from collections.abc import Sequence

from podcov.dumps.contract import HandsError, Start
from podcov.dumps.host_courier import HostCourier
from podcov.dumps.metas import Metas
from podcov.dumps.node_files import Tenant
from podcov.edges.cluster import pods
from podcov.edges.cluster.table import Entry, PodTable
from podcov.edges.nodes import NodeHands, Nodes, Place
from podcov.platform import CourierAddress


class NodeCouriers:
    """One for each pod, made when it is first asked for. `table` is asked anew each time."""

    def __init__(self, table: PodTable) -> None:
        self._table = table
        self._nodes = Nodes()
        self._metas = Metas()
        self._couriers: dict[str, HostCourier] = {}

    def of(self, address: CourierAddress) -> HostCourier | None:
        """None for what is not known, or whose files are not on its node. It answers when the pod is gone, too."""
        entry = self._table.entry(address)
        if entry is None or not pods.on_node(entry.services):
            return None
        if address.id not in self._couriers:
            self._couriers[address.id] = HostCourier(self._hands(entry), entry.services, self._metas, time.time)
        return self._couriers[address.id]

    def _hands(self, entry: Entry) -> NodeHands:
        return NodeHands(
            self._nodes,
            entry.pod.uid,
            starts=lambda container: starts(entry, container),
            place=lambda container, folder: place(entry, container, folder),
            tenants=self._tenants,
            over=lambda: entry.gone or not any(entry.pod.running(container.name) for container in entry.pod.containers),
            ready=lambda: entry.pod.ready,
        )

    def _tenants(self, where: Place) -> Sequence[Tenant]:
        return [
            Tenant(entry.pod.uid, container, start.restart, start.began, not start.running, start.finished)
            for entry in self._table.known()
            for container, service in entry.services.items()
            if service.dump and entry.pod.node == where.node
            if entry.pod.node_folder(container, service.dump.folder) == where.path
            for start in starts(entry, container)
        ]


def starts(entry: Entry, container: str) -> Sequence[Start]:
    """Every start of the container that was seen, in order."""
    return [
        Start(
            start.restart,
            start.container_id,
            start.started,
            start.finished,
            running=start.started is not None and not start.ended,
            killed=start.killed,
        )
        for (name, _), start in sorted(entry.starts.items())
        if name == container
    ]


def place(entry: Entry, container: str, folder: str) -> Place:
    """Raises HandsError where the folder is none of the node's."""
    dump = entry.services[container].dump
    path = entry.pod.node_folder(container, folder)
    if not path:
        raise HandsError(
            f"{folder} of {entry.address.name}/{container} is not a folder of its node, and goes when the pod does: "
            "mount a hostPath volume there, or leave out `dump.source: nodes`"
        )
    return Place(entry.pod.node, path, dump.engine if dump else "")
