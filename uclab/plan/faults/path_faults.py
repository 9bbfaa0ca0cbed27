"""Deliberate faults of the way that packets take between a site and the cloud: another line, marks cleared on
it, or a device on it that reads along.
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Interface, IPv4Network

from uclab.plan.lan import drill_rulesets
from uclab.plan.lan.sites import DEFAULT
from uclab.plan.resolve.lines import WanLine, wan_lines
from uclab.plan.resolve.plan_edits import with_node
from uclab.plan.schema.fault import pick, registered
from uclab.plan.schema.plan import Node, NodeKind, Plan, Route, SwitchRole


@registered(
    "dscp-cleared-by-isp", "a provider clears DSCP on the way to the cloud", "qos.dscp", blames="isp1"
)
def dscp_cleared_by_isp(plan: Plan, target: str | None) -> Plan:
    """`target` is a provider. It clears DSCP of what it passes on towards the cloud."""
    providers = {n.name: n for n in plan.nodes if n.kind is NodeKind.ISP and _carries(plan, n.name)}
    provider = pick(providers, target, "provider")
    out = _leaves_by(plan, provider.name)
    rules = f"{provider.nftables or ''}{drill_rulesets.clear_dscp(out)}"
    return with_node(plan, replace(provider, nftables=rules))


@registered(
    "exchange-clears-dscp",
    "an exchange's peering LAN clears DSCP",
    "qos.dscp",
    may_break=("qos.pcp", "quality.overload", "audio.heard"),
    blames="ix1",
    topology="internet-exchange",
)
def exchange_clears_dscp(plan: Plan, target: str | None) -> Plan:
    """`target` is an exchange. Its peering LAN trusts no mark."""
    lans = {s.name: s for s in plan.switches if s.role is SwitchRole.EXCHANGE}
    lan = pick(lans, target, "exchange")
    distrusting = replace(lan, ports=tuple(replace(port, trust_dscp=False) for port in lan.ports))
    switches = tuple(distrusting if switch is lan else switch for switch in plan.switches)
    return replace(plan, switches=switches)


@registered(
    "backup-preferred",
    "a router prefers its backup path to the cloud over the planned one",
    "path.as-planned",
    may_break=("quality.overload",),
    blames="edge",
    topology="smb-dual-wan",
)
def backup_preferred(plan: Plan, target: str | None) -> Plan:
    """`target` is a router with two ways to the cloud. It has a static route there by the last of them, which
    beats both BGP and the default route."""
    backups = {node.name: via for node in plan.nodes if (via := _backup(plan, node)) is not None}
    via = pick(backups, target, "router with a second way to the cloud")
    name = next(name for name, backup in backups.items() if backup is via and target in (None, name))
    node, prefixes = plan.node(name), plan.policy.cloud_prefixes
    routing = node.routing
    if routing is not None:
        kept = tuple(route for route in routing.learned if route.prefix not in prefixes)
        routing = replace(routing, learned=kept)
    routes = (*node.routes, *(Route(prefix, via) for prefix in prefixes))
    return with_node(plan, replace(node, routes=routes, routing=routing))


@registered(
    "wan-balanced-per-packet",
    "a router spreads media over two lines packet by packet",
    "path.as-planned",
    may_break=("quality.overload", "quality.voice", "audio.heard"),
    blames="edge",
    topology="smb-dual-wan",
)
def balanced_per_packet(plan: Plan, target: str | None) -> Plan:
    """`target` is a site's router with two lines to providers. Every other packet to the cloud goes by the
    second one, with the first one's address."""
    router, first, second = _two_lines(plan, target)
    via = _neighbour(plan, second)
    rules = drill_rulesets.every_other_packet(first.near.interface, second.near.interface, via, plan.policy)
    return with_node(plan, replace(router, interface_rules=rules))


@registered(
    "asymmetric-routing",
    "return traffic takes another line than outbound traffic, past the router's NAT state",
    "signalling.registered",
    may_break=("message.delivered",),
    topology="smb-dual-wan",
)
def asymmetric_routing(plan: Plan, target: str | None) -> Plan:
    """`target` is a site's router with two lines to providers. What the cloud answers to the first line's
    address takes the second line, where the router knows of no connection that it belongs to."""
    _, first, second = _two_lines(plan, target)
    own = _address(plan, first)
    destination = str(IPv4Network(own.ip))
    provider, core = plan.node(second.far.device), next(n for n in plan.nodes if n.name == "inet")
    back = Route(destination, str(_address(plan, second).ip))
    bent = with_node(plan, replace(provider, routes=(*provider.routes, back)))
    towards = str(IPv4Interface(provider.interface(core.name).addresses[0]).ip)
    rules = drill_rulesets.returned_elsewhere(
        first.far.device, provider.name, towards, str(own.ip), plan.policy
    )
    return with_node(bent, replace(core, interface_rules=rules))


@registered(
    "sip-alg",
    "a router's SIP ALG rewrites encrypted signalling",
    "signalling.registered",
    "signalling.untouched",
    may_break=("signalling.tls", "signalling.certificate", "message.delivered"),
    blames="edge",
)
def sip_alg(plan: Plan, target: str | None) -> Plan:
    """`target` is a site's router. Its SIP gateway cannot read what is encrypted, and writes into it all the
    same."""
    routers = {n.name: n for n in plan.nodes if n.kind is NodeKind.ROUTER and n.queues}
    router = pick(routers, target, "site router")
    rules = drill_rulesets.meddling_gateway(plan.policy.sips_ports)
    return with_node(plan, replace(router, nftables=f"{router.nftables or ''}{rules}"))


def _carries(plan: Plan, provider: str) -> bool:
    return any(hop.tap.startswith(f"{provider}:") for path in plan.paths for hop in path.hops)


def _leaves_by(plan: Plan, device: str) -> str:
    """The interface by which a device on an endpoint's way sends towards the cloud."""
    for path in plan.paths:
        taps = [hop.tap.partition(":")[2] for hop in path.hops if hop.tap.startswith(f"{device}:")]
        if taps:
            return taps[-1]
    raise KeyError(f"nothing goes by {device}")


def _backup(plan: Plan, node: Node) -> str | None:
    """The next hop of a router's last way to the cloud, where it has another one and endpoints' media uses
    it."""
    if node.kind not in (NodeKind.ROUTER, NodeKind.ISP) or not _carries(plan, node.name):
        return None
    defaults = [route for route in node.routes if route.prefix == DEFAULT]
    learned = node.routing.learned if node.routing is not None else ()
    by_bgp = any(route.prefix in plan.policy.cloud_prefixes for route in learned)
    if not defaults or (len(defaults) < 2 and not by_bgp):
        return None
    return max(defaults, key=lambda route: route.metric).via


def _two_lines(plan: Plan, target: str | None) -> tuple[Node, WanLine, WanLine]:
    """A site's router with its first two lines to providers."""
    lines: dict[str, list[WanLine]] = {}
    for line in wan_lines(plan):
        if not line.private:
            lines.setdefault(line.near.device, []).append(line)
    several = {name: site_lines for name, site_lines in lines.items() if len(site_lines) > 1}
    first, second, *_ = pick(several, target, "router with two lines to providers")
    return plan.node(first.near.device), first, second


def _address(plan: Plan, line: WanLine) -> IPv4Interface:
    return IPv4Interface(plan.node(line.near.device).interface(line.near.interface).addresses[0])


def _neighbour(plan: Plan, line: WanLine) -> str:
    far = plan.node(line.far.device).interface(line.far.interface)
    return str(IPv4Interface(far.addresses[0]).ip)


@registered(
    "failback-flaps",
    "a router has no hold-down: it fails back to its preferred line at the first answer, and loses it again",
    "failover.failback",
    may_break=("failover.order", "failover.calls-kept", "failover.registration"),
    scenario="failover",
    incidents=("circuit-flaps",),
    blames="edge",
    topology="smb-dual-wan",
)
def no_hold_down(plan: Plan, target: str | None) -> Plan:
    """A fault; `target` is a router that watches its lines. It goes back to a lost line the moment that it
    answers."""
    watches = {watch.router: watch for watch in plan.line_watches}
    wrong = pick(watches, target, "router that watches its lines")
    hasty = tuple(replace(w, return_after_s=0.0) if w is wrong else w for w in plan.line_watches)
    return replace(plan, line_watches=hasty)
