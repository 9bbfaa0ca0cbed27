"""`build`: a plan becomes a running network. The thin top of the emulation; everything it does is elsewhere.

Independent work goes side by side, in threads: it is system calls and waiting for short-lived programs, which
release Python's lock. Every step reports its progress.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from uclab.emulation.link import impairment
from uclab.emulation.link.cabling import LabIntf
from uclab.emulation.linux import netns, packet_filter, queues, sysctl
from uclab.emulation.linux.netns import Namespace
from uclab.emulation.mininet.hosts import LabHost
from uclab.emulation.mininet.network import LabNet
from uclab.emulation.mininet.switches import LabSwitch, clearing_flows, voice_priority_flows
from uclab.emulation.overlay import devices
from uclab.emulation.ovs import openflow
from uclab.emulation.ovs.backends import Variants
from uclab.emulation.wifi import radio
from uclab.plan.schema.plan import Plan, RadioChannel, SwitchRole

SIDE_BY_SIDE = 4
T = TypeVar("T")


class BuildFailed(Exception):
    """The network did not come up; the message names each device and reason. What came up has been taken
    down."""


@dataclass(frozen=True)
class Progress:
    """How far a step is."""

    step: str
    done: int
    total: int


OnProgress = Callable[[Progress], None]


async def build(
    plan: Plan,
    run_dir: Path,
    variants: Variants,
    *,
    controllers: Mapping[str, str] | None = None,
    controllers_listen: Awaitable[None] | None = None,
    on_progress: OnProgress = lambda progress: None,
    outside: Namespace | None = None,
) -> LabNet:
    """Bring the network of `plan` up; it forwards as soon as its controllers say so. Raises `BuildFailed`.

    `controllers` maps a site to its controller's OpenFlow target, a socket below `/run/openvswitch`, which
    should listen when `controllers_listen` is done: a switch that finds nobody tries again only after 1, 2,
    4, 8 seconds (seen with Open vSwitch 3.1). The caller is root in network, mount and PID namespaces of its
    own. Writes `network.json` (the variants) to `run_dir`. `outside`: the namespace of the plan's network
    cards.
    """
    net = register(plan, run_dir, variants)
    net.outside = outside
    net.controller_targets = dict(controllers or {})
    work = _Work(on_progress)
    try:
        await _make(net, plan, variants, work, controllers_listen)
    except Exception as error:
        await asyncio.to_thread(net.stop)
        raise BuildFailed("\n".join(str(leaf) for leaf in _leaves(error))) from error
    (run_dir / "network.json").write_text(json.dumps(variants.as_record(), indent=1) + "\n")
    return net


async def tear_down(net: LabNet) -> None:
    """Take the network down: every program of its own ends, every namespace goes."""
    await asyncio.to_thread(net.stop)


def register(plan: Plan, run_dir: Path, variants: Variants) -> LabNet:
    """The plan's devices and cables as Mininet objects; nothing runs yet (pure)."""
    net = LabNet(run_dir=run_dir, datapath=variants.datapath)
    for node in plan.nodes:
        net.addHost(node.name, plan=node, ip=None)
    for switch in plan.switches:
        net.addSwitch(switch.name, plan=switch)
    macs = {(node.name, interface.name): interface for node in plan.nodes for interface in node.interfaces}
    numbers = {
        (switch.name, port.interface): port.number for switch in plan.switches for port in switch.ports
    }
    for link in plan.links:
        ends = [(end.device, end.interface) for end in (link.a, link.b)]
        planned = [macs.get(end) for end in ends]
        cable = net.addLink(
            link.a.device,
            link.b.device,
            name=link.name,
            port1=numbers.get(ends[0]),
            port2=numbers.get(ends[1]),
            intfName1=link.a.interface,
            intfName2=link.b.interface,
            **{f"addr{n}": p.mac for n, p in enumerate(planned, 1) if p is not None},
        )
        for interface, it in zip(cable.ends(), planned, strict=True):
            for cidr in it.addresses if it else ():
                interface.setIP(cidr)
    for card in plan.cards:
        net.cards[LabIntf(card.interface, node=net[card.switch], port=card.port)] = None
    devices.register(net, plan)
    net.choosing = frozenset(watch.router for watch in plan.line_watches)
    return net


class _Work:
    """Runs steps in threads and reports their progress."""

    def __init__(self, on_progress: OnProgress) -> None:
        self._on_progress = on_progress
        self._slots = asyncio.Semaphore(SIDE_BY_SIDE)

    async def one(self, step: str, function: Callable[[], None]) -> None:
        """A step that is one piece of work."""
        await self.each(step, [()], lambda _: function())

    async def each(self, step: str, items: Iterable[T], function: Callable[[T], None]) -> None:
        """The same for each item, some side by side."""
        todo = list(items)
        done = 0
        self._on_progress(Progress(step, 0, len(todo)))

        async def run(item: T) -> None:
            nonlocal done
            async with self._slots:
                await asyncio.to_thread(function, item)
            done += 1
            self._on_progress(Progress(step, done, len(todo)))

        async with asyncio.TaskGroup() as group:
            for item in todo:
                group.create_task(run(item))


async def _make(
    net: LabNet, plan: Plan, variants: Variants, work: _Work, controllers_listen: Awaitable[None] | None
) -> None:
    hosts: list[LabHost] = net.hosts
    at_tunnels = {end.device for end in devices.ends(plan)}
    tunnelled = [host for host in hosts if host.name in at_tunnels]
    await work.one("namespaces", net.make_namespaces)
    async with asyncio.TaskGroup() as group:
        group.create_task(work.one("switch engines", net.start_engines))
        group.create_task(work.one("cables", net.lay_cables))
        filtered = [host for host in hosts if host.plan and host.plan.nftables]
        group.create_task(work.each("packet filters", filtered, _filter))
        group.create_task(work.each("tunnel interfaces", tunnelled, lambda host: _tunnels(host, plan)))
    at_interfaces = [host for host in hosts if host.plan and host.plan.interface_rules]
    if at_interfaces:
        await work.each("packet filters at interfaces", at_interfaces, _filter_at_interfaces)
    if plan.cards:  # after the cables, which come with an index of their own: a card takes another one
        await work.one("network cards", net.plug_cards_in)
    lines = impairment.arriving_lines(plan)
    queued = [host for host in hosts if host.plan and host.plan.queues]
    set_up = [host for host in hosts if host.plan and host.plan.sysctls]
    async with asyncio.TaskGroup() as group:
        group.create_task(_start_switches(net, work, controllers_listen))
        group.create_task(work.each("lines", lines, lambda name: _impair(net, variants, lines, name)))
        group.create_task(work.one("addresses", net.configure_hosts))
        group.create_task(work.each("queues", queued, _queue))
        sorting = [switch for switch in net.switches if switch.plan.queues]
        group.create_task(work.each("carriers' queues", sorting, lambda switch: _sort(net, switch)))
        group.create_task(work.each("kernel settings", set_up, _settings))
    await work.each("routes by mark", tunnelled, lambda host: devices.route_by_mark(host, plan))
    await work.one("carrier", net.wait_for_carrier)
    await work.each("air", plan.airs, lambda air: _fill(net, air))
    roles = (
        *(SwitchRole.PHONE, SwitchRole.CARRIER, SwitchRole.CARRIER_NETWORK),
        *(SwitchRole.ACCESS_POINT, SwitchRole.STATION),
    )
    tagging = [s for s in net.switches if s.plan.role in roles]
    await work.each("tagging switches", tagging, lambda switch: _prioritise(net, plan, switch))
    clearing = [s for s in net.switches if s.plan.role is SwitchRole.EXCHANGE and not _trusts(s)]
    await work.each("clearing switches", clearing, lambda switch: _clear(net, plan, switch))


async def _start_switches(net: LabNet, work: _Work, controllers_listen: Awaitable[None] | None) -> None:
    if controllers_listen is not None:
        await controllers_listen
    await work.each("switches", list(net.engines), net.start_engine_switches)


def _filter(host: LabHost) -> None:
    assert host.plan is not None
    assert host.plan.nftables is not None
    packet_filter.load(host.live_namespace(), host.plan.nftables)


def _filter_at_interfaces(host: LabHost) -> None:
    assert host.plan is not None
    assert host.plan.interface_rules is not None
    packet_filter.load(host.live_namespace(), host.plan.interface_rules)


def _tunnels(host: LabHost, plan: Plan) -> None:
    devices.make_interfaces(host, [end for end in devices.ends(plan) if end.device == host.name])


def _queue(host: LabHost) -> None:
    assert host.plan is not None
    indices = {intf.name: intf.index for intf in host.intfList()}
    queues.install_all(host.live_namespace(), host.plan.queues, indices)


def _sort(net: LabNet, switch: LabSwitch) -> None:
    assert switch.plan is not None
    indices = {queue.interface: switch.nameToIntf[queue.interface].index for queue in switch.plan.queues}
    queues.install_all(net.namespaces[switch.engine], switch.plan.queues, indices)


def _settings(host: LabHost) -> None:
    """After the packet filter: connection tracking's settings appear with its first use."""
    assert host.plan is not None
    with netns.entered(host.live_namespace()):
        sysctl.write(host.plan.sysctls, host.name)


def _prioritise(net: LabNet, plan: Plan, switch: LabSwitch) -> None:
    assert switch.plan is not None
    flows = switch.plan.flows or voice_priority_flows(switch.plan, plan.policy.dscp_to_pcp)
    openflow.install(net.engines[switch.engine].management_socket(switch.name), flows)


def _trusts(switch: LabSwitch) -> bool:
    return switch.plan is not None and all(port.trust_dscp for port in switch.plan.ports)


def _clear(net: LabNet, plan: Plan, switch: LabSwitch) -> None:
    assert switch.plan is not None
    flows = clearing_flows(switch.plan, [dscp for dscp, _ in plan.policy.dscp_to_pcp])
    openflow.install(net.engines[switch.engine].management_socket(switch.name), flows)


def _impair(
    net: LabNet, variants: Variants, lines: Mapping[str, list[impairment.ArrivingLine]], name: str
) -> None:
    running = impairment.impair(net.namespaces[name], lines[name], variants.impairment, net.run_dir)
    net.lines.append(running)


def _fill(net: LabNet, air: RadioChannel) -> None:
    net.lines.append(radio.fill(net.namespaces[air.node], air, net.run_dir))


def _leaves(error: BaseException) -> list[BaseException]:
    """The single errors of a group."""
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    return [leaf for inner in error.exceptions for leaf in _leaves(inner)]
