"""The site router's packet handling as nftables text (N2): address translation, and marking of the return
direction (C8).

The internet need not keep DSCP. So the router notes each connection's DSCP on the way out in its connection
mark, and re-marks what comes back by that mark (provider policy). What comes back without a mark is best
effort.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from uclab.plan.schema.devices import SourceTranslation
from uclab.plan.schema.plan import Interface, Policy

BGP, BFD = 179, 3784
"""Ports of IANA's registry."""
MARK = 0x100
"""Connection mark of a noted DSCP is `MARK + dscp`: DSCP 0 differs from "never noted"."""


@dataclass(frozen=True)
class Exit:
    """A way out of a site."""

    interface: str
    becomes: str | None
    """What inner addresses are translated to: an address, `masquerade` for the interface's own, or None."""
    peer: str | None = None
    """Address of the BGP neighbour there."""


def translations(exits: Sequence[Exit], interfaces: Sequence[Interface]) -> tuple[SourceTranslation, ...]:
    """What addresses become by these ways out, of a router with these interfaces."""
    own = {
        interface.name: interface.addresses[0].partition("/")[0]
        for interface in interfaces
        if interface.addresses
    }
    return tuple(
        SourceTranslation(way.interface, own[way.interface] if way.becomes == "masquerade" else way.becomes)
        for way in exits
        if way.becomes is not None
    )


def edge_rules(
    insides: Sequence[str],
    exits: Sequence[Exit],
    prefixes: Sequence[str],
    policy: Policy,
    accepted: Sequence[str] = (),
    *,
    classify: bool = False,
) -> str:
    """The whole ruleset; `insides` are the interfaces towards the firewall and to sites behind this one,
    `prefixes` the addresses there, `accepted` further rules for what the router itself takes from
    outside. With `classify` nobody in front of it marks: it does so itself, by ports."""
    outside, inside = interface_set([e.interface for e in exits]), interface_set(insides)
    known = sorted({rule.set_dscp for rule in policy.rules} | {policy.default_dscp})
    lines = [
        "# Site router: address translation and re-marking of the return direction (N2, C8).",
        "# No connection-tracking helper is assigned anywhere: no SIP application gateway (provider policy).",
        *_zones(inside, exits),
        *_translation(exits, prefixes),
    ]
    lines += [
        "table inet marking {",
        "    chain forward {",
        "        type filter hook forward priority mangle; policy accept;",
        "        # An ICMP error belongs to the connection it speaks of, but its DSCP does not.",
        "        ct state related accept",
        *([f"        iifname {inside} oifname {outside} jump classify"] if classify else []),
        f"        # Out: note the DSCP that {'was given here' if classify else 'the access switches gave'}.",
        f"        iifname {inside} oifname {outside} jump note",
        "        # Back: mark as the way out was marked.",
        f"        iifname {outside} oifname {inside} jump remark",
        "    }",
        "",
        *(_classification(policy) if classify else []),
        "    chain note {",
        *(f"        ip dscp {dscp} ct mark set {MARK + dscp:#x} return" for dscp in known),
        f"        ct mark set {MARK + policy.default_dscp:#x}",
        "    }",
        "",
        "    chain remark {",
        *(f"        ct mark {MARK + dscp:#x} ip dscp set {dscp} return" for dscp in known),
        f"        ip dscp set {policy.default_dscp}",
        "    }",
        "}",
        "table inet filter {",
        "    counter refused_in { }",
        "    chain forward {",
        '        comment "all connections start inside"',
        "        type filter hook forward priority filter; policy accept;",
        f"        iifname {outside} ct state new,invalid counter name refused_in drop",
        "    }",
        "    chain input {",
        "        type filter hook input priority filter; policy accept;",
        f"        iifname {outside} ct state established,related accept",
        f"        iifname {outside} icmp type echo-request accept",
        *_sessions(exits),
        *(f"        {rule}" for rule in accepted),
        f"        iifname {outside} counter name refused_in drop",
        "    }",
        "}",
    ]
    return "\n".join([*lines, ""])


def _classification(policy: Policy) -> list[str]:
    """Marks by destination alone, as an untrusted switch port would: what senders set counts for nothing."""
    cloud = f"ip daddr {{ {', '.join(policy.cloud_prefixes)} }} "
    lines = ["    chain classify {"]
    for rule in policy.rules:
        if not policy.open_to_untrusted(rule.traffic_class):
            continue
        where = "" if rule.any_destination else cloud
        for protocol, ranges in (("udp", rule.udp_ports), ("tcp", rule.tcp_ports)):
            if ranges:
                ports = ", ".join(str(low) if low == high else f"{low}-{high}" for low, high in ranges)
                match = f"{where}{protocol} dport {{ {ports} }}"
                lines.append(f"        {match} ip dscp set {rule.set_dscp} return")
    return [*lines, f"        ip dscp set {policy.default_dscp}", "    }", ""]


def _sessions(exits: Sequence[Exit]) -> list[str]:
    """What a BGP neighbour may send to the router itself: BGP (RFC 4271) and BFD control (RFC 5881)."""
    lines = []
    for way in exits:
        if way.peer is not None:
            sender = f'        iifname "{way.interface}" ip saddr {way.peer}'
            lines += [f"{sender} tcp dport {BGP} accept", f"{sender} udp dport {BFD} accept"]
    return lines


def _zones(inside: str, exits: Sequence[Exit]) -> list[str]:
    """Connection tracking by way out, where ways translate differently.

    The kernel translates a connection for good when it sees its first packet. With a zone for each outer
    address, chosen by where the packet is routed *now*, a connection that is rerouted begins again
    there: media goes on from the new address, and a TCP sender hears at once that its connection is not
    known there.
    """
    groups: dict[str, list[str]] = {}
    for way in exits:
        group = way.interface if way.becomes == "masquerade" else way.becomes or "none"
        groups.setdefault(group, []).append(way.interface)
    if len(groups) < 2:
        return []
    lines = [
        "table inet zones {",
        "    chain prerouting {",
        '        comment "a connection that is rerouted is translated again"',
        "        type filter hook prerouting priority raw + 10; policy accept;",
    ]
    for number, names in enumerate(groups.values(), start=1):
        lines += [
            f"        iifname {inside} fib daddr oifname {interface_set(names)} ct zone set {number}",
            f"        iifname {interface_set(names)} ct zone set {number}",
        ]
    lines += [
        "    }",
        "    chain output {",
        "        type filter hook output priority raw + 10; policy accept;",
    ]
    lines += [
        f"        oifname {interface_set(names)} ct zone set {number}"
        for number, names in enumerate(groups.values(), start=1)
    ]
    return [*lines, "    }", "}"]


def _translation(exits: Sequence[Exit], prefixes: Sequence[str]) -> list[str]:
    translated = [way for way in exits if way.becomes is not None]
    if not translated:
        return []
    senders = prefixes[0] if len(prefixes) == 1 else f"{{ {', '.join(prefixes)} }}"
    kinds = dict.fromkeys(way.becomes for way in translated)
    lines = [
        "table ip nat {",
        "    chain postrouting {",
        "        type nat hook postrouting priority srcnat; policy accept;",
    ]
    for becomes in kinds:
        names = interface_set([way.interface for way in translated if way.becomes == becomes])
        action = "masquerade" if becomes == "masquerade" else f"snat to {becomes}"
        lines.append(f"        oifname {names} ip saddr {senders} {action}")
    return [*lines, "    }", "}"]


def device_marking(
    sips_port: int, media_ports: tuple[int, int], dscp_signalling: int, dscp_media: int, dscp_names: int
) -> str:
    """A phone's own marking, in its namespace: baresip 1.1 marks RTP but cannot mark SIP over TLS."""
    low, high = media_ports
    return "\n".join(
        [
            "# What the phone does: mark its signalling, media and DNS queries.",
            "table ip marking {",
            "    chain output {",
            "        type filter hook output priority mangle; policy accept;",
            f"        tcp dport {sips_port} ip dscp set {dscp_signalling}",
            f"        tcp sport {sips_port} ip dscp set {dscp_signalling}",
            f"        udp dport {low}-{high} ip dscp set {dscp_media}",
            f"        meta l4proto {{ tcp, udp }} th dport 53 ip dscp set {dscp_names}",
            "    }",
            "}",
            "",
        ]
    )


def interface_set(interfaces: Sequence[str]) -> str:
    """Interfaces as nftables wants them: one, or a set."""
    quoted = ", ".join(f'"{name}"' for name in interfaces)
    return quoted if len(interfaces) == 1 else f"{{ {quoted} }}"
