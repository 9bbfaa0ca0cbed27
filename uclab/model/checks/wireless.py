"""Wi-Fi: access points at switch ports, and their stations (N4, V7, V9, W7)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from uclab.kinds.endpoint_kind import kind_of
from uclab.model.checks.endpoints import port_at_switch
from uclab.model.checks.switching import Hierarchy
from uclab.model.checks.timetables import conditions_of
from uclab.model.diagnostic import Diagnostic, closest, listed, shown
from uclab.model.profile import LinkProfile
from uclab.model.yaml_location import YamlLocation


def check(top: YamlLocation) -> Iterator[Diagnostic]:
    """All access points and stations of all sites; each endpoint is either plugged in or a station."""
    for site in top["sites"]:
        points, at_home = site["access_points"], site["home_router"].given
        if at_home and points.given:
            yield points.mistake(
                "the site has a `home_router` and `access_points`",
                "give it `switches`, `firewall` and `router` to plug them in",
            )
        hierarchy = Hierarchy.of(site)
        for point in points if not at_home else ():
            yield from port_at_switch(hierarchy, point["port"])
        known = [name for point in points if (name := point["name"].text) is not None]
        for endpoint in site["endpoints"]:
            yield from _attachment(endpoint)
            yield from _station(endpoint, known, all_known=len(known) == len(list(points)))


def _attachment(endpoint: YamlLocation) -> Iterator[Diagnostic]:
    port, ap = endpoint["port"], endpoint["ap"]
    if not port.given and not ap.given and isinstance(endpoint.value, dict):
        yield endpoint.mistake(
            "key `port` is missing",
            "give a switch and one of its ports, such as `acc1/7`, or an access point as `ap`",
        )
    elif port.given and ap.given:
        yield ap.mistake("the endpoint has a `port` and an `ap`", "give one of the two")


def _station(endpoint: YamlLocation, known: list[str], *, all_known: bool) -> Iterator[Diagnostic]:
    ap = endpoint["ap"]
    if ap.text is None:
        return
    if ap.text not in known and all_known:
        found = f"there is no access point {shown(ap.text)} in this site"
        yield ap.mistake(found, f"known: {listed(known)}", closest(ap.text, known))
    kind = kind_of(endpoint["kind"].text)
    if endpoint["pc"].given and kind is not None and kind.pc_port:
        yield endpoint["pc"].mistake("a wireless phone has no port for a PC", "leave `pc` out")


def check_air(top: YamlLocation, profiles: Mapping[str, LinkProfile]) -> Iterator[Diagnostic]:
    """An access point's profile is that of a Wi-Fi radio which stays as it is, under conditions that fit."""
    for site in top["sites"]:
        for point in site["access_points"]:
            place = point["profile"]
            profile = profiles.get(place.text or "")
            if profile is None:
                continue
            if profile.radio is None or profile.radio.kind != "wifi":
                yield place.mistake(
                    f"{shown(profile.profile)} is no Wi-Fi radio", "choose a profile whose `radio` is `wifi`"
                )
                continue
            if profile.timetable is not None or profile.trace is not None:
                yield place.mistake(
                    f"{shown(profile.profile)} changes with time",
                    "an access point's air stays as it is: choose a profile without `timetable` and `trace`",
                )
            yield from conditions_of(point["conditions"], profile.radio, profile.profile)
