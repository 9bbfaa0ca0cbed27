"""A service is a contract: a container, and the question that it must answer before it counts as running."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cloud_core.authority import Certificates
from cloud_core.containers import Container, ContainerSpec, Podman
from cloud_core.probes import Probe
from uclab.plan.schema.plan import CloudServer, Plan
from uclab.runtime.logs import last_lines
from uclab.runtime.node import NodeRuntime, NotReady
from uclab.runtime.readiness import wait_until

READY_S = 60.0
"""Deadline of every readiness check; generous, because an emulated machine is ten times slower."""


def image(name: str) -> str:
    """The image that `uclab setup` builds from the folder of this name that has a service's Containerfile."""
    return f"localhost/uclab/{name}:latest"


@dataclass(frozen=True)
class Service:
    """A container and the question that it has to answer."""

    spec: ContainerSpec
    node: str
    probe: Probe
    waits_for: str
    """What the readiness check waits for, as the error says it."""
    after: str | None = None
    """Service that has to be ready before this one is started."""
    on_time: bool = False
    """It forwards voice: a busy machine must not show as jitter in the network."""


@dataclass(frozen=True)
class CloudRun:
    """What a service's starter (`uclab.kinds.cloud_service.CloudService.starter`) makes its services of."""

    plan: Plan
    runtimes: Mapping[str, NodeRuntime]
    """By name of the node."""
    run_dir: Path
    """Configuration and logs go below `services/<name>/`."""
    certificates: Certificates

    def servers(self, service: str) -> tuple[CloudServer, ...]:
        """The servers of a service that the topology asks for."""
        return tuple(server for server in self.plan.cloud_servers if server.service == service)


Starter = Callable[[CloudRun], Sequence[Service]]


def started_with_the_phones(run: CloudRun) -> Sequence[Service]:
    """None: the program is an endpoint's, which the lab starts in this image when it starts the phones."""
    return ()


@dataclass(frozen=True)
class RunningService:
    """A service that has answered."""

    name: str
    node: str
    container: Container
    answer: str
    """What the probe got, e.g. the TLS version."""
    ready_s: float
    """From the call of `start_cloud`."""


async def start_service(
    service: Service, podman: Podman, began: float, before: asyncio.Task[RunningService] | None = None
) -> RunningService:
    """Start a service, once `before` is ready, and wait for its answer; without one it is stopped again."""
    if before:
        await asyncio.shield(before)
    container = await podman.run(service.spec)
    try:
        answer = await _answer(service, container)
    except BaseException:
        await container.stop()
        raise
    if service.on_time:
        container.prefer()
    return RunningService(service.spec.name, service.node, container, answer, time.monotonic() - began)


async def _answer(service: Service, container: Container) -> str:
    """What the probe got; `NotReady` at once when the container ends before."""
    name = service.spec.name
    answering = asyncio.ensure_future(
        wait_until(service.probe, what=f"service `{name}`: {service.waits_for}", deadline_s=READY_S)
    )
    ending = asyncio.ensure_future(container.process.wait())
    try:
        await asyncio.wait({answering, ending}, return_when=asyncio.FIRST_COMPLETED)
        if answering.done():
            return answering.result()
        raise NotReady(f"service `{name}` ended with status {ending.result()} while it started")
    except NotReady as failure:
        raise NotReady(f"{failure}; its log ends:\n{last_lines(container.log)}") from None
    finally:
        answering.cancel()
        ending.cancel()
        await asyncio.gather(answering, ending, return_exceptions=True)
