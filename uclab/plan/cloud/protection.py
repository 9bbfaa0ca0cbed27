"""The accounts behind an address, and the packet filter in front of a session controller."""

from __future__ import annotations

from uclab.model import topology as model
from uclab.model.endurance import Protection as Policy
from uclab.plan.resolve.circuits import gateways_of, sites_behind
from uclab.plan.schema.protection import Protection


def protection(policy: Policy, topology: model.Topology) -> Protection:
    """The policy for this topology."""
    return Protection(behind=accounts_behind(topology), **policy.model_dump())


def accounts_behind(topology: model.Topology) -> int:
    """Accounts behind the busiest public address: of a site and of those that reach the world through it, of
    all sites where an SD-WAN hands them over together."""
    if gateways_of(topology):
        return sum(len(site.endpoints) for site in topology.sites)
    return max(
        (
            len(site.endpoints) + sum(len(other.endpoints) for other in sites_behind(topology, site))
            for site in topology.sites
        ),
        default=0,
    )


def guard(limits: Protection, ports: tuple[int, ...]) -> str:
    """nftables text of a session controller's node: an address that asks for connections faster than it may
    is not heard until it slows down. Without connection tracking, which all media would have to pass."""
    wanted = ", ".join(map(str, sorted(ports)))
    return f"""# New connections of one address (policy `protection`); sites share one behind NAT.
table inet guard {{
    set asking {{
        type ipv4_addr
        size 65536
        flags dynamic,timeout
        timeout 60s
    }}
    counter too_fast {{ }}
    chain input {{
        type filter hook input priority filter; policy accept;
        tcp dport {{ {wanted} }} tcp flags & (syn | ack) == syn \\
            update @asking {{ ip saddr limit rate over {limits.connections_per_s}/second \\
            burst {limits.connections} packets }} counter name too_fast drop
    }}
}}
"""
