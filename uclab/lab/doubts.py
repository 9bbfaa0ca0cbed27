"""Whether a registration still stands after the way to the cloud was broken or restored (V2).

A phone takes its connection for alive until its keep-alive tells otherwise, seconds later; meanwhile nobody
reaches it. The lab knows what it broke: what a phone says of itself is doubted until the phone has registered
again, or would have detected it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from uclab.plan.paths.reachability import Reachability
from uclab.plan.resolve.lines import wan_lines
from uclab.plan.schema.plan import Endpoint, Link, Plan


@dataclass(frozen=True)
class Doubt:
    """Why a registration may be one on paper alone."""

    began: float
    """Seconds since the epoch."""
    words: str
    proof_from: float
    """A registration from then on came over the way that stays."""
    ends: float
    """By then the phone would have detected that its connection is dead."""


class Doubts:
    """What is doubted of whom, in a running lab."""

    def __init__(self, plan: Plan, clock: Callable[[], float] = time.time) -> None:
        self._plan = plan
        self._ways = Reachability(plan)
        self._clock = clock
        self._links = {link.name: link for link in plan.links}
        self._doubts: dict[str, Doubt] = {}
        self._owners: dict[str, set[str]] = {}
        """Sites whose lines a cable is a part of."""
        cable = {end: link.name for link in plan.links for end in (link.a, link.b)}
        for line in wan_lines(plan):
            for part in (line.link, cable.get(line.near), cable.get(line.far)):
                if part is not None:
                    self._owners.setdefault(part, set()).add(line.site)

    def path_changed(self, links: Iterable[str], reason: str, restored: bool) -> None:
        """Links were broken (`restored`: plugged in again, so that traffic may move back after a while)."""
        changed = [self._links[name] for name in links if name in self._links]
        now = self._clock()
        for endpoint in self._plan.endpoints:
            if not endpoint.registers or not any(self._concerns(link, endpoint) for link in changed):
                continue
            timing = endpoint.registration
            proof = now + (self._moving_back_s(endpoint) if restored else 0.0)
            detected = proof + timing.lost_s + timing.probe_s
            self._doubts[endpoint.name] = Doubt(now, reason, proof, detected)

    def of(self, endpoint: str, registered: float | None) -> str | None:
        """Why the registration is doubted that the endpoint got at that time; None where it is not."""
        doubt = self._doubts.get(endpoint)
        if doubt is None or self._clock() >= doubt.ends:
            return None
        if registered is not None and registered > doubt.proof_from:
            return None
        return doubt.words

    def settled_in_s(self, endpoint: str) -> float:
        """How long until nothing is in doubt any more, seconds."""
        doubt = self._doubts.get(endpoint)
        return max(0.0, doubt.ends - self._clock()) if doubt is not None else 0.0

    def _concerns(self, link: Link, endpoint: Endpoint) -> bool:
        """Whether an endpoint's packets may pass a link: those of its planned way, and all between its site
        and the cloud, since they may have been rerouted before."""
        if link in self._ways.crossed.get(endpoint.name, ()):
            return True
        if link.name in self._owners:
            return self._ways.site_of[endpoint.node] in self._owners[link.name]
        forwarding = {node.name for node in self._plan.nodes if node.forwarding}
        forwarding |= {switch.name for switch in self._plan.switches}
        places = {self._ways.site_of[end.device] for end in (link.a, link.b)}
        outside = places - set(self._ways.sites)
        foreign = places - outside - {self._ways.site_of[endpoint.node]}
        return bool(outside) and not foreign and {link.a.device, link.b.device} <= forwarding

    def _moving_back_s(self, endpoint: Endpoint) -> float:
        """How long a site's routers may wait until they lead traffic back to a restored line, seconds: by the
        watch of their lines, or until BGP has its session again."""
        site = self._ways.site_of[endpoint.node]
        routers = [node for node in self._plan.nodes if node.site == site and node.forwarding]
        names = {router.name for router in routers}
        waits = [
            watch.return_after_s + watch.lost_after * watch.interval_ms / 1000
            for watch in self._plan.line_watches
            if watch.router in names
        ]
        waits += [float(router.routing.hold_time_s) for router in routers if router.routing is not None]
        return max(waits, default=0.0)
