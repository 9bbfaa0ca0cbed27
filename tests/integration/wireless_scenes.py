"""Streams over an access point's air. Scenes measure, the tests judge."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from tests.integration import emulation_plans as plans
from tests.integration.emulation_scenes import Result, Stream, echo_once, main, scene
from uclab.emulation.build.apply import build, tear_down
from uclab.emulation.mininet.network import LabNet
from uclab.emulation.ovs.backends import detect
from uclab.model.load import load_topology
from uclab.plan.planner import make_plan
from uclab.plan.schema.plan import (
    Impairment,
    Interface,
    Link,
    LinkEnd,
    Node,
    NodeKind,
    Plan,
    PortMode,
    Switch,
    SwitchPort,
    SwitchRole,
    VswitchInstance,
)

RATE_KBPS = 4000
DELAY_MS = 2.0
EF = 46 << 2
VOICE_VLAN = 10
WALL = "192.168.16.60"


def wired_and_wireless() -> Plan:
    """`wifi1` at the first access point of `wifi-office`, on a narrow channel, and `wall` on a cable behind
    it, in the same VLAN."""
    whole = make_plan(load_topology("wifi-office"))
    narrow = replace(
        whole.airs[0],
        up_kbps=RATE_KBPS,
        down_kbps=RATE_KBPS,
        up=Impairment("up", DELAY_MS),
        down=Impairment("down", DELAY_MS),
        queue_packets=100,
    )
    wall = Node("wall", NodeKind.SERVER, "test", (Interface("eth0", "02:00:00:00:00:01", (f"{WALL}/26",)),))
    kept = {"wifi1", "soft1", narrow.node}
    nodes = (wall, *(replace(node, nftables=None) for node in whole.nodes if node.name in kept))
    ports = (
        SwitchPort(1, "wall-sw-p1", PortMode.TRUNK, tagged=(VOICE_VLAN,), peer="ap1"),
        SwitchPort(2, "wall-sw-p2", PortMode.ACCESS, vlan=VOICE_VLAN, peer="wall"),
    )
    box = Switch("wall-sw", "test", SwitchRole.HOME, "ovs-1", 99, False, ports)
    own = ("ap1", "wifi1-sw", "soft1-sw")
    switches = (box, *(replace(s, engine="ovs-1") for s in whole.switches if s.name in own))
    cables = {"ap1-radio", "wifi1-ap1", "soft1-ap1", "wifi1-wifi1-sw", "soft1-soft1-sw"}
    wire = next(link for link in whole.links if link.name == "ap1-sw1")
    links = (
        Link("wall-wall-sw", LinkEnd("wall", "eth0"), LinkEnd("wall-sw", "wall-sw-p2"), "lan"),
        replace(wire, b=LinkEnd("wall-sw", "wall-sw-p1")),
        *(link for link in whole.links if link.name in cables),
    )
    engines = (VswitchInstance("ovs-1", tuple(s.name for s in switches)),)
    return plans.plan(
        policy=whole.policy, nodes=nodes, links=links, switches=switches, engines=engines, airs=(narrow,)
    )


async def up(folder: Path) -> tuple[LabNet, str]:
    """The network, and the wireless phone's address."""
    plan = wired_and_wireless()
    net = await build(plan, folder, detect())
    address = plan.node("wifi1").interfaces[0].addresses[0].split("/")[0]
    await asyncio.to_thread(echo_once, net["wall"], address)
    return net, address


@scene
async def beside_bulk(folder: Path, tos: str) -> Result:
    """A call's packets to the phone, marked with `tos`, beside twice as much bulk as the channel carries."""
    net, address = await up(folder)
    wall, phone = (net.namespaces[name] for name in ("wall", "wifi1"))
    voice = Stream(wall, phone, address, 4000, int(tos))
    bulk = Stream(wall, phone, address, 4001)
    await asyncio.gather(
        asyncio.to_thread(bulk.run, 2800, 0.0014, 1400), asyncio.to_thread(voice.run, 180, 0.02, 200)
    )
    await tear_down(net)
    return {"voice": voice.result(), "bulk": bulk.result()}


@scene
async def both_ways(folder: Path) -> Result:
    """As much bulk as the channel carries in each direction alone, at once in both."""
    net, address = await up(folder)
    wall, phone = (net.namespaces[name] for name in ("wall", "wifi1"))
    down, back = Stream(wall, phone, address, 4000), Stream(phone, wall, WALL, 4001)
    await asyncio.gather(*(asyncio.to_thread(one.run, 1000, 0.003, 1400) for one in (down, back)))
    quiet = Stream(wall, phone, address, 4002)
    await asyncio.to_thread(quiet.run, 100, 0.02)
    await tear_down(net)
    return {"down": down.result(), "up": back.result(), "quiet": quiet.result()}


@scene
async def pulled(folder: Path) -> Result:
    """Whether the phone answers before, while, and after the access point's radio is cut off."""
    net, address = await up(folder)
    seen: Result = {}
    for when, act in (("before", None), ("cut", net.fail_link), ("healed", net.heal_link)):
        if act is not None:
            await asyncio.to_thread(act, "ap1-radio")
        seen[when] = await asyncio.to_thread(echo_once, net["wall"], address) is not None
    await tear_down(net)
    return seen


if __name__ == "__main__":
    asyncio.run(main())
