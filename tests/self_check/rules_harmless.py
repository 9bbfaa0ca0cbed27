"""Rules about what does not matter: no finding may change its verdict."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from typing import Any

from testbed.frames import ip_header, mac
from tests.self_check.blocks import (
    IF_RESOLUTION,
    INTERFACE,
    SECTION,
    Captured,
    kind_of,
    option,
    options,
    whole_block,
)
from tests.self_check.evidence import CleanRun, Copy
from tests.self_check.frames import checksum
from tests.self_check.rule import Change, rule
from tests.unit.judge.encapsulations import HARMLESS
from uclab.judge.evidence.network import mac_text

MS = 1_000_000
HOUR_NS = 3600 * 1_000_000_000
MDNS = ip_header("0.0.0.0", "224.0.0.251", 17, 0, 20) + struct.pack(">HHHH", 5353, 5353, 20, 0) + bytes(12)
RECORDS = (
    "calls.json",
    "messages.json",
    "incidents.json",
    "scenario.json",
    "scenario.end.json",
    "lab.end.json",
)
LINES = ("events.jsonl", "orders.jsonl", "pressure.jsonl", "captures/times.jsonl")


@rule("frames of every network", "harmless")
def chatter(clean: CleanRun) -> Iterator[Change]:
    """A device sends ARP, LLDP, spanning tree, neighbour discovery, or LACP; both ends of the cable see
    it."""
    for number, link in enumerate(clean.run.plan.links):
        ends = [clean.network.taps.get(f"{end.device}:{end.interface}") for end in (link.a, link.b)]
        by_place = {(tap.device, tap.interface): tap for tap in clean.run.plan.taps}
        ends = [by_place.get((end.device, end.interface)) for end in (link.a, link.b)]
        if None in ends or link.kind in ("air", "tunnel"):
            continue
        taps = [end.label for end in ends if end is not None]
        macs = clean.network.cable_macs.get(taps[0], (-1, -1))
        if macs[0] < 0 or any(not clean.packets_at(tap) for tap in taps):
            continue
        name = list(HARMLESS)[number % len(HARMLESS)]
        if name in ("ICMP", "OSPF"):
            name = "ARP"
        frame = HARMLESS[name][:6] + mac(mac_text(macs[0])) + HARMLESS[name][12:]
        if name in ("LLDP", "neighbour discovery", "multicast listener report", "spanning tree", "LACP"):
            frame = (
                mac("01:80:c2:00:00:0e" if name in ("LLDP", "spanning tree", "LACP") else "33:33:00:00:00:01")
                + frame[6:]
            )
        else:
            frame = b"\xff" * 6 + frame[6:]

        def apply(copy: Copy, taps: list[str] = taps, frame: bytes = frame) -> None:
            seen = copy.clean.packets_at(taps[0])
            at = seen[len(seen) // 2].time_ns
            for index, tap in enumerate(taps):
                copy.add(tap, [(at + 1000 * index, frame)])

        yield Change("frames of every network", "harmless", f"{name} of {taps[0]}", apply)


@rule("interfaces in another order", "harmless")
def other_order(clean: CleanRun) -> Iterator[Change]:
    """The interface blocks of a capture are turned round."""
    for name, file in clean.files.items():
        if len(file.names) < 2:
            continue

        def apply(copy: Copy, name: str = name) -> None:
            file = copy.file(name)
            last = len(file.names) - 1
            described = [b for b in file.blocks if isinstance(b, bytes) and kind_of(b) == INTERFACE]

            def block(kind: int, old: bytes) -> list[bytes]:
                if kind == INTERFACE:
                    return [described.pop()]
                if kind == 5:
                    at = last - int.from_bytes(old[8:12], "little")
                    return [old[:8] + struct.pack("<I", at) + old[12:]]
                return [old]

            turned = file.with_blocks(block)
            copy.files[name] = turned.edited(
                lambda p: (Captured(last - p.interface, p.time_ns, p.frame, p.wirelen),)
            )

        yield Change("interfaces in another order", "harmless", name, apply)


@rule("comments and options added", "harmless")
def comments(clean: CleanRun) -> Iterator[Change]:
    """Comments on the section and each packet, an interface's description, a block of a private kind."""
    for name in clean.files:

        def apply(copy: Copy, name: str = name) -> None:
            note = option(1, b"looked at; SIP is meant") + bytes(4)

            def block(kind: int, old: bytes) -> list[bytes]:
                if kind == SECTION:
                    return [
                        whole_block(SECTION, old[8:24] + note),
                        whole_block(0x40000BAD, b"\0\0\0\0private"),
                    ]
                if kind == INTERFACE:
                    its = b"".join(option(code, value) for code, value in options(old[16:-4]))
                    return [whole_block(INTERFACE, old[8:16] + its + option(3, b"a cable") + bytes(4))]
                return [old]

            file = copy.file(name).with_blocks(block)
            copy.files[name] = file.edited(
                lambda p: (Captured(p.interface, p.time_ns, p.frame, p.wirelen, note),)
            )

        yield Change("comments and options added", "harmless", name, apply)


@rule("times in microseconds", "harmless")
def microseconds(clean: CleanRun) -> Iterator[Change]:
    """A capture's clock is told in microseconds instead of nanoseconds."""
    for name in clean.files:

        def apply(copy: Copy, name: str = name) -> None:
            def block(kind: int, old: bytes) -> list[bytes]:
                if kind == INTERFACE:
                    its = [(code, value) for code, value in options(old[16:-4]) if code != IF_RESOLUTION]
                    written = b"".join(
                        option(code, value) for code, value in (*its, (IF_RESOLUTION, b"\x06"))
                    )
                    return [whole_block(INTERFACE, old[8:16] + written + bytes(4))]
                return [old]

            copy.files[name] = copy.file(name).with_blocks(block)

        yield Change("times in microseconds", "harmless", name, apply)


@rule("the whole run an hour later", "harmless")
def an_hour_later(clean: CleanRun) -> Iterator[Change]:
    """All captures and records tell times that are an hour later."""

    def apply(copy: Copy) -> None:
        copy.edit_everywhere(lambda p: (p.moved(HOUR_NS),))
        for name in RECORDS:
            if (copy.folder / name).exists():
                copy.write(name, json.dumps(_later(copy.data(name))).encode())
        for name in LINES:
            if (copy.folder / name).exists():
                lines = [
                    json.dumps(_later(json.loads(line))) for line in copy.read(name).splitlines() if line
                ]
                copy.write(name, "".join(line + "\n" for line in lines).encode())
        for path in (copy.folder / "lines").glob("*.json"):
            name = f"lines/{path.name}"
            copy.write(name, json.dumps(_later(copy.data(name))).encode())
        end = copy.folder / "lab.end.json"
        if end.exists():
            data = copy.data("lab.end.json")
            for its in data["files"]:
                its["bytes"] = (copy.folder / its["name"]).stat().st_size
            copy.write("lab.end.json", json.dumps(data).encode())

    yield Change("the whole run an hour later", "harmless", "all", apply)


def _later(data: Any) -> Any:
    """Every time since the epoch in it, an hour later."""
    if isinstance(data, dict):
        return {
            str(int(k) + 3600) if k.isdigit() and int(k) > 1_600_000_000 else k: _later(v)
            for k, v in data.items()
        }
    if isinstance(data, list):
        return [_later(item) for item in data]
    is_time = isinstance(data, int | float) and not isinstance(data, bool) and 1.6e9 < data < 2.2e9
    return data + 3600 if is_time else data


@rule("results of an earlier judging", "harmless")
def earlier_results(clean: CleanRun) -> Iterator[Change]:
    """results.json, report and JUnit file of an earlier judging lie in the folder, and others besides."""

    def apply(copy: Copy) -> None:
        copy.write("results.json", b'{"verdict": "fail", "findings": []}')
        copy.write("report.html", b"<html></html>")
        copy.write("junit.xml", b"<testsuite/>")
        copy.write("captures/notes.txt", b"SIP/2.0 200 OK\r\n")

    yield Change("results of an earlier judging", "harmless", "all", apply)


@rule("a PC talks to the web server", "harmless")
def web_traffic(clean: CleanRun) -> Iterator[Change]:
    """More unrelated packets of a PC, as those that were seen, the same way and some milliseconds later."""
    pcs = {
        interface.mac for node in clean.run.plan.nodes if node.kind == "pc" for interface in node.interfaces
    }
    servers = {bulk.target_address for bulk in clean.run.plan.bulk}
    for address in sorted(servers):
        wanted = bytes(map(int, address.split(".")))

        def apply(copy: Copy, wanted: bytes = wanted) -> None:
            copy.edit_everywhere(
                lambda p: (p, p.moved(3 * MS)) if wanted in p.frame[26:42] else (p,),
                in_order=True,
            )

        if pcs:
            yield Change("a PC talks to the web server", "harmless", address, apply)


Word = Callable[[Any], Any]
__all__ = ["MDNS", "checksum"]
