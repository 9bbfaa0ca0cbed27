"""A clean run as rules see it: its captures as blocks, the ways of its calls by plan and packets; and copies
of it in which something is changed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.self_check.blocks import CaptureBlocks, Captured, Edit
from tests.self_check.frames import parts
from uclab.capture.sip import SipMessage
from uclab.judge.evidence.network import Leg, PlannedNetwork, number
from uclab.judge.evidence.run import Run, load_run
from uclab.plan.schema.plan import Endpoint
from uclab.records.run import Direction

NOT_COPIED = ("results.json", "report.html", "junit.xml")
"""Of an earlier judging."""


@dataclass(frozen=True)
class Hop:
    """A tap that packets pass, on one leg."""

    tap: str
    leg: Leg
    device: str


@dataclass(frozen=True)
class Way:
    """One direction of a call: whose media, and where it passes in order."""

    call: str
    direction: Direction
    sender: str
    receiver: str
    ssrc: int
    hops: tuple[Hop, ...]

    @property
    def inside(self) -> list[int]:
        """Places where a single device may change what passes: numbers of the hops behind it, each with the
        hop before at the same device and leg."""
        return [
            number
            for number, (before, at) in enumerate(pairwise(self.hops), start=1)
            if before.device == at.device and before.leg == at.leg
        ]

    def behind(self, first: int, same_leg: bool = False) -> frozenset[tuple[str, Leg]]:
        """The taps and legs from a hop on."""
        leg = self.hops[first].leg
        return frozenset((hop.tap, hop.leg) for hop in self.hops[first:] if not same_leg or hop.leg == leg)


@dataclass(frozen=True)
class CleanRun:
    """A run in which all is right."""

    folder: Path

    @cached_property
    def run(self) -> Run:
        return load_run(self.folder)

    @cached_property
    def network(self) -> PlannedNetwork:
        return PlannedNetwork(self.run.plan)

    @cached_property
    def files(self) -> dict[str, CaptureBlocks]:
        """Namespace -> its capture."""
        return {path.stem: CaptureBlocks.read(path) for path in self.run.captures}

    @cached_property
    def namespace_of(self) -> dict[str, str]:
        return {tap.label: tap.namespace for tap in self.run.plan.taps}

    @cached_property
    def labels(self) -> dict[str, tuple[str, ...]]:
        """Namespace -> tap of each interface of its capture."""
        return {
            name: tuple(self.run.label(name, interface) for interface in file.names)
            for name, file in self.files.items()
        }

    def leg_of(self, frame: bytes) -> Leg | None:
        """Which way a packet with ports goes; None of what has nothing to do with the cloud."""
        found = parts(frame)
        cloud = self.network.media_addresses | self.network.signalling_addresses
        if found is None:
            return None
        return "up" if found.dst in cloud else "down" if found.src in cloud else None

    def packets_at(self, tap: str) -> list[Captured]:
        """What a tap saw."""
        name = self.namespace_of[tap]
        if name not in self.files or tap not in self.labels[name]:
            return []
        index = self.labels[name].index(tap)
        return [packet for packet in self.files[name].packets if packet.interface == index]

    def owner(self, tap: str) -> str:
        """The device at whose interface a tap sits, as people name it."""
        return self.network.owner(self.network.device(tap))

    def way_of(self, endpoint: str, leg: Leg) -> tuple[Hop, ...]:
        """The planned taps of an endpoint's packets, in their order."""
        path = self.network.path_of.get(endpoint)
        taps = [hop.tap for hop in path.hops] if path is not None else []
        return tuple(Hop(tap, leg, self.owner(tap)) for tap in (taps if leg == "up" else taps[::-1]))

    @cached_property
    def ways(self) -> tuple[Way, ...]:
        """All directions of calls whose media was seen at their first tap."""
        network = self.network
        known = {endpoint.name: endpoint for endpoint in network.endpoints}
        found = []
        for call in self.run.calls:
            if not call.established or call.kind == "hold-transfer":
                continue
            names = [network.endpoint_called(name) for name in (call.caller, call.callee)]
            sides: tuple[Direction, Direction] = ("caller_to_callee", "callee_to_caller")
            for direction, (sender, receiver) in zip(sides, (names, names[::-1]), strict=True):
                hops = (*self.way_of(sender, "up"), *self.way_of(receiver, "down"))
                ssrc = self._ssrc(known[sender], call.answered_at or 0.0, call.ended_at or 0.0)
                if hops and ssrc is not None:
                    found.append(Way(call.id, direction, sender, receiver, ssrc, hops))
        return tuple(found)

    def _ssrc(self, sender: Endpoint, begin: float, end: float) -> int | None:
        """SSRC of what an endpoint sent in that time."""
        for packet in self.packets_at(self.network.first_tap[sender.name]):
            found = parts(packet.frame)
            if found is not None and begin * 1e9 < packet.time_ns < end * 1e9:
                ssrc = found.rtp_ssrc(packet.frame)
                if ssrc is not None and found.dst in self.network.media_addresses:
                    return ssrc
        return None

    def copy_to(self, folder: Path) -> Copy:
        """A copy by hard links: a change replaces a file, and never writes into one."""
        for source in self.folder.rglob("*"):
            target = folder / source.relative_to(self.folder)
            if source.is_dir():
                target.mkdir(parents=True, exist_ok=True)
            elif source.is_file() and source.name not in NOT_COPIED:
                target.parent.mkdir(parents=True, exist_ok=True)
                os.link(source, target)
        return Copy(self, folder)


SignallingEdit = Callable[[tuple[SipMessage, ...]], tuple[SipMessage, ...]]


@dataclass
class Copy:
    """A run directory in which something is changed."""

    clean: CleanRun
    folder: Path
    files: dict[str, CaptureBlocks] = field(default_factory=dict)
    """Captures that are changed, by namespace."""
    signalling: SignallingEdit | None = None
    """What is changed of the messages that the key log opens: nobody can forge these on the wire."""

    def file(self, name: str) -> CaptureBlocks:
        return self.files.get(name, self.clean.files[name])

    def edit(self, name: str, edit: Edit, in_order: bool = False) -> None:
        """Changes all packets of a namespace's capture."""
        self.files[name] = self.file(name).edited(edit, in_order)

    def edit_everywhere(self, edit: Edit, in_order: bool = False) -> None:
        for name in self.clean.files:
            self.edit(name, edit, in_order)

    def edit_at(
        self,
        where: Collection[tuple[str, Leg]],
        chosen: Callable[[Captured], bool],
        edit: Edit,
        in_order: bool = False,
    ) -> int:
        """Changes chosen packets at these taps, on these legs; how many."""
        changed = 0
        for name in {self.clean.namespace_of[tap] for tap, _ in where} & self.clean.files.keys():
            labels = self.clean.labels[name]

            def at(packet: Captured, labels: tuple[str, ...] = labels) -> Iterable[Captured]:
                nonlocal changed
                leg = self.clean.leg_of(packet.frame)
                if leg is None or (labels[packet.interface], leg) not in where or not chosen(packet):
                    return (packet,)
                changed += 1
                return edit(packet)

            self.edit(name, at, in_order)
        return changed

    def add(self, tap: str, packets: Iterable[tuple[int, bytes]]) -> None:
        """Further frames at a tap, by time."""
        name = self.clean.namespace_of[tap]
        index = self.clean.labels[name].index(tap)
        more = [Captured(index, at, frame, len(frame)) for at, frame in packets]
        self.files[name] = self.file(name).with_packets(more)

    def remove(self, name: str) -> None:
        (self.folder / name).unlink(missing_ok=True)

    def write(self, name: str, content: bytes) -> None:
        """A file again."""
        self.remove(name)
        (self.folder / name).write_bytes(content)

    def read(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()

    def data(self, name: str) -> Any:
        return json.loads(self.read(name))

    def write_data(self, name: str, data: Any) -> None:
        """JSON, as long as it was, so that it does not look cut."""
        text = json.dumps(data).encode()
        self.write(name, text + b" " * max(0, len(self.read(name)) - len(text)))

    def finish(self) -> None:
        """Writes the captures that are changed."""
        for name, file in self.files.items():
            path = self.folder / "captures" / f"{name}.pcapng"
            path.unlink(missing_ok=True)
            file.write(path, self.clean.files[name])

    def silenced(self, way: Way) -> None:
        """Who hears this direction heard nothing: recordings follow from what arrives."""
        calls = self.data("calls.json")
        for call in calls:
            if call["id"] == way.call and call[way.direction] is not None:
                call[way.direction] |= {"heard": False, "level_db": -80.0, "share": 0.0}
        self.write_data("calls.json", calls)


def of_stream(ssrc: int) -> Callable[[Captured], bool]:
    """Whether a packet is media of an SSRC."""

    def chosen(packet: Captured) -> bool:
        found = parts(packet.frame)
        return found is not None and found.rtp_ssrc(packet.frame) == ssrc

    return chosen


def sequence(packet: Captured) -> int:
    """An RTP packet's sequence number."""
    found = parts(packet.frame)
    assert found is not None
    return int.from_bytes(packet.frame[found.payload + 2 : found.payload + 4], "big")


__all__ = ["CleanRun", "Copy", "Hop", "Way", "number", "of_stream", "replace", "sequence"]
