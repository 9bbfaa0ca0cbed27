"""Small plans made by hand for the emulation's tests; what they do not need is empty."""

from __future__ import annotations

from typing import Any

from uclab.plan.schema.plan import (
    Bursts,
    Impairment,
    Interface,
    JitterDistribution,
    Link,
    LinkEnd,
    Node,
    NodeKind,
    Plan,
    Policy,
    PortMode,
    Route,
    Switch,
    SwitchPort,
    SwitchRole,
    VswitchInstance,
)

POLICY = Policy(
    name="test",
    rules=(),
    default_dscp=0,
    dscp_to_pcp=((46, 5), (26, 3)),
    max_one_way_delay_ms=150,
    max_loss_pct=1,
    max_jitter_ms=30,
    min_mos=4,
    min_tls_version="1.2",
    media_ports=(20000, 64999),
    nat_udp_timeout_s=360,
    cloud_prefixes=(),
    voice_dscp=46,
    signalling_dscp=26,
)


def plan(**parts: Any) -> Plan:
    """A plan with these parts and nothing else."""
    empty: tuple[Any, ...] = ()
    fields: dict[str, Any] = dict.fromkeys(
        (
            *("nodes", "links", "switches", "engines", "vlans", "fabrics", "endpoints", "certificates"),
            *("name_servers", "session_controllers", "pstn_peers", "bulk", "taps", "paths"),
        ),
        empty,
    )
    return Plan(**{"topology": "test", "title": "test", "policy": POLICY, **fields, **parts})


def mac(number: int) -> str:
    """A locally administered address."""
    return f"02:00:00:00:00:{number:02x}"


def pair(*, left: dict[str, Any] | None = None, right: dict[str, Any] | None = None) -> Plan:
    """Two hosts on one cable: `left` 10.0.0.1 and `right` 10.0.0.2, with further settings for each node."""
    nodes = tuple(
        Node(name, NodeKind.PC, "test", (Interface("eth0", mac(n), (f"10.0.0.{n}/24",)),), **(more or {}))
        for n, (name, more) in enumerate((("left", left), ("right", right)), 1)
    )
    cable = Link("left-right", LinkEnd("left", "eth0"), LinkEnd("right", "eth0"), "lan")
    return plan(nodes=nodes, links=(cable,))


def line(
    delay_ms: float,
    *,
    jitter_ms: float = 0.0,
    loss_pct: float = 0.0,
    keep_order: bool = True,
    jitter_distribution: JitterDistribution = "normal",
    bursts: Bursts | None = None,
) -> Plan:
    """The pair, with an impaired line from `left` to `right`."""
    what = Impairment("eth0", delay_ms, jitter_ms, loss_pct, 2000, 7, keep_order, jitter_distribution, bursts)
    return pair(left={"impairments": (what,)})


def routed() -> Plan:
    """`left` - `router` - `right`: 10.0.1.2 and 10.0.2.2 behind a router's .1 addresses."""
    left = Node(
        "left",
        NodeKind.PC,
        "test",
        (Interface("eth0", mac(1), ("10.0.1.2/24",)),),
        (Route("0.0.0.0/0", "10.0.1.1"),),
    )
    right = Node(
        "right",
        NodeKind.PC,
        "test",
        (Interface("eth0", mac(2), ("10.0.2.2/24",)),),
        (Route("0.0.0.0/0", "10.0.2.1"),),
    )
    sides = (Interface("a", mac(3), ("10.0.1.1/24",)), Interface("b", mac(4), ("10.0.2.1/24",)))
    router = Node(
        "router", NodeKind.ROUTER, "test", sides, (Route("10.9.0.0/16", "10.0.2.2"),), forwarding=True
    )
    links = (
        Link("left-router", LinkEnd("left", "eth0"), LinkEnd("router", "a"), "lan"),
        Link("router-right", LinkEnd("router", "b"), LinkEnd("right", "eth0"), "lan"),
    )
    return plan(nodes=(left, router, right), links=links)


def desk() -> Plan:
    """A desk phone with its built-in switch and a PC behind it; `wall` is what is at the other end of the
    phone's cable."""
    phone = Node("phone", NodeKind.PHONE, "test", (Interface("eth0", mac(1), ("10.0.110.1/24",)),))
    pc = Node("pc", NodeKind.PC, "test", (Interface("eth0", mac(2), ("10.0.120.1/24",)),))
    wall = Node("wall", NodeKind.SERVER, "test", (Interface("eth0", mac(3)),))
    ports = (
        SwitchPort(1, "phone-sw-p1", PortMode.PHONE, vlan=120, tagged=(110,), trust_dscp=True, peer="wall"),
        SwitchPort(2, "phone-sw-p2", PortMode.ACCESS, vlan=110, peer="phone"),
        SwitchPort(3, "phone-sw-p3", PortMode.ACCESS, vlan=120, peer="pc"),
    )
    switch = Switch("phone-sw", "test", SwitchRole.PHONE, "ovs-1", 16, False, ports)
    links = tuple(
        Link(f"{name}-phone-sw", LinkEnd(name, "eth0"), LinkEnd("phone-sw", f"phone-sw-p{port}"), "lan")
        for name, port in (("wall", 1), ("phone", 2), ("pc", 3))
    )
    return plan(
        nodes=(phone, pc, wall),
        links=links,
        switches=(switch,),
        engines=(VswitchInstance("ovs-1", ("phone-sw",)),),
    )
