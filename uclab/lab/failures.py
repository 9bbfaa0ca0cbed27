"""What is broken on purpose in a running lab, and how: cables cut, black holes, brown-outs, dead routers (V2,
W6)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Literal

from uclab.emulation.black_hole import BlackHoleError
from uclab.emulation.conntrack import forget_connections
from uclab.emulation.impairment import ImpairmentError
from uclab.emulation.line_control import LineControl, NotPossible
from uclab.emulation.network import LabNet
from uclab.emulation.queues import QueueError
from uclab.emulation.routing.learned import forget_learned
from uclab.lab.events import EventLog
from uclab.lab.line_changes import tell
from uclab.lab.refused import Refused
from uclab.lab.router_programs import RouterPrograms
from uclab.plan.brown_out import BadFigures, from_figures
from uclab.plan.records import FAILED
from uclab.plan.runtime import NotReady
from uclab.plan.types import NodeKind, Plan

How = Literal["cut", "black-hole", "brown-out", "kill"]
WAYS: tuple[How, ...] = ("cut", "black-hole", "brown-out", "kill")
LEAVING = "leaving"
"""The figure that names the one device whose packets are concerned."""
_WORDS = {
    "cut": "cut",
    "black-hole": "swallowing everything",
    "brown-out": "in a brown-out",
    "kill": "up, with nobody behind",
}
MORTAL = (NodeKind.ROUTER, NodeKind.CLOUD_ROUTER, NodeKind.ISP, NodeKind.FIREWALL)
"""Devices that can be killed: those that forward, and are themselves again within seconds."""


class Failures:
    """Breaks links and mends them."""

    def __init__(self, plan: Plan, events: EventLog) -> None:
        self._plan = plan
        self._events = events
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
        links = self._links_of(name)
        if how not in WAYS:
            raise Refused(f"a link fails by {', '.join(f'`{way}`' for way in WAYS)}, not by `{how}`")
        if how == "kill":
            self._refuse_immortal(name, figures)
        leaving = str(figures[LEAVING]) if figures.get(LEAVING) else None
        rest = {key: value for key, value in figures.items() if key != LEAVING}
        if rest and how != "brown-out":
            raise Refused(f"figures ({', '.join(rest)}) belong to a brown-out, not to `{how}`")
        if leaving and how == "cut":
            raise Refused("a cut cable carries nothing in either direction; `leaving` is for black holes")
        try:
            if how == "brown-out":
                brown_out = from_figures(rest)
                # of a device's cables those that are lines; where none is, the refusal says so
                links = [link for link in links if control.has_line(link)] or links[:1]
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
                    await asyncio.to_thread(control.swallow, link, leaving)
            else:
                for link in links:
                    self._note(link, how)
                    await asyncio.to_thread(network.fail_link, link)
        except (BadFigures, NotPossible, BlackHoleError, ImpairmentError, QueueError) as error:
            raise Refused(str(error)) from error
        if how == "kill":
            # only now: a program that is ended says good-bye to its neighbours, and a dead router does not
            self._dead.add(name)
            ended = await routers.kill(name)
            detail = f"killed: {', '.join(ended) or 'no programs'}; dark: {', '.join(links)}"
            self._events.add(name, FAILED, detail)
            self.names.add(name)
            return f"{name}: killed ({len(ended)} programs ended; {_counted(links)} {_WORDS[how]})"
        self.names.add(name)
        told = ",".join(f"{key}={value}" for key, value in figures.items())
        detail = ", ".join(links) if how == "cut" else f"{how} {told}".strip() + f": {', '.join(links)}"
        self._events.add(name, FAILED, detail)
        return f"{name}: {_counted(links)} {_WORDS[how]} ({', '.join(links)})"

    async def heal(self, network: LabNet, control: LineControl, routers: RouterPrograms, name: str) -> str:
        """Undo all that `fail` did to a link, or to the links of a device."""
        links = self._links_of(name)
        if name in self._dead:
            await self._revive(network, routers, name)
        try:
            broken = [link for link in links if link in self._broken]
            for link in broken:
                ways = self._broken.pop(link)
                if "brown-out" in ways:
                    tell(self._events, "healed", await asyncio.to_thread(control.clear_up, link))
                if ways & {"black-hole", "kill"}:
                    await asyncio.to_thread(control.swallow, link, on=False)
                if "cut" in ways:
                    await asyncio.to_thread(network.heal_link, link)
        except (BlackHoleError, ImpairmentError, QueueError) as error:
            raise Refused(str(error)) from error
        self.names = {one for one in self.names if any(link in self._broken for link in self._links_of(one))}
        if not broken:
            return f"{name}: nothing was broken ({', '.join(links)})"
        self._events.add(name, "healed", ", ".join(broken))
        return f"{name}: {_counted(broken)} up again ({', '.join(broken)})"

    def _refuse_immortal(self, name: str, figures: Mapping[str, object]) -> None:
        mortal = [node.name for node in self._plan.nodes if node.kind in MORTAL]
        if name not in mortal:
            raise Refused(
                f"`{name}` cannot be killed, as what runs there would not be itself again within seconds; "
                f"it can be cut off. To be killed: {', '.join(mortal)}"
            )
        if figures:
            raise Refused("who is killed is killed as a whole: neither figures nor `leaving` belong to it")

    async def _revive(self, network: LabNet, routers: RouterPrograms, name: str) -> None:
        """A router as after a restart: no connections, no learned routes, programs that begin anew; still in
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

    def _links_of(self, name: str) -> list[str]:
        links = self._plan.links
        by_name = [link.name for link in links if link.name == name]
        of_device = [link.name for link in links if name in (link.a.device, link.b.device)]
        if not by_name and not of_device:
            devices = sorted({end.device for link in links for end in (link.a, link.b)})
            names = ", ".join([*sorted(link.name for link in links), *devices])
            raise Refused(f"no link or node `{name}`; there are: {names}")
        return by_name or of_device


def _counted(links: Sequence[str]) -> str:
    return f"{len(links)} link{'s' if len(links) > 1 else ''}"
