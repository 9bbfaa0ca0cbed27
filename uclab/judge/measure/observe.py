"""One pass over all captures of a run: each packet is read once, decoded once, and handed to everything that
collects.

Files are read side by side, always the one that is furthest behind in time, so that media rows of all taps
can be put in order of time within a bounded window. dumpcap writes the interfaces of a namespace in batches:
rows wait `SLACK_NS` for those before them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from uclab.capture.headers import Headers, Mask, decode
from uclab.capture.packets import MalformedCapture, Packets
from uclab.capture.pcapng import PcapngReader
from uclab.judge.evidence.callers import Callers
from uclab.judge.evidence.directions import Directions
from uclab.judge.evidence.messages import searched_texts
from uclab.judge.evidence.network import PlannedNetwork
from uclab.judge.evidence.run import Run
from uclab.judge.measure.cleartext_search import ReadableSearch
from uclab.judge.measure.connections import ConnectionTable
from uclab.judge.measure.flows import Flow, FlowTable, media_rows
from uclab.judge.measure.frame_coverage import FrameCoverage
from uclab.judge.measure.media import MediaFollower, MediaRows
from uclab.judge.measure.segments import SegmentBytes
from uclab.judge.measure.srtcp import ControlSecrecy
from uclab.judge.measure.srtp import KeyRing, MediaSecrecy
from uclab.judge.measure.streams import CallWindow
from uclab.judge.measure.tap_counts import TapCounts

SLACK_NS = 1_500_000_000
ROUND = 150_000
"""Media packets that are worth a round of matching."""
END_NS = 1 << 62
"""Later than everything."""
MEMORY = 48 << 20
"""Bytes of all chunks that are read at a time."""

Progress = Callable[[str, int], None]
"""Called with a phase and the packets read so far."""


@dataclass
class TapState:
    """What a capture says of itself."""

    dropped: int | None
    received: int | None
    packets: int = 0
    first_ns: int = 1 << 62
    last_ns: int = 0

    def covers(self, flow: Flow) -> bool:
        """Whether packets were seen here before and after all of the flow's, wherever those were."""
        return self.first_ns <= flow.first_ns and flow.last_ns <= self.last_ns


@dataclass
class Observations:
    """All that was collected from the captures."""

    flows: FlowTable
    media: MediaFollower
    secrecy: MediaSecrecy
    readable: ReadableSearch
    segments: SegmentBytes
    connections: ConnectionTable = field(default_factory=lambda: ConnectionTable((), (), ()))
    control: ControlSecrecy = field(default_factory=lambda: ControlSecrecy(KeyRing(), frozenset()))
    frames: FrameCoverage = field(default_factory=FrameCoverage)
    taps: dict[str, TapState] = field(default_factory=dict)
    damaged: dict[str, str] = field(default_factory=dict)
    """Capture file -> what is wrong with it."""
    files: dict[str, set[str]] = field(default_factory=dict)
    """Capture file -> the taps that it holds."""
    misnamed: dict[str, str] = field(default_factory=dict)
    """Taps whose frames are set aside, and why (`judge.misnamed`)."""
    packets: int = 0
    counts: TapCounts = field(default_factory=TapCounts)


def observe(
    run: Run,
    network: PlannedNetwork,
    ring: KeyRing,
    windows: Sequence[CallWindow],
    progress: Progress | None = None,
) -> Observations:
    """Reads all captures of a run."""
    return Observer(run, network, ring, windows, progress).run()


class Observer:
    """The state of the pass."""

    def __init__(
        self,
        run: Run,
        network: PlannedNetwork,
        ring: KeyRing,
        windows: Sequence[CallWindow],
        progress: Progress | None,
    ) -> None:
        self._run, self._network, self._progress = run, network, progress
        self._labels: list[str] = [tap.label for tap in run.plan.taps]
        self._tap_index = {label: index for index, label in enumerate(self._labels)}
        self._callers = Callers(network.plan)
        self._endpoints = network.endpoints
        first = {
            self._tap_index[label]: index
            for index, endpoint in enumerate(self._endpoints)
            if (label := network.first_tap.get(endpoint.name)) in self._tap_index
        }
        self._first_tap = first
        self._own_mac = {tap: network.mac_at(run.plan.taps[tap]) for tap in first}
        accounts = [(e.account.user, e.account.password) for e in self._endpoints]
        proof = frozenset(network.first_tap.values()) | frozenset(network.controller_taps)
        self._seen = Observations(
            FlowTable(leaves=Directions(network).leaves),
            MediaFollower(
                self._labels, first, windows, watched=self._line_taps(), anchors=self._anchor_taps()
            ),
            MediaSecrecy(ring, proof, sampled=run.checks == "load"),
            ReadableSearch.for_accounts(accounts, searched_texts(run.messages)),
            SegmentBytes(network.policy.sips_ports),
            _connection_table(run, network),
            ControlSecrecy(ring, proof, sampled=run.checks == "load"),
            FrameCoverage(network.policy.sips_ports, network.tunnel_ports),
            counts=TapCounts(network.cable_macs),
        )
        self._waiting: list[MediaRows] = []

    def run(self) -> Observations:
        chunk = max(128 << 10, min(4 << 20, MEMORY // max(len(self._run.captures), 1)))
        readers = [(path, PcapngReader(path, chunk)) for path in self._run.captures]
        sources = [_Source(path, reader, iter(reader)) for path, reader in readers]
        open_sources = list(sources)
        while open_sources:
            source = min(open_sources, key=lambda s: s.reached_ns)
            packets = self._next(source)
            if packets is None:
                open_sources.remove(source)
            else:
                self._take(source, packets)
            horizon = min((s.reached_ns for s in open_sources), default=END_NS)
            self._follow(horizon - SLACK_NS)
        self._follow(END_NS)
        for source in sources:
            self._account(source)
        return self._seen

    def _line_taps(self) -> frozenset[int]:
        """The sites' taps of their lines."""
        lines = [line for lines in self._network.ways.lines.values() for line in lines]
        return frozenset(self._tap_index[line.tap] for line in lines if line.tap in self._tap_index)

    def _anchor_taps(self) -> frozenset[int]:
        """The session controllers' taps."""
        return frozenset(self._tap_index[tap] for tap in self._network.controller_taps)

    def _next(self, source: _Source) -> Packets | None:
        try:
            return next(source.batches, None)
        except MalformedCapture as error:
            self._seen.damaged[source.path.name] = error.reason
            return None

    def _take(self, source: _Source, packets: Packets) -> None:
        labels = [self._run.label(source.path.stem, i.name) for i in source.reader.interfaces]
        for label in labels:
            if label not in self._tap_index:
                self._tap_index[label] = len(self._labels)
                self._labels.append(label)
        columns = decode(packets)
        media, control, leg = media_rows(columns, self._network.media_addresses, self._network.site_prefixes)
        # What strangers send and get is no call's: `uclab.judge.measure.intruders` looks at that.
        strange = self._callers.strange(columns, media | control, leg)
        media, control = media & ~strange, control & ~strange
        self._seen.counts.add(packets, labels, columns.src_mac)
        self._seen.flows.add(packets, columns, labels, media, control)
        self._seen.segments.add(packets, columns, labels)
        self._seen.connections.add(packets, columns, labels)
        self._seen.readable.add(packets, columns, labels)
        self._seen.secrecy.add(packets, columns, labels, media, leg)
        self._seen.control.add(packets, columns, labels, control, leg)
        self._seen.frames.add(packets, columns, labels, media, control)
        ticks = np.array([interface.tick_ns for interface in source.reader.interfaces], np.int64)
        self._waiting.append(self._rows(packets, columns, labels, media, leg, ticks))
        source.reached_ns = max(source.reached_ns, int(packets.time_ns.max()))
        for index, count in zip(*np.unique(packets.interface, return_counts=True), strict=True):
            state = self._seen.taps.setdefault(labels[int(index)], TapState(None, None))
            state.packets += int(count)
            times = packets.time_ns[packets.interface == index]
            state.first_ns = min(state.first_ns, int(times.min()))
            state.last_ns = max(state.last_ns, int(times.max()))
        self._seen.packets += len(packets)
        if self._progress:
            self._progress("packets", self._seen.packets)

    def _rows(
        self,
        packets: Packets,
        columns: Headers,
        labels: list[str],
        media: Mask,
        leg: np.ndarray,
        ticks: npt.NDArray[np.int64],
    ) -> MediaRows:
        rows = np.flatnonzero(media)
        tap = np.array([self._tap_index[label] for label in labels], np.int32)[packets.interface[rows]]
        sender = np.full(len(rows), -1, np.int16)
        for index, mac in self._own_mac.items():
            if (here := tap == index).any():
                sender[here & (columns.src_mac[rows] == mac)] = self._first_tap[index]
        # A coarse clock may show a packet's arrival before its departure at a finer one: it was later, by up
        # to a tick.
        behind = np.where(sender < 0, ticks[packets.interface[rows]] - 1, 0)
        return MediaRows(
            packets.time_ns[rows] + behind,
            tap,
            leg[rows],
            columns.ssrc[rows],
            columns.seq[rows],
            columns.rtp_time[rows],
            columns.payload_type[rows],
            sender,
            np.where(leg[rows] == 1, columns.sport[rows], columns.dport[rows]),
        )

    def _follow(self, until_ns: int) -> None:
        """Hands on the media rows up to a time, in order."""
        count = sum(map(len, self._waiting))
        if not count or (count < ROUND and until_ns < END_NS):
            return
        rows = MediaRows.join(self._waiting)
        ready = rows.time_ns <= until_ns
        self._waiting = [rows.pick(np.flatnonzero(~ready))]
        chosen = np.flatnonzero(ready)
        self._seen.media.add(rows.pick(chosen[np.argsort(rows.time_ns[chosen], kind="stable")]))

    def _account(self, source: _Source) -> None:
        for interface in source.reader.interfaces:
            label = self._run.label(source.path.stem, interface.name)
            state = self._seen.taps.setdefault(label, TapState(None, None))
            self._seen.files.setdefault(source.path.name, set()).add(label)
            state.dropped, state.received = interface.dropped, interface.received
            self._seen.frames.snap_lengths[label] = interface.snap_len
        if source.reader.truncated and source.path.name not in self._seen.damaged:
            self._seen.damaged[source.path.name] = "the last block is cut off: the capture was not closed"


def _connection_table(run: Run, network: PlannedNetwork) -> ConnectionTable:
    """For the ports of phones; of a campaign nothing, whose users are those of few addresses."""
    controllers = network.plan.session_controllers if run.checks != "load" else ()
    ports = {port for controller in controllers for port in controller.tls_ports}
    return ConnectionTable(frozenset(network.controller_taps), network.signalling_addresses, ports)


@dataclass
class _Source:
    """A file that is being read."""

    path: Path
    reader: PcapngReader
    batches: Iterator[Packets]
    reached_ns: int = 0
