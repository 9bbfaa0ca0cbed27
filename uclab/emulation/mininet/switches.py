# ruff: noqa: N803 (the names are Mininet's)
"""Mininet switches as bridges of an Open vSwitch engine. Nothing runs until the network starts all of them at
once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mininet.node import Switch

from uclab.emulation.mininet.hosts import ShelllessNode
from uclab.emulation.ovs.openflow import NORMAL
from uclab.emulation.ovs.vswitchd import Bridge, BridgePort
from uclab.plan.schema.flows import IPV4, Match, SwitchFlow, push_tag, set_dscp, set_pcp
from uclab.plan.schema.plan import PortMode, SwitchPort
from uclab.plan.schema.plan import Switch as PlannedSwitch


class LabSwitch(ShelllessNode, Switch):
    """A bridge. Its namespace is its engine's."""

    def __init__(
        self, name: str, plan: PlannedSwitch | None = None, engine: str = "ovs-1", **params: Any
    ) -> None:
        self.namespace = None
        self.plan = plan
        self.engine = plan.engine if plan else engine
        self.site = plan.site if plan else ""
        if plan:
            params["dpid"] = f"{plan.dpid:016x}"
        super().__init__(name, **params)

    def cmd(self, *args: Any, **kwargs: Any) -> str:
        """Output of a command in the engine's namespace; nothing before it exists (Mininet's constructor
        raises `lo`)."""
        return "" if self.namespace is None else super().cmd(*args, **kwargs)

    def start(self, controllers: list[Any]) -> None:
        """`LabNet` starts all switches in one transaction."""

    def stop(self, deleteIntfs: bool = True) -> None:
        """The engine ends with the network."""

    def bridge(self, controller: str | None) -> Bridge:
        """What Open vSwitch is told. Ports of a controlled switch have no VLANs here: the controller decides
        them."""
        if self.plan is None:
            ports = tuple(
                BridgePort(intf.name, number)
                for number, intf in sorted(self.intfs.items())
                if intf.name != "lo"
            )
        else:
            ports = tuple(_port(port, self.plan) for port in self.plan.ports if self._has(port.interface))
        controlled = bool(self.plan and self.plan.controlled)
        by_flows = bool(self.plan and self.plan.flows)
        return Bridge(
            self.name,
            int(self.dpid, 16),
            ports,
            controller if controlled else None,
            secure=controlled or by_flows,
            stacked_tags=by_flows,
        )

    def _has(self, interface: str) -> bool:
        """A port of the plan without a cable is not there yet."""
        return interface in self.nameToIntf


def _port(port: SwitchPort, switch: PlannedSwitch) -> BridgePort:
    if switch.flows:
        return BridgePort(port.interface, port.number, mtu=switch.mtu)
    if switch.controlled:
        return BridgePort(port.interface, port.number)
    if port.mode is PortMode.ACCESS:
        return BridgePort(port.interface, port.number, "access", port.vlan)
    if port.mode is PortMode.TRUNK:
        return BridgePort(port.interface, port.number, "trunk", None, port.tagged)
    return BridgePort(port.interface, port.number, "native-untagged", port.vlan, port.tagged)


def clearing_flows(switch: PlannedSwitch, dscps: Iterable[int]) -> list[SwitchFlow]:
    """Flows of a peering LAN that trusts no mark: those of the policy are cleared (pure)."""
    distrusted = [port.number for port in switch.ports if not port.trust_dscp]
    known = sorted({dscp for dscp in dscps if dscp})
    marked = [Match(port, eth_type=IPV4, ip_dscp=dscp) for port in distrusted for dscp in known]
    return [SwitchFlow(0, NORMAL), *(SwitchFlow(10, NORMAL, match, (set_dscp(0),)) for match in marked)]


def voice_priority_flows(switch: PlannedSwitch, dscp_to_pcp: tuple[tuple[int, int], ...]) -> list[SwitchFlow]:
    """Flows by which a switch without a controller gives frames that it tags their 802.1p priority (pure).

    A desk phone sends untagged to its own port, a router to its circuit's termination unit; towards the
    network the frames leave with the VLAN's tag and the PCP of their DSCP (Q1). Everything else is learnt and
    forwarded as usual.
    """
    flows = [SwitchFlow(0, NORMAL)]
    for uplink in (port for port in switch.ports if port.mode is not PortMode.ACCESS):
        for vlan in uplink.tagged:
            phones = [p for p in switch.ports if p.mode is PortMode.ACCESS and p.vlan == vlan]
            flows += [
                SwitchFlow(
                    10,
                    uplink.number,
                    Match(phone.number, eth_type=IPV4, ip_dscp=dscp),
                    (*push_tag(vlan), set_pcp(pcp)),
                )
                for phone in phones
                for dscp, pcp in dscp_to_pcp
            ]
    return flows
