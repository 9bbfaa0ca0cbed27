"""Internet exchanges: who meets there, and that all find room on the peering LAN (P5)."""

from __future__ import annotations

from collections.abc import Iterator

from uclab.model.checks.lines import datacentres
from uclab.model.checks.uniqueness import repeats
from uclab.model.diagnostic import Diagnostic, closest, listed, shown
from uclab.model.yaml_location import YamlLocation


def check(top: YamlLocation) -> Iterator[Diagnostic]:
    """Members are providers and data centres that there are, each once; each provider has an AS number of its
    own."""
    providers = [name for p in top["internet"]["providers"] if (name := p["name"].text) is not None]
    known = [*providers, *datacentres(top)]
    for exchange in top["internet"]["exchanges"]:
        members = list(exchange["members"])
        for member in members:
            if member.text is not None and member.text not in known:
                yield member.mistake(
                    f"there is no {shown(member.text)} to peer with",
                    f"providers: {listed(providers)}; data centres: {listed(datacentres(top))}",
                    closest(member.text, known),
                )
        yield from repeats(((m.text, m) for m in members), "member", "each is there once")
        net = exchange["prefix"].network
        if net is not None and net.num_addresses - 2 < len(members) + 1:
            yield exchange["prefix"].mistake(
                f"{net} has no room for a route server and {len(members)} members", "give a larger prefix"
            )
    numbers = ((p["asn"].number, p["asn"]) for p in top["internet"]["providers"])
    yield from repeats(numbers, "AS number", "each provider has its own")
