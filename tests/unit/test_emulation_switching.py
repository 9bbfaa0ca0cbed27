"""Switches, queues, captures and sandboxes as they are asked for: the words and rows, not their effect."""

from __future__ import annotations

import json
import socket
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from os_ken.ofproto import ofproto_v1_3_parser

from testbed.plans import shipped_plan
from tests.integration import emulation_plans as plans
from uclab.doctor import DEVICE_ROOT
from uclab.emulation.build.apply import register
from uclab.emulation.link import veth
from uclab.emulation.linux import queues, sandbox, taps
from uclab.emulation.mininet.network import node_settings
from uclab.emulation.mininet.switches import voice_priority_flows
from uclab.emulation.ovs import vswitchd
from uclab.emulation.ovs.backends import Variants
from uclab.emulation.ovs.openflow import NORMAL, encode
from uclab.emulation.ovs.ovsdb import OvsdbClient, OvsdbError
from uclab.emulation.ovs.vswitchd import Bridge, BridgePort
from uclab.plan.schema.flows import IPV4, UNTAGGED, FlowAction, Match, SwitchFlow, push_tag, set_pcp
from uclab.plan.schema.plan import EgressQueue, QueueClass, Route, Tap

VARIANTS = Variants("userspace", "userspace")


def inserted(operations: list[dict[str, Any]], table: str) -> list[dict[str, Any]]:
    """Rows that a transaction adds to a table."""
    return [operation["row"] for operation in operations if operation["table"] == table]


@pytest.mark.req("N3.1")
def test_all_bridges_are_one_transaction() -> None:
    # given a controlled switch and a phone's switch
    ports = (BridgePort("acc1-p1", 1), BridgePort("acc1-p2", 2))
    acc1 = Bridge("acc1", 5, ports, "unix:/run/openvswitch/c.sock", secure=True)
    uplink = BridgePort("desk1-sw-p1", 1, "native-untagged", 120, (110,))
    desk1 = Bridge("desk1-sw", 16, (uplink, BridgePort("desk1-sw-p2", 2, "access", 110)))
    # when the transaction is made
    operations = vswitchd.transaction([acc1, desk1], "userspace")
    # then each port has its number and its interface, and the bridges their own
    wanted = {row["name"]: row.get("ofport_request") for row in inserted(operations, "Interface")}
    assert wanted == {
        "acc1": None,
        "acc1-p1": 1,
        "acc1-p2": 2,
        "desk1-sw": None,
        "desk1-sw-p1": 1,
        "desk1-sw-p2": 2,
    }
    # and VLANs where nobody else decides them
    rows = {row["name"]: row for row in inserted(operations, "Port")}
    assert (rows["desk1-sw-p1"]["vlan_mode"], rows["desk1-sw-p1"]["tag"]) == ("native-untagged", 120)
    assert rows["desk1-sw-p1"]["trunks"] == ["set", [110]]
    assert "tag" not in rows["acc1-p1"]
    # and only the controlled switch forwards nothing by itself and has a controller, both of them the
    # userspace datapath
    bridges = {row["name"]: row for row in inserted(operations, "Bridge")}
    assert [bridges[name]["fail_mode"] for name in ("acc1", "desk1-sw")] == ["secure", "standalone"]
    assert [bridges[name]["datapath_type"] for name in ("acc1", "desk1-sw")] == ["netdev", "netdev"]
    assert len(inserted(operations, "Controller")) == 1
    # and every reference is to a row of the same transaction
    names = {operation["uuid-name"] for operation in operations}
    assert set(_references(operations)) <= names


def _references(value: Any) -> list[str]:
    if isinstance(value, list) and len(value) == 2 and value[0] == "named-uuid":
        return [value[1]]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [name for item in inner for name in _references(item)]


class FakeServer:
    """An ovsdb-server that answers one transaction with given results, an echo request before it."""

    def __init__(self, path: Path, results: list[Any]) -> None:
        self.asked: list[Any] = []
        self.echoed: Any = None
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(path))
        self._server.listen()
        self._results = results
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        accepted, _ = self._server.accept()
        request = json.loads(accepted.recv(1 << 16))
        self.asked = request["params"]
        accepted.sendall(b'{"method":"echo","params":["are you there"],"id":"echo"}')
        self.echoed = json.loads(accepted.recv(1 << 16))
        reply = json.dumps({"id": request["id"], "result": self._results, "error": None}).encode()
        accepted.sendall(reply[:7])
        accepted.sendall(reply[7:])
        accepted.close()


def test_the_ovsdb_client_answers_keep_alives_and_puts_split_messages_together(tmp_path: Path) -> None:
    # given a server that asks whether we are there, and answers in two pieces
    server = FakeServer(tmp_path / "db.sock", [{"rows": [{"name": "acc1-p1", "ofport": 1}]}])
    client = OvsdbClient(tmp_path / "db.sock")
    # when rows are asked for
    rows = client.rows("Interface", ("name", "ofport"))
    server.thread.join(5)
    # then they come, and the keep-alive was answered
    assert rows == [{"name": "acc1-p1", "ofport": 1}]
    assert server.asked[0] == "Open_vSwitch"
    assert server.echoed == {"id": "echo", "result": ["are you there"], "error": None}
    client.close()


def test_a_refused_transaction_says_which_operation_and_why(tmp_path: Path) -> None:
    # given a server that refuses
    FakeServer(tmp_path / "db.sock", [{"error": "constraint violation", "details": '"ofport_request" is 0'}])
    client = OvsdbClient(tmp_path / "db.sock")
    # when something is inserted
    with pytest.raises(OvsdbError) as refused:
        client.transact([{"op": "insert", "table": "Interface", "row": {}}])
    # then the error has details and operation
    assert 'constraint violation: "ofport_request" is 0 in' in str(refused.value)
    client.close()


def test_a_controller_socket_that_open_vswitch_would_ignore_is_refused() -> None:
    # given targets
    vswitchd.check_target("unix:/run/openvswitch/controllers/hq.sock")
    vswitchd.check_target("tcp:127.0.0.1:6653")
    # then only a socket elsewhere is refused
    with pytest.raises(ValueError, match="only to sockets below /run/openvswitch"):
        vswitchd.check_target("unix:/tmp/hq.sock")


@pytest.mark.req("Q1.2")
def test_a_phones_switch_maps_dscp_to_priority_towards_the_network_only() -> None:
    # given a phone's switch and the policy's map
    flows = voice_priority_flows(plans.desk().switches[0], plans.POLICY.dscp_to_pcp)
    # then the phone's own port (2) is mapped, tagged with the voice VLAN, and all else is switched as usual
    assert flows == [
        SwitchFlow(0, NORMAL),
        SwitchFlow(10, 1, Match(2, eth_type=IPV4, ip_dscp=46), (*push_tag(110), set_pcp(5))),
        SwitchFlow(10, 1, Match(2, eth_type=IPV4, ip_dscp=26), (*push_tag(110), set_pcp(3))),
    ]


def test_flows_are_openflow_13_as_another_implementation_reads_it() -> None:
    # given a flow with everything
    message = encode(SwitchFlow(10, 1, Match(2, eth_type=IPV4, ip_dscp=46), (*push_tag(110), set_pcp(5))))
    # when os-ken reads its match and actions
    match = ofproto_v1_3_parser.OFPMatch.parser(message, 48)
    actions, offset = [], 48 + (match.length + 7) // 8 * 8 + 8
    while offset < len(message):
        actions.append(ofproto_v1_3_parser.OFPAction.parser(message, offset))
        offset += actions[-1].len
    # then they say what the flow says
    assert message[:4] == bytes([4, 14]) + len(message).to_bytes(2, "big")
    assert dict(match.items()) == {"in_port": 2, "eth_type": 0x0800, "ip_dscp": 46}
    push, vid, pcp, output = actions
    assert push.ethertype == 0x8100
    assert (vid.key, vid.value, pcp.key, pcp.value) == ("vlan_vid", 0x1000 | 110, "vlan_pcp", 5)
    assert output.port == 1


@pytest.mark.req("W2", "W3")
def test_a_carriers_flows_are_openflow_13_too() -> None:
    # given a flow with every match and every action
    done = (
        FlowAction("pop-mpls", 0x0800), FlowAction("push-vlan", 0x88A8), FlowAction("set-vlan", 2001),
        FlowAction("set-pcp", 5), FlowAction("pop-vlan"), FlowAction("push-mpls", 0x8847),
        FlowAction("set-label", 101), FlowAction("set-tc", 5),
    )  # fmt: skip
    message = encode(SwitchFlow(20, 1, Match(2, eth_type=0x8847, mpls_label=102, mpls_tc=5), actions=done))
    # when os-ken reads it
    match = ofproto_v1_3_parser.OFPMatch.parser(message, 48)
    actions, offset = [], 48 + (match.length + 7) // 8 * 8 + 8
    while offset < len(message):
        actions.append(ofproto_v1_3_parser.OFPAction.parser(message, offset))
        offset += actions[-1].len
    # then it says what the flow says
    assert dict(match.items()) == {"in_port": 2, "eth_type": 0x8847, "mpls_label": 102, "mpls_tc": 5}
    pop, push, vid, pcp, untag, label, number, tc, output = actions
    assert (pop.ethertype, push.ethertype, label.ethertype) == (0x0800, 0x88A8, 0x8847)
    assert (vid.value, pcp.value, number.value, tc.value) == (0x1000 | 2001, 5, 101, 5)
    assert (untag.type, output.port) == (18, 1)
    # and an untagged frame is matched as one
    message = encode(SwitchFlow(20, 1, Match(2, UNTAGGED, eth_type=IPV4, ip_dscp=46)))
    match = ofproto_v1_3_parser.OFPMatch.parser(message, 48)
    assert dict(match.items()) == {"in_port": 2, "eth_type": 0x0800, "vlan_vid": 0, "ip_dscp": 46}
    message = encode(SwitchFlow(20, 1, Match(2, 101, pcp=5)))
    match = ofproto_v1_3_parser.OFPMatch.parser(message, 48)
    assert dict(match.items()) == {"in_port": 2, "vlan_vid": 0x1000 | 101, "vlan_pcp": 5}


@pytest.mark.req("W2", "W3")
def test_a_switch_with_flows_neither_learns_nor_cuts_long_frames() -> None:
    plan = shipped_plan("evpl-point-to-point")
    net = register(plan, Path("/nowhere"), VARIANTS)
    operations = vswitchd.transaction(
        [net["metro1-core"].bridge(None), net["fra1-px"].bridge(None)], "userspace"
    )
    core, peering = inserted(operations, "Bridge")
    assert (core["fail_mode"], peering["fail_mode"]) == ("secure", "standalone")
    long = [row["name"] for row in inserted(operations, "Interface") if row.get("mtu_request") == 1600]
    assert long == ["metro1-core-p1", "metro1-core-p2"]
    [root] = inserted(operations, "Open_vSwitch")
    assert ["vlan-limit", "2"] in root["other_config"][1]


@pytest.mark.req("Q1.2", "Q1.4", "W2", "W3")
def test_carriers_sort_by_traffic_class_or_by_the_service_tags_priority() -> None:
    # given two classes and a rest
    shares = (QueueClass("voice", (), 600, 1800, 0, 40, codes=(5,)),
              QueueClass("signalling", (), 100, 1800, 1, 40, arp=True, codes=(3, 6)),
              QueueClass("rest", (), 1300, 1900, 3, 30))  # fmt: skip
    by_class = EgressQueue("core-p1", 2000, shares, "mpls-tc")
    by_tag = EgressQueue("core-p1", 2000, shares, "service-pcp")
    # then labels are sorted by the three bits of their class, service tags by theirs
    found = [(f.protocol, f.key, f.target & 0xFFFF) for f in queues.filters(by_class)]
    assert found == [
        (0x8847, "0x0a/0x0e+2", 0x10), (0x8847, "0x06/0x0e+2", 0x11), (0x8847, "0x0c/0x0e+2", 0x11),
    ]  # fmt: skip
    assert queues.service_tag_filters(by_class) == []
    assert queues.filters(by_tag) == []
    commands = queues.service_tag_filters(by_tag)
    assert [c.rsplit(maxsplit=1)[1] for c in commands] == ["1:10", "1:11", "1:11"]
    assert all("protocol 802.1ad" in c for c in commands)
    assert queues.default_class(by_class) & 0xFFFF == queues.default_class(by_tag) & 0xFFFF == 0x12


VOICE = QueueClass("voice", (46,), 600, 1800, 0, 40)
SIGNALLING = QueueClass("signalling", (26, 18), 100, 1800, 1, 40, arp=True)
REST = QueueClass("rest", (), 1300, 1900, 3, 30)
QUEUE = EgressQueue("wan1", 2000, (VOICE, SIGNALLING, REST))


@pytest.mark.req("C8", "N2")
def test_each_class_takes_its_dscps_and_one_takes_arp() -> None:
    # given three classes
    found = [f for f in queues.filters(QUEUE) if isinstance(f, queues.DscpFilter)]
    chosen = [(f.protocol, f.dscp, f.target & 0xFFFF) for f in found]
    # then each DSCP leads to its class, tagged frames too, ARP to the class that has it, the rest to the
    # default
    assert chosen == [
        *((protocol, 46, 0x10) for protocol in (0x0800, 0x8100)),
        *((protocol, dscp, 0x11) for protocol in (0x0800, 0x8100) for dscp in (26, 18)),
        (0x0806, None, 0x11),
    ]
    assert queues.default_class(QUEUE) & 0xFFFF == 0x12
    assert queues.filters(QUEUE)[0].key == "0xb8/0xfc+1"


@pytest.mark.req("N2")
def test_classes_share_the_lines_rate() -> None:
    # given the same
    line, voice, _, rest = queues.classes(QUEUE)
    # then the line is their parent and all rates are bytes a second
    assert (line.rate, line.ceil) == (250_000, 250_000)
    assert (voice.parent, voice.rate, voice.ceil, voice.priority) == (line.handle, 75_000, 225_000, 0)
    # and a burst lasts no more than 2 ms or two frames
    assert line.burst == rest.burst == 3028


def test_taps_are_named_by_their_labels() -> None:
    # given two taps of a namespace
    there = (Tap("fw:voice", "fw", "voice", "fw", False), Tap("fw:wan", "fw", "wan", "fw", False))
    # then one dumpcap captures both, each named by its label
    argv = taps.command(there, "fw.pcapng")
    assert argv[0] == "dumpcap"
    # and writes where it stands, for it has not root's capabilities to get through a private home
    assert argv[argv.index("-w") + 1] == "fw.pcapng"
    assert " ".join(argv).endswith("-i voice --ifname fw:voice -B 8 -i wan --ifname fw:wan -B 8")


def test_a_sandbox_drops_every_capability_but_those_asked_for(tmp_path: Path) -> None:
    # given a program that needs one capability, a folder and a variable
    confined = sandbox.Sandbox(
        "device",
        {"/etc/resolv.conf": tmp_path / "resolv.conf"},
        {},
        {"/lab/own": tmp_path},
        {"A": "b"},
        ("CAP_NET_ADMIN",),
    )
    line = " ".join(sandbox.command(confined, ["frr"], info_fd=9))
    # then that is what it gets
    assert "--cap-drop ALL --cap-add CAP_NET_ADMIN" in line
    assert f"--ro-bind {DEVICE_ROOT} / " in line
    assert f"--ro-bind {tmp_path}/resolv.conf /etc/resolv.conf --bind {tmp_path} /lab/own" in line
    assert line.endswith("--setenv A b -- frr")
    # and nothing of the lab's environment
    assert "--clearenv" in line


def test_the_hosts_own_system_is_read_only_and_its_run_and_tmp_are_not_seen() -> None:
    # given a program of the host
    words = sandbox.command(sandbox.Sandbox("host"), ["python3"], info_fd=9)
    # then folders are bound read-only, none of them writable
    assert "--bind" not in words
    bound = {words[n + 1] for n, word in enumerate(words) if word == "--ro-bind"}
    assert "/usr" in bound
    assert not bound & {"/run", "/tmp", "/proc", "/sys", "/dev"}


def test_a_plan_becomes_mininet_objects_without_touching_the_system(tmp_path: Path) -> None:
    # given a desk with a phone, its switch and a PC, and a node with a route
    planned = plans.desk()
    routed = replace(planned.nodes[0], routes=(Route("0.0.0.0/0", "10.0.110.254"),))
    planned = replace(planned, nodes=(routed, *planned.nodes[1:]))
    # when it is registered
    net = register(planned, tmp_path, VARIANTS)
    # then hosts, switches and links are there under their planned names and port numbers
    assert [host.name for host in net.hosts] == ["phone", "pc", "wall"]
    assert [link.name for link in net.links] == ["wall-phone-sw", "phone-phone-sw", "pc-phone-sw"]
    assert {port: intf.name for port, intf in net["phone-sw"].intfs.items() if intf.name != "lo"} == {
        1: "phone-sw-p1",
        2: "phone-sw-p2",
        3: "phone-sw-p3",
    }
    # and hosts have their planned addresses, MACs and routes
    assert (net["phone"].IP(), net["phone"].MAC()) == ("10.0.110.1", "02:00:00:00:00:01")
    settings = node_settings(net["phone"])
    assert settings.interfaces[0].addresses == ("10.0.110.1/24",)
    assert settings.routes == (("0.0.0.0/0", "10.0.110.254", 0),)
    # and no two interfaces share an index
    indices = [end.index for link in net.links for end in link.ends()]
    assert len(set(indices)) == len(indices)


def test_what_lies_behind_a_line_that_is_down_is_left_out() -> None:
    """A router whose lines were all cut gets its routes back line by line: the kernel refuses the others."""
    settings = veth.NodeSettings(
        (
            veth.InterfaceSettings("wan1", 2, ("203.0.113.2/30",)),
            veth.InterfaceSettings("wan2", 3, ("203.0.113.66/30",)),
        ),
        routes=(("0.0.0.0/0", "203.0.113.1", 0), ("0.0.0.0/0", "203.0.113.65", 100)),
        neighbours=((2, "203.0.113.1", "02:00:00:00:00:01"), (3, "203.0.113.65", "02:00:00:00:00:02")),
    )
    half = veth.passable(settings, {"wan2"})
    assert half.routes == (("0.0.0.0/0", "203.0.113.65", 100),)
    assert [index for index, _, _ in half.neighbours] == [3]
    assert veth.passable(settings, {"wan1", "wan2"}) == settings


def test_a_node_that_is_not_up_says_so(tmp_path: Path) -> None:
    # given a network that was never started
    net = register(plans.pair(), tmp_path, VARIANTS)
    # when a command is run in a node
    with pytest.raises(RuntimeError, match="left is not up yet: start the network first"):
        net["left"].cmd("true")
