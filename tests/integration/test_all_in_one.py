"""A home office with one box for everything: calls work in its one flat network, and the box marks what
leaves by itself, whatever a device set (N5, W9)."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from tests.integration.labs import UclabCommand, lab_of_module
from uclab.capture.headers import UDP, decode
from uclab.capture.pcapng import PcapngReader
from uclab.model.load import load_topology
from uclab.plan.planner import make_plan

pytestmark = [pytest.mark.root, pytest.mark.req("N5", "V7.5", "W9", "C8")]

CLOUD = "198.18.10.11"
"""The session controller in the topology's data centre."""
EF_AS_TOS = "184"
ICMP = 1

uclab = lab_of_module("soho-all-in-one", "box")


def marks(uclab: UclabCommand, tap: str) -> dict[int, Counter[int]]:
    """Protocol to DSCP of what passed a tap on its way to the cloud."""
    plan = make_plan(load_topology("soho-all-in-one"))
    space = next(one.namespace for one in plan.taps if one.label == tap)
    found: dict[int, Counter[int]] = {ICMP: Counter(), UDP: Counter()}
    reader = PcapngReader(uclab.folder / "box" / "captures" / f"{space}.pcapng")
    cloud = int.from_bytes(bytes(map(int, CLOUD.split("."))))
    for packets in reader:
        seen = decode(packets)
        for row in np.flatnonzero(seen.dst >> 8 == cloud >> 8):
            proto = int(seen.proto[row])
            if proto in found and reader.interfaces[int(packets.interface[row])].name == tap:
                found[proto][int(seen.dscp[row])] += 1
    return found


def test_calls_work_and_the_box_believes_no_mark(uclab: UclabCommand) -> None:
    # given calls between neighbours of all kinds, and a PC that marks what it sends as voice
    for caller, callee in (("desk1", "desk2"), ("soft1", "desk1"), ("desk2", "+493055503001")):
        call = uclab.json("call", "--name", "box", caller, callee, "--seconds", "2")
        assert call["caller_to_callee"]["heard"]
        assert call["callee_to_caller"]["heard"]
    ping = ("ping", "-c", "5", "-i", "0.1", "-W", "2", "-Q", EF_AS_TOS, CLOUD)
    uclab("exec", "--name", "box", "pc1", *ping)
    # when the lab is down and its captures are whole
    uclab("down", "--name", "box")
    # then the mark arrived at the box, which took it away, and only voice leaves as voice
    assert marks(uclab, "box:lan")[ICMP][46] == 5
    outside = marks(uclab, "box:dsl1")
    assert (outside[ICMP][46], outside[ICMP][0]) == (0, 5)
    assert outside[UDP][46] > 400
