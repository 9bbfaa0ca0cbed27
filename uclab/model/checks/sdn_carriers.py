"""Carriers and the private circuits that cross them (W5)."""

from __future__ import annotations

from collections.abc import Iterator

from uclab.kinds.carrier_kind import carrier_kind_of
from uclab.model.checks.lines import datacentres
from uclab.model.checks.uniqueness import repeats
from uclab.model.diagnostic import Diagnostic, listed, shown
from uclab.model.yaml_location import YamlLocation


def check(top: YamlLocation) -> Iterator[Diagnostic]:
    """Circuits by way of an exchange lead to data centres, and terms are those of such a circuit."""
    known = {name: place for place in top["carriers"] if (name := place["name"].text) is not None}
    centres = datacentres(top)
    crossing: dict[str, set[tuple[str | None, str | None]]] = {name: set() for name in known}
    for site in top["sites"]:
        for line in site["connections"]:
            via, target = line["via"].text, line["to"].text
            if via is None:
                continue
            kind = carrier_kind_of(known[via]["kind"].text) if via in known else None
            is_exchange = kind is not None and kind.programmed
            if is_exchange and target is not None and target not in centres:
                yield line["to"].mistake(
                    f"{shown(target)} is no customer of the exchange {shown(via)}",
                    f"circuits across it lead to data centres: {listed(centres)}",
                )
            crossing.setdefault(via, set()).add((site["name"].text, line["name"].text))
    for name, carrier in known.items():
        yield from _terms(carrier, crossing[name])


def _terms(carrier: YamlLocation, crossing: set[tuple[str | None, str | None]]) -> Iterator[Diagnostic]:
    """Each of a carrier's `circuits` is a connection that crosses it, once."""
    given = []
    for terms in carrier["circuits"]:
        site, line = terms["site"].text, terms["connection"].text
        if site is None or line is None:
            continue
        given.append((f"{site}-{line}", terms))
        if (site, line) not in crossing:
            trunks = [f"{one}-{other}" for one, other in sorted(crossing, key=str)]
            yield terms.mistake(
                f"no connection {shown(line)} of site {shown(site)} goes by way of "
                f"{shown(carrier['name'].text)}",
                f"connections across it: {listed(trunks)}",
            )
    yield from repeats(iter(given), "circuit", "its terms are given once")
