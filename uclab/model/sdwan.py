"""An SD-WAN in files: gateways and a site's overlay in the topology; classes, limits and hysteresis in the
policy (W6)."""

from __future__ import annotations

from pydantic import Field

from uclab.model.schema_types import Dscp, Name, Network, Reference, StrictModel


class SdWanGateway(StrictModel):
    """Where overlays end: a router at the internet that hands over to the cloud's peering router by a private
    circuit (CloudConnect: P1 to P4)."""

    name: Name
    public_prefix: Network
    """Public addresses that it announces there and translates to the first of; from 198.18.0.0/15 or
    203.0.113.0/24."""
    to: Name
    """The data centre to which it hands over."""
    profile: Reference
    """Link profile of the circuit to it, e.g. `cross-connect`."""
    vlan: int = Field(ge=1, le=4094)
    """802.1Q VLAN id of that circuit."""
    asn: int | None = Field(default=None, ge=64512, le=65534)
    """Private AS number of its BGP session; the lab chooses one where absent."""


class SdWan(StrictModel):
    """The SD-WAN of a topology."""

    gateways: tuple[SdWanGateway, ...] = Field(min_length=1)


class SiteOverlay(StrictModel):
    """A site's part in the SD-WAN: everything leaves it by encrypted tunnels."""

    gateway: Name
    """Where its tunnels end."""
    underlays: tuple[Name, ...] = Field(min_length=1)
    """Its connections that carry a tunnel, the preferred one first."""


class PathClass(StrictModel):
    """A class of traffic that is steered together, and what its path must keep, one way."""

    name: Name
    dscps: tuple[Dscp, ...] = ()
    """Packets with these code points; the one class without any takes all others."""
    max_delay_ms: float = Field(gt=0, le=5000)
    max_jitter_ms: float = Field(gt=0, le=1000)
    """Mean difference of two successive probes' delays (RFC 3550 section 6.4.1, without its smoothing)."""
    max_loss_pct: float = Field(gt=0, le=100)


class SdWanPolicy(StrictModel):
    """How paths are measured, and when a class changes its path."""

    classes: tuple[PathClass, ...] = Field(min_length=1)
    probe_interval_ms: int = Field(ge=10, le=1000)
    """Time between two probes on each path."""
    window_s: float = Field(ge=0.5, le=60)
    """Figures are those of the last so many seconds."""
    leave_after_s: float = Field(ge=0.1, le=60)
    """A class leaves a path that has been beyond its limits for so long, if another one keeps them."""
    return_after_s: float = Field(ge=1, le=3600)
    """It goes to a preferred path that has kept them for so long."""
