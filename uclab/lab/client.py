"""Speaks to a lab's supervisor over its UNIX socket: what the command line, the pytest plugin and scenarios
use."""

from __future__ import annotations

import json
import shlex
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from uclab.access.local_socket import peer
from uclab.access.names import DEVICE
from uclab.lab.circuits import CircuitOrder
from uclab.lab.directory import LabDirectory
from uclab.model.visible import visible
from uclab.plan.schema.codec import from_data, to_data
from uclab.records.run import CallRecord, Event, MessageRecord
from uclab.records.scenario import AskedMessages
from uclab.runtime.readiness import patient

SOCKET_DEADLINE_S = 20.0
NO_TIMEOUT = httpx.Timeout(None)
WRONG_REQUEST, WRONG_ORDER = 400, 422
"""Status of the answer to what is no order, and to an order that cannot be (RFC 9110 sections 15.5.1 and
15.5.21)."""


WITH_FILES = """
while [ "$1" != -- ]; do
    if [ -e "$1" ]; then mount --bind "$2" "$1"; fi
    shift 2
done
shift
exec "$@"
"""
"""A shell's script: puts files (where, which) in the place of the machine's, then runs what follows `--`."""
LONGEST_WORDS = 1000
"""Characters that a lab is told of a command."""


REFUSED = 409
"""The lab has nothing of that name, or cannot do that now (Conflict)."""
NO_ROOM = 507
"""Insufficient Storage (RFC 4918 section 11.5), and whatever else the machine refuses the lab."""


class LabError(Exception):
    """The supervisor did not do what was asked. As such, not as one of those below: it failed at it, which is
    a fault of uclab's own."""


class WrongRequest(LabError):
    """What was asked is nothing that this lab can do (exit status 2); nothing was done."""


class WrongCircuit(WrongRequest):
    """An order for a private circuit that cannot be; nothing was changed."""


class LabGone(Exception):
    """The supervisor ended, cannot be reached, or cannot go on."""


@dataclass(frozen=True)
class CallOrder:
    """A call to place: `caller` and `callee` are endpoint names, or `callee` an E.164 number."""

    id: str
    caller: str
    callee: str
    kind: str = "call"
    seconds: float | None = None
    """How long to talk; None: as long as a verdict on the parties' lines takes (`line_loss.call_s`)."""
    hold: bool = False
    """Hold and resume once in the middle."""
    hold_after: float | None = None
    """Seconds from the answer to the hold; half the time where None."""
    transfer_to: str | None = None
    """Endpoint to which the caller transfers the callee in the end."""
    transfer_seconds: float | None = None
    """How long these two talk then; None: as long as a verdict on their lines takes."""

    @property
    def length_s(self) -> float:
        """How long to talk, once that was asked for or chosen; `ValueError` before."""
        if self.seconds is None:
            raise ValueError("the length of this call has not been chosen yet")
        return self.seconds


@dataclass(frozen=True)
class MessageOrder:
    """Messages to send, from one endpoint to another, each when the one before was answered (RFC 3428
    section 8 wants that)."""

    id: str
    sender: str
    recipient: str
    count: int = 1
    text: str | None = None
    """None: one that says which message of how many it is."""
    every_s: float = 0.0
    """From the beginning of one to the next, where the answer to the one before is there by then."""

    @property
    def asked(self) -> AskedMessages:
        """As it is written down before it is carried out."""
        return AskedMessages(self.id, self.sender, self.recipient, self.count)

    def text_of(self, number: int) -> str:
        """What message `number` (from 1) says."""
        return self.text or f"{self.id}, message {number} of {self.count} to {self.recipient}"


def wait_for_socket(path: Path, process: subprocess.Popen[bytes]) -> bool:
    """True as soon as somebody listens; False if the process ended or the deadline passed before.

    Its file alone says little: it is there from bind(2) on, and until listen(2) connections are refused.
    """
    deadline = time.monotonic() + patient(SOCKET_DEADLINE_S)
    while time.monotonic() < deadline:
        with suppress(FileNotFoundError, ConnectionRefusedError), socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(path))
            return True
        try:
            process.wait(timeout=patient(0.01))
            return False
        except subprocess.TimeoutExpired:
            continue
    return False


def named(name: str) -> str:
    """A name as a part of a path. Raises `WrongName`."""
    return quote(DEVICE.checked("name", name), safe="")


class LabClient:
    """One lab. Every method raises `LabError` on a refusal, `LabGone` where nobody answers, and those that
    take a name `WrongName`."""

    def __init__(self, lab: LabDirectory) -> None:
        self.lab = lab
        self._http = httpx.Client(
            transport=httpx.HTTPTransport(uds=str(lab.socket)), base_url="http://lab", timeout=NO_TIMEOUT
        )

    def state(self) -> dict[str, Any]:
        """Phase, topology, endpoints with their registration, dead processes, variants, timings."""
        return dict(self._ask("GET", "/state"))

    def inspect(self, subject: str | None = None) -> dict[str, Any]:
        """One device (or the whole lab) in detail: addresses, routes, counters, ports, queues."""
        return dict(self._ask("GET", "/inspect", params={"subject": subject} if subject else None))

    def events(self, start: int = 0) -> Iterator[Event]:
        """Events from number `start` on, as they happen, until the lab ends."""
        try:
            with self._http.stream("GET", "/events", params={"start": start}) as response:
                for line in response.iter_lines():
                    if line:
                        yield from_data(Event, json.loads(line))
        except httpx.TransportError as error:
            raise LabGone(f"lab `{self.lab.name}` is gone: {error}") from error

    def call(self, order: CallOrder) -> CallRecord:
        """Place a call and wait for its end."""
        return from_data(CallRecord, self._ask("POST", "/calls", json=vars(order)))

    def messages(self, order: MessageOrder) -> list[MessageRecord]:
        """Send text messages, one after the other, and wait for the last answer."""
        answer = self._ask("POST", "/messages", json=vars(order))
        return [from_data(MessageRecord, record) for record in answer["messages"]]

    def bulk(self, action: str) -> None:
        """`start` or `stop` the plan's bulk traffic."""
        self._ask("POST", f"/bulk/{named(action)}")

    def fail(self, name: str, how: str = "cut", **figures: float | str) -> str:
        """Break a link, or all links of a node; returns what was done in words.

        `how` is `cut` (both ends lose carrier), `black-hole` (the link stays up and black-holes everything),
        `kill` (a router's programs end and it stops forwarding, its links up) or `brown-out` (a line gets
        worse), which takes `loss` (per cent), `delay` and `jitter` (ms) and `rate` (kbit/s), each a number or
        `"+N"` on top of what the line has. `leaving` names the one device whose packets a black hole or
        brown-out concerns.
        """
        return str(self._ask("POST", f"/fail/{named(name)}", json={"how": how, "figures": figures})["done"])

    def heal(self, name: str) -> str:
        """Undo all that `fail` did to a link, or to the links of a node."""
        return str(self._ask("POST", f"/heal/{named(name)}")["done"])

    def overlays(self) -> dict[str, Any]:
        """The SD-WAN by site: `paths` with delay, jitter and loss, `choice` of each traffic class."""
        return dict(self._ask("GET", "/overlays"))

    def circuits(self) -> dict[str, Any]:
        """Exchange to its customer `ports` and `circuits`."""
        return dict(self._ask("GET", "/circuits"))

    def create_circuit(self, name: str, order: CircuitOrder) -> dict[str, Any]:
        """Make a private circuit: `name`, `done`, `took_ms`, `circuit`. Raises `WrongCircuit`."""
        return dict(self._ask("POST", f"/circuits/{named(name)}", json=to_data(order)))

    def change_circuit(self, name: str, order: CircuitOrder) -> dict[str, Any]:
        """Change a private circuit; what the order leaves out stays. Raises `WrongCircuit`."""
        return dict(self._ask("PATCH", f"/circuits/{named(name)}", json=to_data(order)))

    def remove_circuit(self, name: str) -> dict[str, Any]:
        """Take a private circuit away. Raises `WrongCircuit`."""
        return dict(self._ask("DELETE", f"/circuits/{named(name)}"))

    def command_in(self, node: str, command: Sequence[str]) -> list[str]:
        """The command line that runs `command` in a node, for a process of the host (`uclab exec`): by the
        machine's programs, the device's network and the device's name servers. The run remembers it."""
        note = {"command": visible(shlex.join(command))[:LONGEST_WORDS]}
        place = self._ask("POST", f"/nodes/{named(node)}/hand", json=note)
        files = [word for pair in place["files"].items() for word in pair]
        return [
            *("nsenter", f"--target={self.supervisor_pid()}", "--mount", "--pid", "--"),
            *("unshare", "--mount", "--propagation", "private", "--", "sh", "-c", WITH_FILES, "sh"),
            *(*files, "--", "nsenter", f"--net={place['path']}", "--", *command),
        ]

    def command_at(self, node: str, command: Sequence[str]) -> list[str]:
        """The command line that runs `command` at a node's place in the network, and else on the host: among
        its files and processes, so that whoever starts it can signal it. Valid while the lab is up;
        the program does not end with it."""
        path = f"/proc/{self.supervisor_pid()}/root{self.namespace_of(node)}"
        return ["nsenter", f"--net={path}", "--", *command]

    def namespace_of(self, node: str) -> str:
        """The path of a node's network namespace among the lab's files."""
        return str(self._ask("GET", f"/nodes/{named(node)}/namespace")["path"])

    def down(self) -> dict[str, Any]:
        """Take the lab down in order: calls end, captures are flushed. Returns the timings."""
        return dict(self._ask("POST", "/down"))

    def supervisor_pid(self) -> int:
        """The supervisor's process id as seen from here: who listens on its socket (SO_PEERCRED, unix(7))."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(self.lab.socket))
            return peer(sock)[0]

    def _ask(
        self, method: str, path: str, json: object | None = None, params: Mapping[str, str] | None = None
    ) -> Any:
        try:
            response = self._http.request(method, path, json=json, params=params)
        except httpx.TransportError as error:
            raise LabGone(
                f"lab `{self.lab.name}` does not answer: {str(error) or type(error).__name__}"
            ) from error
        try:
            answer = response.json()
        except ValueError:  # the supervisor itself failed; its log has the rest
            problem = response.text.strip() or "no words"
            raise LabError(
                f"lab `{self.lab.name}` failed at {method} {path}: {problem}; see {self.lab.log}"
            ) from None
        if response.status_code == WRONG_ORDER:
            raise WrongCircuit(answer["error"])
        if 400 <= response.status_code < 500:
            raise WrongRequest(answer["error"])
        if response.status_code == NO_ROOM:
            raise LabGone(f"lab `{self.lab.name}`: {answer['error']}")
        if response.status_code >= 400:
            raise LabError(answer["error"])
        return answer
