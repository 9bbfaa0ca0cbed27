"""What every device of a lab is told: the contract between the planner and all that stands behind it.

A `Plan` is fully resolved and immutable. The planner computes it from a topology without touching the
system; emulation, controllers, cloud core and endpoints carry it out; the judge holds the captures against
it. Nothing behind the plan decides anything again. Rates are kbit/s, delays milliseconds, DSCP 0..63, PCP
0..7.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal


class NodeKind(StrEnum):
    """What a device is. Each node is one network namespace."""

    FIREWALL = "firewall"
    ROUTER = "router"
    ISP = "isp"
    CLOUD_ROUTER = "cloud-router"
    SERVER = "server"
    """A host of the cloud, or a public server such as the DNS resolver."""
    PHONE = "phone"
    PC = "pc"


@dataclass(frozen=True)
class Interface:
    """A node's end of a link, or its loopback-like extra addresses (RFC 4291 / RFC 791 addresses in CIDR
    form)."""

    name: str
    """Name inside the node's namespace, at most 15 characters."""
    mac: str
    addresses: tuple[str, ...] = ()
    """CIDR notation, e.g. `10.10.110.11/24`."""
    zone: str | None = None
    """Firewall zone (`voice`, `data`, `wan`, ...) where the node is a firewall."""


@dataclass(frozen=True)
class Route:
    """A static route; `prefix` `0.0.0.0/0` is the default."""

    prefix: str
    via: str
    metric: int = 0


@dataclass(frozen=True)
class QueueClass:
    """One class of an HTB egress queue: packets whose DSCP is in `dscps` (the default class has none)."""

    name: str
    dscps: tuple[int, ...]
    rate_kbps: int
    """Guaranteed."""
    ceil_kbps: int
    priority: int
    """0 is served first."""
    limit_packets: int
    """Depth of the leaf queue; small, because a full one would hold up other ports' traffic (facts:
    AF_PACKET)."""
    arp: bool = False
    """True on the one class that also takes ARP, so that calls do not die of unanswered ARP."""


@dataclass(frozen=True)
class EgressQueue:
    """Bandwidth management at the way out of `interface` (N2, C8): HTB of `rate_kbps` with classes."""

    interface: str
    rate_kbps: int
    classes: tuple[QueueClass, ...]


@dataclass(frozen=True)
class Impairment:
    """What the line does to packets leaving by `interface`: delay, jitter (standard deviation), random
    loss."""

    interface: str
    delay_ms: float
    jitter_ms: float = 0.0
    loss_pct: float = 0.0
    limit_packets: int = 1000
    seed: int = 1
    keep_order: bool = True


@dataclass(frozen=True)
class Node:
    """One device: a network namespace with its interfaces, routes, packet filter, queues and line
    impairments."""

    name: str
    kind: NodeKind
    site: str
    """Site, datacentre, or `internet`."""
    interfaces: tuple[Interface, ...]
    routes: tuple[Route, ...] = ()
    forwarding: bool = False
    sysctls: tuple[tuple[str, str], ...] = ()
    """E.g. `("net.netfilter.nf_conntrack_udp_timeout_stream", "360")`; set inside the namespace."""
    nftables: str | None = None
    """A complete nftables ruleset (`nft -f`), or none."""
    queues: tuple[EgressQueue, ...] = ()
    impairments: tuple[Impairment, ...] = ()
    nameservers: tuple[str, ...] = ()
    neighbours: tuple[tuple[str, str, str], ...] = ()
    """Static ARP entries (interface, address, MAC); normally empty: ARP is real."""

    def interface(self, name: str) -> Interface:
        """The interface of that name; KeyError if there is none."""
        for interface in self.interfaces:
            if interface.name == name:
                return interface
        raise KeyError(f"{self.name} has no interface {name}")


@dataclass(frozen=True)
class LinkEnd:
    """Where a link ends: a node's interface, or a switch's port (then `interface` is the port's name,
    `acc1-p3`)."""

    device: str
    interface: str


@dataclass(frozen=True)
class Link:
    """A cable: a veth pair. `name` is what `uclab fail` takes, e.g. `acc1-dist1`."""

    name: str
    a: LinkEnd
    b: LinkEnd
    kind: Literal["lan", "trunk", "wan", "internet", "datacentre"]
    """`wan`: a site's line to its provider; `internet`: a link of the internet's core."""


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


@dataclass(frozen=True)
class Engine:
    """One ovsdb-server + ovs-vswitchd in a namespace of its own; several, because a busy one slows down
    (facts)."""

    name: str
    switches: tuple[str, ...]


@dataclass(frozen=True)
class Vlan:
    """A VLAN of a site (L1, L2, L3, L4, W10)."""

    id: int
    name: str
    role: Literal["voice", "data", "rooms", "management", "foreign-voip", "transit"]
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
    sips_ports: tuple[int, ...] = (5096,)
    """TLS ports that carry SIP (facts: provider policy)."""
    untrusted_classes: tuple[str, ...] = ()
    """Classes that an untrusted port may be re-marked to by port match; empty: all rules apply."""

    def pcp(self, dscp: int) -> int:
        """802.1p priority for a DSCP (Q1)."""
        return dict(self.dscp_to_pcp).get(dscp, 0)


@dataclass(frozen=True)
class SiteFabric:
    """What one controller needs to know of a site: its controlled switches, VLANs and marking policy."""

    site: str
    switches: tuple[Switch, ...]
    vlans: tuple[Vlan, ...]
    policy: Policy
    root_order: tuple[str, ...]
    """Switches in the order in which they are to be root of the trees (core first)."""


@dataclass(frozen=True)
class Account:
    """A subscriber: digest credentials (RFC 3261 section 22, RFC 8760)."""

    user: str
    domain: str
    password: str
    display: str
    e164: str | None = None

    @property
    def aor(self) -> str:
        """Address of record."""
        return f"sip:{self.user}@{self.domain}"


@dataclass(frozen=True)
class Endpoint:
    """A phone or softclient (E1, E7) and how it is set up."""

    name: str
    kind: Literal["desk-phone", "softclient", "pstn-phone"]
    driver: Literal["baresip", "pjsua2"]
    node: str
    account: Account
    registrar: str
    """Host name of the session controller; must match its certificate."""
    registrar_port: int
    transport: Literal["tls", "udp"]
    tone_hz: int
    """The known signal that it sends: a sine of this frequency, different for every endpoint."""
    media_encryption: Literal["srtp", "none"] = "srtp"
    verify_server: bool = True
    dscp_media: int = 46
    dscp_signalling: int = 26
    registers: bool = True
    codecs: tuple[str, ...] = ("PCMU", "PCMA")


@dataclass(frozen=True)
class Certificate:
    """A server certificate to issue. `issuer` `lab` is the CA that endpoints trust; `foreign` is one that
    they do not."""

    name: str
    dns_names: tuple[str, ...]
    addresses: tuple[str, ...]
    issuer: Literal["lab", "foreign"] = "lab"


@dataclass(frozen=True)
class DnsRecord:
    """One resource record of the lab's public DNS (V6): `value` is an address, or `priority weight port
    target` for SRV."""

    name: str
    type: Literal["A", "SRV"]
    value: str


@dataclass(frozen=True)
class NameServer:
    """Public DNS server of the lab."""

    name: str
    node: str
    address: str
    records: tuple[DnsRecord, ...]
    dscp: int = 0
    """DSCP of its answers."""


@dataclass(frozen=True)
class SessionController:
    """Kamailio as registrar, proxy and SBC (C1, C10), with rtpengine beside it anchoring all media (C2,
    C7)."""

    name: str
    node: str
    address: str
    """SIP listens here."""
    media_address: str
    """rtpengine's address for media; may equal `address`."""
    domain: str
    host_name: str
    tls_ports: tuple[int, ...]
    trunk_port: int
    """TLS port towards the PSTN peer (facts: trunks 5060-5065)."""
    media_ports: tuple[int, int]
    certificate: str
    accounts: tuple[Account, ...]
    trunk_peer: tuple[str, int] | None
    """Host name and TLS port of the PSTN peer."""
    dscp_signalling: int
    dscp_media: int
    min_tls_version: Literal["1.2", "1.3"] = "1.2"
    anchor_media: bool = True
    """False only in a drill: media then flows directly between neighbours (must fail C7)."""


@dataclass(frozen=True)
class PstnPeer:
    """The ITSP/PSTN side (C3, C4): a SIP trunk peer that answers its E.164 numbers and calls in."""

    name: str
    node: str
    address: str
    host_name: str
    port: int
    numbers: tuple[str, ...]
    certificate: str
    endpoint: Endpoint


@dataclass(frozen=True)
class BulkTraffic:
    """Where overload comes from: a PC and a public server, with UDP bulk in one direction.

    The PC (`source_node`) opens the flow in both cases, because all connections start at the customer;
    `down` means that the server answers with the bulk. `rate_kbps` counts IP packets.
    """

    name: str
    source_node: str
    target_node: str
    target_address: str
    rate_kbps: int
    direction: Literal["up", "down"]


@dataclass(frozen=True)
class Tap:
    """A capture point; `label` (`acc1:3`, `fw:wan`) is the pcapng interface name. `namespace` is a node's
    or an engine's."""

    label: str
    namespace: str
    interface: str
    device: str
    tagged: bool
    """True on trunks and phone ports: frames may carry 802.1Q."""


@dataclass(frozen=True)
class PathHop:
    """A tap on the way between an endpoint and the cloud, with what a packet must look like there."""

    tap: str
    vlan: int | None
    """802.1Q VLAN expected in the frame at this tap; None: untagged."""


@dataclass(frozen=True)
class Path:
    """The way of an endpoint's packets to the session controller, in order (towards the cloud)."""

    endpoint: str
    hops: tuple[PathHop, ...]


@dataclass(frozen=True)
class Call:
    """A call of a scenario. `kind` is printed in reports."""

    id: str
    caller: str
    callee: str
    """Endpoint name, or an E.164 number of the PSTN peer."""
    kind: Literal["desk-desk", "desk-soft", "desk-pstn", "pstn-desk", "overload", "hold-transfer"]
    seconds: float
    transfer_to: str | None = None
    """Endpoint to which the caller transfers the callee at the end of a `hold-transfer` call."""


@dataclass(frozen=True)
class Plan:
    """Everything that the lab needs to know; a pure function of the topology."""

    topology: str
    title: str
    policy: Policy
    nodes: tuple[Node, ...]
    links: tuple[Link, ...]
    switches: tuple[Switch, ...]
    engines: tuple[Engine, ...]
    vlans: tuple[Vlan, ...]
    fabrics: tuple[SiteFabric, ...]
    endpoints: tuple[Endpoint, ...]
    certificates: tuple[Certificate, ...]
    name_servers: tuple[NameServer, ...]
    session_controllers: tuple[SessionController, ...]
    pstn_peers: tuple[PstnPeer, ...]
    bulk: tuple[BulkTraffic, ...]
    taps: tuple[Tap, ...]
    paths: tuple[Path, ...]
    faults: tuple[str, ...] = field(default=())
    """Names of deliberate faults applied to this plan (drills); empty in a clean plan."""

    def node(self, name: str) -> Node:
        """The node of that name; KeyError if there is none."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(f"no node {name} in plan {self.topology}")

    def endpoint(self, name: str) -> Endpoint:
        """The endpoint (or PSTN phone) of that name; KeyError if there is none."""
        for endpoint in (*self.endpoints, *(peer.endpoint for peer in self.pstn_peers)):
            if endpoint.name == name:
                return endpoint
        raise KeyError(f"no endpoint {name} in plan {self.topology}")
