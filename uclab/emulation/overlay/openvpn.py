"""OpenVPN behind a tunnel interface: one process for each end, UDP, TLS with the lab's certificates, AES-GCM.

Seen with OpenVPN 2.6.14: `--passtos` sets the outer header's TOS for each packet from the inner one; without
it the outer header is 0. Bound to its underlay's interface, it is routed there whatever default route the
device prefers. It attaches to a persistent interface without any capability.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from uclab.emulation.mininet.hosts import LabHost
from uclab.emulation.overlay.devices import TUN
from uclab.plan.schema.overlay import MTU, Overlay, Tunnel
from uclab.runtime.logs import last_lines
from uclab.runtime.node import NotReady
from uclab.runtime.readiness import wait_until

READY_S = 30.0
READY = "Initialization Sequence Completed"
CIPHER = "AES-256-GCM"


@dataclass(frozen=True)
class Identity:
    """Files of one end (PEM), and the host name that the other end must prove."""

    authority: Path
    certificate: Path
    key: Path
    peer_name: str


@dataclass(frozen=True)
class TunnelProcess:
    """A running end of a tunnel."""

    name: str
    process: asyncio.subprocess.Process
    log: Path


def command(tunnel: Tunnel, identity: Identity, *, at_gateway: bool) -> list[str]:
    """The command line of one end (pure)."""
    own, other = (tunnel.far, tunnel.near) if at_gateway else (tunnel.near, tunnel.far)
    role, peer_role = ("tls-server", "client") if at_gateway else ("tls-client", "server")
    return [
        "openvpn",
        *("--dev", own.interface, "--dev-type", "tap", "--dev-node", TUN, "--tun-mtu", str(MTU)),
        *("--proto", "udp4", "--local", own.underlay_address, "--lport", str(tunnel.port)),
        *("--remote", other.underlay_address, str(tunnel.port), "--bind-dev", own.underlay),
        *((f"--{role}",) if not at_gateway else (f"--{role}", "--dh", "none")),
        *("--ca", "/lab/ca.pem", "--cert", "/lab/own.pem", "--key", "/lab/own.key"),
        *("--remote-cert-tls", peer_role, "--verify-x509-name", identity.peer_name, "name"),
        *("--tls-version-min", "1.3", "--cipher", CIPHER, "--data-ciphers", CIPHER, "--disable-dco"),
        *("--ifconfig-noexec", "--route-noexec", "--persist-tun", "--persist-key"),
        *("--connect-retry", "1", "1", "--tls-timeout", "1", "--ping", "10", "--reneg-sec", "0"),
        *(("--passtos",) if own.copies_dscp else ()),
        *("--verb", "3", "--suppress-timestamps"),
    ]


async def start_end(
    host: LabHost, overlay: Overlay, tunnel: Tunnel, identity: Identity, folder: Path
) -> TunnelProcess:
    """Start one end; see `wait_joined`."""
    name = f"{host.name}-openvpn-{tunnel.path}"
    log = folder / f"{name}.log"
    process = await host.spawn(
        command(tunnel, identity, at_gateway=host.name == overlay.gateway),
        name=name,
        log=log,
        readable={
            "/lab/ca.pem": identity.authority,
            "/lab/own.pem": identity.certificate,
            "/lab/own.key": identity.key,
        },
        devices=(TUN,),
    )
    return TunnelProcess(name, process, log)


async def wait_joined(end: TunnelProcess) -> None:
    """Wait until both ends have proved who they are. Raises `NotReady` with OpenVPN's last words."""

    async def look() -> bool | None:
        if end.process.returncode is not None:
            raise NotReady(
                f"{end.name} ended with status {end.process.returncode}; last lines of its log:\n"
                + last_lines(end.log)
            )
        return True if READY in _said(end.log) else None

    await wait_until(look, what=f"{end.name} to join its other end", deadline_s=READY_S, every_s=0.05)


def _said(log: Path) -> str:
    return log.read_text(errors="replace")
