"""Carriers: circuits run over those that there are, and each carries at least one (W2, W3)."""

from __future__ import annotations

from collections.abc import Iterator

from uclab.kinds.carrier_kind import CARRIER_KINDS, carrier_kind_of
from uclab.model.diagnostic import Diagnostic, closest, listed, shown
from uclab.model.yaml_location import YamlLocation


def check(top: YamlLocation) -> Iterator[Diagnostic]:
    """What `via` names is a carrier, of a private circuit; only a label-switched core has another
    customer."""
    carriers = [name for carrier in top["carriers"] if (name := carrier["name"].text) is not None]
    providers = [name for p in top["internet"]["providers"] if (name := p["name"].text) is not None]
    used = set[str]()
    for site in top["sites"]:
        for line in site["connections"]:
            via, to = line["via"], line["to"].text
            if via.text is None:
                continue
            used.add(via.text)
            if via.text not in carriers:
                yield via.mistake(
                    f"there is no carrier {shown(via.text)}",
                    f"known: {listed(carriers)}" if carriers else "write it in `carriers`",
                    closest(via.text, carriers),
                )
            elif to is not None and to in providers:
                yield via.mistake(
                    f"the line to provider {shown(to)} runs over carrier {shown(via.text)}",
                    "only private circuits do",
                )
    for carrier in top["carriers"]:
        name, other = carrier["name"].text, carrier["other_customer"]
        # an exchange may be there for circuits that are made while the lab runs
        kind = carrier_kind_of(carrier["kind"].text)
        if kind is None:
            continue
        if name is not None and name not in used and not kind.programmed:
            yield carrier.mistake(f"carrier {shown(name)} carries nothing", "name it in a connection's `via`")
        if other.value is True and not kind.other_customers and not kind.programmed:
            able = [
                carrier_kind.name for carrier_kind in CARRIER_KINDS.values() if carrier_kind.other_customers
            ]
            yield other.mistake(
                f"a carrier of kind {shown(kind.name)} with another customer", f"only {listed(able)} has one"
            )
