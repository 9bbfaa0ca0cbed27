"""Which routes BGP routers end up with (pure): the decision process of RFC 4271 section 9.1, as far as plans
use it.

The lab waits until the real routers (FRR) have just these; the judge follows packets along them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from uclab.plan.schema.devices import Node, NodeKind, Route
from uclab.plan.schema.errors import PlanError
from uclab.plan.schema.routing import BgpNeighbour, PrefixRule, Routing

EXTERNAL_METRIC, INTERNAL_METRIC = 20, 20
"""What FRR's zebra gives BGP routes in the kernel."""


@dataclass(frozen=True)
class Path:
    """A way to a prefix, as a router knows it."""

    prefix: str
    next_hop: str
    """Address of the neighbour that announced it; empty for an own prefix."""
    as_path: tuple[int, ...] = ()
    preference: int = 100
    internal: bool = False
    """Learned within the own AS."""
    from_client: bool = False
    neighbour_id: str = "0.0.0.0"
    """Router id of the neighbour, the last tie-breaker."""

    @property
    def rank(self) -> tuple[bool, int, int, bool, int]:
        """The lowest is the best: own first, preference, length of the AS path, external, neighbour's id."""
        own = not self.next_hop
        return (not own, -self.preference, len(self.as_path), self.internal,
                int(IPv4Address(self.neighbour_id)))  # fmt: skip


def allows(rules: Iterable[PrefixRule], prefix: str) -> bool:
    """Whether a prefix list lets a prefix pass."""
    net = IPv4Network(prefix)
    for rule in rules:
        whole = IPv4Network(rule.prefix)
        if net == whole or (
            rule.longest is not None and net.subnet_of(whole) and net.prefixlen <= rule.longest
        ):
            return True
    return False


def with_learned(nodes: Sequence[Node]) -> tuple[Node, ...]:
    """The nodes, their routers with the routes that they learn. PlanError where BGP does not settle."""
    routers = {node.name: node.routing for node in nodes if node.routing is not None}
    learned = converge(routers, owners(nodes))
    return tuple(
        replace(node, routing=replace(node.routing, learned=learned[node.name])) if node.routing else node
        for node in nodes
    )


def owners(nodes: Iterable[Node]) -> dict[str, str]:
    """Address to device."""
    return {
        str(IPv4Interface(address).ip): node.name
        for node in nodes
        if node.kind is not NodeKind.OTHER_CUSTOMER
        for interface in node.interfaces
        for address in interface.addresses
    }


def converge(routers: Mapping[str, Routing], owner: Mapping[str, str]) -> dict[str, tuple[Route, ...]]:
    """Router to the routes it has from its neighbours, in order of prefixes."""
    best = {name: _own(routing) for name, routing in routers.items()}
    for _ in range(2 * len(routers) + 2):
        heard = {name: _hear(name, routers, best, owner) for name in routers}
        if heard == best:
            return {name: _routes(table) for name, table in best.items()}
        best = heard
    raise PlanError(
        f"BGP between {', '.join(sorted(routers))} does not settle: "
        "preferences of routers contradict each other"
    )


def _own(routing: Routing) -> dict[str, Path]:
    return {prefix: Path(prefix, "", neighbour_id=routing.router_id) for prefix in routing.networks}


def _hear(
    name: str,
    routers: Mapping[str, Routing],
    best: Mapping[str, Mapping[str, Path]],
    owner: Mapping[str, str],
) -> dict[str, Path]:
    """The best path to each prefix, of the own ones and what all neighbours tell now."""
    me = routers[name]
    table = _own(me)
    for session in me.neighbours:
        other = owner.get(session.address, "")
        if other not in routers:
            continue
        back = next((s for s in routers[other].neighbours if owner.get(s.address) == name), None)
        if back is None:
            continue
        for path in best[other].values():
            announced = _announced(routers[other], back, path)
            if announced is None or not allows(session.accept, path.prefix) or me.asn in announced.as_path:
                continue
            mine = replace(
                announced,
                next_hop=announced.next_hop if _serves(back, routers[other]) else session.address,
                preference=announced.preference if session.asn == me.asn else session.preference,
                internal=session.asn == me.asn,
                from_client=session.reflector_client,
                neighbour_id=routers[other].router_id,
            )
            if path.prefix not in table or mine.rank < table[path.prefix].rank:
                table[path.prefix] = mine
    return table


def _announced(sender: Routing, session: BgpNeighbour, path: Path) -> Path | None:
    """What a router tells a neighbour of a path; None where it says nothing."""
    if not allows(session.announce, path.prefix) or path.next_hop == session.address:
        return None
    if _serves(session, sender):
        return path
    if session.asn != sender.asn:
        return replace(path, as_path=(sender.asn,) * (1 + session.prepend) + path.as_path)
    if path.internal and not (path.from_client or session.reflector_client):
        return None
    return path


def _serves(session: BgpNeighbour, sender: Routing) -> bool:
    """Whether the sender is a route server to that neighbour (RFC 7947)."""
    return session.reflector_client and session.asn != sender.asn


def _routes(table: Mapping[str, Path]) -> tuple[Route, ...]:
    paths = sorted((p for p in table.values() if p.next_hop), key=lambda p: IPv4Network(p.prefix))
    return tuple(
        Route(p.prefix, p.next_hop, INTERNAL_METRIC if p.internal else EXTERNAL_METRIC) for p in paths
    )
