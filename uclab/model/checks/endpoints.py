"""Endpoints: each in a free port of a switch that takes endpoints, in a VLAN that there is (E1, L1, L2)."""

from __future__ import annotations

from collections.abc import Iterator

from uclab.model.checks.switching import Hierarchy
from uclab.model.checks.uniqueness import repeats
from uclab.model.diagnostic import Diagnostic, closest, listed, shown
from uclab.model.topology import Switch
from uclab.model.yaml_location import YamlLocation

DEFAULT_PORTS: int = Switch.model_fields["ports"].default


def check(top: YamlLocation) -> Iterator[Diagnostic]:
    """All endpoints of all sites."""
    for site in top["sites"]:
        endpoints = list(site["endpoints"])
        hierarchy = Hierarchy.of(site)
        for endpoint in endpoints:
            if not site["home_router"].given:  # there `homes` says what is wrong
                yield from port_at_switch(hierarchy, endpoint["port"])
                yield from _chosen_vlan(site, endpoint["vlan"])
            if endpoint["kind"].text == "softclient" and endpoint["pc"].value is not None:
                yield endpoint["pc"].mistake(
                    "a softclient has no port for a PC", "only a `desk-phone` has one"
                )
        yield from _vlans_for_all(site, endpoints)
        plugged = (*site["access_points"], *endpoints)
        ports = ((one["port"].text, one["port"]) for one in plugged)
        yield from repeats(ports, "port", "an access port takes one endpoint")


def port_at_switch(hierarchy: Hierarchy, place: YamlLocation) -> Iterator[Diagnostic]:
    """A port is one of a switch that takes endpoints."""
    if place.text is None or place.path in place.document.wrong:
        return
    name, _, port = place.text.partition("/")
    takers = hierarchy.for_endpoints
    switch = hierarchy.switches.get(name)
    if switch is None:
        if hierarchy.complete:
            found = f"there is no switch {shown(name)} in this site"
            yield place.mistake(found, f"known: {listed(takers)}", closest(name, takers))
        return
    if hierarchy.complete and name not in takers:
        found = f"{shown(name)} is a switch of role {hierarchy.role(name)}"
        yield place.mistake(found, f"endpoints are plugged into: {listed(takers)}")
        return
    count = switch["ports"].number_or(DEFAULT_PORTS)
    if count is not None and int(port) > count:
        yield place.mistake(
            f"switch {shown(name)} has no port {port}", f"allowed: {name}/1 to {name}/{count}"
        )


def _chosen_vlan(site: YamlLocation, place: YamlLocation) -> Iterator[Diagnostic]:
    names = [name for vlan in site["vlans"] if (name := vlan["name"].text) is not None]
    if place.text is not None and place.text not in names and len(names) == len(list(site["vlans"])):
        found = f"there is no VLAN {shown(place.text)} in this site"
        yield place.mistake(found, f"known: {listed(names)}", closest(place.text, names))


def _vlans_for_all(site: YamlLocation, endpoints: list[YamlLocation]) -> Iterator[Diagnostic]:
    """Desk phones need a voice VLAN, and a data VLAN for their PC port; softclients need a data VLAN."""
    vlans = site["vlans"]
    if not list(vlans) or not all(vlan["role"].given and vlan.whole for vlan in vlans):
        return
    roles = {vlan["role"].text for vlan in vlans}
    for role, what in (("voice", "desk phones"), ("data", "softclients and the PC ports of desk phones")):
        needing = [endpoint["name"].text or "?" for endpoint in endpoints if role in _roles(endpoint)]
        if needing and role not in roles:
            found = f"there is no VLAN of role {role} for {what}: {listed(needing, 4)}"
            yield vlans.mistake(found, f"add a VLAN with `role: {role}`")


def _roles(endpoint: YamlLocation) -> tuple[str, ...]:
    """Roles of the VLANs that an endpoint cannot do without."""
    chosen = endpoint["vlan"].given
    match endpoint["kind"].text:
        case "desk-phone":
            pc_port = () if endpoint["ap"].given else ("data",)
            return pc_port if chosen else ("voice", *pc_port)
        case "softclient":
            return () if chosen else ("data",)
    return ()
