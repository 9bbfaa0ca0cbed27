"""Deliberate faults of a site's phones, router, firewall and switches, and of the controller they talk to."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Interface, IPv4Network

from uclab.kinds.endpoint_kind import device_of
from uclab.plan.lan import drill_rulesets, firewall
from uclab.plan.resolve import queues
from uclab.plan.resolve.names import mac_address
from uclab.plan.resolve.plan_edits import port_towards, with_endpoint, with_node, with_port
from uclab.plan.schema.fault import pick, registered
from uclab.plan.schema.firewall import FirewallRules, MissingRule
from uclab.plan.schema.plan import Endpoint, Interface, Node, NodeKind, Plan, Route, SwitchRole, Vlan


@registered("rtp-plain", "a phone offers plain RTP", "media.srtp", "privacy.readable", blames="desk1")
def _rtp_plain(plan: Plan, target: str | None) -> Plan:
    return with_endpoint(plan, replace(_phone(plan, target), media_encryption="none"))


@registered(
    "foreign-certificate",
    "the session controller's certificate is signed by a CA that no phone trusts",
    "signalling.certificate",
    "signalling.registered",
    may_break=("message.delivered",),
    blames="fra1-sbc",
)
def _foreign_certificate(plan: Plan, target: str | None) -> Plan:
    """`target` is a session controller."""
    names = {c.name: c.certificate for c in plan.session_controllers}
    certificate = pick(names, target, "session controller")
    issued = tuple(replace(c, issuer="foreign") if c.name == certificate else c for c in plan.certificates)
    return replace(plan, certificates=issued)


@registered(
    "verification-off",
    "a phone does not verify the server, whose certificate is foreign; all others refuse it",
    "signalling.certificate",
    "signalling.registered",
    may_break=("message.delivered",),
    blames="desk1",
)
def _verification_off(plan: Plan, target: str | None) -> Plan:
    trusting = with_endpoint(plan, replace(_phone(plan, target), verify_server=False))
    # The trunk is another matter: its other side lets the certificate pass.
    peers = tuple(replace(p, endpoint=replace(p.endpoint, verify_server=False)) for p in plan.pstn_peers)
    return _foreign_certificate(replace(trusting, pstn_peers=peers), None)


@registered(
    "dscp-cleared",
    "a site's router clears DSCP on the way to the phones",
    "qos.dscp",
    "qos.pcp",
    may_break=("qos.wmm",),
    blames="edge",
)
def _dscp_cleared(plan: Plan, target: str | None) -> Plan:
    """On the way in only: on the way out it would take its own queue's classes away too, which is another
    fault."""
    router = _router(plan, target)
    inside = router.interfaces[0].name
    rules = f"{router.nftables or ''}{drill_rulesets.clear_dscp(inside)}"
    return with_node(plan, replace(router, nftables=rules))


@registered(
    "port-wrongly-trusted",
    "a PC marks what it likes, and its switch port believes it",
    "qos.trust",
    blames="sw1:5",
)
def _port_wrongly_trusted(plan: Plan, target: str | None) -> Plan:
    """`target` is a softclient. Its PC marks name look-ups as voice."""
    softclients = {e.name: e for e in plan.endpoints if device_of(e.kind) == "computer"}
    endpoint = pick(softclients, target, "softclient")
    switch, port = port_towards(plan, endpoint.node)
    rules = drill_rulesets.misbehaving_marker("udp dport 53", plan.policy.voice_dscp)
    node = plan.node(endpoint.node)
    greedy = replace(node, nftables=f"{node.nftables or ''}{rules}")
    return with_port(with_node(plan, greedy), switch.name, replace(port, trust_dscp=True))


@registered(
    "queues-removed",
    "a site's router has no queue for voice any more",
    "quality.overload",
    may_break=("audio.heard",),
    blames="edge",
)
def _queues_removed(plan: Plan, target: str | None) -> Plan:
    """Voice and video share the queue of all else. Signalling keeps its own, so that calls are established.

    A third to a half of voice gets lost: whether the far end's tone is still heard is a matter of the bursts.
    """
    router, kept_dscp = _router(plan, target), plan.policy.signalling_dscp
    poor = tuple(queues.without_classes(queue, kept_dscp) for queue in router.queues)
    return with_node(plan, replace(router, queues=poor))


@registered(
    "phone-in-data-vlan",
    "a phone is set to the data VLAN instead of the voice VLAN",
    "vlan.voice",
    may_break=("path.as-planned",),
    blames="desk1",
)
def _phone_in_data_vlan(plan: Plan, target: str | None) -> Plan:
    """The phone sends untagged with an address of the data VLAN, and its access port lets it."""
    modules = {switch.name for switch in plan.switches if switch.role is SwitchRole.PHONE}
    wired = {e.name: e for e in plan.endpoints if f"{e.node}-sw" in modules}
    phone = plan.node(pick(wired, target, "desk phone on a cable").node)
    data = next((v for v in plan.vlans if v.site == phone.site and v.role == "data"), None)
    if data is None:
        raise KeyError(f"site {phone.site} has no data VLAN")
    port_module = next(s for s in plan.switches if s.name == f"{phone.name}-sw")
    inner = next(port for port in port_module.ports if port.peer == phone.name)
    moved = with_port(plan, port_module.name, replace(inner, vlan=data.id))
    switch, port = port_towards(plan, phone.name)
    mac = phone.interfaces[0].mac
    moved = with_port(moved, switch.name, replace(port, allowed=(*port.allowed, (data.id, mac))))
    interface = replace(phone.interfaces[0], addresses=(_last_free(plan, data),))
    return with_node(
        moved, replace(phone, interfaces=(interface,), routes=(Route("0.0.0.0/0", data.gateway),))
    )


@registered(
    "media-direct",
    "the firewall lets neighbours send to each other, and the session controller lets them",
    "hub.media",
    blames="fw",
)
def _media_direct(plan: Plan, target: str | None) -> Plan:
    """`target` is a firewall."""
    walls = {n.name: n for n in plan.nodes if n.kind is NodeKind.FIREWALL}
    wall = pick(walls, target, "firewall")
    inside = [i.name for i in wall.interfaces if _role(plan, wall, i) in ("voice", "data")]
    rules = replace(_rules(wall), open_between=tuple(inside))
    opened = _with_rules(plan, wall, rules)
    loose = tuple(replace(c, anchor_media=False) for c in plan.session_controllers)
    return replace(opened, session_controllers=loose)


@registered(
    "media-rule-missing",
    "the firewall lacks the rule that lets media in to the voice zone",
    "audio.heard",
    blames="fw",
)
def _media_rule_missing(plan: Plan, target: str | None) -> Plan:
    """`target` is a firewall. Media goes out and does not come back: one-way audio."""
    walls = {n.name: n for n in plan.nodes if n.kind is NodeKind.FIREWALL}
    wall = pick(walls, target, "firewall")
    voice = [i.name for i in wall.interfaces if _role(plan, wall, i) == "voice"]
    if not voice:
        raise KeyError(f"{wall.name} has no rule for media into a voice zone")
    gone = (MissingRule(name, "media", "in") for name in voice)
    return _with_rules(plan, wall, firewall.without(_rules(wall), *gone, policy=plan.policy))


def _rules(wall: Node) -> FirewallRules:
    assert wall.firewall is not None, f"{wall.name}: a firewall has its rules as data"
    return wall.firewall


def _with_rules(plan: Plan, wall: Node, rules: FirewallRules) -> Plan:
    """The plan in which a firewall has these rules."""
    return with_node(plan, replace(wall, firewall=rules, nftables=firewall.ruleset(rules, plan.policy)))


@registered(
    "foreign-mac",
    "a device with an unknown MAC address is plugged into a phone port and blocked",
    "vlan.port-control",
    "signalling.registered",
    may_break=("message.delivered",),
    blames="sw1:1",
)
def _foreign_mac(plan: Plan, target: str | None) -> Plan:
    phone = plan.node(_phone(plan, target).node)
    foreign = mac_address("foreign", phone.name, "eth0")
    return with_node(plan, replace(phone, interfaces=(replace(phone.interfaces[0], mac=foreign),)))


def _phone(plan: Plan, target: str | None) -> Endpoint:
    return pick({e.name: e for e in plan.endpoints if device_of(e.kind) == "phone"}, target, "desk phone")


def _router(plan: Plan, target: str | None) -> Node:
    return pick(
        {n.name: n for n in plan.nodes if n.kind is NodeKind.ROUTER and n.queues}, target, "site router"
    )


def _role(plan: Plan, wall: Node, interface: Interface) -> str | None:
    return next((v.role for v in plan.vlans if v.site == wall.site and v.name == interface.zone), None)


def _last_free(plan: Plan, vlan: Vlan) -> str:
    """The highest address of the VLAN that nobody has."""
    subnet = IPv4Network(vlan.subnet)
    taken = {IPv4Interface(a).ip for node in plan.nodes for i in node.interfaces for a in i.addresses}
    for offset in range(subnet.num_addresses - 2, 0, -1):
        if subnet.network_address + offset not in taken:
            return f"{subnet.network_address + offset}/{subnet.prefixlen}"
    raise KeyError(f"VLAN {vlan.name} has no free address")
