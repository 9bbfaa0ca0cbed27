"""What can be built and run, but will not do what its writer hopes: warnings, each with what is lost."""

from __future__ import annotations

from collections.abc import Iterator

from uclab.kinds.endpoint_kind import device_of
from uclab.model.checks.marking import unqueued_media
from uclab.model.diagnostic import Diagnostic, shown
from uclab.model.yaml_location import YamlLocation


def topology_advice(top: YamlLocation) -> Iterator[Diagnostic]:
    """Of a topology without mistakes."""
    for site in top["sites"]:
        if not site["home_router"].given:
            yield from _phones_among_pcs(site)


def policy_advice(top: YamlLocation) -> Iterator[Diagnostic]:
    """Of a policy without mistakes."""
    yield from unqueued_media(top)


def _phones_among_pcs(site: YamlLocation) -> Iterator[Diagnostic]:
    """A phone without voice VLAN, as when LLDP-MED gave it none: what it marks is worth what a PC marks."""
    roles = {vlan["name"].text: vlan["role"].text for vlan in site["vlans"]}
    voice = next((name for name, role in roles.items() if role == "voice"), None)
    for endpoint in site["endpoints"]:
        chosen = endpoint["vlan"]
        if device_of(endpoint["kind"].text) != "phone" or roles.get(chosen.text) != "data":
            continue
        pc = endpoint["pc"].text
        beside = f"its PC {shown(pc)} and all others" if pc else "all PCs"
        yield chosen.mistake(
            f"phone {shown(endpoint['name'].text)} is in the data VLAN {shown(chosen.text)} "
            f"with {beside}: its marks are not trusted (classes go by ports alone), "
            "its frames carry no priority between phone and switch, and the PCs' broadcasts reach it",
            f"leave `vlan` out, so that it is in {shown(voice)}"
            if voice
            else "add a VLAN with `role: voice`",
        )
