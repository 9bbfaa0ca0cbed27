"""The SD-WAN's agent at one end of a site's tunnels: probes, reports to the controller, steers (W6).

`python -m controllers.sdwan_agent --overlay OVERLAY.json --side edge|gateway --controller SOCKET`

A probe is a number and the time at which it was sent, marked like voice: it waits where voice waits. What
arrives is timed by the kernel. All classes are steered in one transaction of nftables: no packet meets half a
change.
"""

from __future__ import annotations

import argparse
import http.client
import json
import selectors
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Interface
from pathlib import Path
from typing import get_args

from controllers.path_metrics import Arrival, Arrivals, Figures
from controllers.sdwan_api import as_body
from controllers.sdwan_state import Side
from uclab.plan.schema.codec import from_data
from uclab.plan.schema.overlay import STEERING, Overlay, Tunnel

PORT = 4791
"""UDP, inside tunnels."""
REPORT_S = 0.2
DSCPS = 64
_PROBE = struct.Struct("!Id44x")
"""Number, seconds since the epoch, and padding."""
_SO_TIMESTAMPNS = 35
_TIMESPEC = struct.Struct("qq")


class Probed:
    """One tunnel as this end sees it."""

    def __init__(self, tunnel: Tunnel, side: Side, dscp: int, interval_s: float, window_s: float) -> None:
        own, other = (tunnel.near, tunnel.far) if side == "edge" else (tunnel.far, tunnel.near)
        self.name = tunnel.path
        self.arrivals = Arrivals(interval_s, window_s)
        self._peer = (str(IPv4Interface(other.address).ip), PORT)
        self._number = 0
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, dscp << 2)
        self.socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, own.interface.encode() + b"\0")
        self.socket.bind((str(IPv4Interface(own.address).ip), PORT))

    def send(self) -> None:
        """One probe; a full queue or a tunnel without a program loses it, as it would lose voice."""
        self._number += 1
        try:
            self.socket.sendto(_PROBE.pack(self._number, time.time()), self._peer)
        except OSError:
            return

    def receive(self) -> None:
        """Everything that has arrived."""
        while True:
            try:
                data, ancillary, _, _ = self.socket.recvmsg(_PROBE.size, 64)
            except BlockingIOError:
                return
            except OSError:  # an ICMP error of an earlier probe
                continue
            if len(data) == _PROBE.size:
                number, sent = _PROBE.unpack(data)
                self.arrivals.add(Arrival(number, sent, _received(ancillary)))


def _received(ancillary: Sequence[tuple[int, int, bytes]]) -> float:
    """When the kernel took the packet."""
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS):
            seconds, nanoseconds = _TIMESPEC.unpack(data[: _TIMESPEC.size])
            return float(seconds + nanoseconds / 1e9)
    return time.time()


class Controller(http.client.HTTPConnection):
    """The controller's API over its UNIX socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("controller", timeout=2)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket instead of a host."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))

    def report(self, site: str, side: Side, figures: Mapping[str, Figures | None]) -> dict[str, str] | None:
        """Path of each class; None where the controller does not answer: everything stays as it is."""
        body = json.dumps({"side": side, "paths": as_body(figures)})
        try:
            self.request("POST", f"/overlays/{site}/reports", body)
            answer = self.getresponse()
            choice = json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            print(f"controller: {type(error).__name__} {error}", file=sys.stderr, flush=True)
            return None
        return {str(name): str(path) for name, path in choice.items()} if answer.status == 200 else None


def ruleset(overlay: Overlay, choice: Mapping[str, str]) -> str:
    """nftables commands that put every class on its path, all at once (pure)."""
    marks = {tunnel.path: tunnel.mark for tunnel in overlay.tunnels}
    elements = ", ".join(f"{dscp} : {marks[choice[overlay.class_of(dscp)]]}" for dscp in range(DSCPS))
    where = f"inet {STEERING} {overlay.map_name}"
    return f"flush map {where}\nadd element {where} {{ {elements} }}\n"


def steer(overlay: Overlay, choice: Mapping[str, str]) -> bool:
    """Carry a choice out; False where nft refuses."""
    done = subprocess.run(["nft", "-f", "-"], input=ruleset(overlay, choice), capture_output=True, text=True)
    if done.returncode:
        print(f"nft: {done.stderr.strip()}", file=sys.stderr, flush=True)
    return done.returncode == 0


def run(overlay: Overlay, side: Side, controller: Controller) -> None:
    """Probe, report, steer, until the process is told to end."""
    rules = overlay.rules
    interval_s = rules.probe_interval_ms / 1000
    paths = [Probed(t, side, rules.probe_dscp, interval_s, rules.window_s) for t in overlay.tunnels]
    current = {c.name: overlay.tunnels[0].path for c in rules.classes}
    with selectors.DefaultSelector() as ready:
        for path in paths:
            ready.register(path.socket, selectors.EVENT_READ, path)
        next_probe = next_report = time.monotonic()
        while True:
            for key, _ in ready.select(max(0.0, min(next_probe, next_report) - time.monotonic())):
                key.data.receive()
            now = time.monotonic()
            if now >= next_probe:
                for path in paths:
                    path.send()
                next_probe = max(next_probe + interval_s, now)
            if now >= next_report:
                next_report = now + REPORT_S
                figures = {path.name: path.arrivals.figures(time.time()) for path in paths}
                choice = controller.report(overlay.site, side, figures)
                if choice is not None and choice != current and steer(overlay, choice):
                    current = choice


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line entry."""
    parser = argparse.ArgumentParser(prog="controllers.sdwan_agent")
    parser.add_argument("--overlay", type=Path, required=True)
    parser.add_argument("--side", choices=get_args(Side), required=True)
    parser.add_argument("--controller", type=Path, required=True)
    options = parser.parse_args(arguments)
    overlay = from_data(Overlay, json.loads(options.overlay.read_text()))
    run(overlay, options.side, Controller(options.controller))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
