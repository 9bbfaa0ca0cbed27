"""Flows of switches that neither learn nor have a controller: what a carrier's network does with a frame.

`forward` is a flow table in a few lines: the plan's paths and the tests see where a frame goes, and what it
looks like there, without a switch.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

IPV4, ARP = 0x0800, 0x0806
CUSTOMER_TAG, SERVICE_TAG = 0x8100, 0x88A8
"""Tag protocol identifiers of IEEE 802.1Q: of a customer's tag (C-tag) and of a service tag (S-tag)."""
MPLS = 0x8847
"""EtherType of unicast MPLS (RFC 5332)."""

StepKind = Literal[
    "push-vlan", "pop-vlan", "push-mpls", "pop-mpls", "set-vlan", "set-pcp", "set-label", "set-tc"
]


@dataclass(frozen=True)
class FlowAction:
    """One change of a frame. `value`: the tag's or label's EtherType for a push, what is left behind for
    `pop-mpls`, else the new value; `set-vlan` and `set-pcp` change the outermost tag."""

    kind: StepKind
    value: int = 0


@dataclass(frozen=True)
class SwitchFlow:
    """Frames from `in_port` that fit go through `steps` and leave by `out_port`; the highest priority that
    fits decides. None fits everything."""

    priority: int
    in_port: int
    out_port: int
    eth_type: int | None = None
    """What follows the tags: IPv4, ARP or MPLS."""
    vlan: int | None = None
    """VLAN id of the outermost tag; 0: no tag."""
    pcp: int | None = None
    """802.1p priority of the outermost tag."""
    dscp: int | None = None
    label: int | None = None
    tc: int | None = None
    steps: tuple[FlowAction, ...] = ()


@dataclass(frozen=True)
class Tag:
    """A VLAN tag."""

    protocol: int
    vlan: int
    pcp: int = 0


@dataclass(frozen=True)
class Frame:
    """As much of a frame as flows look at."""

    payload: int = IPV4
    """EtherType of what is behind tags and label."""
    dscp: int | None = None
    tags: tuple[Tag, ...] = ()
    """The outermost first."""
    label: int | None = None
    tc: int | None = None

    @property
    def eth_type(self) -> int:
        """What follows the tags."""
        return self.payload if self.label is None else MPLS

    def vlan(self, protocol: int) -> int | None:
        """VLAN id of the tag of that kind."""
        return next((tag.vlan for tag in self.tags if tag.protocol == protocol), None)


def words(flow: SwitchFlow) -> str:
    """A flow on one line, e.g. `10 in 1 type 0x8847 label 102 tc 5: pop-mpls 0x0800, out 3`."""
    fields = (("type", flow.eth_type), ("vlan", flow.vlan), ("pcp", flow.pcp), ("dscp", flow.dscp),
              ("label", flow.label), ("tc", flow.tc))  # fmt: skip
    match = [f"{name} {_number(value)}" for name, value in fields if value is not None]
    steps = [s.kind if s.kind == "pop-vlan" else f"{s.kind} {_number(s.value)}" for s in flow.steps]
    return f"{' '.join([f'{flow.priority} in {flow.in_port}', *match])}: " + ", ".join(
        [*steps, f"out {flow.out_port}"]
    )


def _number(value: int) -> str:
    return f"{value:#06x}" if value in (IPV4, ARP, CUSTOMER_TAG, SERVICE_TAG, MPLS) else str(value)


def forward(flows: Iterable[SwitchFlow], in_port: int, frame: Frame) -> tuple[int, Frame] | None:
    """The port by which a frame leaves and what it is then; None where no flow fits."""
    fitting = [flow for flow in flows if flow.in_port == in_port and _fits(flow, frame)]
    best = max(fitting, key=lambda flow: flow.priority, default=None)
    if best is None:
        return None
    for step in best.steps:
        frame = _changed(frame, step)
    return best.out_port, frame


def _fits(flow: SwitchFlow, frame: Frame) -> bool:
    outer = frame.tags[0] if frame.tags else Tag(0, 0)
    dscp = frame.dscp if frame.label is None else None
    pairs = (
        (flow.eth_type, frame.eth_type),
        (flow.vlan, outer.vlan),
        (flow.pcp, outer.pcp),
        (flow.dscp, dscp),
        (flow.label, frame.label),
        (flow.tc, frame.tc),
    )
    return all(wanted is None or wanted == found for wanted, found in pairs)


def _changed(frame: Frame, step: FlowAction) -> Frame:
    match step.kind:
        case "push-vlan":
            return replace(frame, tags=(Tag(step.value, 0), *frame.tags))
        case "pop-vlan":
            return replace(frame, tags=frame.tags[1:])
        case "set-vlan":
            return replace(frame, tags=(replace(frame.tags[0], vlan=step.value), *frame.tags[1:]))
        case "set-pcp":
            return replace(frame, tags=(replace(frame.tags[0], pcp=step.value), *frame.tags[1:]))
        case "push-mpls":
            return replace(frame, label=0, tc=0)
        case "pop-mpls":
            return replace(frame, label=None, tc=None, payload=step.value)
        case "set-label":
            return replace(frame, label=step.value)
        case "set-tc":
            return replace(frame, tc=step.value)
