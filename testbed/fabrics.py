"""Fabrics for the controller's tests: built from a few words, with the policy of the provider."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from testbed.fake_fabric import ethernet
from uclab.plan.lan.spanning_trees import PortRef
from uclab.plan.schema.flow_simulation import Frame
from uclab.plan.schema.plan import (
    MarkingRule,
    Policy,
    PortMode,
    SiteFabric,
    Switch,
    SwitchPort,
    SwitchRole,
    Vlan,
)

VOICE, DATA, ROOMS = 110, 120, 130
CLOUD = "198.18.10.0/24"

POLICY = Policy(
    name="ucaas",
    rules=(
        MarkingRule("audio", 46, dscps=(46, 40), udp_ports=((20000, 64999), (8803, 8803))),
        MarkingRule("video", 34, dscps=(34, 32), udp_ports=((10000, 19999),), tcp_ports=((5060, 5061),)),
        MarkingRule("peer-video", 34, udp_ports=((8850, 8869),), any_destination=True),
        MarkingRule("signalling", 26, dscps=(26, 24), udp_ports=((5090, 5099),), tcp_ports=((5090, 5099),)),
        MarkingRule("directory", 18, tcp_ports=((636, 636),), any_destination=True),
    ),
    default_dscp=0,
    dscp_to_pcp=((46, 5), (34, 4), (26, 3), (18, 2)),
    max_one_way_delay_ms=150,
    max_loss_pct=1,
    max_jitter_ms=30,
    min_mos=4,
    min_tls_version="1.2",
    media_ports=(20000, 64999),
    nat_udp_timeout_s=360,
    cloud_prefixes=(CLOUD,),
    voice_dscp=46,
    signalling_dscp=26,
)


def vlan(number: int, name: str, role: str) -> Vlan:
    """A VLAN whose gateway is the first address of 10.10.(number).0/24."""
    return Vlan(number, name, role, "hq", f"10.10.{number}.0/24", f"10.10.{number}.1")  # type: ignore[arg-type]


VLANS = (vlan(VOICE, "voice", "voice"), vlan(DATA, "data", "data"), vlan(ROOMS, "rooms", "rooms"))
VLAN_IDS = tuple(v.id for v in VLANS)


@dataclass
class FabricBuilder:
    """Plugs cables into switches, port numbers counted from 1."""

    ports: dict[str, list[SwitchPort]] = field(default_factory=dict)
    roles: dict[str, SwitchRole] = field(default_factory=dict)
    macs: int = 0

    def switch(self, name: str, role: SwitchRole) -> None:
        self.ports[name], self.roles[name] = [], role

    def trunk(self, lower: str, upper: str) -> None:
        low, up = len(self.ports[lower]) + 1, len(self.ports[upper]) + 1
        self._add(lower, PortMode.TRUNK, tagged=VLAN_IDS, trust_dscp=True, peer=upper, peer_port=up)
        self._add(upper, PortMode.TRUNK, tagged=VLAN_IDS, trust_dscp=True, peer=lower, peer_port=low)

    def mac(self) -> str:
        self.macs += 1
        return f"02:00:00:00:{self.macs >> 8:02x}:{self.macs & 255:02x}"

    def pc(self, switch: str, vlan: int = DATA, trust_dscp: bool = False) -> None:
        self._add(switch, PortMode.ACCESS, vlan=vlan, trust_dscp=trust_dscp, allowed=((vlan, self.mac()),))

    def phone(self, switch: str) -> None:
        allowed = ((VOICE, self.mac()), (DATA, self.mac()))
        self._add(switch, PortMode.PHONE, vlan=DATA, tagged=(VOICE,), trust_dscp=True, allowed=allowed)

    def fabric(self) -> SiteFabric:
        switches = tuple(
            Switch(name, "hq", self.roles[name], "ovs-1", dpid, True, tuple(ports))
            for dpid, (name, ports) in enumerate(self.ports.items(), start=1)
        )
        rank = (SwitchRole.CORE, SwitchRole.DISTRIBUTION, SwitchRole.ACCESS, SwitchRole.EDGE)
        roots = tuple(s.name for s in sorted(switches, key=lambda s: rank.index(s.role)))
        return SiteFabric("hq", switches, VLANS, POLICY, roots)

    def _add(
        self,
        switch: str,
        mode: PortMode,
        vlan: int | None = None,
        tagged: tuple[int, ...] = (),
        trust_dscp: bool = False,
        allowed: tuple[tuple[int, str], ...] = (),
        peer: str | None = None,
        peer_port: int | None = None,
    ) -> None:
        number = len(self.ports[switch]) + 1
        port = SwitchPort(
            number, f"{switch}-p{number}", mode, vlan, tagged, trust_dscp, allowed, peer, peer_port
        )
        self.ports[switch].append(port)


def hierarchy(cores: int, distributions: int, access: int, phones: int = 1, pcs: int = 1) -> SiteFabric:
    """A campus: two uplinks each where there are two to have; the firewall's ports hang on the cores."""
    build = FabricBuilder()
    layers: Sequence[tuple[str, SwitchRole, int]] = (
        ("core", SwitchRole.CORE, cores),
        ("dist", SwitchRole.DISTRIBUTION, distributions),
        ("acc", SwitchRole.ACCESS, access),
        ("fw-sw", SwitchRole.EDGE, 1),
    )
    names: Mapping[str, list[str]] = {
        prefix: [f"{prefix}{i + 1}" if prefix != "fw-sw" else prefix for i in range(count)]
        for prefix, _, count in layers
    }
    for prefix, role, _ in layers:
        for name in names[prefix]:
            build.switch(name, role)
    for first, second in zip(names["core"], names["core"][1:], strict=False):
        build.trunk(second, first)
    above = {"dist": names["core"], "acc": names["dist"] or names["core"], "fw-sw": names["core"]}
    for number, name in enumerate(names["acc"]):
        for _ in range(phones):
            build.phone(name)
        for _ in range(pcs):
            build.pc(name, ROOMS if number == 0 else DATA)
    for prefix, uppers in above.items():
        for number, name in enumerate(names[prefix]):
            turned = uppers[number % len(uppers) :] + uppers[: number % len(uppers)]
            for upper in turned[:2]:
                build.trunk(name, upper)
    for number in VLAN_IDS:
        build.pc("fw-sw", number, trust_dscp=True)
    return build.fabric()


def enterprise() -> SiteFabric:
    """The switches of `enterprise-hq`: two core, two distribution, four access, the firewall's ports."""
    return hierarchy(2, 2, 4, phones=2, pcs=1)


def with_policy(fabric: SiteFabric, policy: Policy) -> SiteFabric:
    """The same switches under another policy."""
    return replace(fabric, policy=policy)


@dataclass(frozen=True)
class Host:
    """Something with a MAC address at an edge port; `tagged` where its frames carry the VLAN's tag there."""

    port: PortRef
    vlan: int
    mac: str
    tagged: bool

    def frame(self, eth_dst: str, **fields: Any) -> Frame:
        """A frame that it sends, tagged as it does unless told otherwise."""
        tag = {"vlan": self.vlan, "pcp": 0} if self.tagged else {}
        return ethernet(**{"eth_src": self.mac, "eth_dst": eth_dst, **tag, **fields})


def hosts(fabric: SiteFabric) -> list[Host]:
    """All that is plugged in."""
    return [
        Host(PortRef(switch.name, port.number), vlan, mac, vlan in port.tagged)
        for switch in fabric.switches
        for port in switch.ports
        for vlan, mac in port.allowed
    ]


def members(fabric: SiteFabric, vlan: int) -> set[PortRef]:
    """Edge ports of a VLAN."""
    return {
        PortRef(switch.name, port.number)
        for switch in fabric.switches
        for port in switch.ports
        if port.mode is not PortMode.TRUNK and (port.vlan == vlan or vlan in port.tagged)
    }


def meshed(cables: Sequence[tuple[int, int]], switches: int, phones: bool = True) -> SiteFabric:
    """Switches cabled in any way, a PC and perhaps a phone at each."""
    build = FabricBuilder()
    for number in range(switches):
        build.switch(f"s{number}", SwitchRole.ACCESS)
        if phones:
            build.phone(f"s{number}")
        build.pc(f"s{number}")
    for a, b in cables:
        build.trunk(f"s{a}", f"s{b}")
    return build.fabric()
