"""The site firewall's packet filter as nftables text (N1): stateful, by zone, both directions of each
service with a rule.

Nothing passes because "it belongs to an established connection": each service has one rule out and one rule
in, so a missing rule silences exactly one direction. Every rule has a named counter: `nft list counters`
shows what passed and what did not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from uclab.plan.schema.firewall import FirewallRules, MissingRule, Zone
from uclab.plan.schema.plan import Policy

DNS, NTP, HTTPS, LDAPS = 53, 123, 443, 636
"""Service name and port number registry of IANA."""
ROOM_SIP, ROOM_MEDIA = (8085, 8090), (10001, 10010)
"""Video rooms (provider policy)."""

ERRORS = "icmp type { destination-unreachable, time-exceeded, parameter-problem } ct state related"
"""ICMP errors (RFC 792) about a connection that is known; "fragmentation needed" is one of the first type."""

PortRange = tuple[int, int]


@dataclass(frozen=True)
class Service:
    """What a zone may use: destination ports, and where. `internet` is everything outside but the cloud."""

    name: str
    protocol: Literal["tcp", "udp"]
    ports: tuple[PortRange, ...]
    to: Literal["cloud", "resolvers", "internet"]
    comment: str


def services(role: str, policy: Policy, cloud_ports: tuple[int, ...] = ()) -> tuple[Service, ...]:
    """What a zone of that role may start towards the outside; `cloud_ports` are those of further services of
    the cloud."""
    names = (
        Service("dns", "udp", ((DNS, DNS),), "resolvers", "names at a public server, V6"),
        Service("dns_tcp", "tcp", ((DNS, DNS),), "resolvers", "long answers, V6"),
        Service("ntp", "udp", ((NTP, NTP),), "internet", "time"),
    )
    calls = (
        Service("sips", "tcp", tuple((p, p) for p in policy.sips_ports), "cloud", "SIP over TLS, C9"),
        Service("media", "udp", (policy.media_ports,), "cloud", "SRTP, C9"),
    )
    cloud_web = (Service("https", "tcp", ((HTTPS, HTTPS),), "cloud", "provisioning, C9"),)
    cloud_web_udp = (Service("http3", "udp", ((HTTPS, HTTPS),), "cloud", "the cloud's web pages by HTTP/3"),)
    further = tuple(
        Service(f"cloud_{port}", "tcp", ((port, port),), "cloud", "a further service of the cloud")
        for port in cloud_ports
    )
    directory = (Service("ldaps", "tcp", ((LDAPS, LDAPS),), "cloud", "directory"),)
    rooms = (
        Service("room_sips", "tcp", (ROOM_SIP,), "cloud", "video rooms"),
        Service("room_media", "udp", (ROOM_MEDIA,), "cloud", "video rooms"),
    )
    anything = (
        Service("internet_tcp", "tcp", ((1, 65535),), "internet", "office traffic"),
        Service("internet_udp", "udp", ((1, 65535),), "internet", "office traffic"),
    )
    return {
        "voice": names + calls + cloud_web + directory + further,
        "data": names + calls + cloud_web + cloud_web_udp + further + anything,
        "rooms": names + rooms + cloud_web,
        "management": (*names, Service("https", "tcp", ((HTTPS, HTTPS),), "internet", "updates")),
        "foreign-voip": names,
    }[role]


def ruleset(rules: FirewallRules, policy: Policy) -> str:
    """The whole ruleset as nftables text."""
    zones, outside = rules.zones, rules.outside
    allowed = {zone.interface: services(zone.role, policy, rules.cloud_ports) for zone in zones}
    lines = [
        "# Site firewall: stateful, zones by interface, default drop (N1).",
        "# No connection-tracking helper is assigned anywhere: no SIP application gateway (provider policy).",
        "table inet firewall {",
        *_set("cloud", policy.cloud_prefixes, "the cloud: all calls go there, C7"),
        *_set("resolvers", rules.resolvers, "public name servers, V6"),
        *_set("private", ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"), "never outside"),
    ]
    names = [f"{counter_name(zone.interface, s.name)}_{way}" for zone in zones
             for s in allowed[zone.interface] for way in ("out", "in")]  # fmt: skip
    refused = ["spoofed", "invalid", "between_zones", "refused_in", "refused_self"]
    refused += [f"{_word(zone.interface)}_refused" for zone in zones]
    lines += [f"    counter {name} {{ }}" for name in (*names, *refused)]
    lines += ["", *_input(outside, rules.router if rules.ospf else None)]
    lines += ["", *_forward(rules)]
    for zone in zones:
        lines += ["", *_outward(zone, _present(rules, zone, allowed[zone.interface], "out"))]
    for zone in zones:
        lines += ["", *_inward(zone, _present(rules, zone, allowed[zone.interface], "in"))]
    return "\n".join([*lines, "}", ""])


def without(rules: FirewallRules, *missing: MissingRule, policy: Policy) -> FirewallRules:
    """The rules without some. KeyError where one of them is not there."""
    for missing_rule in missing:
        role = next((zone.role for zone in rules.zones if zone.interface == missing_rule.zone), None)
        if role is None or missing_rule.service not in (
            s.name for s in services(role, policy, rules.cloud_ports)
        ):
            raise KeyError(f"there is no rule for {missing_rule.service} of zone {missing_rule.zone}")
    return replace(rules, missing=(*rules.missing, *missing))


def _present(
    rules: FirewallRules, zone: Zone, allowed: Iterable[Service], way: Literal["out", "in"]
) -> list[Service]:
    return [s for s in allowed if MissingRule(zone.interface, s.name, way) not in rules.missing]


def counter_name(zone: str, service: str) -> str:
    """Stem of a service's counters; `_out` and `_in` come behind."""
    return f"{_word(zone)}_{service}"


def _word(name: str) -> str:
    return name.replace("-", "_")


def _set(name: str, elements: Iterable[str], comment: str) -> list[str]:
    return [
        f"    set {name} {{",
        "        type ipv4_addr",
        "        flags interval",
        f'        comment "{comment}"',
        f"        elements = {{ {', '.join(elements)} }}",
        "    }",
    ]


def _input(outside: str, router: str | None) -> list[str]:
    own = f'        iifname "{outside}" ip saddr {router} ip protocol ospf accept'
    return [
        "    chain input {",
        f'        comment "to the firewall itself: only ping{"" if router is None else " and OSPF"}"',
        "        type filter hook input priority filter; policy drop;",
        '        iifname "lo" accept',
        "        ct state established,related accept",
        "        icmp type echo-request limit rate 50/second accept",
        *([own] if router is not None else []),
        "        counter name refused_self",
        "    }",
    ]


def _forward(rules: FirewallRules) -> list[str]:
    zones, outside, transit, router = rules.zones, rules.outside, rules.transit, rules.router
    quoted = ", ".join(f'"{name}"' for name in rules.open_between)
    opened = (
        [f"        iifname {{ {quoted} }} oifname {{ {quoted} }} meta l4proto udp accept"] if quoted else []
    )
    outward = ", ".join(f'"{zone.interface}" : jump from_{_word(zone.interface)}' for zone in zones)
    inward = ", ".join(f'"{zone.interface}" : jump to_{_word(zone.interface)}' for zone in zones)
    inside = ", ".join(zone.subnet for zone in zones)
    own = [
        f'        iifname "{zone.interface}" ip saddr != {zone.subnet} counter name spoofed drop'
        for zone in zones
    ]
    return [
        "    chain forward {",
        "        type filter hook forward priority filter; policy drop;",
        "        # Anti-spoofing: senders are in their interface's own subnet; none of ours is outside.",
        *own,
        "        # The router in front is ours, and outside: what it says of our connections is for us",
        "        # (a packet does not fit a line, RFC 1191; its time is up, there is no way).",
        f'        iifname "{outside}" ip saddr {router} {ERRORS} accept',
        f'        iifname "{outside}" ip saddr {{ {inside}, {transit} }} counter name spoofed drop',
        "        ct state invalid counter name invalid drop",
        f"        {ERRORS} accept",
        "        # From each zone to the outside, and answers from the outside to each zone.",
        f'        oifname "{outside}" iifname vmap {{ {outward} }}',
        f'        iifname "{outside}" oifname vmap {{ {inward} }}',
        "        # Between zones: nothing. Voice and foreign VoIP do not see each other (L4),",
        "        # and neighbours call each other by the cloud (C7).",
        *opened,
        f'        iifname != "{outside}" oifname != "{outside}" counter name between_zones drop',
        "        counter name refused_in",
        "    }",
    ]


def _outward(zone: Zone, allowed: Iterable[Service]) -> list[str]:
    return [
        f"    chain from_{_word(zone.interface)} {{",
        *(
            f"        {_destination(s)} {s.protocol} dport {_ports(s.ports)} ct state new,established"
            f' counter name {counter_name(zone.interface, s.name)}_out accept comment "{s.comment}"'
            for s in allowed
        ),
        "        icmp type echo-request ip daddr != @private ct state new,established accept",
        f"        counter name {_word(zone.interface)}_refused drop",
        "    }",
    ]


def _inward(zone: Zone, allowed: Iterable[Service]) -> list[str]:
    """Answers only: the connection was started inside, and comes from where it was sent to."""
    return [
        f"    chain to_{_word(zone.interface)} {{",
        *(
            f"        {_source(s)} {s.protocol} sport {_ports(s.ports)} ct state established"
            f" ct direction reply counter name {counter_name(zone.interface, s.name)}_in accept"
            for s in allowed
        ),
        "        icmp type echo-reply ct state established accept",
        "    }",
    ]


def _destination(service: Service) -> str:
    return (
        "ip daddr != @private ip daddr != @cloud" if service.to == "internet" else f"ip daddr @{service.to}"
    )


def _source(service: Service) -> str:
    return (
        "ip saddr != @private ip saddr != @cloud" if service.to == "internet" else f"ip saddr @{service.to}"
    )


def _ports(ports: Sequence[PortRange]) -> str:
    shown = [str(low) if low == high else f"{low}-{high}" for low, high in ports]
    return shown[0] if len(shown) == 1 else f"{{ {', '.join(shown)} }}"
