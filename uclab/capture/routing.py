"""Routing protocols at one tap: BGP (RFC 4271) and BFD (RFC 5880), by pyshark on the few packets cut out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from uclab.capture.headers import TCP, UDP, decode
from uclab.capture.packets import MalformedCapture
from uclab.capture.pcapng import PcapngReader
from uclab.capture.scratch import unnamed_file
from uclab.capture.tshark import DissectionError, all_as, all_values, dissected, first_value
from uclab.capture.writer import PcapngWriter

BGP, BFD = 179, 3784
OPEN, UPDATE = 1, 2
BFD_KEPT = 2
"""Last BFD packets of each sender: its interval when it has settled."""


@dataclass(frozen=True)
class Speech:
    """Who said it, and where it was seen."""

    packet: int
    """Number in the capture file."""
    vlan: int | None
    """802.1Q tag at the tap; None: untagged."""
    src: str
    dst: str


@dataclass(frozen=True)
class BgpOpen:
    """A router introduces itself."""

    at: Speech
    asn: int


@dataclass(frozen=True)
class BgpUpdate:
    """A router announces prefixes, or takes them back."""

    at: Speech
    announced: tuple[str, ...]
    withdrawn: tuple[str, ...]


@dataclass(frozen=True)
class BfdControl:
    """A sign of life, and how often the sender wants to give one."""

    at: Speech
    interval_ms: float
    multiplier: int


Message = BgpOpen | BgpUpdate | BfdControl


def routing_messages(source: Path, is_tap: Callable[[str], bool]) -> tuple[Message, ...]:
    """What was said at the interfaces of a capture file that `is_tap` picks by their names, in order. Raises
    `DissectionError`."""
    with unnamed_file() as extract:
        try:
            numbers = _extract(source, extract, is_tap)
        except (OSError, MalformedCapture) as error:
            raise DissectionError(str(error)) from error
        return tuple(_dissect(extract, numbers)) if numbers else ()


def _extract(source: Path, target: Path, is_tap: Callable[[str], bool]) -> list[int]:
    """Copies all of BGP and the end of BFD; the packets' numbers in `source`."""
    reader = PcapngReader(source)
    last: dict[int, deque[tuple[int, int, bytes]]] = {}
    kept: list[tuple[int, int, bytes]] = []
    for packets in reader:
        columns = decode(packets)
        here = [i for i, known in enumerate(reader.interfaces) if is_tap(known.name)]
        at_tap = np.isin(packets.interface, here)
        bgp = (columns.proto == TCP) & ((columns.sport == BGP) | (columns.dport == BGP))
        bfd = (columns.proto == UDP) & (columns.dport == BFD)
        for row in np.flatnonzero(at_tap & (bgp | bfd)):
            packet = int(packets.number[row]), int(packets.time_ns[row]), packets.packet(int(row))
            if bgp[row]:
                kept.append(packet)
            else:
                last.setdefault(int(columns.src[row]), deque(maxlen=BFD_KEPT)).append(packet)
    kept = sorted([*kept, *(packet for queue in last.values() for packet in queue)])
    with PcapngWriter(target, ["routing"]) as writer:
        for _, time_ns, frame in kept:
            writer.write(0, time_ns, frame)
    return [number for number, _, _ in kept]


def _dissect(extract: Path, numbers: Sequence[int]) -> Iterator[Message]:
    options = {
        "display_filter": f"bgp.type == {OPEN} || bgp.type == {UPDATE} || bfd",
        "custom_parameters": [*all_as("tcp.port", "bgp"), *all_as("udp.port", "bfd")],
    }
    with dissected(extract, **options) as packets:
        for packet in packets:
            at = _speech(packet, numbers)
            for layer in packet.layers:
                yield from _messages(layer, at)


def _speech(packet: Any, numbers: Sequence[int]) -> Speech:
    vlan = next((layer for layer in packet.layers if layer.layer_name == "vlan"), None)
    tag = int(first_value(vlan, "id"), 0) if vlan is not None else None
    return Speech(numbers[int(packet.number) - 1], tag, str(packet.ip.src), str(packet.ip.dst))


def _messages(layer: Any, at: Speech) -> Iterator[Message]:
    if layer.layer_name == "bfd":
        interval_us = int(first_value(layer, "desired_min_tx_interval").split()[0])
        yield BfdControl(at, interval_us / 1000, int(first_value(layer, "detect_time_multiplier").split()[0]))
    elif layer.layer_name == "bgp" and first_value(layer, "type") == str(OPEN):
        yield BgpOpen(at, int(first_value(layer, "open_myas")))
    elif layer.layer_name == "bgp" and first_value(layer, "type") == str(UPDATE):
        withdrawn, announced = all_values(layer, "withdrawn_prefix"), all_values(layer, "nlri_prefix")
        prefixes = [
            f"{address}/{length}"
            for address, length in zip(
                [*withdrawn, *announced], all_values(layer, "prefix_length"), strict=False
            )
        ]
        if prefixes:
            yield BgpUpdate(at, tuple(prefixes[len(withdrawn) :]), tuple(prefixes[: len(withdrawn)]))
