"""What one device of a running lab is doing, asked of the device itself."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Iterable, Sequence
from typing import Any

from uclab.emulation.linux import netns
from uclab.emulation.linux.netns import Namespace
from uclab.emulation.mininet.network import LabNet
from uclab.plan.schema.plan import Plan, Switch


async def inspect(subject: str, plan: Plan, network: LabNet) -> dict[str, Any]:
    """A node's addresses, routes, neighbours, packet filter and queues; a switch's ports and flows; a link's
    ends.

    Raises `KeyError` with the names there are.
    """
    if subject in {node.name for node in plan.nodes}:
        return await _inspect_node(subject, network.namespaces[subject])
    for switch in plan.switches:
        if switch.name == subject:
            return await _inspect_switch(switch, network)
    for link in plan.links:
        if link.name == subject:
            return {
                "name": subject,
                "kind": link.kind,
                "ends": [f"{end.device}:{end.interface}" for end in (link.a, link.b)],
            }
    names = sorted(
        [*(n.name for n in plan.nodes), *(s.name for s in plan.switches), *(link.name for link in plan.links)]
    )
    raise KeyError(f"nothing named `{subject}`; there are: {', '.join(names)}")


def parts_of(subject: str, programs: Iterable[str], plan: Plan) -> tuple[str, ...]:
    """Those programs that run in or for a device, told by their names: `edge-bgpd`, `taps-edge`, `desk1`
    (pure)."""
    devices = {*(node.name for node in plan.nodes), *(switch.name for switch in plan.switches)}
    devices |= {engine.name for engine in plan.engines}
    served = {switch.engine for switch in plan.switches if switch.name == subject} | {subject}
    return tuple(name for name in programs if _device_of(name, devices) in served)


def _device_of(program: str, devices: Iterable[str]) -> str | None:
    """The device with the longest name that the program's begins or ends with."""
    fitting = [
        device
        for device in devices
        if program == device or program.startswith(f"{device}-") or program.endswith(f"-{device}")
    ]
    return max(fitting, key=len, default=None)


async def _inspect_node(name: str, namespace: Namespace) -> dict[str, Any]:
    links, routes, neighbours, queues, classes, ruleset = await asyncio.gather(
        _output(namespace, ["ip", "-j", "-s", "address"]),
        _output(namespace, ["ip", "-j", "route"]),
        _output(namespace, ["ip", "-j", "neighbour"]),
        _output(namespace, ["tc", "-s", "qdisc", "show"]),
        _classes(namespace),
        _output(namespace, ["nft", "list", "ruleset"]),
    )
    return {
        "name": name,
        "interfaces": [_interface(link) for link in json.loads(links or "[]")],
        "routes": [
            {key: r[key] for key in ("dst", "gateway", "dev", "metric") if key in r}
            for r in json.loads(routes or "[]")
        ],
        "neighbours": [
            {key: n[key] for key in ("dst", "lladdr", "dev", "state") if key in n}
            for n in json.loads(neighbours or "[]")
        ],
        "queues": queues.strip(),
        "classes": classes.strip(),
        "packet_filter": ruleset.strip(),
    }


def _interface(link: dict[str, Any]) -> dict[str, Any]:
    """The figures of one interface that matter."""
    counters = link.get("stats64", {})
    return {
        "name": link["ifname"],
        "state": link["operstate"],
        "mac": link.get("address"),
        "addresses": ", ".join(f"{a['local']}/{a['prefixlen']}" for a in link.get("addr_info", [])),
        **{
            f"{way}_{figure}": counters.get(way, {}).get(figure)
            for way in ("rx", "tx")
            for figure in ("packets", "bytes", "dropped")
        },
    }


async def _inspect_switch(switch: Switch, network: LabNet) -> dict[str, Any]:
    engine = network.engines[switch.engine]
    target = f"unix:{engine.management_socket(switch.name)}"
    ports, flows, groups = await asyncio.gather(
        *(
            _output(engine.namespace, ["ovs-ofctl", "-O", "OpenFlow13", command, target])
            for command in ("dump-ports", "dump-flows", "dump-groups")
        )
    )
    return {
        "name": switch.name,
        "role": switch.role.value,
        "ports": [
            f"{port.number} {port.interface} {port.mode.value} → {port.peer or '-'}" for port in switch.ports
        ],
        "counters": ports.strip(),
        "flows": flows.strip(),
        "groups": groups.strip(),
    }


async def _classes(namespace: Namespace) -> str:
    """Traffic classes of every interface; /sys would name the lab's own interfaces, not the node's."""
    links = json.loads(await _output(namespace, ["ip", "-j", "link"]))
    shown = [_output(namespace, ["tc", "-s", "class", "show", "dev", link["ifname"]]) for link in links]
    return "".join(await asyncio.gather(*shown))


async def _output(namespace: Namespace, argv: Sequence[str]) -> str:
    """What a command prints in a namespace, or its error text where it fails."""

    def ask() -> str:
        with netns.entered(namespace):
            done = subprocess.run(
                argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace"
            )
        return done.stdout if done.returncode == 0 else done.stderr

    return await asyncio.to_thread(ask)
