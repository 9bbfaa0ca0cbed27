"""What is wrong on purpose in a device, as nftables text: of drills, and of the PC that marks its bulk EF."""

from __future__ import annotations

from collections.abc import Sequence

from uclab.plan.schema.plan import Policy


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


def foreign_marking(interface: str, tcp_port: int, dscp: int) -> str:
    """A drill's router that marks its own sessions on `interface` with a class that nobody has."""
    return "\n".join(
        [
            "# DRILL: this router marks what it says itself as it likes.",
            "table ip drill {",
            "    chain output {",
            "        type filter hook output priority mangle; policy accept;",
            f'        oifname "{interface}" tcp dport {tcp_port} ip dscp set {dscp}',
            f'        oifname "{interface}" tcp sport {tcp_port} ip dscp set {dscp}',
            "    }",
            "}",
            "",
        ]
    )


def every_other_packet(first: str, second: str, gateway: str, policy: Policy) -> str:
    """A drill's router that spreads packets to the cloud over two lines one by one; `gateway` is the second
    line's other end."""
    cloud = ", ".join(policy.cloud_prefixes)
    low, high = policy.media_ports
    return "\n".join(
        [
            "# DRILL: every other packet of media takes the second line, with the first one's address.",
            "table netdev drill {",
            "    chain egress {",
            f'        type filter hook egress device "{first}" priority 0; policy accept;',
            f"        ip daddr {{ {cloud} }} udp dport {low}-{high} numgen inc mod 2 0"
            f' fwd ip to {gateway} device "{second}"',
            "    }",
            "}",
            "",
        ]
    )


def returned_elsewhere(first: str, second: str, gateway: str, address: str, policy: Policy) -> str:
    """A drill's transit that sends what the cloud answers to `address` by another provider than the one that
    has it."""
    cloud = ", ".join(policy.cloud_prefixes)
    return "\n".join(
        [
            "# DRILL: answers of the cloud come back by another provider.",
            "table netdev drill {",
            "    chain egress {",
            f'        type filter hook egress device "{first}" priority 0; policy accept;',
            f'        ip saddr {{ {cloud} }} ip daddr {address} fwd ip to {gateway} device "{second}"',
            "    }",
            "}",
            "",
        ]
    )


def meddling_gateway(ports: Sequence[int]) -> str:
    """A drill's SIP gateway (ALG): it takes what it cannot read for a message, and writes into it."""
    sip = f"tcp dport {{ {', '.join(str(port) for port in ports)} }}"
    return "\n".join(
        [
            "# DRILL: a SIP application gateway that writes into what is encrypted.",
            "table ip gateway {",
            "    chain forward {",
            "        type filter hook forward priority mangle; policy accept;",
            f"        {sip} meta length > 100 @ih,0,8 set 0x53",
            "    }",
            "}",
            "",
        ]
    )


def misbehaving_marker(match: str, dscp: int) -> str:
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
