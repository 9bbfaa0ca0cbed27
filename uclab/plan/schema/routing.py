"""What a router's routing daemons are told: BGP (RFC 4271) with filters and limits, BFD (RFC 5880), OSPF (RFC
2328).

Everything is resolved; `uclab.plan.wan.bgp_routes` and `uclab.plan.wan.ospf` compute from it which routes
each router ends up with.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Route:
    """A static route; `prefix` `0.0.0.0/0` is the default."""

    prefix: str
    via: str
    metric: int = 0


@dataclass(frozen=True)
class PrefixRule:
    """A line of a prefix list: the prefix itself and, where `longest` is given, its parts up to that
    length."""

    prefix: str
    longest: int | None = None


@dataclass(frozen=True)
class Bfd:
    """A path is down when nothing was heard for `interval_ms` x `multiplier`."""

    interval_ms: int
    multiplier: int


@dataclass(frozen=True)
class BgpNeighbour:
    """One BGP session of a router."""

    device: str
    """The router at the other end."""
    address: str
    asn: int
    accept: tuple[PrefixRule, ...]
    """Prefixes taken from it; all others are refused. Empty: none."""
    announce: tuple[PrefixRule, ...]
    """Prefixes told to it; no others are."""
    max_prefixes: int
    """One more than that ends the session."""
    preference: int = 100
    """Local preference of what it tells (RFC 4271 section 5.1.5); the highest wins."""
    prepend: int = 0
    """How often the own AS number is put before the path that it is told, so that others like it less."""
    bfd: Bfd | None = None
    reflector_client: bool = False
    """An internal neighbour to which other internal neighbours' routes are passed on (RFC 4456). An external
    one makes this router a route server: what it passes on keeps its path and its next hop (RFC 7947)."""


@dataclass(frozen=True)
class Routing:
    """The routing daemons of one router."""

    asn: int
    router_id: str
    networks: tuple[str, ...]
    """Prefixes that it originates."""
    neighbours: tuple[BgpNeighbour, ...]
    keepalive_s: int
    hold_time_s: int
    learned: tuple[Route, ...] = ()
    """The routes that it has from its neighbours when nothing has failed."""


@dataclass(frozen=True)
class Ospf:
    """OSPF of one router inside a site, in one area."""

    router_id: str
    speaks: tuple[str, ...]
    """Interfaces to other routers."""
    silent: tuple[str, ...] = ()
    """Interfaces whose networks it tells the others of; no router is there."""
    leads_out: bool = False
    """Whether it tells the others that everything else is behind it."""
    hello_s: int = 1
    dead_s: int = 3
    """A neighbour is lost after so long without a hello; a cable that is pulled is detected at once."""
    learned: tuple[Route, ...] = ()
    """The routes that it has from its neighbours when nothing has failed."""
