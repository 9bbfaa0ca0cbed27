"""The emulation on a real kernel: namespaces, cables, switches, queues, impaired lines, captures, programs.

Each test plays a scene in namespaces of its own (`emulation_sandbox`) and judges what the scene measured.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.integration.emulation_sandbox import play
from uclab.runtime.installation import PACKAGES

pytestmark = [pytest.mark.root, pytest.mark.timeout(120)]


@pytest.mark.req("D1")
def test_a_mininet_user_feels_at_home(tmp_path: Path) -> None:
    # given a LabNet made from a Mininet topology: a star of three hosts
    # when it is started, used and stopped as one would any Mininet network
    seen = play("mininet_user", tmp_path)
    # then names, addresses, links and commands are Mininet's
    assert seen["hosts"] == ["h1", "h2", "h3"]
    assert seen["links"] == ["h1-eth0<->s1-eth1", "h2-eth0<->s1-eth2", "h3-eth0<->s1-eth3"]
    assert seen["address"] == "10.0.0.3"
    assert seen["cmd"] == "1"
    assert "h1-eth0" in seen["popen"]
    # and packets get through while the link is up, only then
    assert seen["echo_ms"] is not None
    assert seen["down_ms"] is None
    assert seen["up_ms"] is not None
    # and nothing is left
    assert seen["left"] == []


@pytest.mark.req("L1", "Q1.2")
def test_a_phones_switch_tags_its_frames_with_voice_vlan_and_priority(tmp_path: Path) -> None:
    # given a desk phone with a PC behind it
    # when the phone sends voice, signalling and best effort, and the PC pretends to send voice
    frames = play("phone_switch", tmp_path)["frames"]
    # then the phone's frames carry the voice VLAN and the 802.1p priority of their DSCP
    assert [(f["from"], f["seen_dscp"], f["vlan"], f["pcp"]) for f in frames[:3]] == [
        ("phone", 46, 110, 5),
        ("phone", 26, 110, 3),
        ("phone", 0, 110, 0),
    ]
    # and the PC's leave untagged
    assert (frames[3]["vlan"], frames[3]["pcp"]) == (None, None)


def test_a_pulled_cable_stops_traffic_and_a_plugged_one_brings_back_static_routes(tmp_path: Path) -> None:
    # given left - router - right, and a static route of the router over its right interface
    # when each cable is pulled and plugged in again
    seen = play("link_failure", tmp_path)
    # then traffic stops and comes back each time
    assert seen["before"] is not None
    for cable in ("left-router", "router-right"):
        assert seen[f"{cable} failed"] is None
        assert seen[f"{cable} healed"] is not None
    # and the route that the kernel dropped with the interface is there again
    assert "10.9.0.0/16 via 10.0.2.2" in seen["routes"]
    # and a link that does not exist is answered with those that do
    assert "no link left-rooter; there are left-router, router-right" in seen["unknown"]


def test_programs_run_confined_in_their_device(tmp_path: Path) -> None:
    # given two hosts
    # when programs are started in one of them
    seen = play("programs", tmp_path)
    # then they see their device's name server and address, have no capabilities and cannot gain any
    assert "nameserver 198.19.0.2" in seen["look"]
    assert "10.0.0.1" in seen["look"]
    assert seen["look"].count("0000000000000000") == 2
    assert "NoNewPrivs:\t1" in seen["look"]
    # and write only where they were allowed to
    assert "Read-only file system" in seen["look"]
    assert seen["word"] == "kept\n"
    # and a signal ends the program itself, not only its sandbox
    assert seen["sleeper"] == "sleep"
    assert seen["sleeper_status"] == 128 + 15
    # and programs of the host find /run and /tmp empty, but for this checkout where it is there
    assert seen["host_status"] == 0
    here = [top for top in ("/run/", "/tmp/") if str(PACKAGES).startswith(top)]
    assert seen["host_log"] == f"{['/'.join(PACKAGES.parts[:3])[1:] for _ in here]}\n"
    # and one that is not there is named
    assert "no-such-program" in seen["missing"]
    # and a connection opened for the lab comes from the device's own address
    assert (seen["heard"], seen["peer"]) == ("hello\n", "10.0.0.1")


@pytest.mark.req("C8")
@pytest.mark.parametrize(("classes", "voice_survives"), [("classes", True), ("none", False)])
def test_voice_survives_an_overloaded_line_only_with_a_class_of_its_own(
    tmp_path: Path, classes: str, voice_survives: bool
) -> None:
    # given a line of 2 Mbit/s and 20 ms, with or without a class for voice
    # when 90 kbit/s of voice share it with 5 Mbit/s of bulk
    seen = play("overload", tmp_path, classes)
    speech, bulk = seen["speech"], seen["bulk"]
    # then bulk loses packets either way: the queue limits it, not the delay line
    assert bulk["received"] < 0.6 * bulk["sent"]
    # and voice loses nothing with its own class, and much without
    lost = 1 - speech["received"] / speech["sent"]
    if voice_survives:
        assert lost < 0.01
        assert speech["median_ms"] < 25
    else:
        assert lost > 0.2


@pytest.mark.req("C8", "C9.4")
def test_captures_are_named_by_tap_and_complete(tmp_path: Path) -> None:
    # given taps at a phone, and at two ports of its switch
    # when the phone sends 50 packets between start and end of the captures
    counts = play("captures", tmp_path)["counts"]
    # then every tap saw and wrote them all
    assert counts == {"phone:eth0": [50, 0], "phone-sw:1": [50, 0], "phone-sw:2": [50, 0]}
    # and the files name their interfaces by tap
    assert _interfaces(tmp_path / "captures" / "ovs-1.pcapng") == ["phone-sw:1", "phone-sw:2"]


def _interfaces(file: Path) -> list[str]:
    told = subprocess.run(["capinfos", "-I", str(file)], capture_output=True, text=True, check=True).stdout
    return [line.split("=")[1].strip() for line in told.splitlines() if " Name = " in line]


def test_a_ruleset_that_nft_refuses_names_the_device_and_leaves_nothing(tmp_path: Path) -> None:
    # given a plan with a packet filter that is none
    seen = play("refused_ruleset", tmp_path)
    # then the error has device and nft's words, and every namespace is gone
    assert "right: nft refused the ruleset" in seen["error"]
    assert seen["left"] == []


def test_a_controlled_switch_forwards_nothing_without_its_controller(tmp_path: Path) -> None:
    # given a switch whose controller never comes
    seen = play("controlled_switch", tmp_path)
    # then nothing gets through it and it says so
    assert seen["echo"] is None
    assert seen["connected"] == []
    # and its ports have carrier all the same, and its engine's programs are there to be watched
    assert seen["carrier"]["phone-sw-p1"] is True
    assert seen["daemons"] == ["ovs-1-ovs-vswitchd", "ovs-1-ovsdb-server"]
    # and a socket that Open vSwitch would silently ignore is refused in words
    assert "connects only to sockets below /run/openvswitch" in seen["error"]
