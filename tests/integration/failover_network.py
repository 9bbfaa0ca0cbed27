"""The cloud's sandbox with a second line at the site and a second data centre, and what can break in it.

```
desk1, desk2, soft1 -- site (NAT: eth0 203.0.113.2, eth1 203.0.113.3) -- wire -- dns, pstn, sbc, sbc2
```
The router keeps the translations of its lines apart (a conntrack zone a line, chosen by the route), so that a
flow whose line has changed gets the other line's address.
"""

from __future__ import annotations

import subprocess
from dataclasses import replace

from tests.integration.cloud_plan import CONTROLLER, DOMAIN, HOST, NAME_SERVER, endpoint, make_plan
from tests.integration.cloud_plan import DESK1 as AT_FIRST_DESK1
from tests.integration.cloud_plan import DESK2 as AT_FIRST_DESK2
from tests.integration.cloud_plan import SOFT1 as AT_FIRST_SOFT1
from tests.integration.cloud_sandbox import SBC, SERVERS, SandboxNode, build, run
from uclab.plan.schema.plan import Certificate, ControllerPeer, DnsRecord, Plan

SBC2, MEDIA2 = "198.18.11.10", "198.18.11.11"
HOST2 = "sip-fra2.ucaas.test"
OTHER_LINE = "203.0.113.3"
ZONES = """
table inet raw {
    chain prerouting {
        type filter hook prerouting priority raw; policy accept;
        iifname "lan" fib daddr oifname "eth0" ct zone set 1
        iifname "lan" fib daddr oifname "eth1" ct zone set 2
        iifname "eth0" ct zone set 1
        iifname "eth1" ct zone set 2
    }
}
table ip second {
    chain post { type nat hook postrouting priority srcnat; oifname "eth1" masquerade random; }
}
"""
SILENT = "table inet silent { chain in { type filter hook input priority -300; policy drop; }; " + (
    "chain out { type filter hook output priority -300; policy drop; }; }"
)

PEER1 = ControllerPeer(HOST, SBC, CONTROLLER.trunk_port)
PEER2 = ControllerPeer(HOST2, SBC2, CONTROLLER.trunk_port)
CONTROLLER1 = replace(CONTROLLER, peers=(PEER2,))
CONTROLLER2 = replace(
    CONTROLLER,
    name="fra2-sbc",
    node="sbc2",
    address=SBC2,
    media_address=MEDIA2,
    host_name=HOST2,
    certificate="fra2-sbc",
    peers=(PEER1,),
)
DESK1, DESK2, SOFT1 = (
    replace(one, backup_registrars=(HOST2,)) for one in (AT_FIRST_DESK1, AT_FIRST_DESK2, AT_FIRST_SOFT1)
)
FAR_DESK2 = replace(endpoint("desk2", DESK2.account, 5097, 620), registrar=HOST2)
"""A phone that knows the second data centre only."""


def two_data_centres() -> Plan:
    """The plan of both."""
    plan = make_plan()
    return replace(
        plan,
        certificates=(*plan.certificates, Certificate("fra2-sbc", (HOST2, DOMAIN), (SBC2,))),
        name_servers=(replace(NAME_SERVER, records=(*NAME_SERVER.records, DnsRecord(HOST2, "A", SBC2))),),
        session_controllers=(CONTROLLER1, CONTROLLER2),
    )


def build_network() -> dict[str, SandboxNode]:
    """Make the network; the nodes by name."""
    nodes = build({**SERVERS, "sbc2": (SBC2, MEDIA2)})
    run("ip link add w-site2 type veth peer name eth1 netns site", "ip link set w-site2 master wire up")
    # each line answers for its own address only
    run("ip netns exec site sysctl -qw net.ipv4.conf.all.arp_ignore=1")
    run("ip netns exec site sysctl -qw net.ipv4.conf.all.rp_filter=0")
    run("ip -n site link set eth1 up", f"ip -n site addr add {OTHER_LINE}/32 dev eth1")
    run("ip -n site route add 198.18.0.0/15 dev eth1 metric 100")
    subprocess.run(["ip", "netns", "exec", "site", "nft", "-f", "-"], input=ZONES, text=True, check=True)
    return nodes


def cut_first_line() -> None:
    """The preferred line is gone, and its route with it: traffic goes by the other, with another address."""
    run("ip -n site link set eth0 down")


def mend_first_line() -> None:
    """The preferred line is back."""
    run("ip -n site link set eth0 up", "ip -n site route replace 198.18.0.0/15 dev eth0")


def silence(node: str) -> None:
    """Nothing comes from a node any more, and nothing reaches it: as if its data centre had gone."""
    subprocess.run(["ip", "netns", "exec", node, "nft", SILENT], check=True)


def unsilence(node: str) -> None:
    """The node is there again."""
    run(f"ip netns exec {node} nft delete table inet silent")
