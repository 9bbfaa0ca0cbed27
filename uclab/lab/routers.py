"""The routing daemons of a lab's routers, until each has the routes that it should have."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path

from uclab.emulation.hosts import LabHost
from uclab.emulation.routing.frr import start_routing
from uclab.emulation.routing.learned import wait_learned
from uclab.lab.watch import ProcessWatch


async def start_routers(hosts: Iterable[LabHost], folder: Path, watch: ProcessWatch) -> tuple[str, ...]:
    """Start the daemons of every host whose plan has some, and wait until all have learned; the names of
    those hosts. Raises `NotReady`."""
    routers = [(host, node) for host in hosts if (node := host.plan) and (node.routing or node.ospf)]
    started = await asyncio.gather(
        *(start_routing(host, node.routing, node.ospf, folder / host.name) for host, node in routers)
    )
    for daemon in (daemon for daemons in started for daemon in daemons):
        watch.watch(daemon.name, daemon.process, daemon.log)
    await asyncio.gather(*(wait_learned(host.live_namespace(), node.learned) for host, node in routers))
    return tuple(host.name for host, _ in routers)
