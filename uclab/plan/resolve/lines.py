"""The WAN lines of a plan, each with both ends and the cable that is cut when it fails (V1, V2)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from uclab.plan.schema.plan import Link, LinkEnd, Node, NodeKind, Plan, SwitchRole


@dataclass(frozen=True)
class WanLine:
    """A line of a site to a provider, or a private circuit."""

    site: str
    near: LinkEnd
    """The site router's interface."""
    far: LinkEnd
    """The interface of the provider's, the cloud's or the other site's router."""
    link: str
    """Its cable, which `uclab fail` takes; of a circuit, the one between its termination units."""
    private: bool


def wan_lines(plan: Plan) -> tuple[WanLine, ...]:
    """All lines, in the plan's order: each site's preferred one first."""
    ends = far_ends(plan.nodes, plan.links)
    cabled = {link.a: link.b for link in plan.links} | {link.b: link.a for link in plan.links}
    roles = (SwitchRole.CARRIER, SwitchRole.CARRIER_NETWORK)
    carriers = {switch.name for switch in plan.switches if switch.role in roles}
    exchange = {switch.name for switch in plan.switches if switch.role is SwitchRole.SDN_EXCHANGE}
    inner = {
        end.device: link.name
        for link in plan.links
        if link.a.device in carriers | exchange and link.b.device in carriers | exchange
        for end in (link.a, link.b)
    }
    modems = {switch.name for switch in plan.switches if switch.role is SwitchRole.MODEM}
    outer = {
        end.device: link.name
        for link in plan.links
        if link.kind == "wan"
        for end in (link.a, link.b)
        if end.device in modems
    }
    own = {link.a: link.name for link in plan.links} | {link.b: link.name for link in plan.links}
    lines = []
    for node in (node for node in plan.nodes if node.kind is NodeKind.ROUTER):
        for line in node.impairments:
            near = LinkEnd(node.name, line.interface)
            far, private = ends[near], cabled[near].device in carriers
            if private and not _begins_here(plan, near, far):
                continue
            link = inner[cabled[near].device] if private else outer.get(cabled[near].device, own[near])
            lines.append(WanLine(node.site, near, far, link, private))
    return tuple(lines)


def far_ends(nodes: Iterable[Node], links: Iterable[Link]) -> dict[LinkEnd, LinkEnd]:
    """The interface at which each interface's packets arrive: the other end of the cable, or where its line
    leads through switches."""
    found: dict[LinkEnd, LinkEnd] = {}
    for link in links:
        found |= {link.a: link.b, link.b: link.a}
    for node in nodes:
        for line in node.impairments:
            if line.arrives_at is not None:
                found[LinkEnd(node.name, line.interface)] = line.arrives_at
    return found


def _begins_here(plan: Plan, near: LinkEnd, far: LinkEnd) -> bool:
    """A circuit between sites is a line of the one that is not the hub: it announces its own prefixes and
    hears the default route."""
    node = plan.node(far.device)
    if node.kind is not NodeKind.ROUTER:
        return True
    here = plan.node(near.device).routing
    hub = node.routing
    if here is None or hub is None:
        return True
    towards = next((s for s in here.neighbours if s.device == far.device), None)
    return towards is not None and any(rule.prefix == "0.0.0.0/0" for rule in towards.accept)
