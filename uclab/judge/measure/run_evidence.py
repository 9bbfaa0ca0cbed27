"""Everything that a check may look at, with the questions that several of them ask."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from uclab.capture.dissect import Signalling, SipMessage
from uclab.capture.headers import TCP
from uclab.judge.evidence.host_pressure import HostPressure
from uclab.judge.evidence.load_sample import Sample
from uclab.judge.evidence.network import Leg, PlannedNetwork, number
from uclab.judge.evidence.run import Run
from uclab.judge.measure.flows import Flow
from uclab.judge.measure.intruders import Intruders, Taken, find_intruders, relay_ports
from uclab.judge.measure.observe import Observations
from uclab.judge.measure.streams import Stream
from uclab.judge.measure.tap_evidence import Captured, tap_windows
from uclab.judge.measure.tap_windows import TapWindows
from uclab.plan.schema.plan import Endpoint
from uclab.records.run import CallRecord, Direction

DIRECTIONS: tuple[Direction, ...] = ("caller_to_callee", "callee_to_caller")


@dataclass(frozen=True)
class ObservedMarking:
    """What a packet's headers say of its priority and VLAN. -1: no such field."""

    dscp: int
    pcp: int
    vlan: int
    service_vlan: int = -1
    service_pcp: int = -1
    label: int = -1
    tc: int = -1


def marking_of(flow: Flow) -> ObservedMarking:
    """Marking and VLAN of a flow's packets."""
    key = flow.key
    return ObservedMarking(key.dscp, key.pcp, key.vlan, key.service_vlan, key.service_pcp, key.label, key.tc)


def controller_port(leg: Leg, flow: Flow) -> int:
    """The session controller's port of what goes to or from it."""
    return flow.key.sport if leg == "down" else flow.key.dport


@dataclass(frozen=True)
class RunEvidence:
    """What the files of a run show, and what its plan would have them show."""

    run: Run
    network: PlannedNetwork
    seen: Observations
    signalling: Signalling
    signalling_gap: str | None = None
    """Why nothing could be decrypted, where that is so."""
    notes: dict[str, str] = field(default_factory=dict)
    sample: Sample = field(default_factory=Sample)
    """Of a campaign: the calls whose signalling was dissected."""

    @cached_property
    def flows(self) -> list[Flow]:
        return self.seen.flows.all()

    @cached_property
    def windows(self) -> TapWindows:
        """From when to when each tap saw."""
        seen, run = self.seen, self.run
        return tap_windows(
            Captured(
                run.plan,
                seen.counts,
                seen.taps,
                run.capture_times,
                run.events,
                run.calls,
                run.alive,
                self._media_spans(),
                seen.misnamed,
            )
        )

    def _media_spans(self) -> dict[tuple[int, Leg], dict[str, tuple[int, int]]]:
        """SSRC and leg -> tap -> when its first and its last packet passed."""
        found: dict[tuple[int, Leg], dict[str, tuple[int, int]]] = {}
        for flow in self.flows:
            if flow.key.ssrc >= 0:
                at = found.setdefault((flow.key.ssrc, self.leg(flow)), {})
                first, last = at.get(flow.key.tap, (flow.first_ns, flow.last_ns))
                at[flow.key.tap] = min(flow.first_ns, first), max(flow.last_ns, last)
        return found

    @cached_property
    def host(self) -> HostPressure:
        """How long the lab's own programs had to wait for a processor."""
        return HostPressure(self.run.pressure, self.run.late_lines)

    def leg(self, flow: Flow) -> Leg:
        """Which way a flow goes."""
        known = self.network.media_addresses
        return "up" if flow.key.dst in known else "down" if flow.key.src in known else "direct"

    @cached_property
    def intruders(self) -> Intruders:
        """Who sends to relays, or in their name, and is in no call."""
        return find_intruders(self.network, self.flows, self.seen.taps, self.windows)

    @cached_property
    def media_markings(self) -> dict[tuple[int, str, Leg], Counter[ObservedMarking]]:
        """(SSRC, tap, leg) -> packets by marking."""
        found: dict[tuple[int, str, Leg], Counter[ObservedMarking]] = {}
        for flow in self.flows:
            if flow.key.ssrc >= 0 and id(flow) not in self.intruders.flows:
                seen = found.setdefault((flow.key.ssrc, flow.key.tap, self.leg(flow)), Counter())
                seen[marking_of(flow)] += flow.packets
        return found

    @cached_property
    def media_flows(self) -> dict[int, list[Flow]]:
        """Flows by SSRC."""
        found: dict[int, list[Flow]] = {}
        for flow in self.flows:
            if flow.key.ssrc >= 0 and id(flow) not in self.intruders.flows:
                found.setdefault(flow.key.ssrc, []).append(flow)
        return found

    @cached_property
    def _control_flows(self) -> list[tuple[Leg, Flow]]:
        """All RTCP to and from session controllers."""
        return [(self.leg(flow), flow) for flow in self.flows if flow.key.control >= 0]

    def control_of(self, stream: Stream) -> list[tuple[Leg, Flow]]:
        """RTCP that goes the way of a stream's media: its sender's, told by SSRC, and whatever else passes
        the session controller's ports of that media meanwhile (a relay may report on its own)."""
        media = [(self.leg(flow), flow) for flow in self.media_flows.get(stream.ssrc, [])]
        ports = {(leg, controller_port(leg, flow)) for leg, flow in media}
        begin, end = stream.first_ns, max((flow.last_ns for _, flow in media), default=0)
        found = []
        for leg, flow in self._control_flows:
            port = controller_port(leg, flow)
            beside = {(leg, port), (leg, port - 1)} & ports and begin <= flow.first_ns <= end
            if (flow.key.control == stream.ssrc or beside) and id(flow) not in self.intruders.flows:
                found.append((leg, flow))
        return found

    @cached_property
    def client_of(self) -> dict[tuple[str, int, int], str]:
        """(tap, address, port) of a TCP client -> endpoint. NAT changes address and port, not the initial
        sequence number."""
        first = {tap: name for name, tap in self.network.first_tap.items()}
        by_isn = {isn: first[tap] for tap, _, _, _, _, isn in self.seen.flows.opened if tap in first}
        return {
            (tap, src, sport): by_isn[isn]
            for tap, src, sport, _, _, isn in self.seen.flows.opened
            if isn in by_isn
        }

    @cached_property
    def signalling_flows(self) -> dict[str, list[tuple[Leg, Flow]]]:
        """Endpoint -> its TCP flows with the session controller, at all taps."""
        found: dict[str, list[tuple[Leg, Flow]]] = {}
        for flow in self.flows:
            key = flow.key
            if key.proto == TCP:
                up = self.client_of.get((key.tap, key.src, key.sport))
                down = self.client_of.get((key.tap, key.dst, key.dport))
                if up and key.dst in self.network.signalling_addresses:
                    found.setdefault(up, []).append(("up", flow))
                elif down and key.src in self.network.signalling_addresses:
                    found.setdefault(down, []).append(("down", flow))
        return found

    def endpoint_at_controller(self, address: str, port: int) -> str | None:
        """The endpoint behind an address and port that the session controller sees."""
        for tap in self.network.controller_taps:
            name = self.client_of.get((tap, number(address), port))
            if name:
                return name
        return None

    def sender_of(self, message: SipMessage) -> str | None:
        """The endpoint that sent a message; None for the session controller."""
        if number(message.at.src) in self.network.signalling_addresses:
            return None
        return self.endpoint_at_controller(message.at.src, message.at.sport)

    def call_directions(self) -> Iterator[tuple[CallRecord, Direction, Endpoint, Endpoint]]:
        """Every call that was to be established, each way, with the sending and the receiving endpoint."""
        endpoints = {endpoint.name: endpoint for endpoint in self.network.endpoints}
        for call in self.run.calls:
            caller = endpoints.get(self.network.endpoint_called(call.caller))
            callee = endpoints.get(self.network.endpoint_called(call.callee))
            if caller and callee and call.expected == "established":
                yield call, "caller_to_callee", caller, callee
                yield call, "callee_to_caller", callee, caller

    def stream(self, call: CallRecord, direction: Direction) -> Stream | None:
        """The media of one direction of a call: its longest stream, one that reached the other side before
        one that did not."""
        streams = self.streams.get((call.id, direction), [])
        return max(streams, key=lambda s: (s.received, s.sent), default=None)

    def taken(self, call: CallRecord, direction: Direction) -> Taken | None:
        """What an intruder did to one direction of a call; None where nobody did anything."""
        stream = self.stream(call, direction)
        if stream is None or not self.intruders.found:
            return None
        other: Direction = "callee_to_caller" if direction == "caller_to_callee" else "caller_to_callee"
        ports = relay_ports(self.network, self.media_flows, stream, self.stream(call, other))
        ended = call.ended_at if call.ended_at is not None else float("inf")
        end_ns = int(min(ended, 1 << 33) * 1e9)
        return self.intruders.against(ports, int(call.started_at * 1e9), end_ns)

    @cached_property
    def streams(self) -> dict[tuple[str, str], list[Stream]]:
        """(call, direction) -> streams."""
        found: dict[tuple[str, str], list[Stream]] = {}
        for stream in self.seen.media.streams:
            if stream.window is not None and stream.direction is not None:
                found.setdefault((stream.window.call, stream.direction), []).append(stream)
        return found

    def endpoint_name(self, index: int) -> str:
        """Name of an endpoint index of the media follower."""
        return self.network.endpoints[index].name if index >= 0 else "nobody"
