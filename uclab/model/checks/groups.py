"""Groups for text messages: their members are endpoints that there are."""

from __future__ import annotations

from collections.abc import Iterator

from uclab.model.checks.uniqueness import repeats
from uclab.model.diagnostic import Diagnostic, closest, listed, shown
from uclab.model.yaml_location import YamlLocation


def check(top: YamlLocation) -> Iterator[Diagnostic]:
    """Each member is an endpoint of a site, and is in its group once."""
    places = [endpoint["name"] for site in top["sites"] for endpoint in site["endpoints"]]
    known = [place.text for place in places if place.text is not None]
    for group in top["cloud"]["groups"]:
        members = list(group["members"])
        for member in members:
            if member.text is not None and member.text not in known and len(known) == len(places):
                found = f"there is no endpoint {shown(member.text)}"
                yield member.mistake(found, f"known: {listed(known)}", closest(member.text, known))
        yield from repeats(((member.text, member) for member in members), "member", "each is there once")
