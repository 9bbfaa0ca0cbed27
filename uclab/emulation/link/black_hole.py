"""A cable that black-holes packets while both ends keep their carrier: a BPF program at the arriving
interface drops every frame, ARP included.

Generic XDP (net/core/dev.c, do_xdp_generic, Linux 4.12 and later) comes before captures, packet sockets, tc
and netfilter. So the sender's tap sees what left, the receiver's tap sees nothing, and it makes no difference
whether a router, Open vSwitch's userspace datapath, netem or the lab's own line is behind the interface.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct

from pyroute2 import IPRoute
from pyroute2 import NetlinkError as Pyroute2Error

from uclab.emulation.linux import netns
from uclab.emulation.linux.netns import Namespace

_BPF_SYSCALL = {"x86_64": 321, "aarch64": 280, "riscv64": 280}
_BPF_PROG_LOAD, _BPF_PROG_TYPE_XDP = 5, 6
_XDP_FLAGS_SKB_MODE = 2
_MOV_IMMEDIATE, _EXIT, _XDP_DROP = 0xB7, 0x95, 1
_ATTRIBUTES_LENGTH = 128
"""Of `union bpf_attr`, as far as any kernel needs it here; the kernel takes zeros at its end."""


class BlackHoleError(Exception):
    """The kernel has no black hole for us; the message says why."""


def drop_program() -> bytes:
    """`r0 = XDP_DROP; exit` (pure; linux/bpf.h, struct bpf_insn)."""
    return struct.pack("=BBhi", _MOV_IMMEDIATE, 0, 0, _XDP_DROP) + struct.pack("=BBhi", _EXIT, 0, 0, 0)


def drop_all(namespace: Namespace, index: int) -> None:
    """Drop whatever arrives at the interface of that index from now on."""
    program = _load()
    try:
        _attach(namespace, index, program)
    finally:
        os.close(program)  # the interface holds it


def let_through(namespace: Namespace, index: int) -> None:
    """Undo `drop_all`."""
    _attach(namespace, index, -1)


def _load() -> int:
    """Descriptor of the loaded program."""
    instructions = ctypes.create_string_buffer(drop_program())
    licence = ctypes.create_string_buffer(b"GPL")
    attributes = struct.pack(
        "=IIQQ", _BPF_PROG_TYPE_XDP, 2, ctypes.addressof(instructions), ctypes.addressof(licence)
    ).ljust(_ATTRIBUTES_LENGTH, b"\0")
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(attributes, _ATTRIBUTES_LENGTH)
    number = _BPF_SYSCALL.get(platform.machine())
    if number is None:
        raise BlackHoleError(
            f"no black holes on {platform.machine()}; there are on {', '.join(_BPF_SYSCALL)}"
        )
    descriptor: int = libc.syscall(number, _BPF_PROG_LOAD, buffer, _ATTRIBUTES_LENGTH)
    if descriptor < 0:
        raise BlackHoleError(f"the kernel refused the BPF program: {os.strerror(ctypes.get_errno())}")
    return descriptor


def _attach(namespace: Namespace, index: int, program: int) -> None:
    wanted = {"attrs": [["IFLA_XDP_FD", program], ["IFLA_XDP_FLAGS", _XDP_FLAGS_SKB_MODE]]}
    with netns.entered(namespace), IPRoute() as kernel:
        try:
            kernel.link("set", index=index, xdp=wanted)
        except Pyroute2Error as error:
            raise BlackHoleError(f"{namespace.name}: interface {index}: no XDP: {error}") from error
