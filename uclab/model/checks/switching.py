"""Switch hierarchy: every switch has a way up to the site's top, where the firewall is plugged in (N3, V4).

The top is the highest role that a site has: core switches, in a smaller site distribution switches, in the
smallest one access switch. Uplinks lead to a higher role; between top switches they may lead sideways, each
cable written once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from uclab.model.diagnostic import Diagnostic, closest, listed, shown
from uclab.model.yaml_location import YamlLocation

RANKS = {"core": 2, "distribution": 1, "access": 0}


@dataclass(frozen=True)
class Hierarchy:
    """A site's switches by name, in the order of the file."""

    switches: Mapping[str, YamlLocation]
    complete: bool
    """Whether every switch has a role and a name of its own: only then can it be said what is missing."""

    @staticmethod
    def of(site: YamlLocation) -> Hierarchy:
        """The switches of a site as far as they can be told apart; of two with one name, the first."""
        switches: dict[str, YamlLocation] = {}
        complete = True
        for switch in site["switches"]:
            name = switch["name"].text
            complete = complete and name is not None and switch["role"].text in RANKS
            if name is not None:
                complete = complete and name not in switches
                switches.setdefault(name, switch)
        return Hierarchy(switches, complete and bool(switches))

    def role(self, name: str) -> str | None:
        """The role of a switch, None where it is absent or wrong."""
        role = self.switches[name]["role"].text if name in self.switches else None
        return role if role in RANKS else None

    def rank(self, name: str) -> int:
        """Higher is nearer to the core; -1 where the role is absent or wrong."""
        return RANKS.get(self.role(name) or "", -1)

    def uplinks(self, name: str) -> list[str]:
        """Names of the switches above, those that there are."""
        return [
            up.text
            for up in self.switches[name]["uplinks"]
            if up.text is not None and up.text in self.switches
        ]

    @cached_property
    def order(self) -> Mapping[str, int]:
        """The place of each switch in the file."""
        return {name: place for place, name in enumerate(self.switches)}

    @cached_property
    def ringed(self) -> frozenset[str]:
        """Switches that can be part of a ring of uplinks: what is left when loose ends are taken off."""
        above = {name: set(self.uplinks(name)) for name in self.switches}
        below: dict[str, list[str]] = {name: [] for name in above}
        for name, uplinks in above.items():
            for up in uplinks:
                below[up].append(name)
        loose = [name for name, uplinks in above.items() if not uplinks]
        while loose:
            gone = loose.pop()
            del above[gone]
            for name in below[gone]:
                above[name].discard(gone)
                if not above[name]:
                    loose.append(name)
        return frozenset(above)

    @cached_property
    def top(self) -> tuple[str, ...]:
        """Names of the top switches."""
        best = max((self.rank(name) for name in self.switches), default=-1)
        return tuple(name for name in self.switches if self.rank(name) == best)

    @cached_property
    def for_endpoints(self) -> tuple[str, ...]:
        """Switches that take endpoints: the access switches; where a site has one switch only, that one."""
        names = tuple(self.switches)
        return names if len(names) == 1 else tuple(name for name in names if self.role(name) == "access")


def check(top: YamlLocation) -> Iterator[Diagnostic]:
    """All switches and firewalls."""
    for site in top["sites"]:
        hierarchy = Hierarchy.of(site)
        wrong = [mistake for switch in site["switches"] for mistake in _uplinks(hierarchy, switch)]
        yield from wrong
        if hierarchy.complete:
            yield from _firewall(hierarchy, site)
            if not wrong:
                yield from _ways_up(hierarchy)
                yield from _islands(hierarchy)


def _uplinks(hierarchy: Hierarchy, switch: YamlLocation) -> Iterator[Diagnostic]:
    own = switch["name"].text
    role = switch["role"].text
    seen: set[str] = set()
    for uplink in switch["uplinks"]:
        target = uplink.text
        if target is None or own is None:
            continue
        if target in seen:
            yield uplink.mistake(f"uplink to {shown(target)} is given twice", "one cable to a switch")
        elif target == own and hierarchy.complete:
            yield uplink.mistake(
                f"switch {shown(own)} is uplinked to itself", "name another switch of the site"
            )
        elif target not in hierarchy.switches:
            if hierarchy.complete:
                others = [name for name in hierarchy.switches if name != own]
                found = f"there is no switch {shown(target)} in this site"
                yield uplink.mistake(found, f"known: {listed(others)}", closest(target, others))
        elif hierarchy.complete:
            yield from _direction(hierarchy, own, role or "", uplink, target)
        seen.add(target)


def _direction(
    hierarchy: Hierarchy, own: str, role: str, uplink: YamlLocation, target: str
) -> Iterator[Diagnostic]:
    """Uplinks lead up; between top switches sideways, but never round."""
    step = hierarchy.rank(target) - hierarchy.rank(own)
    if step < 0 or (step == 0 and own not in hierarchy.top):
        yield uplink.mistake(
            f"uplink from {role} switch {shown(own)} to {hierarchy.role(target)} switch {shown(target)}",
            "uplinks lead to a higher role",
        )
    elif step == 0 and hierarchy.order[target] < hierarchy.order[own] and _in_ring(hierarchy, own, target):
        yield uplink.mistake(
            f"uplinks from {shown(own)} by {shown(target)} form a loop back to {shown(own)}",
            "write each cable once, at one of its ends",
        )


def _in_ring(hierarchy: Hierarchy, goal: str, start: str) -> bool:
    """Whether uplinks form a loop back to a switch from one that it is uplinked to."""
    if not {goal, start} <= hierarchy.ringed:
        return False
    seen, ahead = {start}, [start]
    while ahead and goal not in seen:
        fresh = [up for up in hierarchy.uplinks(ahead.pop()) if up not in seen]
        seen.update(fresh)
        ahead += fresh
    return goal in seen


def _ways_up(hierarchy: Hierarchy) -> Iterator[Diagnostic]:
    """Every switch reaches a top switch by its uplinks; only the lowest broken step is said."""
    for name, switch in hierarchy.switches.items():
        if name not in hierarchy.top and switch.whole and not list(switch["uplinks"]):
            above = [other for other in hierarchy.switches if hierarchy.rank(other) > hierarchy.rank(name)]
            yield switch.mistake(
                f"switch {shown(name)} has no uplink path", f"give it `uplinks` to some of: {listed(above)}"
            )


def _islands(hierarchy: Hierarchy) -> Iterator[Diagnostic]:
    """All switches are joined with the first of the top, by cables in either direction."""
    joined: dict[str, set[str]] = {name: set() for name in hierarchy.switches}
    for name in hierarchy.switches:
        for up in hierarchy.uplinks(name):
            joined[name].add(up)
            joined[up].add(name)
    first = hierarchy.top[0]
    seen, ahead = {first}, [first]
    while ahead:
        fresh = joined[ahead.pop()] - seen
        seen |= fresh
        ahead += fresh
    for name in hierarchy.top:
        if name not in seen:
            yield hierarchy.switches[name].mistake(
                f"switch {shown(name)} is not cabled to {shown(first)}", f"give it `uplinks: [{first}]`"
            )


def _firewall(hierarchy: Hierarchy, site: YamlLocation) -> Iterator[Diagnostic]:
    for uplink in site["firewall"]["uplinks"]:
        name = uplink.text
        if name is None or name in hierarchy.top:
            continue
        role = hierarchy.role(name)
        found = (
            f"{shown(name)} is a switch of role {role}"
            if role
            else f"there is no switch {shown(name)} in this site"
        )
        allowed = f"a firewall is plugged into: {listed(hierarchy.top)}"
        yield uplink.mistake(found, allowed, closest(name, hierarchy.top))
