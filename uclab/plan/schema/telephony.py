"""Telephony of a plan: accounts, endpoints, certificates, and the services of the cloud."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from uclab.plan.schema.protection import Protection


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
class RegistrationTiming:
    """How registrations are kept and won back; the policy's `registration`, all in seconds (RFC 5626)."""

    keepalive_s: int
    """Silence after which either end asks whether the connection still stands."""
    lost_s: int
    """Silence after which the connection counts as lost."""
    attempt_s: int
    """How long a phone waits for one registrar before it asks the next; doubled with every failed round."""
    retry_s: int
    """Wait before a new registration; each phone takes 50 to 100 % of it; doubled with every failed round."""
    retry_max_s: int
    """Longest such wait."""
    failback_s: int
    """How often a phone registered elsewhere tries the registrar that it prefers."""

    @property
    def probe_s(self) -> int:
        """From one unanswered question to the next: two fit between the first and the end."""
        return max(1, (self.lost_s - self.keepalive_s) // 2)


@dataclass(frozen=True)
class Endpoint:
    """A phone or softclient (E1, E7) and how it is set up."""

    name: str
    kind: str
    """Of `ENDPOINT_KINDS`, or `pstn-phone`: the telephone network."""
    driver: str
    """Of `USER_AGENTS`."""
    node: str
    account: Account
    registrar: str
    """Host name of the session controller; must match its certificate."""
    registrar_port: int
    transport: Literal["tls", "udp"]
    tone_hz: int
    """The known signal that it sends: a sine of this frequency, different for every endpoint."""
    registration: RegistrationTiming
    backup_registrars: tuple[str, ...] = ()
    """Host names of the session controllers to turn to when `registrar` is lost, in order; same port."""
    media_encryption: Literal["srtp", "none"] = "srtp"
    verify_server: bool = True
    dscp_media: int = 46
    dscp_signalling: int = 26
    registers: bool = True
    codecs: tuple[str, ...] = ("PCMU", "PCMA")

    @property
    def registrars(self) -> tuple[str, ...]:
        """Host names of all session controllers that it may register at, the preferred one first."""
        return (self.registrar, *self.backup_registrars)


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
class CloudServer:
    """A server of a service that the topology asks for (`cloud.services`)."""

    name: str
    service: str
    """Of `CLOUD_SERVICES`."""
    node: str
    address: str
    host_name: str
    certificate: str
    """Name of its certificate among the plan's."""
    settings: tuple[tuple[str, str], ...] = ()
    """What it is told: key, and value as JSON."""

    def setting(self, key: str) -> Any:
        """What it is told of one key; KeyError where its service has no such key."""
        return json.loads(dict(self.settings)[key])


@dataclass(frozen=True)
class ControllerPeer:
    """Another session controller of the same cloud, reached by TLS with both certificates verified (C6)."""

    host_name: str
    """The name that its certificate must show."""
    address: str
    port: int


@dataclass(frozen=True)
class MessageGroup:
    """Subscribers that are written to as one (C1)."""

    name: str
    user: str
    """The address that messages to all of them go to."""
    members: tuple[str, ...]
    """Endpoints that get each of them, but their own."""
    users: tuple[str, ...]
    """The members' accounts, in the same order."""


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
    registration: RegistrationTiming
    peers: tuple[ControllerPeer, ...] = ()
    """The session controllers of the cloud's other data centres, in order."""
    min_tls_version: Literal["1.2", "1.3"] = "1.2"
    anchor_media: bool = True
    """False only in a drill: media then flows directly between neighbours (must fail C7)."""
    protection: Protection | None = None
    """What one address may do here. None: everything."""
    registers_per_s: int | None = None
    """REGISTER requests that it takes a second; it refuses what is more. None: no limit."""
    region: str = ""
    """The cloud's region that its data centre belongs to."""
    strict_sites: tuple[str, ...] = ()
    """Prefixes whose media comes from where their signalling comes from, and from nowhere else..."""
    strict_servers: tuple[str, ...] = ()
    """...and of servers whose media comes from where their SDP says. All others' media may move at any
    time."""
    groups: tuple[MessageGroup, ...] = ()
    """All of the company's."""
    message_fault: Literal["duplicated", "swallowed", "copied", "unreceipted"] | None = None
    """In a drill only: messages reach their recipients twice; are accepted and dropped; are sent on readably
    to somebody else as well; nobody is told what became of those that waited."""
    message_copy_to: str | None = None
    """That somebody's address."""


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
