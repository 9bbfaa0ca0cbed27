"""Every check must be able to fail: one thing is broken in a whole synthetic run, and exactly the right
findings fail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from testbed.frames import Packet
from testbed.made_up_network import Leg, reference_plan
from testbed.world import World
from uclab.judge.judging import judge_run
from uclab.judge.result.judgement import Finding, Judgement
from uclab.records.run import Event

FOREIGN_MAC = "02:ff:ff:00:00:01"


def run(world: World) -> Judgement:
    """Two phones register and call each other; judged."""
    for name in ("desk1", "desk2"):
        world.connect(name)
        world.register(name)
    world.call("desk1", "desk2", seconds=0.8)
    return judge_run(world.write())


def failed(judgement: Judgement) -> dict[str, Finding]:
    """The failed findings by id; the first of each."""
    found: dict[str, Finding] = {}
    for finding in judgement.findings:
        if finding.verdict == "fail":
            found.setdefault(finding.id, finding)
    return found


def not_shown(judgement: Judgement) -> set[str]:
    return {finding.id for finding in judgement.findings if finding.verdict == "not-shown"}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, replace(reference_plan("desk1", "desk2"), bulk=()))


@pytest.mark.req("C1.1", "C1.2", "C7", "C8", "C9.1", "C9.4", "D5", "L1", "Q1.1", "Q1.2")
def test_a_right_run_passes_every_check(tmp_path: Path) -> None:
    # given a run with desk, soft and telephone network, with bulk traffic that fills the line
    world = World(tmp_path, reference_plan("desk1", "desk2", "soft1"))
    for name in ("desk1", "desk2", "soft1", "pstn"):
        world.connect(name)
    for name in ("desk1", "desk2", "soft1"):
        world.register(name)
    world.call("desk1", "desk2", seconds=0.8)
    world.call("soft1", "pstn", seconds=0.6, kind="desk-pstn")
    world.bulk()
    world.call("desk2", "soft1", seconds=0.6, kind="overload")

    # when it is judged
    judgement = judge_run(world.write())

    # then everything was shown, and held
    assert [f for f in judgement.findings if f.verdict != "pass"] == []
    assert judgement.verdict == "pass"
    assert {
        c.id: (c.caller_to_callee is not None, c.callee_to_caller is not None) for c in judgement.calls
    } == {
        "c1": (True, True),
        "c2": (True, True),
        "c3": (True, True),
    }
    walk = judgement.walks[0]
    assert (walk.hops[0].tap, walk.hops[-1].tap) == ("desk1:eth0", "desk2:eth0")
    assert len(walk.hops) == 48
    assert [hop.delay_us for hop in walk.hops] == sorted(hop.delay_us for hop in walk.hops)
    assert {hop.pcp for hop in walk.hops if hop.vlan == 110} == {5}
    texts = [message.text for message in judgement.ladders[0].messages]
    assert texts[0] == "INVITE sip:1002@ucaas.test"
    assert "200 OK (INVITE)" in texts
    assert {series.kind for series in judgement.series} == {"delay_ms", "jitter_ms", "loss_pct", "kbps"}


@pytest.mark.req("C8", "Q1.1", "D5")
def test_bleached_dscp_is_blamed_on_the_router_that_did_it(world: World) -> None:
    def bleach(packet: Packet, tap: str, leg: Leg) -> Packet:
        return replace(packet, dscp=0) if leg == "down" and tap == "edge:lan" else packet

    world.alter = bleach
    broken = failed(run(world))
    assert set(broken) == {"qos.dscp", "qos.pcp"}
    assert broken["qos.dscp"].blame == "edge"
    assert broken["qos.dscp"].observed == "correct up to edge:wan1, 0 at edge:lan"
    assert broken["qos.pcp"].blame == "edge"
    assert broken["qos.pcp"].observed == "priority 0 at fw-sw:6, as the changed DSCP requires"


@pytest.mark.req("Q1.2")
def test_a_lost_priority_tag_is_blamed_on_the_switch(world: World) -> None:
    def forget(packet: Packet, tap: str, leg: Leg) -> Packet:
        return replace(packet, pcp=0) if tap in ("dist1:1", "core1:2") else packet

    world.alter = forget
    broken = failed(run(world))
    assert set(broken) == {"qos.pcp"}
    assert broken["qos.pcp"].blame == "dist1"


@pytest.mark.req("C9.4")
def test_a_phone_with_plain_rtp_is_named(world: World) -> None:
    world.plain = frozenset({"desk1"})
    broken = failed(run(world))
    assert set(broken) == {"media.srtp", "privacy.readable"}
    assert broken["media.srtp"].blame == "desk1"
    assert broken["privacy.readable"].subject == "voice of desk1"


@pytest.mark.req("C9.1")
def test_a_foreign_certificate_is_found_although_all_phones_refuse_it(tmp_path: Path) -> None:
    world = World(tmp_path, replace(reference_plan("desk1", "desk2"), bulk=()), foreign_server=True)
    for name in ("desk1", "desk2"):
        world.connect(name, refuses=True)
    broken = failed(judge_run(world.write()))
    assert set(broken) == {"signalling.certificate", "signalling.registered"}
    assert broken["signalling.certificate"].subject == broken["signalling.certificate"].blame == "fra1-sbc"
    assert "Foreign CA" in broken["signalling.certificate"].observed
    assert "tls-refused" in broken["signalling.registered"].observed


@pytest.mark.req("C9.1")
def test_a_phone_that_accepts_a_foreign_certificate_is_named(tmp_path: Path) -> None:
    world = World(tmp_path, replace(reference_plan("desk1", "desk2"), bulk=()), foreign_server=True)
    world.connect("desk1")
    world.register("desk1")
    world.connect("desk2", refuses=True)
    judgement = judge_run(world.write())
    certificate = {f.subject: f for f in judgement.findings if f.id == "signalling.certificate"}
    assert certificate["desk1"].verdict == "fail"
    assert "accepted a foreign certificate" in certificate["desk1"].observed
    assert certificate["desk2"].verdict == "pass"


@pytest.mark.req("C9.1")
def test_tls_below_the_policy_is_found(tmp_path: Path) -> None:
    plan = replace(reference_plan("desk1", "desk2"), bulk=())
    world = World(
        tmp_path, replace(plan, policy=replace(plan.policy, min_tls_version="1.3")), tls_version="1.2"
    )
    broken = failed(run(world))
    assert set(broken) == {"signalling.tls"}
    assert "TLS 1.2" in broken["signalling.tls"].observed


@pytest.mark.req("C9.1")
def test_readable_sip_and_passwords_are_found(world: World) -> None:
    talker = world.talker("desk1")
    password = talker.endpoint.account.password
    text = f"REGISTER sip:ucaas.test SIP/2.0\r\nX-Debug: {password}\r\n\r\n".encode()
    packet = Packet("", "", talker.address, world.controller.address, 5060, 5060, text)
    world.carry(packet, talker, "up", world.now)
    judgement = run(world)
    assert set(failed(judgement)) == {"privacy.readable", "signalling.tls"}
    leaks = {f.subject: f for f in judgement.findings if f.id == "privacy.readable"}
    assert set(leaks) == {"SIP", "the password of 1001"}
    assert password not in str(leaks)
    assert leaks["SIP"].blame == "desk1"


@pytest.mark.req("C7")
def test_media_past_the_cloud_is_found(world: World) -> None:
    one, two = world.talker("desk1"), world.talker("desk2")
    judged = run(_with_direct(world, one.address, two.address, one.mac, two.mac))
    broken = failed(judged)
    assert set(broken) == {"hub.media"}
    assert broken["hub.media"].subject == "desk1-desk2"
    assert broken["hub.media"].blame == "acc1"


def _with_direct(world: World, src: str, dst: str, src_mac: str, dst_mac: str) -> World:
    for index, tap in enumerate(("desk1:eth0", "desk1-sw:2", "acc1:1", "acc1:2", "desk2:eth0")):
        vlan = 110 if tap.startswith("acc1") else None
        packet = Packet(src_mac, dst_mac, src, dst, 16384, 16384, b"\x80\x00" + bytes(range(170)), vlan=vlan)
        world.put(tap, world.now + index * 1000, bytes(packet))
    return world


@pytest.mark.req("C8", "N3.3")
def test_a_port_that_is_trusted_wrongly_is_named(tmp_path: Path) -> None:
    def forge(packet: Packet, tap: str, leg: Leg) -> Packet:
        return replace(packet, dscp=46) if packet.dport == 9 else packet

    world = World(tmp_path, reference_plan("desk1", "desk2"), alter=forge)
    world.bulk(packets=20)
    broken = failed(run(world))
    assert set(broken) == {"qos.trust"}
    assert broken["qos.trust"].blame == "acc4:2"


@pytest.mark.req("C8", "N3.3")
def test_a_later_switch_that_marks_what_pcs_send_is_named(tmp_path: Path) -> None:
    behind = ("dist2:1", "core1:3", "core1:4", "fw-sw:6")

    def mark(packet: Packet, tap: str, leg: Leg) -> Packet:
        return replace(packet, dscp=46) if packet.dport == 9 and tap in behind else packet

    # given an access switch that does what it should, and a distribution switch that marks as EF
    world = World(tmp_path, reference_plan("desk1", "desk2"), alter=mark)
    world.bulk(packets=20)
    assert failed(run(world))["qos.trust"].blame == "dist2"


@pytest.mark.req("C8", "N2")
def test_voice_lost_under_overload_is_blamed_on_the_device_that_dropped_it(tmp_path: Path) -> None:
    dropped = iter([True, False, False, False] * 1000)

    def overloaded(packet: Packet, tap: str, leg: Leg) -> Packet | None:
        lost = tap == "edge:wan1" and leg == "up" and packet.dscp == 46 and next(dropped)
        return None if lost else packet

    world = World(tmp_path, reference_plan("desk1", "desk2"), alter=overloaded)
    _overload(world)
    broken = failed(judge_run(world.write()))
    assert set(broken) == {"quality.overload"}
    assert broken["quality.overload"].blame == "edge"
    assert "between edge:lan and edge:wan1" in broken["quality.overload"].observed


@pytest.mark.req("C8")
def test_good_voice_proves_nothing_when_the_line_was_not_full(tmp_path: Path) -> None:
    world = World(tmp_path, reference_plan("desk1", "desk2"))
    _overload(world, lost=0.0)
    judgement = judge_run(world.write())
    assert failed(judgement) == {}
    assert not_shown(judgement) == {"quality.overload"}


def _overload(world: World, lost: float = 0.3) -> None:
    for name in ("desk1", "desk2"):
        world.connect(name)
        world.register(name)
    world.bulk(lost=lost)
    world.call("desk1", "desk2", seconds=0.8, kind="overload")


@pytest.mark.req("L1", "L2")
def test_a_phone_in_the_data_vlan_is_named(world: World) -> None:
    phone = world.talker("desk1").mac

    def untag(packet: Packet, tap: str, leg: Leg) -> Packet:
        if phone not in (packet.src_mac, packet.dst_mac) or packet.vlan is None:
            return packet
        return replace(packet, vlan=None) if tap in ("desk1-sw:1", "acc1:1") else replace(packet, vlan=120)

    world.alter = untag
    broken = failed(run(world))
    assert set(broken) == {"vlan.voice"}
    assert broken["vlan.voice"].subject == "desk1"
    assert "VLAN 120 (data)" in broken["vlan.voice"].observed


@pytest.mark.req("N3.3")
@pytest.mark.parametrize(
    ("taps", "words"),
    [
        (("desk1-sw:3", "desk1-sw:1", "acc1:1"), "and was blocked"),
        (("desk1-sw:3", "desk1-sw:1", "acc1:1", "acc1:25", "dist1:3"), "and went on to acc1:25, dist1:3"),
    ],
)
def test_a_foreign_mac_address_is_named_with_its_port(
    world: World, taps: tuple[str, ...], words: str
) -> None:
    for tap in taps:
        packet = Packet(FOREIGN_MAC, "02:00:00:00:00:02", "10.10.120.77", "198.18.10.11", 9, 9, b"hello")
        world.put(tap, world.now, bytes(packet))
    broken = failed(run(world))
    assert set(broken) == {"vlan.port-control"}
    assert broken["vlan.port-control"].blame == "acc1:1"
    assert words in broken["vlan.port-control"].observed


@pytest.mark.req("C2.3", "D3")
def test_one_way_audio_is_named_as_such_and_blamed_on_the_firewall(world: World) -> None:
    def no_rule(packet: Packet, tap: str, leg: Leg) -> Packet | None:
        blocked = (
            tap == "fw:voice"
            and leg == "down"
            and packet.dscp == 46
            and packet.dst == world.talker("desk1").address
        )
        return None if blocked else packet

    world.alter = no_rule
    for name in ("desk1", "desk2"):
        world.connect(name)
        world.register(name)
    world.call("desk1", "desk2", seconds=0.8, heard=(True, False))
    judgement = judge_run(world.write())
    broken = failed(judgement)
    assert set(broken) == {"audio.heard"}
    assert broken["audio.heard"].observed.startswith("one-way: callee hears caller, caller hears nothing")
    assert "fw:wan" in broken["audio.heard"].observed
    assert broken["audio.heard"].blame == "fw"
    assert {"quality.voice", "hub.media", "qos.dscp"} <= not_shown(judgement)


@pytest.mark.req("D1")
def test_an_address_from_outside_is_found(world: World) -> None:
    packet = Packet("02:00:00:00:00:09", "02:00:00:00:00:02", "10.10.110.11", "8.8.8.8", 9, 53, b"x")
    world.put("inet:isp1", world.now, bytes(packet))
    broken = failed(run(world))
    assert set(broken) == {"lab.isolation"}
    assert "8.8.8.8" in broken["lab.isolation"].observed


@pytest.mark.req("D3", "D4")
def test_a_program_that_died_is_named(world: World) -> None:
    world.events.append(Event(1.0, "fra1-sbc-kamailio", "process-died", "killed by signal 9; last lines: x"))
    broken = failed(run(world))
    assert set(broken) == {"lab.alive"}
    assert broken["lab.alive"].blame == "fra1-sbc-kamailio"
    assert "not back until the end" in broken["lab.alive"].observed


@pytest.mark.req("D5")
def test_drops_of_a_capture_are_found(world: World) -> None:
    world.drops = {"acc1:1": 3}
    judgement = run(world)
    assert failed(judgement) == {}
    gaps = [(f.subject, f.observed) for f in judgement.findings if f.id == "capture.complete"]
    assert gaps == [("acc1:1", "3 packets dropped by the capture")]
    assert "capture.complete" in not_shown(judgement)


def _without_capture(folder: Path) -> None:
    (folder / "captures" / "edge.pcapng").unlink()


AT_EVERY_TAP = {
    *("qos.dscp", "qos.pcp", "vlan.way", "path.as-planned", "signalling.untouched"),
    *("privacy.readable", "lab.isolation"),
}
"""What is claimed of every tap cannot be shown where one was not captured."""


def _cut_off(folder: Path) -> None:
    path = folder / "captures" / "edge.pcapng"
    path.write_bytes(path.read_bytes()[:-30])


def _without_keys(folder: Path) -> None:
    (folder / "keys" / "tls.keylog").unlink()


@pytest.mark.req("D5", "C9.1")
@pytest.mark.parametrize(
    ("change", "ids"),
    [
        (_without_capture, {"capture.complete", *AT_EVERY_TAP}),
        (_cut_off, {"capture.complete"}),
        (_without_keys, {"media.srtp", "media.keys", "signalling.certificate", "abuse.passwords"}),
    ],
)
def test_what_was_not_captured_is_not_shown(
    world: World, change: Callable[[Path], None], ids: set[str]
) -> None:
    for name in ("desk1", "desk2"):
        world.connect(name)
        world.register(name)
    world.call("desk1", "desk2", seconds=0.8)
    change(world.write())
    judgement = judge_run(world.folder)
    assert failed(judgement) == {}
    assert not_shown(judgement) == {*ids}
    # and what nobody asked for, traffic of PCs, is not among it
    assert [f.verdict for f in judgement.findings if f.id == "qos.trust"] == ["not-applicable"]
    assert judgement.verdict == "not-shown"


@pytest.mark.req("C9.4")
def test_packets_that_the_negotiated_key_does_not_open_are_found(world: World) -> None:
    def tamper(packet: Packet, tap: str, leg: Leg) -> Packet:
        broken = packet.dscp == 46 and tap == "isp1:edge" and leg == "up"
        return (
            replace(packet, payload=packet.payload[:-1] + bytes([packet.payload[-1] ^ 1]))
            if broken
            else packet
        )

    world.alter = tamper
    broken = failed(run(world))
    assert set(broken) == {"media.srtp"}
    assert "do not authenticate" in broken["media.srtp"].observed
    assert broken["media.srtp"].evidence.tap == "fra1-sbc:eth0"


@pytest.mark.req("D3")
def test_a_call_that_should_have_come_about_fails(world: World) -> None:
    world.connect("desk1")
    world.connect("desk2")
    world.register("desk1")
    world.register("desk2")
    world.call("desk1", "desk2", seconds=0.5)
    world.calls[0] = replace(world.calls[0], established=False, error="486 Busy Here")
    judgement = judge_run(world.write())
    assert set(failed(judgement)) == {"call.established"}
    assert "486 Busy Here" in failed(judgement)["call.established"].observed


@pytest.mark.req("C9.1")
def test_what_is_no_sip_does_not_keep_a_run_from_being_judged(world: World) -> None:
    # given a host that says something else than SIP over TLS to the session controller
    world.connect("desk1")
    world.register("desk1")
    for words in ("hello\r\n\r\n", "SIP/2.0 \r\n\r\n", "A sip: SIP/2.0\r\nCSeq: \x00\x1b<&\r\n\r\n"):
        world.sip("desk1", True, words)
    # when the run is judged
    broken = failed(run(world))
    # then nothing of it is held against the network
    assert broken == {}
