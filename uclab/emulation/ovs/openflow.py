"""As much OpenFlow 1.3 as a switch without a controller needs: its few flows, confirmed by a barrier.

Spoken directly to the bridge's management socket: `ovs-ofctl` costs 10 to 50 ms a switch, this costs one.
Numbers are those of the OpenFlow Switch Specification 1.3.5, sections 7.1 to 7.3.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from pathlib import Path

from uclab.plan.schema.flows import FlowAction, Match, SwitchFlow
from uclab.runtime.readiness import patient

NORMAL = 0xFFFFFFFA
"""Reserved port: forward as a learning switch does."""

_VERSION = 4
_HELLO, _ERROR, _ECHO_REQUEST, _ECHO_REPLY, _FLOW_MOD, _BARRIER_REQUEST, _BARRIER_REPLY = (
    0,
    1,
    2,
    3,
    14,
    20,
    21,
)
_IN_PORT, _ETH_TYPE, _VLAN_VID, _VLAN_PCP, _IP_DSCP, _MPLS_LABEL, _MPLS_TC = 0, 5, 6, 7, 8, 34, 35
_PUSH = {"push-vlan": 17, "push-mpls": 19, "pop-mpls": 20}
_POP_VLAN = 18
_VLAN_PRESENT = 0x1000
_NONE = 0xFFFFFFFF
_DEADLINE_S = 10.0


class OpenFlowError(Exception):
    """A bridge refused a flow or did not answer."""


def install(management: Path, flows: Sequence[SwitchFlow]) -> None:
    """Add flows to a bridge and return when it has them. Raises `OpenFlowError` or OSError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(patient(_DEADLINE_S))
        sock.connect(str(management))
        messages = [_message(_HELLO, b""), *(encode(flow) for flow in flows), _message(_BARRIER_REQUEST, b"")]
        sock.sendall(b"".join(messages))
        _await_barrier(sock, management)


def encode(flow: SwitchFlow) -> bytes:
    """The flow-mod message that adds `flow` (pure)."""
    actions = b"".join(map(_action, flow.actions))
    return _flow_mod(flow.priority, _match(flow.match), actions + _output(flow.out_port))


def _match(match: Match) -> bytes:
    """The fields of a flow, each after those that it presupposes (section 7.2.3.8)."""
    found = b""
    if match.in_port is not None:
        found += _oxm(_IN_PORT, struct.pack(">I", match.in_port))
    if match.eth_type is not None:
        found += _oxm(_ETH_TYPE, struct.pack(">H", match.eth_type))
    if match.vlan is not None:
        found += _oxm(_VLAN_VID, struct.pack(">H", _VLAN_PRESENT | match.vlan if match.vlan else 0))
    if match.pcp is not None:
        found += _oxm(_VLAN_PCP, bytes([match.pcp]))
    if match.ip_dscp is not None:
        found += _oxm(_IP_DSCP, bytes([match.ip_dscp]))
    if match.mpls_label is not None:
        found += _oxm(_MPLS_LABEL, struct.pack(">I", match.mpls_label))
    if match.mpls_tc is not None:
        found += _oxm(_MPLS_TC, bytes([match.mpls_tc]))
    return found


def _action(action: FlowAction) -> bytes:
    match action.kind:
        case "pop-vlan":
            return struct.pack(">HHxxxx", _POP_VLAN, 8)
        case "set-vlan":
            return _set_field(_VLAN_VID, struct.pack(">H", _VLAN_PRESENT | action.value))
        case "set-pcp":
            return _set_field(_VLAN_PCP, bytes([action.value]))
        case "set-dscp":
            return _set_field(_IP_DSCP, bytes([action.value]))
        case "set-label":
            return _set_field(_MPLS_LABEL, struct.pack(">I", action.value))
        case "set-tc":
            return _set_field(_MPLS_TC, bytes([action.value]))
        case _:
            return struct.pack(">HHHxx", _PUSH[action.kind], 8, action.value)


def _output(port: int) -> bytes:
    return struct.pack(">HHIHxxxxxx", 0, 16, port, 0)


def _flow_mod(priority: int, match: bytes, actions: bytes) -> bytes:
    body = struct.pack(">QQBBHHHIIIHxx", 0, 0, 0, 0, 0, 0, priority, _NONE, _NONE, _NONE, 0)
    body += _padded(struct.pack(">HH", 1, 4 + len(match)) + match)
    body += struct.pack(">HHxxxx", 4, 8 + len(actions)) + actions
    return _message(_FLOW_MOD, body)


def _message(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBHI", _VERSION, kind, 8 + len(body), 1) + body


def _oxm(field: int, value: bytes) -> bytes:
    return struct.pack(">HBB", 0x8000, field << 1, len(value)) + value


def _set_field(field: int, value: bytes) -> bytes:
    inside = _oxm(field, value)
    length = (4 + len(inside) + 7) & ~7
    return struct.pack(">HH", 25, length) + inside + bytes(length - 4 - len(inside))


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 8)


def _await_barrier(sock: socket.socket, management: Path) -> None:
    """Read until the barrier's answer; an error before it is about one of the flows."""
    with sock.makefile("rb") as stream:
        while True:
            header = stream.read(8)
            if len(header) < 8:
                raise OpenFlowError(f"{management.stem}: the switch closed the connection")
            _, kind, length, xid = struct.unpack(">BBHI", header)
            body = stream.read(length - 8)
            if kind == _BARRIER_REPLY:
                return
            if kind == _ERROR:
                number, code = struct.unpack_from(">HH", body)
                raise OpenFlowError(f"{management.stem}: flow refused (error type {number}, code {code})")
            if kind == _ECHO_REQUEST:
                sock.sendall(struct.pack(">BBHI", _VERSION, _ECHO_REPLY, length, xid) + body)
