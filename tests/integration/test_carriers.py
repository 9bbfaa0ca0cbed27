"""Circuits over carriers' networks: labels and service tags on the wire, and the right classes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.integration.labs import UclabCommand
from uclab.capture.headers import decode
from uclab.capture.pcapng import PcapngReader
from uclab.model.load import load_topology
from uclab.plan.planner import make_plan

pytestmark = [pytest.mark.root, pytest.mark.timeout(170)]


def one_call(folder: Path, topology: str) -> UclabCommand:
    """A lab in which two phones heard each other, down again."""
    uclab = UclabCommand(folder)
    uclab("up", topology, "--name", topology, "--out", str(folder / "out"))
    try:
        said = uclab("call", "--name", topology, "desk1", "desk2", "--seconds", "3").stdout
        assert said.count(": heard") == 2, said
        # and a full packet fits
        peer = "198.18.10.1"
        ping = ("ping", "-c", "3", "-i", "0.2", "-W", "2", "-M", "do", "-s", "1472", peer)
        uclab("exec", "--name", topology, "pc1", *ping)
    finally:
        uclab("down", "--name", topology, status=None)
    return uclab


def marks(folder: Path, topology: str, *columns: str) -> dict[str, Counter[tuple[int, ...]]]:
    """Tap inside the carrier to (DSCP, ...) of its IPv4 packets of calls, signalling and routing."""
    plan = make_plan(load_topology(topology))
    inside = {hop.tap for hop in plan.paths[0].hops if hop.label is not None or hop.service_vlan is not None}
    found: dict[str, Counter[tuple[int, ...]]] = {tap: Counter() for tap in inside}
    spaces = {tap.namespace for tap in plan.taps if tap.label in inside}
    own = {plan.node(name).interface(at).mac for name, at in (("edge", "cc1"), ("fra1-cc", "edge"))}
    macs = [int(mac.replace(":", ""), 16) for mac in own]
    for space in spaces:
        reader = PcapngReader(folder / "out" / "captures" / f"{space}.pcapng")
        for packets in reader:
            seen = decode(packets)
            rows = np.flatnonzero((seen.dscp >= 0) & np.isin(seen.src_mac, macs))
            for row in rows:
                tap = reader.interfaces[int(packets.interface[row])].name
                if tap in found:
                    found[tap][tuple(int(getattr(seen, name)[row]) for name in ("dscp", *columns))] += 1
    return found


@pytest.mark.req("W3", "V3", "Q1.4")
def test_a_label_switched_core_carries_a_call_in_its_class(tmp_path: Path) -> None:
    # given a call over the core, when the frames inside are looked at
    one_call(tmp_path, "mpls-branch")
    found = marks(tmp_path, "mpls-branch", "tc", "label")
    # then at each tap every DSCP has its class, under the labels of this circuit, one each way
    wanted = dict(make_plan(load_topology("mpls-branch")).policy.dscp_to_tc)
    assert len(found) == 4
    for tap, seen in found.items():
        assert {(dscp, tc) for dscp, tc, _ in seen if dscp} >= {(46, 5), (26, 3), (48, 6)}, tap
        assert all(tc == wanted.get(dscp, 0) for dscp, tc, _ in seen), (tap, seen)
        assert len({label for _, _, label in seen}) == 2, tap
    assert {label for seen in found.values() for _, _, label in seen} == {101, 102, 105, 106}


@pytest.mark.req("W2", "V3", "Q1.2")
def test_a_private_line_carries_a_call_behind_a_service_tag(tmp_path: Path) -> None:
    # given a call over the private line, when the frames inside are looked at
    one_call(tmp_path, "evpl-point-to-point")
    found = marks(tmp_path, "evpl-point-to-point", "service_pcp", "pcp", "service_vlan", "vlan")
    # then both tags have the priority of the DSCP
    wanted = dict(make_plan(load_topology("evpl-point-to-point")).policy.dscp_to_pcp)
    assert len(found) == 4
    for tap, seen in found.items():
        assert {(dscp, outer) for dscp, outer, *_ in seen} >= {(46, 5), (26, 3), (48, 6)}, tap
        assert all(outer == inner == wanted.get(dscp, 0) for dscp, outer, inner, *_ in seen), (tap, seen)
        assert {(service, vlan) for *_, service, vlan in seen} == {(2001, 101)}, tap
