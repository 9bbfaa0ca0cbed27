"""Judging media: packets a second from pcapng to findings, and peak memory at half a million and at five
million packets.

`python -m benchmarks.bench_judge [--small 500000] [--large 5000000] [--json]` makes two runs with the same
calls, one ten times longer, of real SRTP with keys in decrypted signalling, seen at every tap of the plan's
paths, and judges each in a process of its own. Wanted: at least 300,000 packets a second, and the same
memory for both.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from testbed.frames import Packet, rtp
from testbed.made_up_network import LINE_NS, TAP_NS, Talker, protector, reference_plan
from testbed.world import World
from uclab.capture.headers import decode
from uclab.capture.pcapng import EPB, PcapngReader
from uclab.judge.judging import judge_run
from uclab.plan.schema.plan import PathHop

WANTED_PACKETS_PER_SECOND = 300_000
WANTED_MEMORY_RATIO = 1.15
CALLERS = ("desk1", "desk2"), ("desk3", "soft1"), ("desk4", "desk5")
PACKET_NS = 20_000_000
Blocks = tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]


class LongWorld(World):
    """Media of any length: the frames of a tap are made as a matrix, one row a packet."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.blocks: dict[str, list[Blocks]] = {}
        self.began = self.now

    def _media(
        self, speaker: str, listener: str, legs: dict[str, tuple[bytes, bytes, int]], at_ns: int, count: int
    ) -> None:
        up, down = self.talker(speaker), self.talker(listener)
        ssrc, first = self.random.randrange(1 << 32), self.random.randrange(1 << 16)
        plain = [rtp(ssrc, first + index, index * 160, bytes(160)) for index in range(count)]
        times = at_ns + np.arange(count, dtype=np.int64) * PACKET_NS
        hub = self.controller.media_address
        voice = self.plan.policy.voice_dscp
        for talker, leg, key, src, dst, ports in (
            (up, "up", legs[speaker][0], up.address, hub, (16384, legs[speaker][2])),
            (down, "down", legs[listener][1], hub, down.address, (legs[listener][2], 16384)),
        ):
            session = protector(key)
            wire = np.frombuffer(b"".join(session.protect(packet) for packet in plain), np.uint8).reshape(
                count, -1
            )
            packet = Packet("", "", src, dst, *ports, wire[0].tobytes(), voice)
            times = self._rows(packet, wire, talker, "up" if leg == "up" else "down", times) + 100_000

    def _rows(
        self,
        packet: Packet,
        wire: npt.NDArray[np.uint8],
        talker: Talker,
        leg: str,
        times: npt.NDArray[np.int64],
    ) -> npt.NDArray[np.int64]:
        hops: tuple[PathHop, ...] = talker.hops if leg == "up" else tuple(reversed(talker.hops))
        for hop in hops:
            times = times + (LINE_NS if hop.tap == ("isp1:edge" if leg == "up" else "edge:wan1") else TAP_NS)
            frame = bytes(self.dressed(packet, hop, talker, "up" if leg == "up" else "down"))
            head = np.frombuffer(frame[: -wire.shape[1]], np.uint8)
            rows = np.concatenate((np.tile(head, (len(wire), 1)), wire), axis=1)
            self.blocks.setdefault(self._namespace[hop.tap], []).append(
                (times, self._epb(hop.tap, times, rows))
            )
        return times

    def _epb(
        self, tap: str, times: npt.NDArray[np.int64], rows: npt.NDArray[np.uint8]
    ) -> npt.NDArray[np.uint8]:
        namespace = self._namespace[tap]
        index = [t.label for t in self.plan.taps if t.namespace == namespace].index(tap)
        size = rows.shape[1]
        length = 32 + (size + 3) // 4 * 4
        block = np.zeros((len(rows), length), np.uint8)
        head = np.zeros((len(rows), 7), "<u4")
        head[:, 0], head[:, 1], head[:, 2], head[:, 5], head[:, 6] = EPB, length, index, size, size
        head[:, 3], head[:, 4] = times >> 32, times & 0xFFFFFFFF
        block[:, :28] = head.view(np.uint8)
        block[:, 28 : 28 + size] = rows
        block[:, -4:] = np.full((len(rows), 1), length, "<u4").view(np.uint8)
        return block

    def finish(self) -> Path:
        """Writes the run, all packets of a file in order of time."""
        for namespace, frames in self.frames.items():
            for at_ns, tap, frame in frames:
                times = np.array([at_ns], np.int64)
                row = np.frombuffer(frame, np.uint8)[None, :]
                self.blocks.setdefault(namespace, []).append((times, self._epb(tap, times, row)))
        self.frames = {}
        folder = self.write()
        for namespace, parts in self.blocks.items():
            order = np.argsort(np.concatenate([times for times, _ in parts]), kind="stable")
            rows = [row for _, block in parts for row in block]
            with (folder / "captures" / f"{namespace}.pcapng").open("ab") as stream:
                for index in order.tolist():
                    stream.write(rows[index].tobytes())
        return folder


def make_run(folder: Path, packets: int) -> int:
    """A run of about that many packets; how many there are."""
    names = [name for pair in CALLERS for name in pair]
    plan = replace(reference_plan(*names), bulk=())
    world = LongWorld(folder, plan)
    for name in names:
        world.connect(name)
        world.register(name)
    taps = sum(2 * (len(world.talker(a).hops) + len(world.talker(b).hops)) for a, b in CALLERS)
    seconds = packets / taps / 50
    for pair in CALLERS:
        before = world.now
        world.call(*pair, seconds=seconds)
        world.now = before + 1_000_000_000
    world.finish()
    return sum(len(times) for parts in world.blocks.values() for times, _ in parts)


def measure(folder: Path) -> dict[str, float]:
    """Judges a run in this process: seconds, packets a second, peak memory."""
    started = time.perf_counter()
    packets = 0

    def count(phase: str, number: int) -> None:
        nonlocal packets
        packets = number if phase == "packets" else packets

    judgement = judge_run(folder, count)
    seconds = time.perf_counter() - started
    return {
        "packets": packets,
        "seconds": round(seconds, 2),
        "packets_per_second": round(packets / seconds),
        "cpu_seconds": round(time.process_time(), 2),
        "peak_mib": peak_mib(),
        "media_findings_passed": sum(
            f.verdict == "pass" and f.id in ("media.srtp", "quality.voice") for f in judgement.findings
        ),
    }


def peak_mib() -> float:
    """Peak resident memory of this process; unlike `ru_maxrss` without what its parent had at the fork."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) // 1024  # type: ignore[index]


def read_rate(path: Path) -> float:
    """Packets a second of reading and decoding one file alone."""
    started, packets = time.perf_counter(), 0
    for batch in PcapngReader(path):
        decode(batch)
        packets += len(batch)
    return packets / (time.perf_counter() - started)


def main() -> int:
    """Prints both runs; exit status 1 when a figure is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", type=int, default=500_000)
    parser.add_argument("--large", type=int, default=5_000_000)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure)))
        return 0
    figures: dict[str, dict[str, float]] = {}
    for name, packets in (("small", arguments.small), ("large", arguments.large)):
        with tempfile.TemporaryDirectory(prefix="uclab-bench-") as folder:
            make_run(Path(folder), packets)
            command = [sys.executable, "-m", "benchmarks.bench_judge", "--measure", folder]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            figures[name] = json.loads(done.stdout)
            largest = max((Path(folder) / "captures").glob("*.pcapng"), key=lambda path: path.stat().st_size)
            figures[name]["read_and_decode_per_second"] = round(read_rate(largest))
    ratio = figures["large"]["peak_mib"] / figures["small"]["peak_mib"]
    held = (
        ratio <= WANTED_MEMORY_RATIO and figures["large"]["packets_per_second"] >= WANTED_PACKETS_PER_SECOND
    )
    if arguments.json:
        print(json.dumps({**figures, "memory_ratio": round(ratio, 3), "held": held}))
    else:
        for name, its in figures.items():
            print(f"{name}: " + ", ".join(f"{key} {value:,}" for key, value in its.items()))
        print(f"memory {ratio:.2f} times that of the small run (wanted {WANTED_MEMORY_RATIO})")
        print("held" if held else "MISSED")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
