"""The SD-WAN of a lab: its controller, the tunnels, an agent at each end (W6).

The controller's socket is in a folder that agents see as `/run/sdwan`; everything that it writes is in
`sdwan` of the run directory.
"""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from cloud_core.authority import Certificates
from uclab.emulation.mininet.hosts import LabHost
from uclab.emulation.mininet.network import LabNet
from uclab.emulation.overlay.openvpn import Identity, TunnelProcess, start_end, wait_joined
from uclab.lab.watch import ProcessWatch
from uclab.plan.schema.codec import to_data
from uclab.plan.schema.overlay import Overlay
from uclab.records.overlay import FILE
from uclab.runtime.installation import IMPORTING, module_command
from uclab.runtime.logs import last_lines
from uclab.runtime.node import NotReady
from uclab.runtime.readiness import wait_until

READY_EVENT = "overlay-ready"
READY_S = 60.0
SOCKETS = "/run/sdwan"
CONTROLLER_SOCKET = "controller.sock"
AGENT_CAPABILITIES = ("CAP_NET_ADMIN",)
"""For nft."""


@dataclass
class RunningOverlays:
    """The processes of all overlays."""

    controller: TunnelProcess
    events_file: Path
    socket: Path
    watch: ProcessWatch
    others: list[TunnelProcess] = field(default_factory=list)

    @property
    def processes(self) -> list[TunnelProcess]:
        """All of them, to be watched."""
        return [self.controller, *self.others]

    def add(self, tunnel: TunnelProcess) -> None:
        """A further process; the lab watches it from now on."""
        self.others.append(tunnel)
        self.watch.watch(tunnel.name, tunnel.process, tunnel.log)

    async def state(self) -> dict[str, Any]:
        """Paths with their figures, and each class's choice, by site. Raises `httpx.TransportError`."""
        transport = httpx.AsyncHTTPTransport(uds=str(self.socket))
        async with httpx.AsyncClient(transport=transport, base_url="http://controller") as client:
            return dict((await client.get("/overlays")).json())


async def start_controller(
    overlays: tuple[Overlay, ...], folder: Path, sockets: Path, watch: ProcessWatch
) -> RunningOverlays:
    """Start the controller; returns when it listens. Raises `NotReady`."""
    for place in (folder, sockets):
        os.makedirs(place, exist_ok=True)
    described, events, log = folder / "overlays.json", folder / "events.jsonl", folder / "controller.log"
    described.write_text(json.dumps(to_data(overlays), indent=1) + "\n")
    events.touch()
    socket = sockets / CONTROLLER_SOCKET
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *module_command("controllers.sdwan", "--overlays", str(described)),
            *("--listen", str(socket), "--events", str(events)),
            *("--record", str(folder / Path(FILE).name)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    running = RunningOverlays(TunnelProcess("sdwan-controller", process, log), events, socket, watch)
    watch.watch(running.controller.name, process, log)

    async def look() -> bool | None:
        raise_if_ended(running.controller)
        return True if socket.exists() else None

    await wait_until(look, what="sdwan-controller: its socket", deadline_s=READY_S)
    return running


async def start_overlays(
    running: RunningOverlays,
    overlays: tuple[Overlay, ...],
    network: LabNet,
    certificates: Certificates,
    folder: Path,
) -> None:
    """Start the tunnels and, when they have joined, the agents. Raises `NotReady`."""
    for overlay in overlays:
        for device, own, peer in zip(
            (overlay.edge, overlay.gateway), overlay.certificates, reversed(overlay.certificates), strict=True
        ):
            issued = certificates.issued[own]
            identity = Identity(certificates.trusted, issued.certificate, issued.key, peer)
            for tunnel in overlay.tunnels:
                running.add(await start_end(network[device], overlay, tunnel, identity, folder))
    await asyncio.gather(*(wait_joined(end) for end in running.others))
    for overlay in overlays:
        described = folder / f"{overlay.site}.json"
        described.write_text(json.dumps(to_data(overlay), indent=1) + "\n")
        for side, device in (("edge", overlay.edge), ("gateway", overlay.gateway)):
            agent = await _start_agent(
                network[device], overlay, side, described, running.socket.parent, folder
            )
            running.add(agent)


async def wait_measured(running: RunningOverlays, kinds: set[str]) -> None:
    """Wait until every path is measured both ways; `kinds` are the kinds of the controller's events so far.
    Raises `NotReady`."""

    async def look() -> bool | None:
        for process in running.processes:
            raise_if_ended(process)
        return True if READY_EVENT in kinds else None

    await wait_until(look, what="sdwan-controller: every path measured", deadline_s=READY_S, every_s=0.05)


async def _start_agent(
    host: LabHost, overlay: Overlay, side: str, described: Path, sockets: Path, folder: Path
) -> TunnelProcess:
    name = f"{host.name}-sdwan-agent-{overlay.site}"
    log = folder / f"{name}.log"
    process = await host.spawn(
        [
            *module_command("controllers.sdwan_agent", "--overlay", "/lab/overlay.json"),
            *("--side", side, "--controller", f"{SOCKETS}/{CONTROLLER_SOCKET}"),
        ],
        name=name,
        log=log,
        root="host",
        readable={"/lab/overlay.json": described},
        writable={SOCKETS: sockets},
        env=IMPORTING,
        capabilities=AGENT_CAPABILITIES,
    )
    return TunnelProcess(name, process, log)


def raise_if_ended(tunnel: TunnelProcess) -> None:
    """`NotReady` where a process has ended."""
    if tunnel.process.returncode is not None:
        said = last_lines(tunnel.log)
        raise NotReady(f"{tunnel.name} ended with status {tunnel.process.returncode}; its log ends:\n{said}")
