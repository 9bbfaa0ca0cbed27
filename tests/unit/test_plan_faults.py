"""Each deliberate fault breaks one thing in the plan, and says so; the clean plan stays as it is."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from functools import cache

import pytest

from testbed.plans import shipped_plan
from uclab.plan.faults.catalogue import FAULTS, fitting
from uclab.plan.resolve.plan_edits import port_towards
from uclab.plan.schema.codec import plan_from_json, plan_to_json
from uclab.plan.schema.plan import Node, Plan

FINDINGS = {
    "signalling.tls",
    "signalling.certificate",
    "signalling.registered",
    "media.srtp",
    "media.keys",
    "privacy.readable",
    "hub.media",
    "media.injected",
    "hub.signalling",
    "qos.dscp",
    "qos.pcp",
    "qos.trust",
    "qos.overlay",
    "failover.calls-kept",
    "failover.failback",
    "failover.order",
    "failover.registration",
    "sdwan.steering",
    "path.as-planned",
    "signalling.untouched",
    "quality.voice",
    "quality.overload",
    "vlan.voice",
    "vlan.port-control",
    "audio.heard",
    "lab.isolation",
    "qos.mpls-tc",
    "qos.wmm",
    "carrier.apart",
    "peering.prefixes",
    "peering.accepted",
    "peering.session",
    "circuit.policy",
    "message.delivered",
    "message.receipt",
    "message.private",
    "abuse.connections",
    "abuse.half-open",
    "abuse.passwords",
}
TOPOLOGIES = {name: fault.topology for name, fault in FAULTS.items() if fault.topology != "small-office"}
"""Where faults are tried that `enterprise-hq` has nothing for."""
PRIVATE = sorted(TOPOLOGIES)
CHANGED = {
    "rtp-plain": {"endpoints"},
    "foreign-certificate": {"certificates"},
    "verification-off": {"certificates", "endpoints", "pstn_peers"},
    "dscp-cleared": {"nodes"},
    "port-wrongly-trusted": {"nodes", "switches", "fabrics"},
    "queues-removed": {"nodes"},
    "phone-in-data-vlan": {"nodes", "switches", "fabrics"},
    "media-direct": {"nodes", "session_controllers"},
    "media-rule-missing": {"nodes"},
    "foreign-mac": {"nodes"},
    "overlay-unmarked": {"overlays"},
    "steering-stuck": {"nodes", "overlays"},
    "wifi-naive-map": {"switches"},
    "wifi-station-unmarked": {"switches"},
    "mpls-map-shifted": {"switches"},
    "service-tag-unmarked": {"switches"},
    "labels-shared": {"switches"},
    "prefix-leaked": {"nodes"},
    "filter-missing": {"nodes"},
    "circuit-too-narrow": {"nodes"},
    "circuit-opened": {"nodes", "circuit_exchanges"},
    "dscp-cleared-by-isp": {"nodes"},
    "rtcp-unmarked": {"nodes"},
    "sip-alg": {"nodes"},
    "backup-preferred": {"nodes"},
    "wan-balanced-per-packet": {"nodes"},
    "asymmetric-routing": {"nodes"},
    "exchange-clears-dscp": {"switches"},
    "failback-flaps": {"line_watches"},
    "connection-flood": {"attacks"},
    "half-open-flood": {"attacks"},
    "password-guessing": {"attacks"},
    "media-injected": {"session_controllers", "injections"},
    "message-copied": {"session_controllers"},
    "message-duplicated": {"session_controllers"},
    "message-swallowed": {"session_controllers"},
    "receipts-missing": {"session_controllers"},
}
"""Parts of the plan that each fault touches, besides `faults`."""


@cache
def clean(topology: str = "enterprise-hq") -> Plan:
    return shipped_plan(topology)


def topology_for(name: str) -> str:
    return TOPOLOGIES.get(name, "enterprise-hq")


def faulted(name: str, target: str | None = None, topology: str | None = None) -> Plan:
    return FAULTS[name].apply(clean(topology or topology_for(name)), target)


def changed_nodes(plan: Plan) -> list[tuple[Node, Node]]:
    return [(a, b) for a, b in zip(clean(plan.topology).nodes, plan.nodes, strict=True) if a != b]


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_fault_changes_its_parts_of_the_plan_and_is_noted_in_it(name: str) -> None:
    plan = faulted(name)
    before = clean(topology_for(name))
    touched = {f.name for f in fields(Plan) if getattr(plan, f.name) != getattr(before, f.name)}
    assert touched == CHANGED[name] | {"faults"}
    assert plan.faults == (name,)
    assert before.faults == ()
    assert plan_from_json(plan_to_json(plan)) == plan


@pytest.mark.parametrize("name", sorted(set(FAULTS) - set(TOPOLOGIES)))
@pytest.mark.parametrize("topology", ["small-office", "collapsed-core"])
def test_fault_fits_every_reference_topology(name: str, topology: str) -> None:
    assert faulted(name, topology=topology) != clean(topology)


def test_a_drill_takes_the_faults_that_fit() -> None:
    assert set(fitting(clean("small-office"))) == set(FAULTS) - set(TOPOLOGIES)
    assert set(fitting(clean("mpls-branch"))) >= {"labels-shared", "mpls-map-shifted", "prefix-leaked"}
    assert set(fitting(clean("evpl-point-to-point"))) >= {"service-tag-unmarked", "rtp-plain"}


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_fault_names_findings_that_the_judge_has(name: str) -> None:
    assert FAULTS[name].breaks
    assert {*FAULTS[name].breaks, *FAULTS[name].may_break} <= FINDINGS
    assert FAULTS[name].is_caught_by(FAULTS[name].breaks)
    assert not FAULTS[name].is_caught_by(FAULTS[name].breaks[1:])
    assert not FAULTS[name].is_caught_by({*FAULTS[name].breaks, "lab.isolation"})
    assert FAULTS[name].summary


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_unknown_target_is_refused_and_the_known_ones_are_named(name: str) -> None:
    with pytest.raises(KeyError, match=r"no .* nobody; there is "):
        faulted(name, "nobody")


def test_target_is_hit_and_noted() -> None:
    plan = faulted("rtp-plain", "desk4")
    assert [e.name for e in plan.endpoints if e.media_encryption == "none"] == ["desk4"]
    assert plan.faults == ("rtp-plain:desk4",)


def test_faults_can_be_combined() -> None:
    plan = FAULTS["queues-removed"].apply(faulted("dscp-cleared"), None)
    assert plan.faults == ("dscp-cleared", "queues-removed")
    edge = plan.node("edge")
    assert "DRILL" in (edge.nftables or "")
    assert [[c.name for c in queue.classes] for queue in edge.queues] == [["signalling", "default"]]


@pytest.mark.req("C8")
def test_cleared_dscp_is_cleared_towards_the_phones_only() -> None:
    [(before, after)] = changed_nodes(faulted("dscp-cleared"))
    added = (after.nftables or "").removeprefix(before.nftables or "")
    assert 'oifname "lan" ip dscp set 0' in added
    assert "wan1" not in added


@pytest.mark.req("L1")
def test_phone_in_the_data_vlan_has_an_address_there_that_nobody_else_has() -> None:
    plan = faulted("phone-in-data-vlan")
    [(_, phone)] = changed_nodes(plan)
    assert phone.interfaces[0].addresses == ("10.10.120.254/24",)
    assert phone.routes[0].via == "10.10.120.1"
    _, port = port_towards(plan, "desk1")
    assert (120, phone.interfaces[0].mac) in port.allowed
    [module] = [switch for switch in plan.switches if switch.name == "desk1-sw"]
    assert [p.vlan for p in module.ports if p.peer == "desk1"] == [120]


@pytest.mark.req("N3.3")
def test_foreign_phone_is_not_on_the_list_of_its_port() -> None:
    plan = faulted("foreign-mac")
    [(_, phone)] = changed_nodes(plan)
    assert phone.name == "desk1"
    _, port = port_towards(plan, "desk1")
    assert phone.interfaces[0].mac not in {mac for _, mac in port.allowed}


def test_wrongly_trusted_port_is_the_same_for_switch_and_controller() -> None:
    plan = faulted("port-wrongly-trusted")
    switch, port = port_towards(plan, "soft1")
    assert (switch.name, port.number, port.trust_dscp) == ("acc1", 9, True)
    [fabric] = plan.fabrics
    assert set(fabric.switches) == {s for s in plan.switches if s.controlled}


@pytest.mark.req("N1.2", "C7")
def test_missing_media_rule_is_the_one_into_the_voice_zone() -> None:
    [(before, after)] = changed_nodes(faulted("media-rule-missing"))
    gone = set((before.nftables or "").splitlines()) - set((after.nftables or "").splitlines())
    assert len(gone) == 1
    assert "counter name voice_media_in accept" in gone.pop()


@pytest.mark.parametrize("name", PRIVATE)
def test_fault_of_private_circuits_says_where_it_does_not_fit(name: str) -> None:
    with pytest.raises(KeyError, match="there is none"):
        faulted(name, topology="small-office")


def announced(node: Node) -> set[str]:
    assert node.routing is not None
    return {rule.prefix for session in node.routing.neighbours for rule in session.announce}


def learned(plan: Plan, node: str) -> dict[str, str]:
    routing = plan.node(node).routing
    assert routing is not None
    return {route.prefix: route.via for route in routing.learned}


@pytest.mark.req("P3")
def test_leaked_prefix_is_refused_by_the_cloud_unless_its_filter_is_missing() -> None:
    leaked, opened = faulted("prefix-leaked"), faulted("filter-missing")
    for plan in (leaked, opened):
        assert announced(plan.node("edge")) == {"203.0.113.128/28", "10.20.0.0/16"}
    for router in ("fra1-cc", "fra1-br"):
        assert "10.20.0.0/16" not in learned(leaked, router)
        assert "10.20.0.0/16" in learned(opened, router)


@pytest.mark.req("Q2")
def test_narrow_circuit_has_less_room_than_one_call_at_both_ends() -> None:
    changed = changed_nodes(faulted("circuit-too-narrow"))
    assert [after.name for _, after in changed] == ["edge", "fra1-cc"]
    for before, after in changed:
        [narrow] = [q for q, old in zip(after.queues, before.queues, strict=True) if q != old]
        assert narrow.rate_kbps == 64
        assert all(c.rate_kbps <= c.ceil_kbps <= 64 for c in narrow.classes)


@pytest.mark.req("W5")
def test_opened_circuit_lets_any_marking_in_and_the_site_sends_one_that_nobody_has() -> None:
    plan = faulted("circuit-opened")
    allowed = {c.name: c.allowed_dscp for e in plan.circuit_exchanges for c in e.circuits}
    assert allowed["north-cc1"] is None
    assert allowed["south-cc2"] is not None
    [(_, router)] = changed_nodes(plan)
    assert 'oifname "cc1" tcp dport 179 ip dscp set 10' in (router.nftables or "")
    rules = {
        dscp for c in clean("sdn-circuits").circuit_exchanges[0].circuits for dscp in c.allowed_dscp or ()
    }
    assert 10 not in rules


def test_the_list_of_faults_is_whole_wherever_it_is_read_from() -> None:
    # given a process that has imported nothing else, then it knows the faults that register themselves, too
    read = "from uclab.plan.faults.catalogue import FAULTS; print(*FAULTS)"
    done = subprocess.run([sys.executable, "-c", read], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == set(FAULTS)
