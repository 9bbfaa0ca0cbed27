"""What every device of a lab is told: the contract between the planner and all that stands behind it.

A `Plan` is fully resolved and immutable. The planner computes it from a topology without touching the
system; emulation, controllers, cloud core and endpoints carry it out; the judge holds the captures against
it. Nothing behind the plan decides anything again. Rates are kbit/s, delays milliseconds, DSCP 0..63, PCP
0..7.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from uclab.plan.schema.attacks import Attack
from uclab.plan.schema.devices import (
    Bursts,
    EgressQueue,
    Impairment,
    Interface,
    JitterDistribution,
    LineSchedule,
    LineStep,
    Link,
    LinkEnd,
    Node,
    NodeKind,
    QueueClass,
    Route,
    Routing,
)
from uclab.plan.schema.flows import SwitchFlow
from uclab.plan.schema.injection import Injection
from uclab.plan.schema.link_monitor import LineWatch, WatchedLine
from uclab.plan.schema.network_card import NetworkCard
from uclab.plan.schema.overlay import Overlay
from uclab.plan.schema.radio_channel import RadioChannel, Station
from uclab.plan.schema.sdn_fabric import CircuitExchange
from uclab.plan.schema.switching import (
    Confidence,
    FailoverLimits,
    MarkingRule,
    Policy,
    PortMode,
    SiteFabric,
    Switch,
    SwitchPort,
    SwitchRole,
    Vlan,
    VswitchInstance,
)
from uclab.plan.schema.telephony import (
    Account,
    Certificate,
    CloudServer,
    ControllerPeer,
    DnsRecord,
    Endpoint,
    MessageGroup,
    NameServer,
    PstnPeer,
    RegistrationTiming,
    SessionController,
)

__all__ = [
    "Account",
    "BackgroundTraffic",
    "BulkTraffic",
    "Bursts",
    "Call",
    "CarriedCircuit",
    "Certificate",
    "CircuitExchange",
    "CloudServer",
    "Confidence",
    "ControllerPeer",
    "DnsRecord",
    "EgressQueue",
    "Endpoint",
    "FailoverLimits",
    "Impairment",
    "Injection",
    "Interface",
    "JitterDistribution",
    "LineSchedule",
    "LineStep",
    "LineWatch",
    "Link",
    "LinkEnd",
    "MarkingRule",
    "MessageGroup",
    "NameServer",
    "NetworkCard",
    "Node",
    "NodeKind",
    "Overlay",
    "Path",
    "PathHop",
    "Plan",
    "Policy",
    "PortMode",
    "PstnPeer",
    "QueueClass",
    "RadioChannel",
    "RegistrationTiming",
    "Route",
    "Routing",
    "SessionController",
    "SiteFabric",
    "Station",
    "Switch",
    "SwitchFlow",
    "SwitchPort",
    "SwitchRole",
    "Tap",
    "Vlan",
    "VswitchInstance",
    "WatchedLine",
]


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
    port: int = 5201
    """TCP for iperf3's own connection, UDP for the bulk."""


@dataclass(frozen=True)
class BackgroundTraffic:
    """Constant traffic of another customer of a carrier: an echo request every `interval_ms`."""

    source_node: str
    target_node: str
    target_address: str
    interval_ms: int


@dataclass(frozen=True)
class CarriedCircuit:
    """A customer's circuit in a label-switched core, for whoever looks whether customers are kept apart."""

    carrier: str
    circuit: str
    customer: str
    """Whose circuit it is: all circuits of a company are one customer's."""
    routers: tuple[LinkEnd, ...]
    """The routers' interfaces at its ends. One router may have several circuits."""
    labels: tuple[int, ...]
    ends: tuple[LinkEnd, ...]
    """The core's ports at which the circuit is handed over."""


@dataclass(frozen=True)
class Tap:
    """A capture point; `label` (`acc1:3`, `fw:wan`) is the pcapng interface name. `namespace` is a node's
    or an engine's."""

    label: str
    namespace: str
    interface: str
    device: str
    tagged: bool
    """True on trunks, phone ports and the air: frames may carry 802.1Q."""


@dataclass(frozen=True)
class PathHop:
    """A tap on the way between an endpoint and the cloud, with what a packet must look like there."""

    tap: str
    vlan: int | None
    """802.1Q VLAN expected in the frame at this tap; None: untagged."""
    service_vlan: int | None = None
    """VLAN of the service tag (802.1ad) expected in front of it in a carrier's network; None: no such tag."""
    label: int | None = None
    """MPLS label expected in the frame, in a label-switched core; None: no label."""


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
    kind: Literal["desk-desk", "desk-soft", "desk-pstn", "pstn-desk", "overload", "hold-transfer", "failover"]
    seconds: float
    transfer_to: str | None = None
    """Endpoint to which the caller transfers the callee at the end of a `hold-transfer` call."""
    transfer_seconds: float | None = None
    """How long these two talk then."""


@dataclass(frozen=True)
class Plan:
    """Everything that the lab needs to know; a pure function of the topology."""

    topology: str
    title: str
    policy: Policy
    nodes: tuple[Node, ...]
    links: tuple[Link, ...]
    switches: tuple[Switch, ...]
    engines: tuple[VswitchInstance, ...]
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
    overlays: tuple[Overlay, ...] = ()
    chatter: tuple[BackgroundTraffic, ...] = ()
    carried: tuple[CarriedCircuit, ...] = ()
    schedules: tuple[LineSchedule, ...] = ()
    """How lines change with time, from the moment that the lab is up."""
    circuit_exchanges: tuple[CircuitExchange, ...] = ()
    airs: tuple[RadioChannel, ...] = ()
    """Channels of access points."""
    line_watches: tuple[LineWatch, ...] = ()
    """Of routers that ask by each of their lines whether it leads anywhere."""
    cards: tuple[NetworkCard, ...] = ()
    """Ports where something outside the lab is plugged in; no reference topology has one."""
    attacks: tuple[Attack, ...] = ()
    """Of drills alone."""
    injections: tuple[Injection, ...] = ()
    """Who sends forged media to the cloud's relays; nobody in a clean plan."""
    cloud_servers: tuple[CloudServer, ...] = ()
    """Of further services that the topology asks for."""
    faults: tuple[str, ...] = field(default=())
    """Names of deliberate faults applied to this plan (drills); empty in a clean plan."""

    def node(self, name: str) -> Node:
        """The node of that name; KeyError if there is none."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(f"no node {name} in plan {self.topology}")

    @property
    def message_groups(self) -> tuple[MessageGroup, ...]:
        """Groups for text messages: every session controller has all of them."""
        return self.session_controllers[0].groups if self.session_controllers else ()

    def endpoint(self, name: str) -> Endpoint:
        """The endpoint (or PSTN phone) of that name; KeyError if there is none."""
        for endpoint in (*self.endpoints, *(peer.endpoint for peer in self.pstn_peers)):
            if endpoint.name == name:
                return endpoint
        raise KeyError(f"no endpoint {name} in plan {self.topology}")
