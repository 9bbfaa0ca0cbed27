"""The cloud for real: containers, TLS, digest, anchored SRTP, calls of phones behind NAT (see `cloud_scene`).

The scene is played once; each test looks at one thing that happened in it.
"""

from __future__ import annotations

from collections import Counter
from xml.etree import ElementTree

import pytest

from cloud_core.containers import SERVICE_ID
from tests.integration.cloud_plan import CONTROLLER
from tests.integration.cloud_played import SERVICES, Played
from tests.integration.cloud_sandbox import DNS, MEDIA, PSTN, SBC, SITE

pytestmark = [pytest.mark.root, pytest.mark.xdist_group("cloud core")]

CALLS = (
    *("desk to desk", "desk to soft", "soft to desk", "desk to pstn", "soft to pstn"),
    *("pstn to desk", "pstn to soft", "pstn to extension"),
)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    return Played.play(tmp_path_factory.mktemp("cloud"))


# Coming up


def test_every_service_answers_in_its_own_protocol(played: Played) -> None:
    assert {name: service["answer"] for name, service in played["services"].items()} == {
        "dns": "sip.ucaas.test",
        "fra1-sbc-rtpengine": "pong",
        "fra1-sbc-kamailio": "TLSv1.3",
    }


def test_services_have_no_rights_and_leave_no_cgroup(played: Played) -> None:
    # given all processes that run in containers,
    commands = Counter(fact["command"].split()[0] for fact in played.services)
    assert set(commands) == set(SERVICES)
    # then each is an ordinary user without capabilities (DNS: port 53), in no cgroup of podman's
    for fact in played.services:
        name = fact["command"].split()[0]
        assert (name, fact["uid"]) == (name, SERVICE_ID)
        assert (name, fact["capabilities"]) == (name, 1 << 10 if name == "unbound" else 0)
        assert (name, fact["no_new_privileges"]) == (name, True)
        assert "libpod" not in fact["cgroup"]


def test_nothing_listens_for_sip_without_tls(played: Played) -> None:
    # given what listens in the session controller's namespace outside calls: TLS ports, the relay's control
    assert set(played["listening"]) == {
        *(f"tcp {SBC}:{port}" for port in (*CONTROLLER.tls_ports, CONTROLLER.trunk_port)),
        "tcp 127.0.0.1:2223",
        "udp 127.0.0.1:2223",
        "udp 127.0.0.1:5090",
    }


@pytest.mark.req("V6")
def test_name_server_knows_its_names_and_says_so_of_others(played: Played) -> None:
    names = played["names"]
    assert SBC in names["sip.ucaas.test A"]
    assert "10 10 5096 sip.ucaas.test." in names["_sips._tcp.ucaas.test SRV"]
    assert "status: NXDOMAIN" in names["nobody.ucaas.test A"]
    assert "status: NOERROR" in names["sip.ucaas.test AAAA"]
    assert "ANSWER: 0" in names["sip.ucaas.test AAAA"]


# TLS


@pytest.mark.req("C9.1")
def test_tls_below_1_2_is_refused(played: Played) -> None:
    assert "protocol version" in played["tls 1.1"]
    assert (played["tls 1.2"], played["tls 1.3"]) == ("TLSv1.2", "TLSv1.3")


@pytest.mark.req("C9.1")
def test_who_trusts_another_authority_refuses_the_server(played: Played) -> None:
    assert "certificate verify failed" in played["verified by the foreign authority"]


@pytest.mark.req("C3")
def test_trunk_is_known_by_its_certificate(played: Played) -> None:
    # given calls over the trunk's port to a number that nobody has registered
    assert "certificate required" in played["trunk without certificate"]
    assert "unknown ca" in played["trunk with foreign certificate"]
    assert played["trunk with another's certificate"] == 403
    assert played["trunk with its certificate"] == 480


@pytest.mark.req("C9.4")
def test_key_log_opens_the_signalling_of_every_connection(played: Played) -> None:
    # given the capture and the key log
    streams = {stream for (stream,) in played.packets("tls.app_data", "tcp.stream")}
    # when the signalling is read, then it is SIP on both kinds of connections, phones' and trunk's
    read = played.packets("sip.CSeq.method", "tcp.stream", "sip.CSeq.method", "tcp.dstport", keys=True)
    # (connections that closed without a word of SIP, such as the version probes, have none)
    assert {stream for stream, *_ in read} <= streams
    assert {"REGISTER", "INVITE", "ACK", "BYE", "REFER", "NOTIFY"} <= {
        method.split(",")[0] for _, method, _ in read
    }
    assert {"5061", "5096", "5097"} <= {port for _, _, port in read}


@pytest.mark.req("C9.1")
def test_nothing_of_sip_is_readable_without_keys(played: Played) -> None:
    assert played.packets('frame contains "SIP/2.0" && !(ip.addr == 127.0.0.1)', "frame.number") == []


# Messages to somebody who is not there


@pytest.mark.req("C1.4")
def test_sender_is_told_what_becomes_of_a_message(played: Played) -> None:
    seen = played["messages"]
    assert (seen["to nobody"], seen["too long"], seen["kept"]) == (404, 413, [202, 202, 202])
    # one that comes while others wait has to wait too, and is told so
    assert seen["behind those that wait"] == 202
    assert seen["directly answered"] == 200


@pytest.mark.req("C1.4")
def test_what_was_kept_comes_once_each_in_order_although_the_session_controller_died(played: Played) -> None:
    first, second, again, third, fourth = played["messages"]["delivered"]
    assert [m["text"] for m in (first, second, third, fourth)] == [
        *played["messages"]["texts"],
        "a fourth",
    ]
    assert {m["from"] for m in (first, second, third, fourth)} == {"<sip:1003@ucaas.test>"}
    assert {m["type"] for m in (first, second, third, fourth)} == {"text/plain"}
    # the one that was not answered comes a second time, to be known by its Call-ID
    assert (second["text"], second["call-id"]) == (again["text"], again["call-id"])
    assert second["cseq"] != again["cseq"]
    # and says when it was written
    assert all(m["date"].endswith("GMT") for m in (first, second, third, fourth))
    assert played["messages"]["directly"]["date"] == ""


@pytest.mark.req("C1.4")
def test_an_author_is_told_once_of_each_message_that_waited(played: Played) -> None:
    receipts = played["messages"]["receipts"]
    first, second, _, third, fourth = played["messages"]["delivered"]
    assert [receipt_of(receipt) for receipt in receipts] == [
        (message["call-id"], "1004") for message in (first, second, third, fourth)
    ]
    of_the_group = [receipt_of(receipt) for receipt in played["messages"]["receipts of the group"]]
    (call_id,) = {message["call-id"] for message in played["messages"]["members got"]}
    assert sorted(of_the_group) == [(call_id, "1002"), (call_id, "1004")]


def receipt_of(message: dict[str, str]) -> tuple[str, str]:
    """Of which message it tells that it was delivered, and to whom (RFC 5438)."""
    assert message["type"] == "message/imdn+xml"
    space = {"i": "urn:ietf:params:xml:ns:imdn"}
    told = ElementTree.fromstring(message["text"])
    assert told.find("i:delivery-notification/i:status/i:delivered", space) is not None
    user = str(told.findtext("i:recipient-uri", "", space)).removeprefix("sip:").partition("@")[0]
    assert message["from"] == f"<sip:{user}@ucaas.test>"
    return str(told.findtext("i:message-id", "", space)), user


@pytest.mark.req("C1.4")
def test_a_group_is_written_to_as_one(played: Played) -> None:
    seen = played["messages"]
    assert seen["to the group"] == 202
    assert [(m["text"], m["from"]) for m in seen["members got"]] == 2 * [
        ("to all of you", "<sip:1003@ucaas.test>")
    ]


# Who may do what


@pytest.mark.req("C9.1")
@pytest.mark.parametrize(
    ("attempt", "status"),
    [
        ("register without credentials", 401),
        ("register with a wrong password", 403),
        ("register somebody else", 403),
        ("register as a stranger", 403),
        ("register", 200),
        ("call without credentials", 407),
        ("call as somebody else", 403),
        ("call with plain RTP", 488),
        ("call to nobody", 404),
        ("call to somebody not registered", 480),
        ("call to a foreign domain", 403),
        ("end of no call", 403),
        ("subscribe", 405),
    ],
)
def test_session_controller_serves_only_whom_it_knows(played: Played, attempt: str, status: int) -> None:
    assert played["statuses"][attempt] == status


# Calls


@pytest.mark.req("C1.2", "C3", "C4")
@pytest.mark.parametrize("call", CALLS)
def test_both_sides_of_a_call_hear_each_other(played: Played, call: str) -> None:
    heard = played["calls"][call]
    assert (heard["caller heard"], heard["callee heard"]) == (True, True)


def test_call_is_passed_on_to_another_phone(played: Played) -> None:
    assert played["transfer"]["desk2 heard"] is True


def test_callee_does_not_learn_the_callers_way_to_the_cloud(played: Played) -> None:
    # given calls of phones that send a Route to their outbound proxy
    asked = played.packets(f"sip.Method == INVITE && ip.dst == {SBC}", "sip.Route", keys=True)
    sent = played.packets(f"sip.Method == INVITE && ip.src == {SBC}", "sip.Route", keys=True)
    # then what goes on to the callee has none
    assert any(route for (route,) in asked)
    assert {route for (route,) in sent} == {""}


@pytest.mark.req("C2.3", "C7")
def test_all_media_passes_the_relay(played: Played) -> None:
    # given every UDP packet at the session controller but its own control protocol,
    pairs = set(played.packets("udp && !dns && !icmp && !(ip.addr == 127.0.0.1)", "ip.src", "ip.dst"))
    # then one end is the relay, and it spoke with the site's NAT and with the telephone network
    assert pairs == {(SITE, MEDIA), (MEDIA, SITE), (PSTN, MEDIA), (MEDIA, PSTN)}


@pytest.mark.req("C8", "Q1.1")
def test_cloud_marks_what_it_sends(played: Played) -> None:
    media = played.packets(f"ip.src == {MEDIA} && udp && !icmp", "ip.dsfield.dscp")
    signalling = played.packets(f"ip.src == {SBC} && tcp.len > 0 && !(ip.dst == {SBC})", "ip.dsfield.dscp")
    names = played.packets(f"ip.src == {DNS} && dns", "ip.dsfield.dscp")
    assert set(names) == {("18",)}
    assert len(media) > 500
    assert set(media) == {("46",)}
    assert set(signalling) == {("26",)}


@pytest.mark.req("C9.4")
def test_relay_offers_the_one_suite_that_all_phones_have(played: Played) -> None:
    # given a caller who offers AES-256 first and AES-128 second
    exchange = played["offer of several suites"]
    # then the callee is offered AES-128 alone, the caller answered so, both at the relay's address
    for body in (exchange["arrived"], exchange["answer"]):
        suites = [line.split()[1] for line in body.splitlines() if line.startswith("a=crypto")]
        assert suites == ["AES_CM_128_HMAC_SHA1_80"]
        assert f"c=IN IP4 {MEDIA}" in body
        assert "10.10.110." not in body


def test_device_is_reached_by_its_contact_over_its_own_connection_alone(played: Played) -> None:
    contact = played["contact"]
    assert f"alias={SITE}~" in contact["contact"]
    assert contact["there"] == 486
    # an address to which nobody is connected is not called upon
    assert contact["elsewhere"] >= 400
    assert (
        played.packets(f"ip.src == {SBC} && ip.dst == 198.18.0.53 && tcp.flags.syn == 1", "frame.number")
        == []
    )


def test_hold_and_end_reach_the_other_side_and_media_stays_anchored(played: Played) -> None:
    exchange = played["offer of several suites"]
    assert exchange["in the call"] == ["ACK", "INVITE", "ACK", "BYE"]
    assert exchange["ended"] == 200
    assert "a=sendonly" in exchange["hold"]
    assert "a=recvonly" in exchange["held"]
    # and both sides keep the relay's ports that they had
    for before, after in (("arrived", "hold"), ("answer", "held")):
        assert media_line(exchange[before]) == media_line(exchange[after])
        assert f"c=IN IP4 {MEDIA}" in exchange[after]


def media_line(body: str) -> str:
    return next(line for line in body.splitlines() if line.startswith("m="))


# What must be able to fail


@pytest.mark.req("C7")
def test_without_relay_there_is_no_call(played: Played) -> None:
    assert played["relay's end"] == 0
    assert played["offer without relay"]["status"] == 503
    assert played["offer without relay"]["arrived"] == ""


@pytest.mark.req("C9.4")
def test_drilled_phone_gets_its_plain_media_and_its_callee_srtp(played: Played) -> None:
    exchange = played["plain offer in a drill"]
    assert exchange["status"] == 200
    assert "RTP/SAVP" in exchange["arrived"]
    assert "a=crypto" in exchange["arrived"]
    assert "RTP/AVP " in exchange["answer"]


@pytest.mark.req("C7")
def test_without_anchoring_media_would_go_directly(played: Played) -> None:
    exchange = played["offer without anchoring"]
    assert "c=IN IP4 10.10.110.11" in exchange["arrived"]
    assert "c=IN IP4 10.10.110.12" in exchange["answer"]
    # in a call within the domain; the trunk's media is anchored as ever
    assert f"c=IN IP4 {MEDIA}" in played["offer of the trunk without anchoring"]["arrived"]
