"""Endpoints: each in a free port of a switch that takes endpoints, in a VLAN that there is (E1, L1, L2)."""

from __future__ import annotations

from collections.abc import Iterator

from uclab.model.checks.repeats import repeats
from uclab.model.checks.switching import Hierarchy
from uclab.model.mistake import Mistake, closest, listed, shown
from uclab.model.place import Place
from uclab.model.topology import Switch

DEFAULT_PORTS: int = Switch.model_fields["ports"].default


def check(top: Place) -> Iterator[Mistake]:
    """All endpoints of all sites."""
    for site in top["sites"]:
        endpoints = list(site["endpoints"])
        hierarchy = Hierarchy.of(site)
        for endpoint in endpoints:
            yield from _port(hierarchy, endpoint["port"])
            yield from _vlan(site, endpoint)
            if endpoint["kind"].text == "softclient" and endpoint["pc"].value is not None:
                yield endpoint["pc"].mistake(
                    "a softclient has no port for a PC", "only a `desk-phone` has one"
                )
        ports = ((endpoint["port"].text, endpoint["port"]) for endpoint in endpoints)
        yield from repeats(ports, "port", "an access port takes one endpoint")


def _port(hierarchy: Hierarchy, place: Place) -> Iterator[Mistake]:
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


def _vlan(site: Place, endpoint: Place) -> Iterator[Mistake]:
    """A desk phone needs a voice VLAN, and a data VLAN for its PC port; a softclient needs a data VLAN."""
    vlans = list(site["vlans"])
    names = [name for vlan in vlans if (name := vlan["name"].text) is not None]
    chosen = endpoint["vlan"].text
    if chosen is not None and chosen not in names and len(names) == len(vlans):
        found = f"there is no VLAN {shown(chosen)} in this site"
        yield endpoint["vlan"].mistake(found, f"known: {listed(names)}", closest(chosen, names))

    roles = {vlan["role"].text for vlan in vlans}
    if not all(vlan["role"].given and vlan["role"].path not in vlan.document.wrong for vlan in vlans):
        return
    own, pc_port = {"desk-phone": ("voice", "data"), "softclient": ("data", None)}.get(
        endpoint["kind"].text or "", (None, None)
    )
    if own is not None and chosen is None and own not in roles:
        found = f"there is no VLAN of role {own} for this {endpoint['kind'].text}"
        yield endpoint.mistake(found, f"give the site a VLAN with `role: {own}`")
    if pc_port is not None and pc_port not in roles:
        found = f"there is no VLAN of role {pc_port} for the phone's PC port"
        yield endpoint.mistake(found, f"give the site a VLAN with `role: {pc_port}`")
