"""FRR in a device: mgmtd and zebra, bfdd with bgpd, ospfd, as needed; each a program with a file of its own.

Seen with FRR 10.3: daemons of several routers share nothing but the image, as long as each router has its own
`/run/frr`; and without mgmtd, zebra fills a core and its log with complaints.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from uclab.doctor import DEVICE_ROOT
from uclab.emulation.mininet.hosts import LabHost
from uclab.plan.schema.routing import Ospf, Routing
from uclab.runtime.logs import last_lines
from uclab.runtime.node import NotReady
from uclab.runtime.readiness import wait_until

READY_S = 30.0
USER = "frr"
"""Whom the daemons become; the image has it."""
CAPABILITIES = (
    *("CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_NET_BIND_SERVICE", "CAP_SYS_ADMIN"),
    *("CAP_SETUID", "CAP_SETGID"),
)
"""Routes, raw sockets for BFD, port 179, namespaces (zebra insists); and to become `USER`."""
SOCKETS = "/run/frr"
UNCONFIGURED = "mgmtd"
"""Takes no configuration file."""


@dataclass(frozen=True)
class RoutingDaemon:
    """A running daemon."""

    name: str
    """Device and program, e.g. `edge-bgpd`."""
    process: asyncio.subprocess.Process
    log: Path


def render(name: str, routing: Routing | None, ospf: Ospf | None = None) -> dict[str, str]:
    """The configuration of each daemon, in the order in which they lean on each other (pure)."""
    plain = f"hostname {name}\nlog stdout informational\n"
    files = {"mgmtd": plain, "zebra": plain}
    if routing is not None:
        bgpd = _environment().get_template("bgpd.conf.j2").render(name=name, routing=routing)
        files |= {"bfdd": plain, "bgpd": bgpd}
    if ospf is not None:
        files["ospfd"] = _environment().get_template("ospfd.conf.j2").render(name=name, ospf=ospf)
    return files


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
    )


async def start_routing(
    host: LabHost, routing: Routing | None, ospf: Ospf | None, folder: Path
) -> list[RoutingDaemon]:
    """Start a router's daemons one after the other; returns when each serves its socket. Configuration and
    logs are in `folder`. Raises `NotReady`."""
    sockets = folder / "run"
    sockets.mkdir(parents=True, exist_ok=True)
    for left_over in sockets.glob("*.vty"):  # of daemons that were killed: nobody serves them
        left_over.unlink()
    user, group = _ids(USER)
    os.chown(sockets, user, group)
    started: list[RoutingDaemon] = []
    for daemon, text in render(host.name, routing, ospf).items():
        configuration, log = folder / f"{daemon}.conf", folder / f"{daemon}.log"
        configuration.write_text(text)
        os.chown(configuration, user, group)  # read when the daemon has become that user
        name = f"{host.name}-{daemon}"
        process = await host.spawn(
            [
                f"/usr/lib/frr/{daemon}",
                *(("-f", f"/lab/{daemon}.conf") if daemon != UNCONFIGURED else ()),
                *("-i", f"{SOCKETS}/{daemon}.pid"),
                *("-z", f"{SOCKETS}/zserv.api", "--vty_socket", SOCKETS),
                *("--log", "stdout", "--log-level", "informational"),
            ],
            name=name,
            log=log,
            writable={SOCKETS: sockets},
            readable={f"/lab/{daemon}.conf": configuration},
            capabilities=CAPABILITIES,
        )
        started.append(RoutingDaemon(name, process, log))
        await _serves(sockets / f"{daemon}.vty", started[-1])
    return started


def _ids(user: str) -> tuple[int, int]:
    """User and group id of a user of the device image."""
    for line in (DEVICE_ROOT / "etc/passwd").read_text().splitlines():
        name, _, uid, gid, *_ = line.split(":")
        if name == user:
            return int(uid), int(gid)
    raise NotReady(f"the device image has no user {user}: run `uclab setup`")


async def _serves(socket: Path, daemon: RoutingDaemon) -> None:
    async def look() -> bool | None:
        if daemon.process.returncode is not None:
            raise NotReady(
                f"{daemon.name} ended with status {daemon.process.returncode}; last lines of its log:\n"
                + last_lines(daemon.log)
            )
        return True if os.access(socket, os.F_OK) else None

    await wait_until(look, what=f"{daemon.name} to serve its socket", deadline_s=READY_S)
