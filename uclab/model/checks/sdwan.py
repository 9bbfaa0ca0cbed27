"""Overlays: where they end, what they run over, and whether the policy says how to steer them (W6)."""

from __future__ import annotations

from collections.abc import Iterator

from uclab.model.checks.lines import datacentres
from uclab.model.checks.uniqueness import repeats
from uclab.model.diagnostic import Diagnostic, closest, listed, shown
from uclab.model.policy import PolicyProfile
from uclab.model.schema_types import DSCP_NAMES
from uclab.model.yaml_location import YamlLocation


def check(top: YamlLocation) -> Iterator[Diagnostic]:
    """Gateways hand over to data centres that there are; overlays end at gateways and run over all of their
    site's lines, which lead to providers."""
    centres = datacentres(top)
    gateways = [name for g in top["sd_wan"]["gateways"] if (name := g["name"].text) is not None]
    for gateway in top["sd_wan"]["gateways"]:
        yield from _unknown(gateway["to"], centres, "data centre")
    providers = [name for p in top["internet"]["providers"] if (name := p["name"].text) is not None]
    for site in top["sites"]:
        overlay = site["sd_wan"]
        if not overlay.given:
            continue
        yield from _unknown(overlay["gateway"], gateways, "SD-WAN gateway")
        named = [(place.text, place) for place in overlay["underlays"]]
        yield from repeats(named, "underlay", "one tunnel a line")
        lines = {line["name"].text: line for line in site["connections"]}
        known = [name for name in lines if name is not None]
        for name, place in named:
            if name is None:
                continue
            yield from _unknown(place, known, "connection")
            if name in lines and (to := lines[name]["to"].text) is not None and to not in providers:
                yield place.mistake(
                    f"connection {shown(name)} leads to {shown(to)}",
                    "an overlay runs over lines to providers; a private circuit ends at its gateway",
                )
        bare = [name for name in known if name not in [name for name, _ in named]]
        if overlay.whole and bare:
            yield overlay["underlays"].mistake(
                f"connections without a tunnel: {listed(bare)}",
                "everything leaves a site with `sd_wan` by tunnels: name all its connections",
            )


def check_against_policy(top: YamlLocation, policy: PolicyProfile) -> Iterator[Diagnostic]:
    """A policy that says nothing of overlays allows none; a gateway's circuit is one like others (P3)."""
    for site in top["sites"]:
        if site["sd_wan"].given and policy.sd_wan is None:
            yield site["sd_wan"].mistake(
                f"policy {shown(policy.policy)} says nothing of overlays", "give the policy an `sd_wan`"
            )
    rules = policy.peering
    for gateway in top["sd_wan"]["gateways"]:
        if rules is None:
            yield gateway["to"].mistake(
                f"policy {shown(policy.policy)} says nothing of private circuits",
                "give the policy a `peering`",
            )
            continue
        vlan, net = gateway["vlan"].number, gateway["public_prefix"].network
        low, high = rules.vlan_ids
        if vlan is not None and not low <= vlan <= high:
            yield gateway["vlan"].mistake(
                f"VLAN {vlan} is not one that the provider takes", f"allowed: {low} to {high}"
            )
        short, long = rules.prefix_lengths
        if net is not None and not short <= net.prefixlen <= long:
            yield gateway["public_prefix"].mistake(
                f"the provider does not accept {shown(net)}", f"allowed: prefix lengths {short} to {long}"
            )


def check_policy(top: YamlLocation) -> Iterator[Diagnostic]:
    """Classes of an overlay: a code point belongs to one, and one takes all others."""
    classes = list(top["sd_wan"]["classes"])
    if not classes:
        return
    names = ((entry["name"].text, entry["name"]) for entry in classes)
    yield from repeats(names, "class", "give each a name of its own")
    points = [(_dscp(point), point) for entry in classes for point in entry["dscps"]]
    yield from repeats(points, "DSCP", "a code point belongs to one class")
    rest = [entry for entry in classes if not list(entry["dscps"])]
    if len(rest) != 1:
        yield top["sd_wan"]["classes"].mistake(
            f"{len(rest)} classes have no `dscps`", "exactly one takes all other traffic"
        )


def _dscp(place: YamlLocation) -> int | None:
    return DSCP_NAMES.get(place.text.upper()) if place.text is not None else place.number


def _unknown(place: YamlLocation, known: list[str], what: str) -> Iterator[Diagnostic]:
    name = place.text
    if name is not None and name not in known:
        yield place.mistake(
            f"there is no {what} {shown(name)}", f"known: {listed(known)}", closest(name, known)
        )
