# ruff: noqa: N802 (the names are Mininet's)
"""A Mininet network that is made in batches: `LabNet` is a `Mininet` to its user, netlink and OVSDB below.

It comes up in four steps, each over all devices at once: namespaces, cables, addresses and routes, switches.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mininet.net import Mininet

from uclab.emulation.link import veth
from uclab.emulation.link.cabling import LabIntf, LabLink
from uclab.emulation.link.impairment import ImpairedDevice
from uclab.emulation.link.veth import Cable, InterfaceSettings, NodeSettings
from uclab.emulation.linux import netns, processes, sysctl
from uclab.emulation.linux.netns import Namespace
from uclab.emulation.linux.processes import Daemon
from uclab.emulation.linux.rtnetlink import VethEnd
from uclab.emulation.mininet import nic_passthrough
from uclab.emulation.mininet.hosts import LabHost
from uclab.emulation.mininet.switches import LabSwitch
from uclab.emulation.ovs import vswitchd
from uclab.emulation.ovs.backends import has_kernel_datapath
from uclab.emulation.ovs.vswitchd import Datapath, Engine
from uclab.runtime.readiness import block_until

SWITCH_DEADLINE_S = 20.0
STOP_DEADLINE_S = 30.0
CARRIER_DEADLINE_S = 10.0


class LabNet(Mininet):
    """A network of `LabHost`, `LabSwitch` and `LabLink`.

    Must run as root in network, mount and PID namespaces of its own (`unshare --net --mount --pid --fork
    --kill-child --mount-proc`): it mounts private folders over `/run/netns` and `/run/openvswitch`.
    """

    def __init__(
        self, topo: Any = None, *, run_dir: Path, datapath: Datapath | None = None, **params: Any
    ) -> None:
        self.run_dir = run_dir
        self.datapath: Datapath = datapath or ("kernel" if has_kernel_datapath() else "userspace")
        self.namespaces: dict[str, Namespace] = {}
        self.engines: dict[str, Engine] = {}
        self.controller_targets: dict[str, str] = {}
        """Site to OpenFlow target, e.g. `unix:/run/openvswitch/controllers/hq.sock` (see
        `ovs.check_target`)."""
        self.lines: list[ImpairedDevice] = []
        self.choosing: frozenset[str] = frozenset()
        """Devices with a program that sets their default routes itself."""
        self.cards: dict[LabIntf, nic_passthrough.LentCard | None] = {}
        """Ports that are network cards of the machine; None until they are plugged in."""
        self.outside: Namespace | None = None
        """Where these come from and go back to."""
        params.setdefault("controller", None)
        Mininet.inited = True  # else Mininet raises limits and kernel settings of the whole machine
        super().__init__(
            topo, switch=LabSwitch, host=LabHost, link=LabLink, intf=LabIntf, build=False, **params
        )

    def addController(self, name: str = "c0", controller: Any = None, **params: Any) -> None:
        """Controllers are programs of the lab, told to switches by `controller_targets`."""
        if controller is not None or params:
            raise NotImplementedError("a LabNet's controllers run outside it: fill `controller_targets`")

    def build(self) -> None:
        """Register the topology's devices, then make namespaces, cables, addresses and routes."""
        if self.topo:
            self.buildFromTopo(self.topo)
        self.configHosts()
        self.make_namespaces()
        self.start_engines()
        self.lay_cables()
        self.configure_hosts()
        self.built = True

    def start(self) -> None:
        """Bring everything up and return when every switch port works."""
        if not self.built:
            self.build()
        self.start_switches()
        self.wait_for_carrier()

    def stop(self) -> None:
        """Take everything down: end the switch engines, let go of the namespaces. The kernel frees the rest
        by itself."""
        for line in self.lines:
            line.stop()
        for engine in self.engines.values():
            engine.disconnect()
        engines = [daemon for engine in self.engines.values() for daemon in engine.daemons]
        processes.end_at_once(engines, STOP_DEADLINE_S)
        self.give_cards_back()
        if self.namespaces:
            netns.remove_all(self.namespaces.values())
            netns.unmount(vswitchd.RUN_DIR)
        for daemon in self.daemons():
            daemon.wait_blocking(STOP_DEADLINE_S)
        self.namespaces.clear()
        self.engines.clear()
        for node in (*self.hosts, *self.switches):
            node.namespace = None

    def make_namespaces(self) -> None:
        """One for each host and each switch engine."""
        netns.prepare_directory(netns.NETNS_DIR)
        if not vswitchd.RUN_DIR.is_mount():  # the lab's controllers may already listen there
            netns.prepare_directory(vswitchd.RUN_DIR)
        engines = sorted({switch.engine for switch in self.switches})
        self.namespaces = netns.create([*(host.name for host in self.hosts), *engines])
        for host in self.hosts:
            host.namespace = self.namespaces[host.name]
            veth.prepare(host.namespace, _early_settings(host))
        for engine in engines:
            veth.prepare(self.namespaces[engine], sysctl.early())
        for switch in self.switches:
            switch.namespace = self.namespaces[switch.engine]

    def start_engines(self) -> None:
        """Start every engine's daemons; they get ready while cables are laid."""
        names = sorted({switch.engine for switch in self.switches})
        if not names:
            return
        template = vswitchd.create_template(vswitchd.RUN_DIR / "empty.db")
        for name in names:
            self.engines[name] = Engine(name, self.namespaces[name], self.datapath, self.run_dir / "switches")
        for engine in self.engines.values():
            engine.start(template)

    def lay_cables(self) -> None:
        """Make all links, and raise the ends that the kernel cannot make up."""
        pairs = [(link, _ends(link)) for link in self.links]
        veth.lay([Cable(_veth_end(a), _veth_end(b)) for _, (a, b) in pairs])
        down: dict[str, list[LabIntf]] = defaultdict(list)
        for _, (_, b) in pairs:
            if isinstance(b.node, LabSwitch):
                down[b.node.engine].append(b)
        for engine, interfaces in down.items():
            veth.raise_interfaces(self.namespaces[engine], [(intf.index, intf.name) for intf in interfaces])

    def plug_cards_in(self) -> None:
        """Move the machine's network cards to their switches. Raises `CardError` or `KeyError`."""
        for port in self.cards:
            if self.outside is None:
                raise KeyError(f"{port.name}: this lab was not told where its network cards come from")
            engine = self.namespaces[port.node.engine]
            card = self.cards[port] = nic_passthrough.lend(port.name, self.outside, engine)
            port.index = card.index
            veth.raise_interfaces(engine, [(card.index, port.name)])

    def give_cards_back(self) -> None:
        """Move them back. Where the lab is killed, the kernel does so, but for veth ends."""
        for port, card in self.cards.items():
            if card is not None and self.outside is not None:
                nic_passthrough.give_back(card, self.outside)
                self.cards[port] = None

    def configure_hosts(self) -> None:
        """Addresses, routes, kernel settings, resolv.conf."""
        for host in self.hosts:
            veth.configure(host.live_namespace(), node_settings(host))
            if host.plan is not None:
                host.write_files(self.run_dir / "nodes" / host.name)

    def files_of(self, node: str) -> dict[str, str]:
        """A device's own files, by where programs look for them; none of a switch."""
        own = (host.files for host in self.hosts if host.name == node)
        return {target: str(path) for target, path in next(own, {}).items()}

    def start_switches(self) -> None:
        """Configure every engine in one transaction each. Raises `NotReady` naming what does not work."""
        for name in self.engines:
            self.start_engine_switches(name)

    def start_engine_switches(self, engine: str) -> None:
        """Configure the bridges of one engine and wait until their ports work."""
        switches = [switch for switch in self.switches if switch.engine == engine]
        for target in self.controller_targets.values():
            vswitchd.check_target(target)
        bridges = [switch.bridge(self.controller_targets.get(switch.site)) for switch in switches]
        self.engines[engine].configure(bridges, SWITCH_DEADLINE_S)

    def wait_for_carrier(self, some: Iterable[LabLink] | None = None) -> None:
        """Return when all links (or these) carry packets, at both ends and in the switches' eyes.

        Raises `NotReady` that names the interfaces which do not.
        """
        wanted = [link for link in (self.links if some is None else some) if link.intf1.up and link.intf2.up]
        waiting: list[LabIntf] = [end for link in wanted for end in link.ends()]

        def look() -> bool:
            waiting[:] = self._without_carrier(waiting)
            if waiting:
                raise OSError("no carrier at " + ", ".join(f"{end.node.name}:{end.name}" for end in waiting))
            return True

        block_until(look, what="cables to carry packets", deadline_s=CARRIER_DEADLINE_S)

    def _without_carrier(self, ends: Iterable[LabIntf]) -> list[LabIntf]:
        by_namespace: dict[str, list[LabIntf]] = defaultdict(list)
        for end in ends:
            by_namespace[end.node.engine if isinstance(end.node, LabSwitch) else end.node.name].append(end)
        missing: list[LabIntf] = []
        for name, nodes in by_namespace.items():
            up = veth.operational(self.namespaces[name])
            if name in self.engines:
                up &= {port for port, state in self.engines[name].link_states().items() if state}
            missing += [end for end in nodes if end.name not in up]
        return missing

    def configLinkStatus(self, src: str, dst: str, status: str) -> None:
        """Mininet's way to fail and heal links; returns when a healed link carries packets."""
        super().configLinkStatus(src, dst, status)
        if status == "up":
            self.wait_for_carrier(self.linksBetween(self[src], self[dst]))

    def daemons(self) -> list[Daemon]:
        """Every program that the network itself runs: switch engines and lines."""
        lines = [line.daemon for line in self.lines if line.daemon is not None]
        return [*(daemon for engine in self.engines.values() for daemon in engine.daemons), *lines]

    def link_named(self, name: str) -> LabLink:
        """The link of that name; KeyError with the names there are."""
        for link in self.links:
            if link.name == name:
                found: LabLink = link
                return found
        raise KeyError(f"no link {name}; there are {', '.join(sorted(link.name for link in self.links))}")

    def fail_link(self, name: str) -> None:
        """Pull the cable: both devices lose carrier. A switch's end goes down, so that a device keeps its own
        settings."""
        _end_to_fail(self.link_named(name)).set_state(up=False)

    def heal_link(self, name: str) -> None:
        """Plug the cable in again, and give a device whose own interface was down its routes back."""
        end = _end_to_fail(self.link_named(name))
        end.set_state(up=True)
        # the other end first: else the first ARP request is lost, and traffic waits a second for the next one
        self.wait_for_carrier([self.link_named(name)])
        if isinstance(end.node, LabHost):
            up = {interface.name for interface in end.node.intfList() if interface.up}
            settings = veth.passable(node_settings(end.node), up)
            if end.node.name in self.choosing:
                settings = veth.without_defaults(settings)
            veth.apply_requests(end.node.live_namespace(), veth.routing_requests(settings))


def node_settings(host: LabHost) -> NodeSettings:
    """The IP settings of a host, from its plan or from what Mininet's user set (pure)."""
    interfaces = tuple(
        InterfaceSettings(intf.name, intf.index, tuple(intf.addresses))
        for intf in host.intfList()
        if intf.name != "lo"
    )
    if host.plan is None:
        via = str(host.params.get("defaultRoute") or "").removeprefix("via ").strip()
        return NodeSettings(interfaces, (("0.0.0.0/0", via, 0),) if via else ())
    index = {interface.name: interface.index for interface in interfaces}
    return NodeSettings(
        interfaces,
        tuple((route.prefix, route.via, route.metric) for route in host.plan.routes),
        tuple((index[name], ip, mac) for name, ip, mac in host.plan.neighbours),
    )


def _early_settings(host: LabHost) -> Iterable[tuple[str, str]]:
    forwarding = sysctl.FORWARDING if host.plan and host.plan.forwarding else ()
    return sysctl.early(*sysctl.NODE_DEFAULTS, *forwarding)


def _ends(link: LabLink) -> tuple[LabIntf, LabIntf]:
    """Both ends, a switch's first: it is born up, a host's end is raised with its addresses."""
    a, b = link.ends()
    return (a, b) if isinstance(a.node, LabSwitch) or not isinstance(b.node, LabSwitch) else (b, a)


def _veth_end(intf: LabIntf) -> VethEnd:
    return VethEnd(intf.name, intf.node.live_namespace().fd, intf.index, intf.mac)


def _end_to_fail(link: LabLink) -> LabIntf:
    """The switch's end if there is one."""
    return _ends(link)[0]
