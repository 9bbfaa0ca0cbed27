"""WAN lines: where they lead, and whether a link profile can be (W1, V1, V2, V5)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from uclab.model.diagnostic import Diagnostic, closest, listed, shown
from uclab.model.yaml_location import YamlLocation


def check(top: YamlLocation) -> Iterator[Diagnostic]:
    """Connections lead to providers, data centres or sites that there are; only private circuits have a
    VLAN."""
    providers = [name for p in top["internet"]["providers"] if (name := p["name"].text) is not None]
    sites = [name for site in top["sites"] if (name := site["name"].text) is not None]
    private = [*datacentres(top), *sites]
    for site in top["sites"]:
        own = site["name"].text
        others = [name for name in (*providers, *private) if name != own]
        for line in site["connections"]:
            name = line["to"].text
            if name is None:
                continue
            if name not in others:
                found = "leads to its own site" if name == own else f"there is no {shown(name)} to connect to"
                yield line["to"].mistake(
                    found,
                    f"providers: {listed(providers)}; data centres: {listed(datacentres(top))}; "
                    f"sites: {listed([s for s in sites if s != own])}",
                    closest(name, others),
                )
            elif name in providers and line["vlan"].given:
                yield line["vlan"].mistake(
                    f"the line to provider {shown(name)} has a VLAN", "only private circuits have one"
                )
            elif name in private and name not in providers and line.whole and not line["vlan"].given:
                yield line.mistake(
                    f"the private circuit to {shown(name)} has no `vlan`", "give its 802.1Q VLAN id"
                )
    yield from _circles(top, sites)


def datacentres(top: YamlLocation) -> list[str]:
    """Names of all data centres."""
    return [
        name
        for region in top["cloud"]["regions"]
        for datacentre in region["datacentres"]
        if (name := datacentre["name"].text) is not None
    ]


def _circles(top: YamlLocation, sites: list[str]) -> Iterator[Diagnostic]:
    """Circuits between sites lead towards a hub and never back (V5)."""
    above: dict[str, list[tuple[str, YamlLocation]]] = {}
    for site in top["sites"]:
        for line in site["connections"]:
            name, own = line["to"].text, site["name"].text
            if own is not None and name is not None and name in sites and name != own:
                above.setdefault(own, []).append((name, line["to"]))
    for own, uplinks in above.items():
        for name, place in uplinks:
            if own in _reached(above, name) and sites.index(name) < sites.index(own):
                yield place.mistake(
                    f"circuits from {shown(own)} by {shown(name)} form a loop back to {shown(own)}",
                    "a circuit leads towards the hub",
                )


def _reached(above: Mapping[str, list[tuple[str, YamlLocation]]], start: str) -> set[str]:
    seen, ahead = set[str](), [start]
    while ahead:
        fresh = [name for name, _ in above.get(ahead.pop(), []) if name not in seen]
        seen.update(fresh)
        ahead += fresh
    return seen


def check_profile(top: YamlLocation) -> Iterator[Diagnostic]:
    """A delay that scatters wider than itself would have to be negative; a queue has one depth."""
    for direction in (top["up"], top["down"]):
        delay, jitter = direction["delay_ms"].amount, direction["jitter_ms"].amount
        if delay is None or jitter is None:
            continue
        if jitter > delay:
            yield direction["jitter_ms"].mistake(
                f"jitter {jitter:g} ms is more than the delay of {delay:g} ms", f"allowed: 0 to {delay:g}"
            )
        elif direction["jitter_distribution"].text == "uniform" and jitter * math.sqrt(3) > delay:
            yield direction["jitter_ms"].mistake(
                f"a uniform jitter of {jitter:g} ms reaches {jitter * math.sqrt(3):.4g} ms to both sides of "
                f"the delay of {delay:g} ms",
                f"allowed: 0 to {math.floor(delay / math.sqrt(3) * 1000) / 1000:g}",
            )
    if top["queue_ms"].number is not None and top["queue_packets"].given:
        yield top["queue_packets"].mistake(
            "the queue's depth is given twice", "give `queue_ms` or `queue_packets`"
        )
