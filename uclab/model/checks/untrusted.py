"""Whether endpoints at ports that nobody trusts can have the marks that the policy wants for calls (C8)."""

from __future__ import annotations

from collections.abc import Iterator

from uclab.kinds.endpoint_kind import device_of
from uclab.model.diagnostic import Diagnostic, shown
from uclab.model.policy import PolicyProfile, TrafficClass
from uclab.model.yaml_location import YamlLocation


def check(top: YamlLocation, policy: PolicyProfile) -> Iterator[Diagnostic]:
    """There a switch, or a home router, goes by port numbers alone: the classes of voice and signalling must
    be open to that."""
    closed = [traffic_class for traffic_class in _needed(policy) if not traffic_class.port_match_untrusted]
    for site in top["sites"]:
        roles = {vlan["name"].text: vlan["role"].text for vlan in site["vlans"]}
        for endpoint in site["endpoints"]:
            why = _untrusted(site, endpoint, roles)
            if why is None or not closed:
                continue
            yield endpoint["kind"].mistake(
                f"{shown(endpoint['name'].text)} {why}, where nobody may come into class "
                f"{shown(closed[0].name)} by port numbers: its part of calls would be best effort",
                f"give that class of policy {shown(policy.policy)} `port_match_untrusted: true`",
            )


def _needed(policy: PolicyProfile) -> Iterator[TrafficClass]:
    """The classes that media and signalling come into by their ports."""
    low, _ = policy.media.udp_ports
    ports = policy.signalling.sips_ports
    wanted = [("udp", low), ("tcp", ports.desk_phone), ("tcp", ports.softclient)]
    for protocol, port in wanted:
        for traffic_class in policy.classes:
            ranges = traffic_class.udp if protocol == "udp" else traffic_class.tcp
            if any(first <= port <= last for first, last in ranges):
                yield traffic_class
                break


def _untrusted(site: YamlLocation, endpoint: YamlLocation, roles: dict[str | None, str | None]) -> str | None:
    """Why nobody trusts an endpoint's own marks; None where a switch does."""
    if site["home_router"].given:
        return "is behind a home router"
    if endpoint["ap"].given:
        return "shares an access point's cable"
    if device_of(endpoint["kind"].text) == "computer":
        return "is on a PC"
    return "is in the PCs' VLAN" if roles.get(endpoint["vlan"].text) == "data" else None
