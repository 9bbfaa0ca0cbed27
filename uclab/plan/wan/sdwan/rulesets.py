"""Packet handling of both ends of an overlay as nftables text: which tunnel, and that nothing leaves a site
but in one (W6, C9)."""

from __future__ import annotations

from collections.abc import Sequence

from uclab.plan.lan import router_ruleset
from uclab.plan.resolve.circuits import INSIDE
from uclab.plan.schema.overlay import STEERING, Overlay
from uclab.plan.schema.plan import Policy


def edge_ruleset(overlay: Overlay) -> str:
    """The site router's: its site's packets go into tunnels and nowhere else."""
    tunnels = router_ruleset.interface_set([t.near.interface for t in overlay.tunnels])
    underlays = router_ruleset.interface_set([t.near.underlay for t in overlay.tunnels])
    lines = [
        "# SD-WAN edge: steering, and nothing past the tunnels (W6). Translation is the gateway's.",
        *steering([overlay], [f'        iifname "{INSIDE}" meta mark set ip dscp map @{overlay.map_name}']),
        *_segments(tunnels),
        "table inet filter {",
        "    counter refused_in { }",
        "    counter refused_out { }",
        "    chain forward {",
        '        comment "all connections start inside"',
        "        type filter hook forward priority filter; policy accept;",
        f'        iifname "{INSIDE}" oifname {tunnels} accept',
        f'        iifname {tunnels} oifname "{INSIDE}" ct state established,related accept',
        f"        iifname {tunnels} counter name refused_in drop",
        "        counter name refused_out drop",
        "    }",
        "    chain input {",
        "        type filter hook input priority filter; policy accept;",
    ]
    for tunnel in overlay.tunnels:
        peer = f'iifname "{tunnel.near.underlay}" ip saddr {tunnel.far.underlay_address}'
        lines.append(f"        {peer} udp sport {tunnel.port} udp dport {tunnel.port} accept")
    lines += [
        f"        iifname {underlays} ct state established,related accept",
        f"        iifname {underlays} icmp type echo-request accept",
        f"        iifname {underlays} counter name refused_in drop",
        "    }",
        "}",
    ]
    return "\n".join([*lines, ""])


def gateway_ruleset(
    overlays: Sequence[Overlay],
    exits: Sequence[router_ruleset.Exit],
    behind: dict[str, list[str]],
    policy: Policy,
) -> str:
    """The gateway's: translation and re-marking as at any site's edge, then steering of what comes back."""
    tunnels = [t for overlay in overlays for t in overlay.tunnels]
    inner = [t.far.interface for t in tunnels]
    accepted = [
        f'iifname "{t.far.underlay}" ip saddr {t.near.underlay_address} udp dport {t.port} accept'
        for t in tunnels
    ]
    prefixes = [prefix for prefixes_behind in behind.values() for prefix in prefixes_behind]
    own = router_ruleset.edge_rules(inner, exits, prefixes, policy, accepted)
    outside = router_ruleset.interface_set([e.interface for e in exits])
    known = sorted({rule.set_dscp for rule in policy.rules} | {policy.default_dscp})
    # Steering goes by DSCP, so what comes back is re-marked before it is routed.
    chain = [f"        iifname {outside} ct mark {router_ruleset.MARK + d:#x} ip dscp set {d}" for d in known]
    for overlay in overlays:
        where = ", ".join(behind[overlay.site])
        chain.append(
            f"        iifname {outside} ip daddr {{ {where} }} meta mark set ip dscp map @{overlay.map_name}"
        )
    return "\n".join(
        [own.rstrip("\n"), *steering(overlays, chain), *_segments(router_ruleset.interface_set(inner)), ""]
    )


def steering(overlays: Sequence[Overlay], chain: Sequence[str]) -> list[str]:
    """The table in which an agent exchanges the elements of a map: at first all take the preferred path."""
    lines = [f"table inet {STEERING} {{"]
    for overlay in overlays:
        first = overlay.tunnels[0].mark
        elements = ", ".join(f"{dscp} : {first}" for dscp in range(64))
        lines += [
            f"    map {overlay.map_name} {{",
            "        type dscp : mark",
            f"        elements = {{ {elements} }}",
            "    }",
        ]
    lines += [
        "    chain prerouting {",
        '        comment "after translation back, before routing"',
        "        type filter hook prerouting priority dstnat + 10; policy accept;",
        *chain,
        "    }",
        "}",
    ]
    return lines


def _segments(tunnels: str) -> list[str]:
    """TCP is told what fits a tunnel (RFC 6691)."""
    return [
        "table inet segments {",
        "    chain forward {",
        "        type filter hook forward priority mangle; policy accept;",
        f"        oifname {tunnels} tcp flags syn tcp option maxseg size set rt mtu",
        f"        iifname {tunnels} tcp flags syn tcp option maxseg size set 1380",
        "    }",
        "}",
    ]
