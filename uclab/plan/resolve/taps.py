"""Capture points: one at each end of each cable."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from uclab.plan.schema.plan import Link, LinkEnd, PortMode, Switch, SwitchPort, Tap


def port_of(switches: Iterable[Switch]) -> dict[LinkEnd, tuple[Switch, SwitchPort]]:
    """Switch and port at a cable's end."""
    return {
        LinkEnd(switch.name, port.interface): (switch, port) for switch in switches for port in switch.ports
    }


def build_taps(links: Sequence[Link], switches: Sequence[Switch]) -> tuple[Tap, ...]:
    """A tap at both ends of every cable: `acc1:3` on a switch port, `fw:voice` on a node's interface."""
    ports = port_of(switches)
    taps = []
    for link in links:
        for end in (link.a, link.b):
            if end in ports:
                switch, port = ports[end]
                tagged = port.mode is not PortMode.ACCESS
                taps.append(
                    Tap(f"{switch.name}:{port.number}", switch.engine, end.interface, switch.name, tagged)
                )
            else:
                taps.append(
                    Tap(
                        f"{end.device}:{end.interface}",
                        end.device,
                        end.interface,
                        end.device,
                        tagged=link.kind == "air",
                    )
                )
    return tuple(taps)
