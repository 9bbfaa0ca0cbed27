"""Power over Ethernet: a switch's budget carries its phones (N3)."""

from __future__ import annotations

from collections.abc import Iterator

from uclab.model.checks.switching import Hierarchy
from uclab.model.diagnostic import Diagnostic, shown
from uclab.model.policy import PolicyProfile
from uclab.model.topology import Switch
from uclab.model.yaml_location import YamlLocation

DEFAULT_WATTS: int = Switch.model_fields["poe_watts"].default


def check(top: YamlLocation, policy: PolicyProfile) -> Iterator[Diagnostic]:
    """The power that all endpoints of a switch need, by the policy's power classes, against its budget."""
    for site in top["sites"]:
        needs: dict[str, list[float]] = {}
        takers = Hierarchy.of(site).for_endpoints
        for endpoint in site["endpoints"]:
            watts = policy.watts(endpoint["kind"].text or "")
            if watts and endpoint["port"].text:
                needs.setdefault(endpoint["port"].text.partition("/")[0], []).append(watts)
        for switch in site["switches"]:
            if not switch.whole or switch["name"].text not in takers:
                continue
            budget = switch["poe_watts"].number_or(DEFAULT_WATTS)
            wanted = needs.get(switch["name"].text or "", [])
            if budget is not None and sum(wanted) > budget:
                phones = f"{len(wanted)} phone" + ("s that need" if len(wanted) > 1 else " that needs")
                yield switch["poe_watts"].mistake(
                    f"switch {shown(switch['name'].text)} has {budget} W for {phones} {sum(wanted):g} W",
                    f"give it `poe_watts` of {sum(wanted):g} or more",
                )
