"""What of a plan can be broken, and how: one vocabulary for `fail`, `heal` and incidents (V2).

Pure: a scenario asks before a lab starts what the lab would answer while it runs.
"""

from __future__ import annotations

from collections.abc import Iterable

from uclab.plan.resolve.lines import wan_lines
from uclab.plan.schema.plan import Impairment, LinkEnd, NodeKind, Plan
from uclab.records.run import How

WAYS: tuple[How, ...] = ("cut", "black-hole", "brown-out", "kill")
"""How something can fail."""
MORTAL = (NodeKind.ROUTER, NodeKind.CLOUD_ROUTER, NodeKind.ISP, NodeKind.FIREWALL)
"""Devices that can be killed: those that forward, and are themselves again within seconds."""


class NotBreakable(ValueError):
    """It cannot be broken so; the message says why, and what can."""


def controlled_ends(plan: Plan) -> dict[str, tuple[LinkEnd, LinkEnd]]:
    """Link -> the interfaces between which it is worsened or black-holes everything: those of its cable;
    of a WAN line through others' boxes (termination units, carriers, modems) those of its two routers."""
    ends = {link.name: (link.a, link.b) for link in plan.links}
    return ends | {line.link: (line.near, line.far) for line in wan_lines(plan)}


def planned_line(plan: Plan, sender: LinkEnd, receiver: LinkEnd) -> Impairment | None:
    """What a direction between two interfaces does as planned; None where it is a cable and nothing else."""
    node = next((node for node in plan.nodes if node.name == sender.device), None)
    lines = node.impairments if node is not None else ()
    return next(
        (
            line
            for line in lines
            if line.interface == sender.interface and line.arrives_at in (None, receiver)
        ),
        None,
    )


def lossy_links(plan: Plan) -> tuple[str, ...]:
    """The links that are more than a cable in at least one direction: they can have a brown-out."""
    return tuple(
        link
        for link, (a, b) in controlled_ends(plan).items()
        if planned_line(plan, a, b) is not None or planned_line(plan, b, a) is not None
    )


def broken_links(plan: Plan, name: str, how: str) -> tuple[str, ...]:
    """The links that fail when a link or a device of that name fails so. Raises `NotBreakable`.

    A cut, a black hole or a death concerns a device's own cables. A brown-out is one of whole lines: those
    that end at the device, or that the cable is a part of.
    """
    if how not in WAYS:
        raise NotBreakable(f"a link fails by {_listed(WAYS)}, not by `{how}`")
    links = links_of(plan, name)
    if how == "kill":
        _refuse_immortal(plan, name)
    if how != "brown-out":
        return links
    lossy = lossy_links(plan)
    found = [link for link in links if link in lossy] or _lines_through(plan, name, lossy)
    if not found:
        raise NotBreakable(
            f"{name}: a cable has no delay and no loss to change (it can be cut or be a black hole); "
            f"lines that have: {', '.join(sorted(lossy)) or 'none'}"
        )
    return tuple(found)


def links_of(plan: Plan, name: str) -> tuple[str, ...]:
    """The link of that name, or all cables of that device. Raises `NotBreakable` where there is neither."""
    by_name = tuple(link.name for link in plan.links if link.name == name)
    of_device = tuple(link.name for link in plan.links if name in (link.a.device, link.b.device))
    if not by_name and not of_device:
        devices = sorted({end.device for link in plan.links for end in (link.a, link.b)})
        names = ", ".join([*sorted(link.name for link in plan.links), *devices])
        raise NotBreakable(f"no link or node `{name}`; there are: {names}")
    return by_name or of_device


def concerned_links(plan: Plan, name: str) -> tuple[str, ...]:
    """Every link that can have been broken by that name, in whatever way: what `heal` looks at."""
    return tuple(dict.fromkeys([*links_of(plan, name), *_lines_through(plan, name, lossy_links(plan))]))


def _lines_through(plan: Plan, name: str, lossy: Iterable[str]) -> list[str]:
    """The lines that end at a device, or that begin or end with a cable."""
    cable = {end: link.name for link in plan.links for end in (link.a, link.b)}
    return [
        line.link
        for line in wan_lines(plan)
        if line.link in lossy
        and name in (line.near.device, line.far.device, cable.get(line.near), cable.get(line.far))
    ]


def _refuse_immortal(plan: Plan, name: str) -> None:
    mortal = [node.name for node in plan.nodes if node.kind in MORTAL]
    if name not in mortal:
        raise NotBreakable(
            f"`{name}` cannot be killed, as what runs there would not be itself again within seconds; "
            f"it can be cut off. To be killed: {', '.join(mortal)}"
        )


def _listed(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)
