"""The site router's packet handling as nftables text (N2): address translation, and marking of the return
direction (C8).

The internet need not keep DSCP. So the router notes each connection's DSCP on the way out in its connection
mark, and re-marks what comes back by that mark (provider policy). What comes back without a mark is best
effort.
"""

from __future__ import annotations

from collections.abc import Sequence

from uclab.plan.types import Policy

MARK = 0x100
"""Connection mark of a noted DSCP is `MARK + dscp`: DSCP 0 differs from "never noted"."""


def edge_rules(inside: str, outsides: Sequence[str], prefix: str, nat: bool, policy: Policy) -> str:
    """The whole ruleset; `inside` is the interface towards the firewall, `prefix` the site's addresses."""
    outside = _names(outsides)
    known = sorted({rule.set_dscp for rule in policy.rules} | {policy.default_dscp})
    lines = [
        "# Site router: address translation and re-marking of the return direction (N2, C8).",
        "# No connection-tracking helper is assigned anywhere: no SIP application gateway (provider policy).",
    ]
    if nat:
        lines += [
            "table ip nat {",
            "    chain postrouting {",
            "        type nat hook postrouting priority srcnat; policy accept;",
            f"        oifname {outside} ip saddr {prefix} masquerade",
            "    }",
            "}",
        ]
    lines += [
        "table inet marking {",
        "    chain forward {",
        "        type filter hook forward priority mangle; policy accept;",
        "        # An ICMP error belongs to the connection it speaks of, but its DSCP does not.",
        "        ct state related accept",
        "        # Out: note the DSCP that the access switches gave.",
        f'        iifname "{inside}" oifname {outside} jump note',
        "        # Back: mark as the way out was marked.",
        f'        iifname {outside} oifname "{inside}" jump remark',
        "    }",
        "",
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
        f"        iifname {outside} counter name refused_in drop",
        "    }",
        "}",
    ]
    return "\n".join([*lines, ""])


def device_marking(
    sips_port: int, media_ports: tuple[int, int], dscp_signalling: int, dscp_media: int, dscp_names: int
) -> str:
    """A phone's own marking, in its namespace: baresip 1.1 marks RTP but cannot mark SIP over TLS."""
    low, high = media_ports
    return "\n".join(
        [
            "# What the phone's firmware would do: mark its signalling, media and DNS queries.",
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


def clear_dscp(interface: str) -> str:
    """A drill's router that clears DSCP of all that leaves by `interface`."""
    return "\n".join(
        [
            "# DRILL: this router clears DSCP.",
            "table ip drill {",
            "    chain postrouting {",
            "        type filter hook postrouting priority mangle; policy accept;",
            f'        oifname "{interface}" ip dscp set 0',
            "    }",
            "}",
            "",
        ]
    )


def greedy_device(match: str, dscp: int) -> str:
    """A PC that marks what matches with `dscp`, although nobody asked it to: its switch port must not
    believe it."""
    return "\n".join(
        [
            "# A PC that wants the best queue for itself.",
            "table ip marking {",
            "    chain output {",
            "        type filter hook output priority mangle; policy accept;",
            f"        {match} ip dscp set {dscp}",
            "    }",
            "}",
            "",
        ]
    )


def _names(interfaces: Sequence[str]) -> str:
    quoted = ", ".join(f'"{name}"' for name in interfaces)
    return quoted if len(interfaces) == 1 else f"{{ {quoted} }}"
