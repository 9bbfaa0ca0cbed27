"""Names and numbers: each means one thing."""

from __future__ import annotations

import re
from collections.abc import Iterator

from uclab.kinds.carrier_kind import carrier_kind_of
from uclab.kinds.endpoint_kind import kind_of
from uclab.model.checks.uniqueness import repeats
from uclab.model.diagnostic import Diagnostic, listed, shown
from uclab.model.policy import PolicyProfile
from uclab.model.yaml_location import YamlLocation

RESERVED = ("dns", "inet", "internet", "pstn", "web")
"""What the lab itself brings: public name server, core of the internet, telephone network, web server."""

_FOREIGN = re.compile(r"pbx[0-9]*-[0-9]+")
_TERMINATION = re.compile(r".*-ntu(-[0-9]+)?")
EXCHANGE_SWITCHES = 8
"""An exchange has so many at most."""


def check(top: YamlLocation) -> Iterator[Diagnostic]:
    """Names of sites, devices, VLANs and connections, VLAN ids, extensions, telephone numbers."""
    yield from repeats(
        ((place["name"].text, place["name"]) for place in _places(top)),
        "site, region or data centre", "give each a name of its own",
    )  # fmt: skip
    yield from _devices(top)
    for site in top["sites"]:
        vlans, where = list(site["vlans"]), f"in site {shown(site['name'].text or site.path[-1])}"
        names = ((vlan["name"].text, vlan["name"]) for vlan in vlans)
        yield from repeats(names, "VLAN name", f"a name is used once {where}")
        ids = ((vlan["id"].number, vlan["id"]) for vlan in vlans)
        yield from repeats(ids, "VLAN id", f"an id is used once {where}")
        lines = ((line["name"].text, line["name"]) for line in site["connections"])
        yield from repeats(lines, "connection", f"a name is used once {where}")
    extensions = ((place.number, place) for place in _extensions(top))
    yield from repeats(extensions, "extension", "each endpoint and group has its own")
    numbers = ((number.text, number) for number in top["cloud"]["pstn"]["numbers"])
    yield from repeats(numbers, "telephone number", "each is listed once")


def check_extensions(top: YamlLocation, policy: PolicyProfile) -> Iterator[Diagnostic]:
    """Who dials for help does not reach a colleague."""
    for number in _extensions(top):
        if number.number in policy.emergency_numbers:
            yield number.mistake(
                f"{shown(number.number)} is an emergency number",
                f"choose another extension; the policy's `emergency_numbers`: "
                f"{listed(map(str, policy.emergency_numbers))}",
            )


def _extensions(top: YamlLocation) -> Iterator[YamlLocation]:
    """The extension of each endpoint and group."""
    for site in top["sites"]:
        for endpoint in site["endpoints"]:
            yield endpoint["number"]
    for group in top["cloud"]["groups"]:
        yield group["number"]


def _places(top: YamlLocation) -> Iterator[YamlLocation]:
    yield from top["sites"]
    yield from top["sd_wan"]["gateways"]
    yield from top["carriers"]
    for region in top["cloud"]["regions"]:
        yield region
        yield from region["datacentres"]


def _devices(top: YamlLocation) -> Iterator[Diagnostic]:
    """A device's name is its own in the whole lab; so is that of a part that comes with it (`desk1-sw`)."""
    owners: dict[str, YamlLocation] = {}
    named = list(_named_devices(top))
    for place, _ in named:
        name = place.text
        if name is not None and _FOREIGN.fullmatch(name):
            yield place.mistake(
                f"{shown(name)} is the lab's name for a foreign VLAN's legacy VoIP host", "take another name"
            )
        elif name is not None and _TERMINATION.fullmatch(name):
            yield place.mistake(
                f"{shown(name)} is the lab's name for a circuit's termination unit", "take another name"
            )
        elif name in RESERVED:
            yield place.mistake(
                f"{shown(name)} is a device of the lab itself", f"any name but {listed(RESERVED)}"
            )
        elif name is not None:
            if name in owners:
                line = owners[name].line
                yield place.mistake(
                    f"device name {shown(name)} is given already on line {line}",
                    "a name is used once in a topology",
                )
            owners.setdefault(name, place)
    for owner, made in named:
        for tail in made:
            name = f"{owner.text}{tail}"
            if owner.text is not None and name in owners:
                yield owners[name].mistake(
                    f"{shown(name)} is the name of a part of {shown(owner.text)}", "take another name"
                )


def _named_devices(top: YamlLocation) -> Iterator[tuple[YamlLocation, tuple[str, ...]]]:
    """The name of each device, and what is added to it for the devices that come with it."""
    for provider in top["internet"]["providers"]:
        yield provider["name"], ()
    for exchange in top["internet"]["exchanges"]:
        yield exchange["name"], ("-rs",)
    for site in top["sites"]:
        for switch in site["switches"]:
            yield switch["name"], ()
        for access_point in site["access_points"]:
            yield access_point["name"], ("-air",)
        yield site["home_router"]["name"], ("-sw",)
        for line in site["connections"]:
            yield line["modem"], ()
        yield site["firewall"]["name"], ("-sw",)
        yield site["router"]["name"], ()
        for endpoint in site["endpoints"]:
            kind = kind_of(endpoint["kind"].text)
            two_parts = (kind is not None and kind.pc_port) or endpoint["ap"].given
            yield endpoint["name"], ("-sw",) if two_parts else ()
            yield endpoint["pc"], ()
    for gateway in top["sd_wan"]["gateways"]:
        yield gateway["name"], ()
    for region in top["cloud"]["regions"]:
        for datacentre in region["datacentres"]:
            yield datacentre["name"], ("-br", "-sw", "-sbc", "-cc", "-px", "-web")
    for server in top["cloud"]["services"]:
        yield server["name"], ()
    for group in top["cloud"]["groups"]:
        yield group["name"], ()
    edges = [f"-edge{number}" for number, _ in enumerate((*top["sites"], *_places(top)), start=1)]
    for carrier in top["carriers"]:
        row = (f"-{number + 1}" for number in range(EXCHANGE_SWITCHES))
        network = carrier_kind_of(carrier["kind"].text)
        programmed = network is not None and network.programmed
        yield carrier["name"], tuple(row) if programmed else ("-core", "-x1", "-x2", *edges)
