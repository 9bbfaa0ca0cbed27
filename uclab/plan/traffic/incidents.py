"""What can fail in a network, chosen from its plan (V2): the incidents of the failover scenario, and the
calls that are live meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from uclab.plan.paths.reachability import Reachability
from uclab.plan.resolve.lines import wan_lines
from uclab.plan.schema.plan import Call, Endpoint, NodeKind, Plan
from uclab.plan.traffic.breakable import broken_links
from uclab.plan.wan.link_monitors import watched
from uclab.records.run import How

INCIDENTS = {
    "circuit-down": "the preferred line of a site is cut: both ends lose carrier",
    "circuit-black-holed": "the preferred line is black-holed, its link stays up",
    "brown-out": "the preferred line loses and delays packets, its link still up",
    "circuit-flaps": "the preferred line is cut, and flaps several times before it stays up",
    "circuits-down": "all private circuits of a site are cut at once, with another line left",
    "router-killed": "a router on the path dies: it stops forwarding, its links stay up",
    "isp-lost": "the router of the preferred line's provider dies likewise",
    "datacentre-lost": "the data centre that serves the calls is cut off",
    "dns-lost": "the public DNS server is cut off",
}
"""Names of incidents, in the order in which they happen, and what each is."""
HELD_CALL = "failover-hold"
"""Kind of the call that is put on hold on purpose: an in-dialog request, and a silence that nobody is to
blame for."""
WANTED_CALLS = 10
FLAPS = 3
"""How often a line that flaps goes away again."""
WITHIN_SITES = 3
"""Calls between endpoints, where there are more endpoints than calls wanted; the others are with the
telephone network."""


@dataclass(frozen=True)
class PlannedIncident:
    """One thing to break."""

    name: str
    subject: str
    """What fails, as an engineer calls it: a link, a device, a data centre."""
    parts: tuple[str, ...]
    """Links or devices that the lab is told to fail."""
    how: How
    survivable: bool
    """An alternate path leads to the session controller that has the calls; or it is not on their path."""
    flaps: int = 0
    """How often it goes away again after restoration, before it stays."""


class NoSuchIncident(KeyError):
    """An incident that is not there; `args` are what was asked for and what there is."""


def planned_incidents(plan: Plan) -> tuple[PlannedIncident, ...]:
    """All incidents that this network can have, each on the element where it can be survived, if there is
    one."""
    ways = Reachability(plan)
    makers: Sequence[Callable[[Reachability], PlannedIncident | None]] = (
        lambda ways: _circuit(ways, "circuit-down", "cut"),
        lambda ways: _circuit(ways, "circuit-black-holed", "black-hole"),
        _brown_out,
        _flapping,
        _circuits,
        _router,
        lambda ways: _device(ways, "isp-lost", _providers),
        _datacentre,
        _names,
    )
    return tuple(incident for make in makers if (incident := make(ways)) is not None)


def chosen_incidents(plan: Plan, wanted: Iterable[str]) -> tuple[PlannedIncident, ...]:
    """The incidents of these names, or all, each of which the lab can carry out.

    Raises `NoSuchIncident` for one that this network cannot have, `NotBreakable` for one whose parts cannot
    be broken so: before anything is started.
    """
    by_name = {incident.name: incident for incident in planned_incidents(plan)}
    names = list(dict.fromkeys(wanted))
    for name in names:
        if name not in by_name:
            raise NoSuchIncident(name, tuple(by_name))
    chosen = tuple(by_name[name] for name in names) if names else tuple(by_name.values())
    for incident in chosen:
        for part in incident.parts:
            broken_links(plan, part, incident.how)
    return chosen


def failover_calls(plan: Plan, incident: str, seconds: float) -> tuple[Call, ...]:
    """Calls that are live at once during an incident: every endpoint in one call, at most `WANTED_CALLS`
    calls.

    The sites' endpoints take turns. Calls with the telephone network come in and go out in turn, as far as
    endpoints have numbers; without a telephone network neighbours call each other.
    """
    endpoints = in_turn(plan)
    numbers = [number for peer in plan.pstn_peers for number in peer.numbers]
    pairs = min(max(len(endpoints) - WANTED_CALLS, 0), WITHIN_SITES, len(endpoints) // 2)
    if not numbers:
        pairs = min(len(endpoints) // 2, WANTED_CALLS)
    calls: list[Call] = []
    for number in range(pairs):
        caller, callee = endpoints[2 * number : 2 * number + 2]
        calls.append(Call(f"{incident}-{len(calls) + 1}", caller.name, callee.name, "failover", seconds))
    alone = endpoints[2 * pairs :] if numbers else []
    for number, endpoint in enumerate(alone[: WANTED_CALLS - pairs]):
        parties = (endpoint.name, numbers[number % len(numbers)])
        if number % 2 and endpoint.account.e164:
            parties = (plan.pstn_peers[0].endpoint.name, endpoint.name)
        calls.append(Call(f"{incident}-{len(calls) + 1}", *parties, "failover", seconds))
    return tuple(calls)


def in_turn(plan: Plan) -> list[Endpoint]:
    """All endpoints that register: the first of each site, the second of each..."""
    ways = Reachability(plan)
    by_site = [[e for e in plan.endpoints if e.registers and ways.site_of[e.node] == s] for s in ways.sites]
    turns = max(map(len, by_site), default=0)
    return [at_site[turn] for turn in range(turns) for at_site in by_site if turn < len(at_site)]


def _circuit(ways: Reachability, name: str, how: How) -> PlannedIncident | None:
    """A line on an endpoint's way out of its site: one with another beside it before one without."""
    lines = {line.link for lines in ways.lines.values() for line in lines}
    found = []
    for endpoint in ways.plan.endpoints:
        for link in ways.crossed.get(endpoint.name, ()):
            if link.name in lines:
                survived = ways.keeps_calls(endpoint, links=(link.name,))
                found.append(PlannedIncident(name, link.name, (link.name,), how, survived))
    return _best(found)


def _brown_out(ways: Reachability) -> PlannedIncident | None:
    """The preferred line made worse, where the policy says by how much."""
    return _circuit(ways, "brown-out", "brown-out") if ways.plan.policy.failover is not None else None


def _flapping(ways: Reachability) -> PlannedIncident | None:
    """A line whose router waits until it has been good for long enough; BGP as spoken here (FRR 10.3) has no
    such wait."""
    found = _circuit(ways, "circuit-flaps", "cut")
    lines = (line for lines in ways.lines.values() for line in lines)
    if found is None or not any(line.link == found.subject and watched(ways.plan, line) for line in lines):
        return None
    return replace(found, flaps=FLAPS)


def _circuits(ways: Reachability) -> PlannedIncident | None:
    """All private circuits of a site, where it has several and something else to fall back to."""
    private = {line.link for line in wan_lines(ways.plan) if line.private}
    for endpoint in ways.plan.endpoints:
        lines = ways.lines[ways.site_of[endpoint.node]]
        own = tuple(line.link for line in lines if line.link in private)
        if len(own) > 1 and ways.keeps_calls(endpoint, links=own):
            return PlannedIncident("circuits-down", " and ".join(own), own, "cut", True)
    return None


def _device(
    ways: Reachability, name: str, fits: Callable[[Reachability, str], bool]
) -> PlannedIncident | None:
    """A device on an endpoint's way: one that the network can do without before one that it cannot."""
    found = [
        PlannedIncident(name, device, (device,), "kill", ways.keeps_calls(endpoint, devices=(device,)))
        for endpoint in ways.plan.endpoints
        for device in ways.passed(endpoint)
        if fits(ways, device)
    ]
    return _best(found)


def _router(ways: Reachability) -> PlannedIncident | None:
    """A router that the network can do without, a site's before one of the cloud; else a site's."""
    at_site = _device(ways, "router-killed", _site_routers)
    anywhere = _device(ways, "router-killed", _routers)
    return _best([incident for incident in (at_site, anywhere) if incident is not None])


def _best(found: Sequence[PlannedIncident]) -> PlannedIncident | None:
    return next((incident for incident in found if incident.survivable), found[0] if found else None)


def _site_routers(ways: Reachability, device: str) -> bool:
    return ways.kind_of(device) is NodeKind.ROUTER and ways.site_of[device] in ways.sites


def _routers(ways: Reachability, device: str) -> bool:
    if ways.plan.overlays:
        return _site_routers(ways, device)  # cables lead past those beyond, but tunnels do not
    return ways.kind_of(device) in (NodeKind.ROUTER, NodeKind.CLOUD_ROUTER)


def _providers(ways: Reachability, device: str) -> bool:
    return ways.kind_of(device) is NodeKind.ISP


def _datacentre(ways: Reachability) -> PlannedIncident | None:
    """The data centre at the end of the first endpoint's way: all links that lead into it."""
    controllers = {controller.node for controller in ways.plan.session_controllers}
    for endpoint in ways.plan.endpoints:
        for device in ways.passed(endpoint):
            if device in controllers:
                return _cut_off(ways, ways.site_of[device], endpoint)
    return None


def _cut_off(ways: Reachability, place: str, endpoint: Endpoint) -> PlannedIncident:
    into = tuple(
        link.name
        for link in ways.plan.links
        if (ways.site_of[link.a.device] == place) != (ways.site_of[link.b.device] == place)
    )
    return PlannedIncident("datacentre-lost", place, into, "cut", ways.keeps_calls(endpoint, links=into))


def _names(ways: Reachability) -> PlannedIncident | None:
    """The first DNS server; no call in progress needs it."""
    if not ways.plan.name_servers:
        return None
    node = ways.plan.name_servers[0].node
    return PlannedIncident("dns-lost", node, (node,), "cut", True)
