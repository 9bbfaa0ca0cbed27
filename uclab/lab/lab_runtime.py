"""What of a lab has come up so far, and how it stops."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from cloud_core.services import RunningCloud
from endpoints_emu.phone import Phone
from uclab.emulation.linux.taps import TapCount, Taps
from uclab.emulation.mininet.network import LabNet
from uclab.lab.bulk import BulkSource
from uclab.lab.circuit_exchanges import Exchanges
from uclab.lab.controllers import RunningController
from uclab.lab.host_watch import HostWatch
from uclab.lab.overlay import RunningOverlays
from uclab.lab.router_programs import RouterPrograms
from uclab.runtime.node import NodeRuntime


@dataclass
class LabRuntime:
    """What has come up so far; filled in while the lab comes up, so that `stop` finds whatever there is."""

    outside: int | None = None
    """Descriptor of the namespace that the plan's network cards come from; of those plans alone that have
    any."""
    variants: dict[str, str] = field(default_factory=dict)
    network: LabNet | None = None
    taps: Taps | None = None
    captured: tuple[TapCount, ...] = ()
    """What each tap saw and dropped; known at the end."""
    cut_off: tuple[str, ...] = ()
    """Captures that did not end in order, in words; known at the end."""
    controllers: tuple[RunningController, ...] = ()
    cloud: RunningCloud | None = None
    overlays: RunningOverlays | None = None
    phones: dict[str, Phone] = field(default_factory=dict)
    registered: set[str] = field(default_factory=set)
    bulk: BulkSource | None = None
    exchanges: Exchanges | None = None
    routers: RouterPrograms | None = None
    host: HostWatch | None = None
    timings: dict[str, float] = field(default_factory=dict)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def runtimes(self) -> Mapping[str, NodeRuntime]:
        """The devices by name, once there is a network."""
        assert self.network is not None
        return {host.name: host for host in self.network.hosts}

    def spaces(self) -> dict[int, str]:
        """The lab's network namespaces by inode, as far as they are there."""
        spaces = dict(self.network.namespaces) if self.network is not None else {}
        return {os.fstat(space.fd).st_ino: name for name, space in spaces.items()}

    async def stop(self) -> None:
        """Flush the captures and stop what listens; processes and namespaces go with the lab's process
        tree."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        if self.host is not None:
            await asyncio.to_thread(self.host.stop)
        await self._stop_taps()
        # Afterwards: a line that ends takes BFD with it, and captures must not show that.
        await self._stop_lines()
        if self.network is not None:
            await asyncio.to_thread(self.network.stop)

    async def _stop_taps(self) -> None:
        if self.taps is not None:
            self.captured = tuple(await self.taps.stop())
            self.cut_off = tuple(self.taps.cut_off)

    async def _stop_lines(self) -> None:
        """Let the lines write their accounts (`lines/<node>.json`)."""
        lines = self.network.lines if self.network is not None else []
        for line in lines:
            line.stop()
        await asyncio.gather(*(line.daemon.wait() for line in lines if line.daemon is not None))
