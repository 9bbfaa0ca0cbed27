"""What spans several values of a file: each check is a generator of mistakes over the places of a document.

A new kind of site, line or endpoint brings a module of its own and a line in the function that it belongs to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from uclab.model.checks import (
    addresses,
    calls,
    carriers,
    cloud_services,
    endpoints,
    exchanges,
    groups,
    home_router,
    lines,
    names,
    peering,
    policies,
    power,
    sdn_carriers,
    sdwan,
    switching,
    timetables,
    untrusted,
    wireless,
)
from uclab.model.checks.advice import policy_advice, topology_advice
from uclab.model.diagnostic import Diagnostic
from uclab.model.yaml_location import YamlLocation

Check = Callable[[YamlLocation], Iterator[Diagnostic]]


def topology_mistakes(top: YamlLocation) -> Iterator[Diagnostic]:
    """Cross checks of a topology."""
    yield from names.check(top)
    yield from addresses.check(top)
    yield from switching.check(top)
    yield from endpoints.check(top)
    yield from lines.check(top)
    yield from sdwan.check(top)
    yield from carriers.check(top)
    yield from sdn_carriers.check(top)
    yield from home_router.check(top)
    yield from exchanges.check(top)
    yield from wireless.check(top)
    yield from cloud_services.check(top)
    yield from groups.check(top)


def profile_mistakes(top: YamlLocation) -> Iterator[Diagnostic]:
    """Cross checks of a link profile."""
    yield from lines.check_profile(top)
    yield from timetables.check_profile(top)


def policy_mistakes(top: YamlLocation) -> Iterator[Diagnostic]:
    """Cross checks of a policy."""
    yield from policies.check(top)
    yield from sdwan.check_policy(top)


extension_mistakes = names.check_extensions
"""Cross checks of a topology's extensions against its policy's emergency numbers."""
trust_mistakes = untrusted.check
"""Cross checks of a topology's endpoints at untrusted ports against its policy's classes."""
power_mistakes = power.check
"""Cross checks of a topology against its policy's power classes."""
peering_mistakes = peering.check
"""Cross checks of a topology's private circuits against what its policy asks of them."""
sdwan_mistakes = sdwan.check_against_policy
"""Cross checks of a topology's overlays against its policy."""
call_mistakes = calls.check
"""Cross checks of a topology's lines against what one call needs."""
condition_mistakes = timetables.check_connections
"""Cross checks of connections' conditions against the link profiles that they use."""
air_mistakes = wireless.check_air
"""Cross checks of access points against the link profiles that they use."""

__all__ = [
    "Check",
    "air_mistakes",
    "call_mistakes",
    "condition_mistakes",
    "extension_mistakes",
    "peering_mistakes",
    "policy_advice",
    "policy_mistakes",
    "power_mistakes",
    "profile_mistakes",
    "sdwan_mistakes",
    "topology_advice",
    "topology_mistakes",
    "trust_mistakes",
]
