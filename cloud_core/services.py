"""The cloud as a whole: all services of a plan, started side by side.

A session controller starts after its media relay; `start_cloud` returns when every service has answered in
its own protocol.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cloud_core.authority import Certificates
from cloud_core.containers import Podman
from cloud_core.node import ContainerRuntime
from cloud_core.service import CloudRun, RunningService, Service, Starter, image, start_service
from uclab.kinds.cloud_service import CLOUD_SERVICES
from uclab.plan.schema.plan import Plan
from uclab.runtime.node import NodeRuntime


@dataclass(frozen=True)
class RunningCloud:
    """The cloud while it runs."""

    services: tuple[RunningService, ...]
    made: Mapping[str, Service]
    """Service by name, as it was started and can be again."""
    podman: Podman
    pstn: Mapping[str, NodeRuntime]
    """For each PSTN peer the device to start its endpoint on: programs spawned there run in a container."""

    @property
    def processes(self) -> tuple[tuple[str, asyncio.subprocess.Process, Path], ...]:
        """Name, process and log of each service: what has to be watched."""
        return tuple((s.name, s.container.process, s.container.log) for s in self.services)

    async def start_again(self, name: str) -> RunningService:
        """Start a service again that has ended, and wait for its answer. Raises `NotReady`."""
        return await start_service(self.made[name], self.podman, time.monotonic())

    async def stop(self) -> None:
        """End all services in order; only needed where the lab's namespaces go on living."""
        await asyncio.gather(*(service.container.stop() for service in self.services))


async def start_cloud(
    plan: Plan,
    runtimes: Mapping[str, NodeRuntime],
    run_dir: Path,
    podman: Podman,
    certificates: Certificates,
) -> RunningCloud:
    """Start all services, and wait until each answers.

    `runtimes` by node name. Writes `services/<name>/` and `keys/tls.keylog` below `run_dir`. Raises
    `NotReady` that names the service, what was last seen and its last log lines; what was started by then
    is stopped again.
    """
    began = time.monotonic()
    services = make_services(plan, runtimes, run_dir, certificates)
    starting = {
        service.spec.name: asyncio.create_task(start_service(service, podman, began))
        for service in services
        if not service.after
    }
    for service in services:
        if service.after:
            before = starting[service.after]
            starting[service.spec.name] = asyncio.create_task(start_service(service, podman, began, before))
    try:
        running = await asyncio.gather(*starting.values())
    except BaseException:
        for task in starting.values():
            task.cancel()
        outcomes = await asyncio.gather(*starting.values(), return_exceptions=True)
        await asyncio.gather(*(o.container.stop() for o in outcomes if isinstance(o, RunningService)))
        raise
    pstn = {
        peer.name: ContainerRuntime(runtimes[peer.node], podman, image("pstn")) for peer in plan.pstn_peers
    }
    made = {service.spec.name: service for service in services}
    return RunningCloud(tuple(running), made, podman, pstn)


def make_services(
    plan: Plan, runtimes: Mapping[str, NodeRuntime], run_dir: Path, certificates: Certificates
) -> list[Service]:
    """Write the configuration of all services of `plan` and say how they are run. Raises `DeclarationError`
    where a declared service cannot be had."""
    run = CloudRun(plan, runtimes, run_dir, certificates)
    asked = {server.service for server in plan.cloud_servers}
    made: list[Service] = []
    for service in CLOUD_SERVICES.values():
        if not service.on_request or service.name in asked:
            starter: Starter = service.load_starter()
            made += starter(run)
    return made
