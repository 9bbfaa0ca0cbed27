"""What a session controller lets one address do, resolved: limits by the accounts behind an address, and the
packet filter in front of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from uclab.model import topology as model
from uclab.model.endurance import Protection as Policy
from uclab.plan.circuits import gateways_of, sites_behind


@dataclass(frozen=True)
class Protection:
    """The policy's `protection`, with the number of accounts that it is to be held against."""

    behind: int
    """Accounts behind the busiest public address."""
    connections_per_account: int
    connections_spare: int
    new_connections_per_s: int
    new_connections_per_account: float
    silent_s: int
    handshakes_per_s: int
    silent_connections: int
    failed_guesses: int
    guesses_s: int
    ban_s: int

    @property
    def connections(self) -> int:
        """TLS connections that an address may have open."""
        return self.behind * self.connections_per_account + self.connections_spare

    @property
    def silent_for_s(self) -> int:
        """How long a connection may stand without a request, also when all phones of the busiest address come
        at once."""
        return self.silent_s + self.behind // self.handshakes_per_s

    @property
    def silent(self) -> int:
        """Connections on which an address may have said nothing for a second."""
        return self.silent_connections + self.behind

    @property
    def connections_per_s(self) -> int:
        """Connections a second that an address may open when it has opened `connections` at once."""
        return self.new_connections_per_s + int(self.behind * self.new_connections_per_account)

    @property
    def guesses(self) -> int:
        """Wrong passwords of an address altogether."""
        return self.failed_guesses + self.behind

    def with_more(self, accounts: int) -> Protection:
        """The same with so many accounts more behind the busiest address."""
        return replace(self, behind=self.behind + accounts)


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
