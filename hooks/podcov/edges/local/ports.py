"""Ports of local services: `{port:NAME}` in podcov.yaml, and the environment variables that tell the tests about them.

A name belongs to the service whose command or readiness mentions it; where other services mention it, they mean that one's. A
service that runs more than once has a port for each replica, and one in front of them that everybody else is given.
"""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from podcov.config import Config, LocalService, PortForward, Service, address_variables, variable_prefix
from podcov.errors import UsageError

HOST = "127.0.0.1"
_PLACEHOLDER = re.compile(r"\{port:([A-Za-z0-9_-]+)\}")


@dataclass(frozen=True, slots=True)
class Ports:
    """Who listens where. `owner`: port name -> service; `public`: port name -> the port that others are given.

    `replicas`: (service, replica from 0) -> its own ports by name.
    """

    owner: Mapping[str, str]
    public: Mapping[str, int]
    replicas: Mapping[tuple[str, int], Mapping[str, int]]

    def balanced(self) -> Mapping[int, tuple[int, ...]]:
        """Public ports that stand in front of several replicas, with the replicas' ports."""
        return {
            port: tuple(own[name] for (service, _), own in self.replicas.items() if service == self.owner[name])
            for name, port in self.public.items()
            if (self.owner[name], 1) in self.replicas
        }

    def fill_in(self, service: Service, replica: int) -> LocalService:
        """How to run one replica, with every placeholder replaced."""
        local = _local(service)
        ports = {**self.public, **self.replicas[service.name, replica]}
        return replace(
            local,
            command=tuple(_filled(part, ports) for part in local.command),
            env={name: _filled(value, ports) for name, value in local.env.items()},
            ready=_filled(local.ready, ports),
        )

    def environment(self, forwards: Iterable[PortForward]) -> dict[str, str]:
        """NAME_HOST, NAME_PORT and NAME_URL for each port, for each service that has just one, and for each declared forward."""
        numbers = dict(self.public)
        for service in set(self.owner.values()):
            own = [name for name, owner in self.owner.items() if owner == service]
            if len(own) == 1:
                numbers.setdefault(service, self.public[own[0]])
        for forward in forwards:
            resource = forward.resource.rpartition("/")[2]
            if forward.name and resource in numbers:
                numbers[forward.name] = numbers[resource]
        return {
            key: value
            for name, port in numbers.items()
            for key, value in address_variables(variable_prefix(name), HOST, port).items()
        }


def pick(config: Config) -> Ports:
    """Finds a free port for every name. Raises UsageError where two services claim one name."""
    owner = _owners(config.services)
    wanted: list[tuple[str, int | None]] = []
    for service in config.services:
        replicas = _local(service).replicas
        for name in (name for name, owning in owner.items() if owning == service.name):
            wanted += [(name, replica) for replica in range(replicas)]
            if replicas > 1:
                wanted.append((name, None))
    picked = dict(zip(wanted, _free_ports(len(wanted)), strict=True))
    return Ports(
        owner=owner,
        public={name: picked.get((name, None)) or picked[name, 0] for name in owner},
        replicas={
            (service.name, replica): {name: picked[name, replica] for name, owning in owner.items() if owning == service.name}
            for service in config.services
            for replica in range(_local(service).replicas)
        },
    )


def _local(service: Service) -> LocalService:
    if service.local is None:
        raise UsageError(
            f"service {service.name} cannot run on this machine: podcov.yaml does not say how",
            hint=f"give services.{service.name}.local a command, run on the platform `kubernetes`, or leave the service out: "
            f"podcov run --without {service.name}",
        )
    return service.local


def _owners(services: Iterable[Service]) -> dict[str, str]:
    owner: dict[str, str] = {}
    services = tuple(services)
    for service in services:
        local = _local(service)
        for name in _names(*local.command, local.ready):
            if owner.setdefault(name, service.name) != service.name:
                raise UsageError(
                    f"services {owner[name]} and {service.name} both listen on {{port:{name}}}",
                    hint=f"names of ports hold for all services: call one {{port:{service.name}}}",
                )
    for service in services:
        for name in _names(*_local(service).env.values()):
            owner.setdefault(name, service.name)
    return owner


def _names(*texts: str) -> list[str]:
    return [name for text in texts for name in _PLACEHOLDER.findall(text)]


def _filled(text: str, ports: Mapping[str, int]) -> str:
    return _PLACEHOLDER.sub(lambda match: str(ports[match[1]]), text)


def _free_ports(count: int) -> list[int]:
    """All are held until the last is found, so that no port comes twice."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((HOST, 0))
        return [each.getsockname()[1] for each in sockets]
