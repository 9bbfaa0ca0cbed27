"""Private circuits against what the provider asks of them (P3): before anything starts."""

from __future__ import annotations

from collections.abc import Iterator

from uclab.model.checks.lines import datacentres
from uclab.model.checks.uniqueness import repeats
from uclab.model.diagnostic import Diagnostic, shown
from uclab.model.policy import PolicyProfile
from uclab.model.yaml_location import YamlLocation


def check(top: YamlLocation, policy: PolicyProfile) -> Iterator[Diagnostic]:
    """VLAN ids, public prefixes and AS numbers of sites with circuits, by the policy's `peering`."""
    rules = policy.peering
    for exchange in top["internet"]["exchanges"]:
        if rules is None:
            yield exchange["name"].mistake(
                f"policy {shown(policy.policy)} says nothing of peering",
                "give the policy a `peering`, which has the cloud's AS number",
            )
    centres = datacentres(top)
    sites = [name for site in top["sites"] if (name := site["name"].text) is not None]
    arriving: dict[str, list[tuple[int | None, YamlLocation]]] = {}
    for site in top["sites"]:
        private = [line for line in site["connections"] if line["to"].text in (*centres, *sites)]
        if private and rules is None:
            yield private[0]["to"].mistake(
                f"policy {shown(policy.policy)} says nothing of private circuits",
                "give the policy a `peering`, or connect to a provider",
            )
            return
        for line in private:
            vlan, target = line["vlan"].number, line["to"].text or ""
            if rules is not None and vlan is not None and not _within(vlan, rules.vlan_ids):
                low, high = rules.vlan_ids
                yield line["vlan"].mistake(
                    f"VLAN {vlan} is not one that the provider takes", f"allowed: {low} to {high}"
                )
            if target in centres:
                arriving.setdefault(target, []).append((vlan, line["vlan"]))
        to_cloud = any(line["to"].text in centres for line in private)
        if rules is not None and to_cloud and site.whole:
            yield from _public_prefix(site, rules.prefix_lengths)
    for gateway in top["sd_wan"]["gateways"]:
        target = gateway["to"].text or ""
        arriving.setdefault(target, []).append((gateway["vlan"].number, gateway["vlan"]))
    for circuits in arriving.values():
        yield from repeats(circuits, "VLAN id of a circuit", "each circuit of a data centre has its own")
    numbers = [(site["router"]["asn"].number, site["router"]["asn"]) for site in top["sites"]]
    numbers += [(gateway["asn"].number, gateway["asn"]) for gateway in top["sd_wan"]["gateways"]]
    yield from repeats(numbers, "AS number", "each site has its own")


def _public_prefix(site: YamlLocation, lengths: tuple[int, int]) -> Iterator[Diagnostic]:
    prefix = site["public_prefix"]
    if not prefix.given:
        yield site.mistake(
            f"site {shown(site['name'].text)} has a circuit to the cloud and no public addresses",
            f"give it a `public_prefix` of length {lengths[0]} to {lengths[1]}; private ones are refused",
        )
    elif (net := prefix.network) is not None and not _within(net.prefixlen, lengths):
        yield prefix.mistake(
            f"the provider does not accept {shown(net)}",
            f"allowed: prefix lengths {lengths[0]} to {lengths[1]}",
        )


def _within(number: int, bounds: tuple[int, int]) -> bool:
    return bounds[0] <= number <= bounds[1]
