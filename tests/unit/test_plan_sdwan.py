"""An overlay's plan: tunnels, routes, rulesets, certificates, hand-over to the cloud; faults of it."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

import pytest

from testbed.plans import shipped_plan
from uclab.emulation.overlay.openvpn import Identity, command
from uclab.model.load import load_topology, reference_directory
from uclab.plan.faults.catalogue import FAULTS
from uclab.plan.planner import make_plan
from uclab.plan.schema.overlay import Overlay
from uclab.plan.schema.plan import Plan

pytestmark = pytest.mark.req("W6")


@cache
def plan() -> Plan:
    return shipped_plan("sd-wan")


def overlay() -> Overlay:
    return plan().overlays[0]


def test_every_endpoint_goes_by_the_preferred_tunnel_and_the_gateways_circuit() -> None:
    for path in plan().paths:
        taps = [hop.tap for hop in path.hops]
        if path.endpoint != "pstn":
            tunnel = taps.index("edge:ov-wan1")
            assert taps[tunnel + 1 : tunnel + 3] == ["sdw1:branch-wan1", "sdw1:cc"]
            assert "fra1-cc:sdw1" in taps


def test_tunnels_have_taps_inside_and_are_no_cables_that_could_be_cut() -> None:
    labels = {tap.label for tap in plan().taps}
    assert {"edge:ov-wan1", "edge:ov-wan2", "sdw1:branch-wan1", "sdw1:branch-wan2"} <= labels
    assert not [link for link in plan().links if link.kind == "tunnel"]


def test_tunnels_share_no_port_mark_or_network() -> None:
    tunnels = overlay().tunnels
    assert len({t.port for t in tunnels}) == len({t.mark for t in tunnels}) == len(tunnels)
    assert len({t.near.address.rsplit(".", 1)[0] + t.near.address for t in tunnels}) == len(tunnels)


def test_only_the_gateway_translates_so_that_a_change_of_path_changes_no_address() -> None:
    edge, gateway = plan().node("edge").nftables or "", plan().node("sdw1").nftables or ""
    assert "snat" not in edge
    assert "masquerade" not in edge
    assert 'oifname "cc" ip saddr 10.60.0.0/16 snat to 203.0.113.129' in gateway
    assert "counter name refused_out drop" in edge


def test_every_code_point_has_a_path_from_the_start() -> None:
    assert overlay().class_of(46) == "voice"
    assert overlay().class_of(0) == overlay().class_of(63) == "default"
    assert (plan().node("edge").nftables or "").count(" : 1") == 64


def test_the_gateway_announces_its_public_prefix_and_hears_the_cloud_alone() -> None:
    routing = plan().node("sdw1").routing
    assert routing is not None
    assert routing.networks == ("203.0.113.128/28",)
    assert [route.prefix for route in routing.learned] == ["198.18.10.0/24"]


@pytest.mark.req("Q1.5", "C9.1")
def test_a_tunnel_proves_its_peer_and_copies_the_code_point() -> None:
    tunnel = overlay().tunnels[1]
    identity = Identity(Path("ca"), Path("own"), Path("key"), "edge.sdwan.ucaas.test")
    words = " ".join(command(tunnel, identity, at_gateway=True))
    assert "--passtos" in words
    assert "--verify-x509-name edge.sdwan.ucaas.test name" in words
    assert "--remote-cert-tls client" in words
    assert "AES-256-GCM" in words
    assert {c.name for c in plan().certificates} >= set(overlay().certificates)


def test_unmarked_overlay_is_the_edges_alone() -> None:
    broken = FAULTS["overlay-unmarked"].apply(plan(), None).overlays[0]
    assert not any(t.near.copies_dscp for t in broken.tunnels)
    assert all(t.far.copies_dscp for t in broken.tunnels)


def test_stuck_steering_meets_a_slow_line_in_both_directions() -> None:
    broken = FAULTS["steering-stuck"].apply(plan(), "edge")
    assert broken.overlays[0].rules.leave_after_s > 3600
    for device, interface in (("edge", "wan1"), ("isp1", "edge")):
        [line] = [x for x in broken.node(device).impairments if x.interface == interface]
        [clean] = [x for x in plan().node(device).impairments if x.interface == interface]
        assert line.delay_ms > clean.delay_ms + 100


@pytest.mark.parametrize("fault", ["overlay-unmarked", "steering-stuck"])
def test_faults_of_overlays_need_an_overlay(fault: str) -> None:
    with pytest.raises(KeyError, match="no SD-WAN edge"):
        FAULTS[fault].apply(shipped_plan("small-office"), None)


SECOND_SITE = """
  - name: shop-2
    prefix: 10.61.0.0/16
    vlans: [{name: voice, id: 110, role: voice, subnet: 10.61.110.0/24},
            {name: data, id: 120, role: data, subnet: 10.61.120.0/24}]
    switches: [{name: s2acc, role: access, ports: 8, poe_watts: 30}]
    firewall: {name: s2fw, uplinks: [s2acc]}
    router: {name: s2edge}
    connections: [{name: wan1, to: lte, profile: mobile-5g}]
    sd_wan: {gateway: sdw1, underlays: [wan1]}
    endpoints: [{name: s2desk1, kind: desk-phone, port: s2acc/1, number: 2001}]
"""


@pytest.fixture(scope="module")
def two_sites(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """`sd-wan` with a second site at the same gateway."""
    file = tmp_path_factory.mktemp("sites") / "two.yaml"
    file.write_text((reference_directory() / "sd-wan.yaml").read_text() + SECOND_SITE)
    return make_plan(load_topology(file))


def test_two_sites_at_one_gateway_are_kept_apart(two_sites: Plan) -> None:
    tunnels = [tunnel for overlay in two_sites.overlays for tunnel in overlay.tunnels]
    for distinct in ("port", "mark", "near", "far"):
        assert len({getattr(tunnel, distinct) for tunnel in tunnels}) == 3
    gateway = two_sites.node("sdw1").nftables or ""
    assert "ip daddr { 10.60.0.0/16 } meta mark set ip dscp map @path_of_branch" in gateway
    assert "ip daddr { 10.61.0.0/16 } meta mark set ip dscp map @path_of_shop_2" in gateway


@pytest.mark.parametrize("device", ["edge", "s2edge", "sdw1"])
def test_rulesets_are_ones_that_nft_takes(two_sites: Plan, device: str) -> None:
    rules = two_sites.node(device).nftables or ""
    done = subprocess.run(
        ["unshare", "--net", "--map-root-user", "nft", "-c", "-f", "-"],
        input=rules, capture_output=True, text=True,
    )  # fmt: skip
    if "unshare" in done.stderr and done.returncode:
        pytest.skip("no namespaces here")
    assert done.returncode == 0, done.stderr
