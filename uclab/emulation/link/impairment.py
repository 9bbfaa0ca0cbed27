"""What a line does to packets: delay, jitter, loss. One interface, netem or the lab's own process behind it.

A line is queue first, then distance: the sender's HTB shapes what leaves, and only what has got through is
delayed, where it *arrives*. So the delay line never holds more than the line carries in its delay, an
overload is decided by the sender's classes, and taps at the sender show the queue alone. The planned
impairment of packets leaving by an interface is therefore put on the interface at the other end of the cable.
"""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from uclab.emulation.link import loss_jitter_model
from uclab.emulation.link.delay_line import DONE
from uclab.emulation.linux import netns, processes
from uclab.emulation.linux.netns import Namespace
from uclab.emulation.linux.processes import Daemon
from uclab.emulation.ovs.backends import ImpairmentKind
from uclab.plan.schema.plan import Impairment, Plan
from uclab.runtime.node import NotReady
from uclab.runtime.readiness import patient

START_DEADLINE_S = 10.0
CHANGE_DEADLINE_S = 5.0
_PLACES = ("interface", "arrives_at")
"""What of an impairment says where it is, not what it does."""
ORDER_KEEPING_RATE = "100gbit"
"""With any rate set, netem never lets a packet overtake the one before (net/sched/sch_netem.c,
netem_enqueue)."""


@dataclass(frozen=True)
class ArrivingLine:
    """An impaired line, seen from the device where its packets arrive on `interface`."""

    node: str
    interface: str
    impairment: Impairment


class ImpairmentError(Exception):
    """A line cannot be impaired as planned."""


def arriving_lines(plan: Plan) -> dict[str, list[ArrivingLine]]:
    """Impaired lines by the device where they arrive (pure)."""
    far: dict[tuple[str, str], tuple[str, str]] = {}
    for link in plan.links:
        a, b = (link.a.device, link.a.interface), (link.b.device, link.b.interface)
        far[a], far[b] = b, a
    nodes = {node.name for node in plan.nodes}
    found: dict[str, list[ArrivingLine]] = {}
    for node in plan.nodes:
        for impairment in node.impairments:
            device, interface = far.get((node.name, impairment.interface), ("", ""))
            if impairment.arrives_at is not None:
                device, interface = impairment.arrives_at.device, impairment.arrives_at.interface
            if device not in nodes:
                raise ImpairmentError(
                    f"{node.name}: the line on {impairment.interface} ends at {device or 'nothing'}; "
                    "delay and loss need a router or host at both ends"
                )
            found.setdefault(device, []).append(ArrivingLine(device, interface, impairment))
    return found


@dataclass
class ImpairedDevice:
    """The running impairments of one device."""

    namespace: Namespace
    variant: ImpairmentKind
    lines: tuple[ArrivingLine, ...]
    """In the order of their numbers."""
    account_path: Path | None = None
    daemon: Daemon | None = None
    control: socket.socket | None = None
    """Where the delay line takes changes."""

    @property
    def node(self) -> str:
        """The device's name."""
        return self.namespace.name

    def change(self, interface: str, impairment: Impairment) -> None:
        """Make the line that arrives on `interface` behave so from now on; returns when it does."""
        numbers = [n for n, line in enumerate(self.lines) if line.interface == interface]
        changed = [(n, ArrivingLine(self.node, interface, impairment)) for n in numbers]
        if self.control is None:
            commands = [f"qdisc change dev line{n} root {netem(line.impairment)}\n" for n, line in changed]
            _run(self.namespace, ["tc", "-batch", "-"], "".join(commands))
            return
        try:
            self.control.send(json.dumps([line_order(n + 1, line) for n, line in changed]).encode())
            answered = self.control.recv(len(DONE)) == DONE
        except OSError:
            answered = False
        if not answered:
            raise ImpairmentError(f"{self.node}: the delay line does not take changes: it has ended or hangs")

    def stop(self) -> None:
        """Tell the delay line to write its account and end; netem ends with the namespace. Does not wait."""
        if self.daemon is not None:
            self.daemon.terminate()

    def account(self) -> dict[str, Any]:
        """The delay line's account as of its last SIGUSR1 or its end; empty with netem (`tc -s qdisc` has
        it)."""
        if self.account_path is None or not self.account_path.exists():
            return {}
        record: dict[str, Any] = json.loads(self.account_path.read_text())
        return record


def impair(
    namespace: Namespace, lines: Sequence[ArrivingLine], variant: ImpairmentKind, run_dir: Path
) -> ImpairedDevice:
    """Make the lines that arrive in `namespace` behave as planned. Returns when they do."""
    if variant == "netem":
        _netem(namespace, lines)
        return ImpairedDevice(namespace, variant, tuple(lines))
    return _delay_line(namespace, lines, run_dir)


def netem_commands(lines: Sequence[ArrivingLine]) -> list[str]:
    """`tc -batch` lines (pure): what arrives is redirected through an ifb device, whose root queue is
    netem."""
    commands: list[str] = []
    for number, line in enumerate(lines):
        what, ifb = line.impairment, f"line{number}"
        commands += [
            f"qdisc add dev {ifb} root {netem(what)}",
            f"qdisc add dev {line.interface} handle ffff: ingress",
            f"filter add dev {line.interface} parent ffff: protocol all prio 1 u32 match u32 0 0 "
            f"action mirred egress redirect dev {ifb}",
        ]
    return commands


def netem(what: Impairment) -> str:
    """The queueing discipline in `tc`'s words (pure)."""
    order = f" rate {ORDER_KEEPING_RATE}" if what.keep_order else ""
    return (
        f"netem limit {what.limit_packets} "
        f"delay {what.delay_ms}ms{_netem_jitter(what)}{_netem_loss(what)}{order}"
    )


def _netem_jitter(what: Impairment) -> str:
    if not what.jitter_ms:
        return ""
    table = what.jitter_distribution
    # uniform is what netem does without a table
    return f" {loss_jitter_model.netem_jitter_ms(what)}ms" + (
        f" distribution {table}" if table != "uniform" else ""
    )


def _netem_loss(what: Impairment) -> str:
    if what.bursts is not None:
        bursts = what.bursts
        # p, r, 1-h, 1-k of tc-netem(8)
        return f" loss gemodel {bursts.enter_pct}% {bursts.leave_pct}% {bursts.lost_pct}% {what.loss_pct}%"
    return f" loss random {what.loss_pct}%" if what.loss_pct else ""


def _netem(namespace: Namespace, lines: Sequence[ArrivingLine]) -> None:
    interfaces = "".join(f"link add line{n} type ifb\nlink set line{n} up\n" for n in range(len(lines)))
    _run(namespace, ["ip", "-batch", "-"], interfaces)
    _run(namespace, ["tc", "-batch", "-"], "\n".join(netem_commands(lines)) + "\n")


def _run(namespace: Namespace, command: Sequence[str], text: str) -> None:
    with netns.entered(namespace):
        done = subprocess.run(command, input=text, capture_output=True, text=True)
    if done.returncode:
        raise ImpairmentError(f"{namespace.name}: {' '.join(command)}: {done.stderr.strip()}\n{text}")


def queue_rules(lines: Sequence[ArrivingLine]) -> str:
    """`iptables-restore` rules that hand arriving packets to the delay line before connection tracking sees
    them (pure).

    Not nftables: kernels exist with the NFQUEUE target of iptables but without `queue` in nftables
    (CONFIG_NFT_QUEUE).
    """
    rules = [
        f"-A PREROUTING -i {line.interface} -j NFQUEUE --queue-num {n}" for n, line in enumerate(lines, 1)
    ]
    return "\n".join(["*raw", *rules, "COMMIT", ""])


def line_orders(lines: Sequence[ArrivingLine]) -> list[dict[str, Any]]:
    """What the delay line is told (pure)."""
    return [line_order(number, line) for number, line in enumerate(lines, 1)]


def line_order(number: int, line: ArrivingLine) -> dict[str, Any]:
    """What the delay line is told of one line, whose queue has that number (pure)."""
    figures = {name: value for name, value in asdict(line.impairment).items() if name not in _PLACES}
    return {"queue": number, **figures}


def _delay_line(namespace: Namespace, lines: Sequence[ArrivingLine], run_dir: Path) -> ImpairedDevice:
    folder = run_dir / "lines"
    folder.mkdir(parents=True, exist_ok=True)
    account = folder / f"{namespace.name}.json"
    reader, writer = os.pipe()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(CHANGE_DEADLINE_S)
    order = json.dumps(
        {
            "lines": line_orders(lines),
            "account": str(account),
            "ready_fd": writer,
            "control_fd": theirs.fileno(),
        }
    )
    try:
        daemon = processes.start(
            f"line-{namespace.name}",
            [sys.executable, "-m", "uclab.emulation.link.delay_line"],
            log=folder / f"{namespace.name}.log",
            namespace=namespace,
            pass_fds=(writer, theirs.fileno()),
            stdin=order.encode(),
        )
        os.close(writer)
        theirs.close()
        wait_ready(reader, daemon)
    finally:
        os.close(reader)
    _run(namespace, ["iptables-restore", "--noflush"], queue_rules(lines))
    return ImpairedDevice(namespace, "userspace", tuple(lines), account, daemon, ours)


def wait_ready(reader: int, daemon: Daemon) -> None:
    """Return when the program has written a 1 to the pipe. Raises `NotReady`."""
    ready = select.poll()  # select() takes no descriptor above 1023: a large lab has thousands
    ready.register(reader, select.POLLIN)
    if not ready.poll(patient(START_DEADLINE_S) * 1000) or os.read(reader, 1) != b"1":
        raise NotReady(f"{daemon.name} does not serve its line; its log ends with:\n{daemon.last_lines()}")
