"""The provider's policy profile: all that a verdict or a queue is measured by, as typed YAML (C8, C9, Q1).

A provider's numbers live in `topologies/policies/*.yaml`; code reads them from here and has none of its own.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from uclab.kinds.endpoint_kind import EndpointKindName
from uclab.model.endurance import Protection, Restarts
from uclab.model.limits import Confidence, FailoverLimits, Limits, Tolerances
from uclab.model.schema_types import (
    Dscp,
    LongName,
    Name,
    PortRange,
    PrefixLengths,
    StrictModel,
    Text,
    Title,
    VlanRange,
)
from uclab.model.sdwan import SdWanPolicy
from uclab.model.traffic import CallTraffic


class TrafficClass(StrictModel):
    """One of the ordered traffic classes: the first whose match holds sets the DSCP (C8)."""

    name: Name
    dscp: Dscp
    """What matching packets are marked with."""
    match_dscps: tuple[Dscp, ...] = ()
    """Packets that carry one of these match..."""
    udp: tuple[PortRange, ...] = ()
    """...or go to one of these UDP ports..."""
    tcp: tuple[PortRange, ...] = ()
    """...or to one of these TCP ports."""
    any_destination: bool = False
    """True: wherever the packet goes; false: only towards the cloud."""
    port_match_untrusted: bool = True
    """Whether a device that is not trusted (a PC) may come into this class by its port numbers."""


class Marking(StrictModel):
    """How one DSCP is carried by networks of other kinds (Q1)."""

    service: Name
    dscp: Dscp
    pcp: int = Field(ge=0, le=7)
    """802.1Q priority code point."""
    mpls_tc: int = Field(ge=0, le=7)
    """MPLS traffic class (RFC 5462)."""
    wifi_up: int = Field(ge=0, le=7)
    """Wi-Fi user priority (RFC 8325)."""
    wifi_ac: Literal["AC_VO", "AC_VI", "AC_BE", "AC_BK"]
    """Wi-Fi access category that the user priority falls into."""


class SipsPorts(StrictModel):
    """Ports of SIP over TLS, by who connects."""

    desk_phone: int = Field(ge=1, le=65535)
    softclient: int = Field(ge=1, le=65535)
    trunk: int = Field(ge=1, le=65535)


class Signalling(StrictModel):
    """How endpoints reach the session controller (C1, C9)."""

    dscp: Dscp
    sips_ports: SipsPorts
    min_tls_version: Literal["1.2", "1.3"]
    sip_alg: Literal[False] = False
    """SIP application gateways on the way: never."""


class Media(StrictModel):
    """Media of calls (C2, C9)."""

    dscp: Dscp
    udp_ports: PortRange
    srtp_required: Literal[True] = True
    """Media is encrypted: always (C9)."""
    strict_source: Literal["never", "one-line"] = "never"
    """Whose media the relays take from nowhere but where it first came from. `never`: media may go on from
    another address at any time, which a call needs when a line fails, and which forged packets abuse.
    `one-line`: of sites with one line, whose address stays; those with several are followed all the same."""


class Nat(StrictModel):
    """Address translation on the way."""

    udp_timeout_s: int = Field(ge=1, le=86400)
    """How long a firewall must keep an idle UDP binding, seconds."""
    registration_refresh_s: int = Field(ge=10, le=86400)
    """Longest time between two registrations of a phone, seconds; a binding must outlive it."""


class Registration(StrictModel):
    """How phones keep their registration alive, and get it back when the way to the cloud changes (V2).

    The RFC's own values (RFC 5626 section 4.4.1: a keep-alive every 95 to 120 s; section 4.5: 30 s until the
    first retry) leave a phone unreachable for minutes. With those below, a connection whose source address
    has changed is detected after `keepalive_s` at most, and one that has fallen silent after `lost_s`; a
    phone is registered again within 10 s in both cases.
    """

    keepalive_s: int = Field(default=4, ge=1, le=120)
    """Silence after which phone and cloud ask whether the connection between them still stands, seconds
    (TCP keep-alive, RFC 9293 section 3.8.4)."""
    lost_s: int = Field(default=6, ge=2, le=600)
    """Silence after which the connection counts as lost, seconds; longer than `keepalive_s`."""
    attempt_s: int = Field(default=2, ge=1, le=60)
    """How long a phone waits for one session controller before it asks the next, seconds; doubled each time
    that none has answered, so that long lines are not given up. Without a next one it waits on."""
    retry_s: int = Field(default=1, ge=1, le=600)
    """Wait before a phone re-registers, seconds, of which each phone takes 50 to 100 %; doubled each time
    that no session controller has answered (RFC 5626 section 4.5)."""
    retry_max_s: int = Field(default=8, ge=1, le=1800)
    """Longest such wait, seconds."""
    failback_s: int = Field(default=10, ge=1, le=3600)
    """How often a phone registered elsewhere tries the session controller that it prefers, seconds."""


class QueueShare(StrictModel):
    """One class of the queue on a WAN line, in shares of the line's rate (N2, C8)."""

    name: Name
    dscps: tuple[Dscp, ...] = ()
    """Packets with these code points; the one class without any takes all others."""
    guaranteed_pct: int = Field(ge=1, le=100)
    """Share of the line's rate that the class gets under overload."""
    ceiling_pct: int = Field(ge=1, le=100)
    """Share that it can borrow up to."""
    priority: int = Field(ge=0, le=7)
    """Order of service; 0 first."""
    limit_packets: int = Field(ge=1, le=1000)
    """Depth of the leaf queue; small, so that one full class does not hold up other ports."""
    arp: bool = False
    """True on the one class that also takes ARP."""


class PowerClass(StrictModel):
    """What a device draws over Ethernet (N3)."""

    device: EndpointKindName
    watts: float = Field(ge=0, le=90)
    """Power reserved at the switch port, W, by the device's class (IEEE 802.3af table 33-3)."""


class Peering(StrictModel):
    """What the provider asks of a private circuit and its BGP session (P3)."""

    asn: int = Field(ge=1, le=4_294_967_294)
    """AS number of the cloud; 64496 to 64511 are for documentation (RFC 5398)."""
    vlan_ids: VlanRange
    """802.1Q VLAN ids that a circuit may have."""
    prefix_lengths: PrefixLengths
    """Lengths of customer prefixes that are accepted: shortest and longest."""
    max_prefixes: int = Field(ge=1, le=1000)
    """Prefixes that a customer may announce on a circuit; one more ends the session."""
    keepalive_s: int = Field(ge=1, le=60)
    hold_time_s: int = Field(ge=3, le=180)
    """BGP timers (RFC 4271 section 10), seconds."""
    bfd_interval_ms: int = Field(ge=50, le=10_000)
    bfd_multiplier: int = Field(ge=2, le=50)
    """BFD (RFC 5880): a path is down after this many intervals without a packet."""


class PolicyProfile(StrictModel):
    """A whole policy file."""

    policy: LongName
    """Name of the policy, that of its file."""
    title: Title
    source: Text
    """Where the numbers come from."""
    classes: tuple[TrafficClass, ...] = Field(min_length=1)
    """In order: the first that matches wins."""
    default_dscp: Dscp = 0
    """What everything else is marked with."""
    markings: tuple[Marking, ...] = Field(min_length=1)
    limits: Limits
    confidence: Confidence = Confidence()
    tolerances: Tolerances = Tolerances()
    """How sure a verdict by these limits must be; may be left out."""
    signalling: Signalling
    media: Media
    nat: Nat
    registration: Registration = Registration()
    """How phones keep their registration; may be left out."""
    protection: Protection = Protection()
    """What one address may ask of a session controller; may be left out."""
    restarts: Restarts = Restarts()
    """What comes back when it has died; may be left out."""
    wan_queues: tuple[QueueShare, ...] = Field(min_length=2)
    """Queues of a WAN line; one takes what the others do not."""
    power: tuple[PowerClass, ...] = ()
    """Power that devices need from their switch."""
    peering: Peering | None = None
    """Private circuits and their BGP sessions; without it there are none."""
    sd_wan: SdWanPolicy | None = None
    """How overlays steer; without it there are none."""
    traffic: CallTraffic = CallTraffic()
    """How much is called, and with which codec; for the capacity of WAN lines."""
    failover: FailoverLimits | None = None
    """What a failure may do to calls; without it the failover scenario measures but judges nothing."""
    emergency_numbers: tuple[Annotated[int, Field(ge=100, le=99999)], ...] = (112, 911)
    """Numbers that reach emergency services, and so are nobody's extension (ITU-T E.161.1: 112 and 911)."""

    @property
    def registration_spread_s(self) -> int:
        """Seconds over which all endpoints of a site re-register after the line was down.

        Behind another address each phone notices at a moment of its own within `keepalive_s`; where the line
        was down for long, each tries at a moment of its own within `retry_max_s`. The shorter counts.
        """
        said = self.traffic.registration_spread_s
        return said or min(self.registration.keepalive_s, self.registration.retry_max_s)

    def marking(self, service: str) -> Marking:
        """How packets of a service are marked; KeyError if the policy does not say."""
        for marking in self.markings:
            if marking.service == service:
                return marking
        raise KeyError(f"policy {self.policy} has no marking for {service}")

    def watts(self, device: str) -> float:
        """Power that a switch must reserve for a device of that kind, W; 0 where it needs none."""
        return next((p.watts for p in self.power if p.device == device), 0.0)
