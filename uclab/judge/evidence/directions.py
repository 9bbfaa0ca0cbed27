"""Which way a frame goes on a link: away from the device whose port the tap is, or towards it.

A capture does not say it. The sender's MAC address does: a frame leaves a device that is nearer to its sender
than the device at the link's other end.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from functools import cached_property

from uclab.judge.evidence.network import PlannedNetwork


@dataclass
class Directions:
    """Answers from the plan; a MAC address that it does not know comes from beyond the link."""

    network: PlannedNetwork
    _known: dict[tuple[str, int], bool] = field(default_factory=dict)

    def leaves(self, tap: str, sender: int) -> bool:
        """Whether a frame of this sender (MAC address as a number) leaves the tap's device there."""
        key = (tap, sender)
        if key not in self._known:
            self._known[key] = self._leaves(tap, sender)
        return self._known[key]

    def _leaves(self, tap: str, sender: int) -> bool:
        device, peer = self._ends.get(tap, ("", ""))
        source = self.network.node_of_mac.get(sender)
        if source is None or not device:
            return False
        steps = self._steps(source)
        far = len(self._graph)
        return steps.get(device, far) < steps.get(peer, far)

    def _steps(self, source: str) -> dict[str, int]:
        """How many links lie between the source and each device that it can reach."""
        if source not in self._steps_from:
            steps, queue = {source: 0}, deque([source])
            while queue:
                here = queue.popleft()
                for other in self._graph.get(here, ()):
                    if other not in steps:
                        steps[other] = steps[here] + 1
                        queue.append(other)
            self._steps_from[source] = steps
        return self._steps_from[source]

    @cached_property
    def _steps_from(self) -> dict[str, dict[str, int]]:
        return {}

    @cached_property
    def _graph(self) -> dict[str, set[str]]:
        graph: dict[str, set[str]] = {}
        for link in self.network.plan.links:
            graph.setdefault(link.a.device, set()).add(link.b.device)
            graph.setdefault(link.b.device, set()).add(link.a.device)
        return graph

    @cached_property
    def _ends(self) -> dict[str, tuple[str, str]]:
        """Tap -> (its device, the device at the other end of its link)."""
        labels = {(tap.device, tap.interface): tap.label for tap in self.network.plan.taps}
        ends = {}
        for link in self.network.plan.links:
            for near, far in ((link.a, link.b), (link.b, link.a)):
                if (near.device, near.interface) in labels:
                    ends[labels[near.device, near.interface]] = (near.device, far.device)
        return ends
