"""Sites with a home router: it is all the network there is (N5, W9); and modems in bridge mode."""

from __future__ import annotations

from collections.abc import Iterator

from uclab.model.checks.lines import datacentres
from uclab.model.diagnostic import Diagnostic, shown
from uclab.model.home import FURNISHED, PORTS
from uclab.model.yaml_location import YamlLocation

SMALLEST = 29
"""Longest prefix of a home's network."""


def check(top: YamlLocation) -> Iterator[Diagnostic]:
    """All sites with a home router, and the modems of all lines."""
    private = [*datacentres(top), *(name for site in top["sites"] if (name := site["name"].text) is not None)]
    homes = [site["name"].text for site in top["sites"] if site["home_router"].given]
    for site in top["sites"]:
        for line in site["connections"]:
            target = line["to"].text
            if line["modem"].given and target in private:
                yield line["modem"].mistake(
                    "a private circuit has a modem", "only lines to providers have one"
                )
            if target in private and (site["home_router"].given or target in homes):
                yield line["to"].mistake(
                    "a home router has no private circuits",
                    "connect it to a provider, or give the site a `router`",
                )
        if site["home_router"].given:
            yield from _home(site)


def _home(site: YamlLocation) -> Iterator[Diagnostic]:
    for key in FURNISHED:
        if site[key].given:
            yield site[key].mistake(
                f"the site has a `home_router` and `{key}`", "a home router is all of them; leave one out"
            )
    box = site["home_router"]["name"].text
    count = site["home_router"]["ports"].number_or(PORTS)
    hosts = 0
    for endpoint in site["endpoints"]:
        hosts += 1 + (endpoint["pc"].text is not None)
        if endpoint["vlan"].given:
            yield endpoint["vlan"].mistake("a home router has no VLANs", "leave `vlan` out")
        port = endpoint["port"]
        if port.text is None or port.path in port.document.wrong or box is None or count is None:
            continue
        name, _, number = port.text.partition("/")
        if name != box or int(number) > count:
            found = f"there is no port {shown(port.text)} in this site"
            yield port.mistake(found, f"allowed: {box}/1 to {box}/{count}")
    net = site["prefix"].network
    if net is None:
        return
    if net.prefixlen > SMALLEST:
        yield site["prefix"].mistake(
            f"{shown(net)} is too small for a home", f"allowed: /{SMALLEST} or larger"
        )
    elif hosts > (room := net.num_addresses - 3):
        yield site["prefix"].mistake(
            f"{shown(net)} has room for the router and {room} more; {hosts} are to live in it",
            "give a larger network",
        )
