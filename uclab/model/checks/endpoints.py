"""Endpoints: each in a free port of a switch that takes endpoints, in a VLAN that there is (E1, L1, L2)."""

from __future__ import annotations

from collections.abc import Iterator

from uclab.kinds.endpoint_kind import ENDPOINT_KINDS, kind_of
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
            kind = kind_of(endpoint["kind"].text)
            if kind is not None and not kind.pc_port and endpoint["pc"].value is not None:
                allowed = " or ".join(
                    f"`{endpoint_kind.name}`"
                    for endpoint_kind in ENDPOINT_KINDS.values()
                    if endpoint_kind.pc_port
                )
                yield endpoint["pc"].mistake(
                    f"a {kind.title} has no port for a PC", f"only a {allowed} has one"
                )
        yield from _vlans_for_all(site, endpoints)
        plugged = (*site["access_points"], *endpoints)
        ports = ((entry["port"].text, entry["port"]) for entry in plugged)
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
    for role in ("voice", "data"):
        needing = [endpoint["name"].text or "?" for endpoint in endpoints if role in _roles(endpoint)]
        if needing and role not in roles:
            found = f"there is no VLAN of role {role} for {_who_needs(role)}: {listed(needing, 4)}"
            yield vlans.mistake(found, f"add a VLAN with `role: {role}`")


def _who_needs(role: str) -> str:
    """Kinds that stand in VLANs of that role, or whose PC ports do."""
    kinds = list(ENDPOINT_KINDS.values())
    themselves = [kind.titles for kind in kinds if kind.vlan == role]
    pc_ports = [f"the PC ports of {kind.titles}" for kind in kinds if kind.pc_port and role == "data"]
    return " and ".join((*themselves, *pc_ports))


def _roles(endpoint: YamlLocation) -> tuple[str, ...]:
    """Roles of the VLANs that an endpoint cannot do without."""
    kind = kind_of(endpoint["kind"].text)
    if kind is None:
        return ()
    own = () if endpoint["vlan"].given else (kind.vlan,)
    pc_port = ("data",) if kind.pc_port and not endpoint["ap"].given else ()
    return (*own, *pc_port)
