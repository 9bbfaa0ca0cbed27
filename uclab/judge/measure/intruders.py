"""Who sends to a media relay's ports, or in its name, and is in no call: found by address, by the host whose
own tap shows it, and by what never came over the line of the address that it claims (C7)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from uclab.capture.headers import UDP
from uclab.judge.evidence.callers import Callers
from uclab.judge.evidence.network import PlannedNetwork, text
from uclab.judge.measure.flows import Flow
from uclab.judge.measure.observe import TapState
from uclab.judge.measure.streams import Stream
from uclab.judge.measure.tap_windows import TapWindows

Way = tuple[int, int, int, int]
"""Source address and port, destination address and port."""


@dataclass
class Intruder:
    """One of them, with all that was seen of it."""

    source: int
    """Address that its packets carry as their source: a relay's own where it pretends to be one."""
    node: str | None
    """The host that sends them, where a tap of its own shows it or the address is its own."""
    sent: list[Flow] = field(default_factory=list)
    """Its packets, at all taps."""
    returned: list[Flow] = field(default_factory=list)
    """What a relay sent to it, at all taps."""

    @property
    def name(self) -> str:
        """`web (198.19.0.6)`, or the address alone."""
        return f"{self.node} ({text(self.source)})" if self.node else text(self.source)

    @property
    def blame(self) -> str:
        """The device, or the address where nothing is known of the device."""
        return self.node or text(self.source)

    @property
    def taps(self) -> list[str]:
        """Where its packets passed, in order of time."""
        return list(dict.fromkeys(flow.key.tap for flow in sorted(self.sent, key=lambda f: f.first_ns)))

    def ports(self, relays: Collection[int]) -> frozenset[int]:
        """The relays' ports that it sends to, or pretends to send from."""
        return frozenset(f.key.dport if f.key.dst in relays else f.key.sport for f in self.sent)

    def at(self, taps: Collection[str]) -> list[Flow]:
        """What it sent, where it passed one of these taps."""
        return [flow for flow in self.sent if flow.key.tap in taps]


@dataclass(frozen=True)
class Taken:
    """What an intruder did to one direction of a call."""

    intruder: Intruder
    forged: int
    """Its packets to the relay's ports of this direction."""
    diverted: int
    """Packets from the port of this direction that the relay sent to the intruder."""

    @property
    def words(self) -> str:
        """What became of the call's packets."""
        forged = f"{self.forged} forged packets came from {self.intruder.name}"
        return f"{forged}, to whom the relay sent {self.diverted}" if self.diverted else forged


@dataclass(frozen=True)
class Intruders:
    """All of a run."""

    network: PlannedNetwork
    callers: Callers
    found: tuple[Intruder, ...]

    @cached_property
    def flows(self) -> frozenset[int]:
        """Identities of the flows that intruders sent: they are no call's, whatever SSRC they carry."""
        return frozenset(id(flow) for intruder in self.found for flow in intruder.sent)

    @cached_property
    def ssrcs(self) -> frozenset[int]:
        """SSRCs in what intruders sent."""
        return frozenset(
            flow.key.ssrc for intruder in self.found for flow in intruder.sent if flow.key.ssrc >= 0
        )

    def sender_of(self, ssrc: int, port: int) -> Intruder | None:
        """Who forges media with that SSRC to or from that port of a relay."""
        for intruder in self.found:
            for flow in intruder.sent:
                if flow.key.ssrc == ssrc and port in (flow.key.sport, flow.key.dport):
                    return intruder
        return None

    def against(self, ports: RelayPorts, begin_ns: int, end_ns: int) -> Taken | None:
        """The one that did most to a direction of a call meanwhile; None where nobody did anything."""
        taps, relays = self.network.controller_taps, self.callers.relays
        best: Taken | None = None
        for intruder in self.found:
            now = [f for f in intruder.at(taps) if f.first_ns < end_ns and f.last_ns > begin_ns]
            into = [f for f in now if f.key.dst in relays and f.key.dport in ports.all]
            back = [f for f in intruder.returned if f.first_ns < end_ns and f.last_ns > begin_ns]
            away = [f for f in back if f.key.tap in taps and f.key.sport in ports.out]
            if not into and not away:
                continue
            taken = Taken(intruder, sum(f.packets for f in into), sum(f.packets for f in away))
            if best is None or (taken.diverted, taken.forged) > (best.diverted, best.forged):
                best = taken
        return best


@dataclass(frozen=True)
class RelayPorts:
    """The relay's ports of one direction of a call."""

    into: frozenset[int]
    """Where the sender's packets arrive."""
    out: frozenset[int]
    """From where they leave to the receiver."""

    @property
    def all(self) -> frozenset[int]:
        return self.into | self.out


def relay_ports(
    network: PlannedNetwork,
    media_flows: Mapping[int, Sequence[Flow]],
    stream: Stream,
    opposite: Stream | None,
) -> RelayPorts:
    """By what was seen at the controllers' taps. A receiver sends to the port that it is sent to from: that
    tells the port also where nothing left to the receiver."""
    taps, addresses = network.controller_taps, network.media_addresses

    def ports(of: Stream | None, *, up: bool) -> set[int]:
        flows = media_flows.get(of.ssrc, ()) if of is not None else ()
        here = [flow.key for flow in flows if flow.key.tap in taps]
        return {k.dport if up else k.sport for k in here if (k.dst if up else k.src) in addresses}

    return RelayPorts(
        frozenset(ports(stream, up=True)), frozenset(ports(stream, up=False) | ports(opposite, up=True))
    )


def find_intruders(
    network: PlannedNetwork, flows: Iterable[Flow], taps: Mapping[str, TapState], windows: TapWindows
) -> Intruders:
    """Looks at every UDP packet with payload to or from the relays' media ports."""
    callers = Callers(network.plan)
    relays, (low, high) = callers.relays, network.policy.media_ports
    into: list[Flow] = []
    away: list[Flow] = []
    for flow in flows:
        key = flow.key
        if key.proto == UDP and key.loaded:
            if key.dst in relays and low <= key.dport <= high:
                into.append(flow)
            elif key.src in relays and low <= key.sport <= high:
                away.append(flow)
    search = _Search(network, callers, into, away, taps, windows)
    return Intruders(network, callers, search.run())


@dataclass
class _Search:
    network: PlannedNetwork
    callers: Callers
    into: list[Flow]
    away: list[Flow]
    taps: Mapping[str, TapState]
    windows: TapWindows
    found: dict[tuple[int, str | None], Intruder] = field(default_factory=dict)

    def run(self) -> tuple[Intruder, ...]:
        for flow in self.into:
            if self.callers.is_stranger(flow.key.src):
                self._add(flow.key.src, self._owner(flow.key.src), [flow])
        for flow in self.away:
            if self.callers.is_stranger(flow.key.dst):
                self._intruder(flow.key.dst, self._owner(flow.key.dst)).returned.append(flow)
        self._found_at_its_own_tap()
        self._never_on_its_line()
        return tuple(self.found.values())

    def _found_at_its_own_tap(self) -> None:
        """Hosts without a part in calls that send from an address that is not theirs, or from inside a site;
        and their packets farther on, unless somebody else sends the same way."""
        plan = self.network.plan
        hosts = {n.name for n in plan.nodes if not n.forwarding and n.name not in self.callers.parties}
        own = {(t.label, self.network.mac_at(t)): t.namespace for t in plan.taps if t.namespace in hosts}
        for flow in (*self.into, *self.away):
            key, node = flow.key, own.get((flow.key.tap, flow.key.src_mac))
            if node is not None and (key.src in self.callers.relays or not self.callers.is_stranger(key.src)):
                intruder = self._ways[_way(flow)]
                shared = {other.key.tap for other in intruder} & self._taps_of(key.src)
                self._add(key.src, node, [flow] if shared else intruder)

    def _never_on_its_line(self) -> None:
        """Packets that came to a relay with somebody's address and were never at the taps of the device that
        has it; and such that came to an endpoint with a relay's address and were never at the relay's."""
        known = {id(flow) for intruder in self.found.values() for flow in intruder.sent}
        ends = set(self.network.controller_taps)
        first = set(self.network.first_tap.values()) - ends
        # Behind address translation the relay's port is all that has stayed the same.
        left = {flow.key.sport for flow in self.away if flow.key.tap in ends}
        for flow in (*self.into, *self.away):
            key = flow.key
            arrived = key.tap in ends if key.dst in self.callers.relays else key.tap in first
            if not arrived or id(flow) in known or (key.src in self.callers.relays and key.sport in left):
                continue
            intruder, taps = self._ways[_way(flow)], self._taps_of(key.src)
            seen = {other.key.tap for other in intruder} | self._came_out(key.src, intruder)
            if taps and not taps & seen and self._saw_it_all(flow, taps):
                self._add(key.src, None, intruder)

    def _came_out(self, address: int, flows: Sequence[Flow]) -> set[str]:
        """The taps of the device that has an address, where the other end of a cable of it saw the packets
        come out: then its own taps missed them."""
        node, macs = self._owner(address), self.network.cable_macs
        out = any(
            self.network.node_of_mac.get(flow.key.src_mac) == node
            and self.network.node_of_mac.get(macs.get(flow.key.tap, (-1, -1))[1]) == node
            for flow in flows
        )
        return self._taps_of(address) if out else set()

    def _saw_it_all(self, flow: Flow, taps: Collection[str]) -> bool:
        """Whether these taps saw what passed while the flow lasted: then it did not pass there."""
        if self.windows.first_gap(taps, flow.first_ns, flow.last_ns) is not None:
            return False
        states = [self.taps.get(tap) for tap in taps]
        return all(s is not None and not s.dropped for s in states) and any(
            s is not None and s.covers(flow) for s in states
        )

    @cached_property
    def _ways(self) -> dict[Way, list[Flow]]:
        found: dict[Way, list[Flow]] = {}
        for flow in (*self.into, *self.away):
            found.setdefault(_way(flow), []).append(flow)
        return found

    def _taps_of(self, address: int) -> set[str]:
        """Taps of the device that has an address."""
        node = self._owner(address)
        return {tap.label for tap in self.network.plan.taps if tap.namespace == node}

    def _owner(self, address: int) -> str | None:
        return self.network.node_of_address.get(address)

    def _add(self, source: int, node: str | None, flows: Sequence[Flow]) -> None:
        intruder = self._intruder(source, node)
        known = set(map(id, intruder.sent))
        intruder.sent += [flow for flow in flows if id(flow) not in known]

    def _intruder(self, source: int, node: str | None) -> Intruder:
        return self.found.setdefault((source, node), Intruder(source, node))


def _way(flow: Flow) -> Way:
    key = flow.key
    return key.src, key.sport, key.dst, key.dport
