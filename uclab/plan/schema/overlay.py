"""Overlays of a plan: encrypted tunnels between a site's edge and its gateway, one over each underlay, and
how traffic is steered over them (W6).

Tunnels carry Ethernet frames (OpenVPN's TAP mode) and only routed packets in them: so captures inside a
tunnel have the same form as on a cable, and tell by its MAC address who sent a packet.
"""

from __future__ import annotations

from dataclasses import dataclass

MTU = 1420
"""Bytes of a packet in a tunnel: with 14 of Ethernet, 24 of OpenVPN's AEAD format (opcode and peer id, packet
id, tag) and 28 of UDP and IPv4 it fits the underlay's 1500."""
STEERING = "steering"
"""nftables table of both ends, with a map from DSCP to mark for each overlay."""
FIRST_TABLE = 100
"""Routing table of the tunnel with mark `n` is `FIRST_TABLE + n`."""


@dataclass(frozen=True)
class TunnelEnd:
    """Where a tunnel ends."""

    device: str
    interface: str
    """Its interface inside the tunnel."""
    mac: str
    address: str
    """Inside the tunnel, CIDR notation."""
    underlay: str
    """The interface that the encrypted packets leave by."""
    underlay_address: str
    copies_dscp: bool = True
    """Whether what it sends carries the inner packet's DSCP in its outer header (Q1)."""


@dataclass(frozen=True)
class Tunnel:
    """One path of an overlay."""

    path: str
    """The connection that it runs over."""
    near: TunnelEnd
    """The site's."""
    far: TunnelEnd
    """The gateway's."""
    port: int
    """UDP, at both ends."""
    mark: int
    """Packets with this mark are routed into it."""


@dataclass(frozen=True)
class PathClass:
    """Traffic that is steered together, and what its path must keep, one way. No DSCPs: all other traffic."""

    name: str
    dscps: tuple[int, ...]
    max_delay_ms: float
    max_jitter_ms: float
    max_loss_pct: float


@dataclass(frozen=True)
class SteeringRules:
    """How paths are measured and when a class changes its path; see `uclab.model.sdwan.SdWanPolicy`."""

    classes: tuple[PathClass, ...]
    probe_interval_ms: int
    window_s: float
    leave_after_s: float
    return_after_s: float
    probe_dscp: int


@dataclass(frozen=True)
class Overlay:
    """A site's overlay; `tunnels` in order of preference."""

    site: str
    gateway: str
    tunnels: tuple[Tunnel, ...]
    rules: SteeringRules
    certificates: tuple[str, str]
    """Of edge and gateway."""

    @property
    def edge(self) -> str:
        """The site's router."""
        return self.tunnels[0].near.device

    @property
    def map_name(self) -> str:
        """The nftables map, at both ends, by which it steers."""
        return f"path_of_{self.site.replace('-', '_')}"

    def class_of(self, dscp: int) -> str:
        """The class that a code point belongs to."""
        rest = next(c.name for c in self.rules.classes if not c.dscps)
        return next((c.name for c in self.rules.classes if dscp in c.dscps), rest)
