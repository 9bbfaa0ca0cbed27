"""Calls over carriers' networks, judged: right classes, customers apart, and who is to blame where not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from testbed.frames import Packet
from testbed.made_up_network import Leg, Talker, for_short_calls
from testbed.plans import shipped_plan
from testbed.world import World
from tests.unit.judge.routing_world import Tapped
from tests.unit.judge.test_judge_drills import failed, run
from uclab.cli.summary import chosen_walk, walk_table
from uclab.judge.checks.customer_isolation import check_apart
from uclab.judge.judging import judge_run
from uclab.judge.path.hop_trace import marking_columns
from uclab.judge.result.judgement import Judgement
from uclab.model.load import load_topology
from uclab.plan.planner import make_plan
from uclab.plan.schema.plan import PathHop
from uclab.report.results import walk_data

PUBLIC = "203.0.113.129"
SITE = ("desk1", "desk2", "acc1", "fw-sw", "fw:voice")
"""Where the phones' own addresses and MACs are seen."""


@dataclass
class CarriedWorld(World):
    """A site behind a private circuit over a carrier's network."""

    def dressed(self, packet: Packet, hop: PathHop, talker: Talker, leg: Leg) -> Packet:
        at_site, policy = hop.tap.startswith(SITE), self.plan.policy
        near = talker.address if hop.tap.startswith((*SITE, "fw", "edge:lan")) else PUBLIC
        far_mac = self.plan.node("fra1-cc").interface("edge").mac
        macs = (
            (talker.mac, talker.gateway_mac)
            if at_site
            else (self.plan.node("edge").interface("cc1").mac, far_mac)
        )
        seen = replace(
            packet,
            vlan=hop.vlan,
            pcp=policy.pcp(packet.dscp) if hop.vlan is not None else 0,
            service_vlan=hop.service_vlan,
            service_pcp=policy.pcp(packet.dscp),
            label=None if hop.label is None else hop.label + 4 * (leg == "down"),
            tc=policy.tc(packet.dscp),
        )
        if leg == "up":
            return replace(seen, src=near, src_mac=macs[0], dst_mac=macs[1])
        return replace(seen, dst=near, src_mac=macs[1], dst_mac=macs[0])


def world(folder: Path, topology: str) -> CarriedWorld:
    plan = shipped_plan(topology)
    phones = tuple(e for e in plan.endpoints if e.kind == "desk-phone")
    return CarriedWorld(folder, for_short_calls(replace(plan, endpoints=phones, bulk=())))


def other_customer(here: World, taps: dict[str, int | None]) -> None:
    """Ten packets of the other customer at each of these taps, under that label."""
    x1, x2 = (here.plan.node(name) for name in ("mpls1-x1", "mpls1-x2"))
    ours = (here.plan.node("edge").interface("cc1"), here.plan.node("fra1-cc").interface("edge"))
    src, dst = (own.addresses[0].split("/")[0] for own in ours)
    packet = Packet(x1.interfaces[0].mac, x2.interfaces[0].mac, src, dst, 7, 7, b"echo")
    for number in range(10):
        for tap, label in taps.items():
            here.put(tap, here.now + number * 1_000_000, bytes(replace(packet, label=label)))


OWN_WAY = {
    "mpls1-x1:eth0": None, "mpls1-edge1:3": None, "mpls1-edge1:1": 201, "mpls1-core:1": 201,
    "mpls1-core:2": 202, "mpls1-edge2:1": 202, "mpls1-edge2:3": None, "mpls1-x2:eth0": None,
}  # fmt: skip


def of_kind(judgement: Judgement, kind: str) -> set[tuple[str, str]]:
    return {(finding.subject, finding.verdict) for finding in judgement.findings if finding.id == kind}


NOT_PLAYED = {"qos.trust", "peering.prefixes", "peering.accepted", "peering.session"}
"""No PC and no routing daemon has a part in these captures."""


@pytest.mark.req("W3", "Q1.4", "D5")
def test_a_right_call_over_a_label_switched_core_passes(tmp_path: Path) -> None:
    # given two customers on one core
    here = world(tmp_path, "mpls-branch")
    other_customer(here, OWN_WAY)
    # when a call over it is judged
    judgement = run(here)
    # then everything holds, and was seen
    assert {f.id for f in judgement.findings if f.verdict != "pass"} == NOT_PLAYED
    assert ("c1:caller_to_callee", "pass") in of_kind(judgement, "qos.mpls-tc")
    assert ("desk1:signalling", "pass") in of_kind(judgement, "qos.mpls-tc")
    assert of_kind(judgement, "carrier.apart") == {("mpls1:cc1", "pass"), ("mpls1:other customer", "pass")}
    # and the walk shows class and label where there are any
    walk = chosen_walk(judgement)
    assert walk is not None
    inside = {hop.tap: (hop.tc, hop.label, hop.vlan) for hop in walk.hops if hop.leg == "up" and hop.label}
    assert inside["mpls1-core:1"] == (5, 101, None)
    assert list(marking_columns(walk)) == ["DSCP", "802.1p", "VLAN", "TC", "label"]
    assert "TC" in [column.header for column in walk_table(walk).columns]
    assert {hop.get("tc") for hop in walk_data(walk)["hops"]} == {None, 5}


@pytest.mark.req("W2", "Q1.2", "D5")
def test_a_right_call_over_a_private_line_passes(tmp_path: Path) -> None:
    judgement = run(world(tmp_path, "evpl-point-to-point"))
    assert {f.id for f in judgement.findings if f.verdict != "pass"} == NOT_PLAYED
    assert ("c1:callee_to_caller:service-tag", "pass") in of_kind(judgement, "qos.pcp")
    walk = chosen_walk(judgement)
    assert walk is not None
    [core] = [hop for hop in walk.hops if hop.tap == "metro1-core:1" and hop.leg == "up"]
    assert (core.service_vlan, core.service_pcp, core.vlan, core.pcp) == (2001, 5, 101, 5)
    assert list(marking_columns(walk)) == ["DSCP", "802.1p", "VLAN", "S-tag 802.1p", "S-VLAN"]


def changed(where: Callable[[str, Leg], bool], **fields: Any) -> Callable[[Packet, str, Leg], Packet]:
    """Changes fields of voice at some taps."""
    return lambda packet, tap, leg: replace(packet, **fields) if where(tap, leg) else packet


@pytest.mark.req("W3", "Q1.4")
def test_a_shifted_class_map_is_blamed_on_the_edge_that_has_it(tmp_path: Path) -> None:
    # given an edge that gives too low a class, and a far edge that makes the priority of it
    here = world(tmp_path, "mpls-branch")
    other_customer(here, OWN_WAY)

    def shift(packet: Packet, tap: str, leg: Leg) -> Packet:
        if leg == "down":
            return packet
        behind = tap in ("mpls1-edge2:2", "fra1-px:2")
        lower = packet.tc - 1
        return replace(packet, tc=lower, pcp=lower if behind else packet.pcp)

    here.alter = shift
    # when it is judged
    broken = failed(run(here))
    # then both findings name the edge in front
    assert set(broken) == {"qos.mpls-tc", "qos.pcp"}
    assert broken["qos.mpls-tc"].blame == broken["qos.pcp"].blame == "mpls1-edge1"
    assert broken["qos.mpls-tc"].observed == "traffic class 4 at mpls1-edge1:1"
    assert broken["qos.pcp"].observed.endswith(
        "priority 4 at mpls1-edge2:2, as the changed traffic class requires"
    )


@pytest.mark.req("W3", "Q1.4")
def test_a_class_that_the_core_changed_is_the_cores(tmp_path: Path) -> None:
    here = world(tmp_path, "mpls-branch")
    other_customer(here, OWN_WAY)
    here.alter = changed(lambda tap, leg: tap in ("mpls1-core:1", "mpls1-edge1:1") and leg == "down", tc=0)
    broken = failed(run(here))
    assert set(broken) == {"qos.mpls-tc"}
    assert broken["qos.mpls-tc"].blame == "mpls1-core"
    assert broken["qos.mpls-tc"].observed == "correct up to mpls1-core:2, traffic class 0 at mpls1-core:1"


@pytest.mark.req("W2", "Q1.2")
def test_an_unmarked_service_tag_is_blamed_on_the_edge(tmp_path: Path) -> None:
    here = world(tmp_path, "evpl-point-to-point")
    here.alter = changed(lambda tap, leg: leg == "up", service_pcp=0)
    judgement = run(here)
    broken = failed(judgement)
    assert set(broken) == {"qos.pcp"}
    assert broken["qos.pcp"].blame == "metro1-edge1"
    wrong = {finding.subject for finding in judgement.findings if finding.verdict == "fail"}
    assert all(subject.endswith(":service-tag") for subject in wrong)


@pytest.mark.req("W3")
def test_another_customers_packets_at_our_port_are_found(tmp_path: Path) -> None:
    # given a label that both circuits have
    here = world(tmp_path, "mpls-branch")
    shared = {"mpls1-edge1:1": 101, "mpls1-core:1": 101, "mpls1-core:2": 102, "mpls1-edge2:1": 102}
    other_customer(here, {**OWN_WAY, **shared, "mpls1-edge2:2": None})
    # when it is judged
    judgement = run(here)
    # then both customers are told, and the edge that gave the label is named
    assert set(failed(judgement)) == {"carrier.apart"}
    apart = [finding for finding in judgement.findings if finding.id == "carrier.apart"]
    assert [finding.verdict for finding in apart] == ["fail", "fail"]
    assert {finding.blame for finding in apart} == {"mpls1-edge1"}
    assert "from mpls1-x1 at mpls1-edge2:2" in apart[0].observed


def hub_world(folder: Path) -> Tapped:
    """Three branches of one company over one core to a hub, another customer beside the first circuit."""
    loaded = load_topology("hub-and-spoke")
    carriers = tuple(one.model_copy(update={"other_customer": True}) for one in loaded.topology.carriers)
    here = Tapped(
        make_plan(replace(loaded, topology=loaded.topology.model_copy(update={"carriers": carriers}))), folder
    )
    for branch in "123":
        # up, and down by the labels of the return path
        way = {path.endpoint: path.hops for path in here.plan.paths}[f"b{branch}desk1"]
        crossed = [hop for hop in way if hop.tap.startswith("core1-") or hop.tap == f"edge:b{branch}edge"]
        labels = {hop.tap: hop.label for hop in crossed}
        here_to_hub = here.plan.node(f"b{branch}edge").interface(f"mpls{branch}").mac
        hub_to_here = here.plan.node("edge").interface(f"b{branch}edge").mac
        sent(here, here_to_hub, labels)
        sent(here, hub_to_here, {tap: label and label + 4 for tap, label in labels.items()})
    sent(here, here.plan.node("core1-x1").interfaces[0].mac, {"core1-edge1:3": None, "core1-core:1": 201})
    return here


def sent(here: Tapped, mac: str, labels: Mapping[str, int | None]) -> None:
    """A packet of that sender at each of these taps, under that label."""
    for tap, label in labels.items():
        packet = Packet(mac, "02:00:00:00:00:02", "10.0.0.1", "10.0.0.2", 7, 7, b"x", label=label)
        here.see(tap, bytes(packet))


@pytest.mark.req("W3", "V5")
def test_circuits_of_one_company_may_meet_at_its_hub(tmp_path: Path) -> None:
    # given three circuits that end in one router, when the core is judged
    findings = {finding.subject: finding for finding in check_apart(hub_world(tmp_path).evidence())}
    # then each is apart from the other customer
    assert set(findings) == {"core1:mpls1", "core1:mpls2", "core1:mpls3", "core1:other customer"}
    assert {finding.verdict for finding in findings.values()} == {"pass"}
    assert findings["core1:mpls3"].observed.startswith("8 labelled frames of its own")


@pytest.mark.req("W3", "V5")
@pytest.mark.parametrize("tap", ["core1-edge2:5", "edge:b2edge"])
def test_another_customers_packets_at_the_hub_are_found(tmp_path: Path, tap: str) -> None:
    # given a packet of the other customer that comes out at the hub's port, or in its router
    here = hub_world(tmp_path)
    sent(here, here.plan.node("core1-x1").interfaces[0].mac, {tap: None})
    # then all of the company's circuits that end there are not apart from it
    verdicts = {finding.subject: finding.verdict for finding in check_apart(here.evidence())}
    assert verdicts["core1:other customer"] == "pass"
    assert "fail" in {verdicts[f"core1:mpls{branch}"] for branch in "123"}


@pytest.mark.req("W3", "V5")
def test_a_circuits_packets_under_another_circuits_label_are_found(tmp_path: Path) -> None:
    # given a branch's packet under the label of another branch of the same company
    here = hub_world(tmp_path)
    sent(here, here.plan.node("b2edge").interface("mpls2").mac, {"core1-edge3:1": 101})
    # then its circuit is told, and its edge named
    broken = [finding for finding in check_apart(here.evidence()) if finding.verdict == "fail"]
    assert [(finding.subject, finding.blame) for finding in broken] == [("core1:mpls2", "core1-edge3")]


@pytest.mark.req("W3")
def test_customers_who_sent_nothing_are_not_shown_apart(tmp_path: Path) -> None:
    judgement = run(world(tmp_path, "mpls-branch"))
    assert ("mpls1:other customer", "not-shown") in of_kind(judgement, "carrier.apart")


@pytest.mark.req("W3", "V1")
def test_calls_by_another_way_prove_nothing_of_the_carrier(tmp_path: Path) -> None:
    # given calls of which no labelled frame was seen
    here = world(tmp_path, "mpls-branch")
    for name in ("desk1", "desk2"):
        here.connect(name)
        here.register(name)
    here.call("desk1", "desk2", seconds=0.6)
    for space, frames in here.frames.items():
        here.frames[space] = [frame for frame in frames if not frame[1].startswith("mpls1")]
    # then their class is not shown
    verdicts = {verdict for _, verdict in of_kind(judge_run(here.write()), "qos.mpls-tc")}
    assert verdicts == {"not-shown"}
