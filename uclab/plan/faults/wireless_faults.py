"""What is set wrongly at access points and stations, as changes of a plan (Q1, W7)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from uclab.plan.lan.wireless import ADAPTER_RADIO, RADIO, adapter
from uclab.plan.resolve.plan_edits import with_switch
from uclab.plan.schema.fault import pick, registered
from uclab.plan.schema.flows import SwitchFlow, set_pcp
from uclab.plan.schema.plan import Plan, Switch, SwitchRole


@registered(
    "wifi-naive-map",
    "an access point derives the user priority from the DSCP's upper three bits: voice lands in AC_VI",
    "qos.wmm",
    blames="ap1",
    topology="wifi-office",
)
def _naive_map(plan: Plan, target: str | None) -> Plan:
    """`target` is an access point. Which is what many do that know nothing of RFC 8325 (section 4)."""
    busy = {air.access_point for air in plan.airs if air.stations}
    points = {s.name: s for s in plan.switches if s.name in busy}
    return _marked(plan, pick(points, target, "access point"), RADIO, lambda dscp: dscp >> 3)


@registered(
    "wifi-station-unmarked",
    "a wireless device sends voice and signalling into the air without a user priority, as best effort",
    "qos.wmm",
    blames="wifi1",
    topology="wifi-office",
)
def _station_unmarked(plan: Plan, target: str | None) -> Plan:
    """`target` is a wireless endpoint."""
    adapters = {s.name: s for s in plan.switches if s.role is SwitchRole.STATION}
    stations = {station.node: station for air in plan.airs for station in air.stations}
    station = pick(stations, target, "wireless endpoint")
    return _marked(plan, adapters[adapter(station.node)], ADAPTER_RADIO, lambda _: 0)


def _marked(plan: Plan, switch: Switch, into_air: int, up: Callable[[int], int]) -> Plan:
    """The user priority of each DSCP that a device sends into the air changed."""

    def changed(flow: SwitchFlow) -> SwitchFlow:
        dscp = flow.match.ip_dscp
        if flow.out_port != into_air or dscp is None:
            return flow
        actions = (set_pcp(up(dscp)) if a.kind == "set-pcp" else a for a in flow.actions)
        return replace(flow, actions=tuple(actions))

    return with_switch(plan, replace(switch, flows=tuple(map(changed, switch.flows))))
