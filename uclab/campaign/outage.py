"""The outage of a campaign: the first line of every site is cut for the middle third of the time (V2)."""

from __future__ import annotations

import time
from collections.abc import Sequence

from uclab.campaign.orders import CampaignOrder
from uclab.lab.client import LabClient
from uclab.plan.paths.reachability import Reachability
from uclab.plan.schema.plan import Plan


class Outage:
    """Looks at the time and does what is due."""

    def __init__(self, client: LabClient, links: Sequence[str], order: CampaignOrder) -> None:
        began = time.monotonic() + order.users / order.spawn_rate
        self._client = client
        self._links = links
        self._due = [(began + order.duration_s / 3, True), (began + 2 * order.duration_s / 3, False)]

    def look(self) -> str | None:
        """Cut or restore where it is time; in words what was done."""
        if not self._due or time.monotonic() < self._due[0][0]:
            return None
        _, cut = self._due.pop(0)
        for link in self._links:
            if cut:
                self._client.fail(link)
            else:
                self._client.heal(link)
        return f"{'cut' if cut else 'restored'}: {', '.join(self._links)}"


def first_lines(plan: Plan) -> tuple[str, ...]:
    """The link of the preferred line of every site (pure)."""
    return tuple(lines[0].link for lines in Reachability(plan).lines.values() if lines)
