"""Switching of a plan: switches, ports, VLANs, and the policy to mark by (DSCP 0..63, 802.1p PCP 0..7)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from uclab.plan.schema.devices import EgressQueue
from uclab.plan.schema.flows import SwitchFlow


class PortMode(StrEnum):
    """How a switch port treats VLANs (IEEE 802.1Q)."""

    ACCESS = "access"
    """Untagged frames belong to `vlan`; tagged frames are dropped."""
    TRUNK = "trunk"
    """Frames of `tagged` VLANs carry an 802.1Q tag."""
    PHONE = "phone"
    """Access port with voice VLAN: untagged frames belong to `vlan`, frames tagged with the one VLAN of
    `tagged` to the phone."""


class SwitchRole(StrEnum):
    CORE = "core"
    DISTRIBUTION = "distribution"
    ACCESS = "access"
    EDGE = "edge"
    """The firewall's built-in port module: trunks to the cores, one access port a zone."""
    PHONE = "phone"
    """A desk phone's built-in switch; not under the controller."""
    DATACENTRE = "datacentre"
    """The cloud's own switch; not under the controller."""
    HOME = "home"
    """A home router's built-in switch; not under the controller."""
    EXCHANGE = "exchange"
    """An internet exchange's peering LAN; not under the controller."""
    MODEM = "modem"
    """A modem in bridge mode; not under the controller."""
    ACCESS_POINT = "access-point"
    """A Wi-Fi access point: a wired port and a radio; forwards by the plan's flows alone."""
    STATION = "station"
    """A wireless endpoint's adapter; forwards by the plan's flows alone."""
    CARRIER = "carrier"
    """Where a private circuit ends: a carrier's termination unit, or a data centre's peering switch; not
    under the controller."""
    CARRIER_NETWORK = "carrier-network"
    """Edge or core of a carrier's network; forwards by the plan's flows alone."""
    SDN_EXCHANGE = "sdn-exchange"
    """A switch of an exchange, under the exchange's own controller (W5)."""


@dataclass(frozen=True)
class SwitchPort:
    """A port of a switch and what the controller must do with it."""

    number: int
    """OpenFlow port number (1..) and number printed on the device."""
    interface: str
    """Kernel name, `<switch>-p<number>`, unique in the lab."""
    mode: PortMode
    vlan: int | None = None
    """Untagged (access, native) VLAN."""
    tagged: tuple[int, ...] = ()
    trust_dscp: bool = False
    """Trunks and ports of trusted devices: DSCP passes. A PHONE port trusts its voice VLAN within
    `trusted_dscps` only where `trust_dscp` is set; everything untagged there is re-marked."""
    allowed: tuple[tuple[int, str], ...] = ()
    """Layer-2 port control (N3): (VLAN id, MAC) pairs that may send here. Empty on trunks: not checked."""
    peer: str | None = None
    """Name of the switch, node or phone at the other end."""
    peer_port: int | None = None
    """Port number at the other end where `peer` is a controlled switch."""


@dataclass(frozen=True)
class Switch:
    """An Open vSwitch bridge. Controlled switches take their forwarding from the os-ken application."""

    name: str
    site: str
    role: SwitchRole
    engine: str
    dpid: int
    controlled: bool
    ports: tuple[SwitchPort, ...]
    flows: tuple[SwitchFlow, ...] = ()
    """By which it forwards where neither a controller nor learning decides: then nothing else passes."""
    queues: tuple[EgressQueue, ...] = ()
    """Bandwidth management at ports, by their kernel names."""
    mtu: int = 1500
    """Longest payload of a frame at its ports, bytes."""


@dataclass(frozen=True)
class VswitchInstance:
    """One ovsdb-server + ovs-vswitchd in a namespace of its own; several, because a busy one slows down
    (facts)."""

    name: str
    switches: tuple[str, ...]


@dataclass(frozen=True)
class Vlan:
    """A VLAN of a site (L1, L2, L3, L4, W10)."""

    id: int
    name: str
    role: Literal["voice", "data", "rooms", "management", "foreign-voip", "transit", "home"]
    site: str
    subnet: str
    gateway: str


@dataclass(frozen=True)
class MarkingRule:
    """One line of the policy's ordered traffic classes: first match wins. Ports are inclusive ranges,
    towards the cloud."""

    traffic_class: str
    set_dscp: int
    dscps: tuple[int, ...] = ()
    udp_ports: tuple[tuple[int, int], ...] = ()
    tcp_ports: tuple[tuple[int, int], ...] = ()
    any_destination: bool = False


@dataclass(frozen=True)
class FailoverLimits:
    """How a failure may affect callers (V2); the policy file's section of that name."""

    max_detection_ms: float
    max_media_gap_ms: float
    """Where routing alone moves the path."""
    max_media_gap_new_address_ms: float
    """Where the source address changes."""
    max_failback_gap_ms: float
    max_registration_s: float
    brown_out_loss_pct: float
    brown_out_delay_ms: float


RestartedPart = Literal["service", "controller", "router", "phone"]


@dataclass(frozen=True)
class RestartPolicy:
    """What comes back by itself when it has died (D3); the policy file's section `restarts`."""

    parts: tuple[RestartedPart, ...] = ()
    attempts: int = 1
    """How often one part is started again."""
    wait_s: float = 1.0
    """From the end to the first new start; doubled with each further one."""
    wait_max_s: float = 30.0

    def wait_before(self, started: int) -> float:
        """Seconds to wait when it has been started again so often."""
        return float(min(self.wait_s * 2**started, self.wait_max_s))


@dataclass(frozen=True)
class Tolerances:
    """What findings tolerate beside the limits of voice (`uclab.model.policy.Tolerances`)."""

    astray_pct: float = 1.0
    settled_s: float = 30.0
    full_line_loss_pct: float = 2.0
    recovered_s: int = 3
    capacity_apart_pct: float = 5.0


@dataclass(frozen=True)
class Confidence:
    """How sure a verdict by the policy's limits must be (`uclab.model.policy.Confidence`)."""

    verdict_pct: float = 95.0
    accused_pct: float = 1.0
    right_pct: float = 98.0
    assumed_design_effect: float = 2.0
    longest_call_s: float = 900.0

    @property
    def level(self) -> float:
        """Of one end of an interval, 0..1."""
        return self.verdict_pct / 100


@dataclass(frozen=True)
class Policy:
    """The provider's policy profile, resolved (facts: provider policy). Judging reads its limits from here,
    never from code."""

    name: str
    rules: tuple[MarkingRule, ...]
    default_dscp: int
    dscp_to_pcp: tuple[tuple[int, int], ...]
    """(DSCP, 802.1p PCP); others 0."""
    max_one_way_delay_ms: float
    max_loss_pct: float
    max_jitter_ms: float
    min_mos: float
    min_tls_version: Literal["1.2", "1.3"]
    media_ports: tuple[int, int]
    nat_udp_timeout_s: int
    cloud_prefixes: tuple[str, ...]
    """Prefixes of the cloud inside the lab; what goes there is "towards the cloud"."""
    voice_dscp: int
    signalling_dscp: int
    dscp_to_tc: tuple[tuple[int, int], ...] = ()
    """(DSCP, MPLS traffic class); others 0."""
    dscp_to_up: tuple[tuple[int, int], ...] = ()
    """(DSCP, Wi-Fi user priority); others 0."""
    sips_ports: tuple[int, ...] = (5096,)
    """TLS ports that carry SIP (facts: provider policy)."""
    untrusted_classes: tuple[str, ...] | None = None
    """Classes that an untrusted port may be re-marked to by port match; None: all."""
    failover: FailoverLimits | None = None
    restarts: RestartPolicy = RestartPolicy()
    confidence: Confidence = Confidence()
    tolerances: Tolerances = Tolerances()
    title: str = ""
    """What verdicts are measured by, for people..."""
    source: str = ""
    """...and where its numbers come from."""

    def open_to_untrusted(self, traffic_class: str) -> bool:
        """Whether an untrusted port's packets may come into that class by their port numbers."""
        return self.untrusted_classes is None or traffic_class in self.untrusted_classes

    def pcp(self, dscp: int) -> int:
        """802.1p priority for a DSCP (Q1)."""
        return dict(self.dscp_to_pcp).get(dscp, 0)

    def tc(self, dscp: int) -> int:
        """MPLS traffic class for a DSCP (Q1)."""
        return dict(self.dscp_to_tc).get(dscp, 0)

    def up(self, dscp: int) -> int:
        """Wi-Fi user priority for a DSCP (Q1)."""
        return dict(self.dscp_to_up).get(dscp, 0)


@dataclass(frozen=True)
class SiteFabric:
    """What one controller needs to know of a site: its controlled switches, VLANs and marking policy."""

    site: str
    switches: tuple[Switch, ...]
    vlans: tuple[Vlan, ...]
    policy: Policy
    root_order: tuple[str, ...]
    """Switches in the order in which they are to be root of the trees (core first)."""
