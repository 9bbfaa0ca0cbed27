"""What is broken on purpose in a running lab, and how: cables cut, black holes, brown-outs, dead routers (V2,
W6)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from uclab.emulation.build.line_control import LineControl, NotPossible
from uclab.emulation.link.black_hole import BlackHoleError
from uclab.emulation.link.impairment import ImpairmentError
from uclab.emulation.linux.conntrack import forget_connections
from uclab.emulation.linux.queues import QueueError
from uclab.emulation.mininet.network import LabNet
from uclab.emulation.routing.learned import forget_learned
from uclab.lab.errors import Refused
from uclab.lab.events import EventLog
from uclab.lab.line_changes import tell
from uclab.lab.router_programs import RouterPrograms
from uclab.plan.schema.plan import Plan
from uclab.plan.traffic.breakable import NotBreakable, broken_links, concerned_links
from uclab.plan.wan.brown_out import BadFigures, from_figures
from uclab.records.run import FAILED, HEALED
from uclab.runtime.node import NotReady

LEAVING = "leaving"
"""The figure that names the one device whose packets are concerned."""
_WORDS = {
    "cut": "cut",
    "black-hole": "black-holed",
    "brown-out": "in a brown-out",
    "kill": "up, not forwarding",
}


class Failures:
    """Breaks links and restores them."""

    def __init__(
        self,
        plan: Plan,
        events: EventLog,
        path_changed: Callable[[Sequence[str], str, bool], None] = lambda links, words, restored: None,
    ) -> None:
        """`path_changed` is told of links that carry nothing from now on, or do so again (True), and why."""
        self._plan = plan
        self._events = events
        self._path_changed = path_changed
        self._broken: dict[str, set[str]] = {}
        """How each link is broken."""
        self._dead: set[str] = set()
        """Devices that were killed."""
        self.names: set[str] = set()
        """What was named when something was broken: links and devices."""

    async def fail(
        self,
        network: LabNet,
        control: LineControl,
        routers: RouterPrograms,
        name: str,
        how: str,
        figures: Mapping[str, object],
    ) -> str:
        """Break a link, or all links of a device; says in words what was done. Raises `Refused`."""
        try:
            links = broken_links(self._plan, name, how)
        except NotBreakable as error:
            raise Refused(str(error)) from error
        if how == "kill" and figures:
            raise Refused("a kill takes the whole router: figures and `leaving` do not apply")
        leaving = str(figures[LEAVING]) if figures.get(LEAVING) else None
        rest = {key: value for key, value in figures.items() if key != LEAVING}
        if rest and how != "brown-out":
            raise Refused(f"figures ({', '.join(rest)}) belong to a brown-out, not to `{how}`")
        if leaving and how == "cut":
            raise Refused("a cut cable carries nothing in either direction; `leaving` is for black holes")
        try:
            if how == "brown-out":
                brown_out = from_figures(rest)
                for link in links:
                    self._note(link, how)
                    tell(
                        self._events,
                        how,
                        await asyncio.to_thread(control.brown_out, link, brown_out, leaving),
                    )
            elif how in ("black-hole", "kill"):
                for link in links:
                    self._note(link, how)
                    await asyncio.to_thread(control.drop_all, link, leaving)
            else:
                for link in links:
                    self._note(link, how)
                    await asyncio.to_thread(network.fail_link, link)
        except (BadFigures, NotPossible, BlackHoleError, ImpairmentError, QueueError) as error:
            raise Refused(str(error)) from error
        if how != "brown-out":  # connections outlive that
            self._path_changed(links, f"{name} has failed", False)
        if how == "kill":
            # only now: a program that is ended closes its sessions with its neighbours, and a dead router
            # does not
            self._dead.add(name)
            ended = await routers.kill(name)
            detail = f"killed: {', '.join(ended) or 'no programs'}; dark: {', '.join(links)}"
            self._events.add(name, FAILED, detail, links=links)
            self.names.add(name)
            return f"{name}: killed ({len(ended)} programs ended; {_counted(links)} {_WORDS[how]})"
        self.names.add(name)
        given = ",".join(f"{key}={value}" for key, value in figures.items())
        detail = ", ".join(links) if how == "cut" else f"{how} {given}".strip() + f": {', '.join(links)}"
        self._events.add(name, FAILED, detail, links=links)
        return f"{name}: {_counted(links)} {_WORDS[how]} ({', '.join(links)})"

    async def heal(self, network: LabNet, control: LineControl, routers: RouterPrograms, name: str) -> str:
        """Undo all that `fail` did to a link, or to the links of a device."""
        links = self._concerned(name)
        if name in self._dead:
            await self._revive(network, routers, name)
        try:
            broken = [link for link in links if link in self._broken]
            dark = [link for link in broken if self._broken[link] - {"brown-out"}]
            for link in broken:
                ways = self._broken.pop(link)
                if "brown-out" in ways:
                    tell(self._events, HEALED, await asyncio.to_thread(control.clear_up, link))
                if ways & {"black-hole", "kill"}:
                    await asyncio.to_thread(control.drop_all, link, on=False)
                if "cut" in ways:
                    await asyncio.to_thread(network.heal_link, link)
        except (BlackHoleError, ImpairmentError, QueueError) as error:
            raise Refused(str(error)) from error
        self.names = {
            name for name in self.names if any(link in self._broken for link in self._concerned(name))
        }
        if dark:
            self._path_changed(dark, f"{name} is back", True)
        if not broken:
            return f"{name}: nothing was broken ({', '.join(links)})"
        self._events.add(name, HEALED, ", ".join(broken), links=broken)
        return f"{name}: {_counted(broken)} up again ({', '.join(broken)})"

    async def _revive(self, network: LabNet, routers: RouterPrograms, name: str) -> None:
        """A router as after a restart: no connections, no learned routes, programs that start over; still in
        the dark."""
        namespace = network[name].live_namespace()
        try:
            await asyncio.to_thread(forget_connections, namespace)
            await asyncio.to_thread(forget_learned, namespace)
            await routers.start(name)
        except (NotReady, OSError) as error:
            raise Refused(str(error)) from error
        self._dead.discard(name)

    def _note(self, link: str, how: str) -> None:
        """Before it is done: what an error leaves half done is undone by `heal`, too."""
        self._broken.setdefault(link, set()).add(how)

    def _concerned(self, name: str) -> tuple[str, ...]:
        try:
            return concerned_links(self._plan, name)
        except NotBreakable as error:
            raise Refused(str(error)) from error


def _counted(links: Sequence[str]) -> str:
    return f"{len(links)} link{'s' if len(links) > 1 else ''}"
