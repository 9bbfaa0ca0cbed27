"""Starting the cloud, with shells in place of containers and small servers in place of daemons."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sqlite3
import stat
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from cloud_core import probes, service, services, session_controller
from cloud_core.authority import Certificates, issue
from cloud_core.containers import Podman
from cloud_core.media_relay import NG_PORT
from cloud_core.name_server import zone_records
from cloud_core.services import make_services, start_cloud
from testbed.nodes import FakeNode
from tests.integration.cloud_plan import ACCOUNTS, CONTROLLER, DESK1, NAME_SERVER, make_plan
from uclab.plan.schema.plan import ControllerPeer, Plan, SessionController
from uclab.plan.schema.protection import Protection
from uclab.runtime.node import NotReady

NG_ADDRESS = "127.0.0.1"


class Shells:
    """Runs one shell script in place of each container, by the container's name."""

    def __init__(self, **scripts: str) -> None:
        self.started: list[str] = []
        self._scripts = scripts

    async def __call__(self, argv: Sequence[str], log: int) -> asyncio.subprocess.Process:
        name = argv[list(argv).index("--name") + 1]
        self.started.append(name)
        script = self._scripts.get(name.rpartition("-")[2], "exec sleep 60")
        return await asyncio.create_subprocess_exec("sh", "-c", script, stdout=log, stderr=log)


def answer_dns(query: bytes) -> bytes:
    """One answer, no error."""
    reply = query[2:4] + struct.pack("!HHHHH", 0x8580, 1, 1, 0, 0) + query[14:]
    return struct.pack("!H", len(reply)) + reply


def answer_ping(query: bytes) -> bytes:
    return query.split(b" ")[0] + b" d6:result4:ponge"


@pytest.fixture(autouse=True)
def _no_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "chown", lambda *_, **__: None)


@pytest.fixture
async def nodes() -> AsyncIterator[dict[str, FakeNode]]:
    nodes = {name: FakeNode(name) for name in ("dns", "sbc", "pstn")}
    nodes["dns"].handlers[(NAME_SERVER.address, 53)] = answer_dns
    nodes["sbc"].handlers[(NG_ADDRESS, NG_PORT)] = answer_ping
    yield nodes
    for node in nodes.values():
        await node.close()


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return issue(make_plan().certificates, tmp_path / "pki")


def the_controller_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    async def answers(*_: object) -> str:
        return "TLSv1.3"

    monkeypatch.setattr(session_controller, "session_controller_answers", answers)


Start = Callable[[Shells], Awaitable[services.RunningCloud]]


@pytest.fixture
def start(nodes: dict[str, FakeNode], certificates: Certificates, tmp_path: Path) -> Start:
    async def start_with(shells: Shells) -> services.RunningCloud:
        podman = Podman(tmp_path / "containers", runner=shells)
        return await start_cloud(make_plan(), nodes, tmp_path, podman, certificates)

    return start_with


async def test_cloud_is_up_when_every_service_has_answered(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given daemons that answer
    the_controller_answers(monkeypatch)
    shells = Shells()
    # When the cloud is started
    cloud = await start(shells)
    # Then each service's answer is known, each can be watched, and the controller came after its relay
    answers = {running.name: running.answer for running in cloud.services}
    assert answers == {"dns": "sip.ucaas.test", "fra1-sbc-rtpengine": "pong", "fra1-sbc-kamailio": "TLSv1.3"}
    assert {name for name, _, _ in cloud.processes} == set(answers)
    assert shells.started.index("fra1-sbc-kamailio") > shells.started.index("fra1-sbc-rtpengine")
    await cloud.stop()
    assert all(process.returncode is not None for _, process, _ in cloud.processes)


async def test_service_that_ends_while_it_starts_is_named_with_its_last_words(start: Start) -> None:
    with pytest.raises(NotReady) as failure:
        await start(Shells(kamailio="echo 'parse error in line 7'; exit 255"))
    assert str(failure.value) == (
        "service `fra1-sbc-kamailio` ended with status 255 while it started; its log ends:\n"
        "parse error in line 7"
    )


async def test_service_that_never_answers_is_named_with_what_was_last_seen(
    start: Start, nodes: dict[str, FakeNode], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a name server that listens nowhere
    monkeypatch.setattr(service, "READY_S", 0.2)
    nodes["dns"].handlers.clear()
    the_controller_answers(monkeypatch)
    # When the cloud is started, then the error says what was waited for and what was last seen
    with pytest.raises(
        NotReady, match=r"service `dns`: answer to a DNS query: not ready after 0\.2 s .*Connection refused"
    ):
        await start(Shells())


async def test_failure_of_one_service_stops_the_others(start: Start, tmp_path: Path) -> None:
    # Given two services that say when they are stopped, and a third that fails
    stopped = tmp_path / "stopped"
    waiting = f"trap 'echo $0 >> {stopped}; exit 0' TERM; while :; do sleep 0.02; done"
    with pytest.raises(NotReady):
        await start(Shells(dns=waiting, rtpengine=waiting, kamailio="sleep 0.2; exit 1"))
    # Then both were stopped
    assert len(stopped.read_text().splitlines()) == 2


def test_passwords_do_not_leave_the_plan(
    nodes: dict[str, FakeNode], certificates: Certificates, tmp_path: Path
) -> None:
    # When the configuration is written
    make_services(make_plan(), nodes, tmp_path, certificates)
    # Then it holds what digest needs (HA1) and not the password
    text = (tmp_path / "services" / "fra1-sbc-kamailio" / "kamailio.cfg").read_text()
    account = ACCOUNTS[0]
    assert account.password not in text
    assert hashlib.md5(f"{account.user}:{account.domain}:{account.password}".encode()).hexdigest() in text


def configuration(plan: Plan, nodes: dict[str, FakeNode], certificates: Certificates, folder: Path) -> str:
    """Kamailio's files as one text."""
    make_services(plan, nodes, folder, certificates)
    written = folder / "services" / "fra1-sbc-kamailio"
    return (written / "kamailio.cfg").read_text() + (written / "tls.cfg").read_text()


@pytest.mark.req("C9.1")
def test_sip_is_offered_over_tls_alone(
    nodes: dict[str, FakeNode], certificates: Certificates, tmp_path: Path
) -> None:
    text = configuration(make_plan(), nodes, certificates, tmp_path)
    # but to itself: messages that waited come back on the loopback interface
    *outside, itself = (line.partition(" ")[0] for line in text.splitlines() if line.startswith("listen="))
    assert outside == [
        f"listen=tls:{CONTROLLER.address}:{port}" for port in (*CONTROLLER.tls_ports, CONTROLLER.trunk_port)
    ]
    assert itself == "listen=udp:127.0.0.1:5090"
    assert text.count("method = TLSv1.2+") == 3


@pytest.mark.req("C9.1")
def test_tls_version_is_the_plans(
    nodes: dict[str, FakeNode], certificates: Certificates, tmp_path: Path
) -> None:
    plan = with_controller(replace(CONTROLLER, min_tls_version="1.3"))
    text = configuration(plan, nodes, certificates, tmp_path)
    assert text.count("method = TLSv1.3+") == 3
    assert "TLSv1.2" not in text


def with_controller(controller: SessionController) -> Plan:
    return replace(make_plan(), session_controllers=(controller,))


@pytest.mark.req("C7")
def test_media_goes_directly_in_the_drill_alone(
    nodes: dict[str, FakeNode], certificates: Certificates, tmp_path: Path
) -> None:
    drilled = with_controller(replace(CONTROLLER, anchor_media=False))
    assert configuration(drilled, nodes, certificates, tmp_path).count("setflag(DIRECT_MEDIA)") == 2
    # in a clean plan, only a call that already is so stays so
    assert configuration(make_plan(), nodes, certificates, tmp_path).count("setflag(DIRECT_MEDIA)") == 1


@pytest.mark.req("C1.4")
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("duplicated", " forward();"),
        ("swallowed", 'sl_send_reply("202", "Accepted")'),
        ("copied", f"listen=udp:{CONTROLLER.address}"),
    ],
)
def test_messages_are_mishandled_in_the_drill_alone(
    nodes: dict[str, FakeNode],
    certificates: Certificates,
    tmp_path: Path,
    fault: Literal["duplicated", "swallowed", "copied"],
    words: str,
) -> None:
    drilled = with_controller(replace(CONTROLLER, message_fault=fault, message_copy_to="198.18.0.1:5060"))
    assert words in configuration(drilled, nodes, certificates, tmp_path)
    assert words not in configuration(make_plan(), nodes, certificates, tmp_path)


@pytest.mark.req("C1.4")
def test_authors_are_told_but_in_the_drill(
    nodes: dict[str, FakeNode], certificates: Certificates, tmp_path: Path
) -> None:
    drilled = with_controller(replace(CONTROLLER, message_fault="unreceipted"))
    assert "route(RECEIPT);" in configuration(make_plan(), nodes, certificates, tmp_path)
    assert "route(RECEIPT);" not in configuration(drilled, nodes, certificates, tmp_path)


@pytest.mark.req("C1.4")
def test_what_waits_outlives_the_session_controller(
    nodes: dict[str, FakeNode], certificates: Certificates, tmp_path: Path
) -> None:
    # given a message that waits when the session controller is made again
    make_services(make_plan(), nodes, tmp_path, certificates)
    place = tmp_path / "services" / "fra1-sbc-kamailio" / "waiting"
    with closing(sqlite3.connect(place / "waiting.sqlite")) as table, table:
        table.execute(
            "insert into waiting (recipient, kept_at, date, author, addressee, call_id, type, body)"
            " values ('1001', 0, '', '', '', '', '', '')"
        )
    make_services(make_plan(), nodes, tmp_path, certificates)
    # then it still does, and nobody else may look into the folder
    with closing(sqlite3.connect(place / "waiting.sqlite")) as table:
        assert table.execute("select recipient from waiting").fetchall() == [("1001",)]
    assert stat.S_IMODE(place.stat().st_mode) == 0o700


@pytest.mark.req("C9.4")
def test_plain_media_is_allowed_to_the_drilled_phone_alone(
    nodes: dict[str, FakeNode], certificates: Certificates, tmp_path: Path
) -> None:
    # Given a plan in which one phone sends plain RTP
    plan = replace(make_plan(), endpoints=(replace(DESK1, media_encryption="none"),))
    # Then the session controller lets that one pass, and in a clean plan nobody
    assert configuration(plan, nodes, certificates, tmp_path).count("$sht(plain=>1001) =") == 1
    assert "$sht(plain=>1" not in configuration(make_plan(), nodes, certificates, tmp_path)


def test_marking_is_the_plans(nodes: dict[str, FakeNode], certificates: Certificates, tmp_path: Path) -> None:
    text = configuration(make_plan(), nodes, certificates, tmp_path)
    relay = (tmp_path / "services" / "fra1-sbc-rtpengine" / "rtpengine.conf").read_text()
    assert "\ntos=104\n" in text  # AF31 26 << 2
    assert "\ntos = 184\n" in relay  # EF 46 << 2


@pytest.mark.req("V2")
def test_connections_are_watched_as_the_policy_says(
    nodes: dict[str, FakeNode], certificates: Certificates, tmp_path: Path
) -> None:
    timing = replace(CONTROLLER.registration, keepalive_s=10, lost_s=30)
    plan = replace(make_plan(), session_controllers=(replace(CONTROLLER, registration=timing),))
    text = configuration(plan, nodes, certificates, tmp_path)
    assert "\ntcp_keepidle=10\ntcp_keepintvl=10\ntcp_keepcnt=2\n" in text
    assert '$var(source) = "media-handover";' in text
    assert text.count("route(SOURCE);") == 2


@pytest.mark.req("C1.1")
def test_limits_of_an_address_are_the_plans(
    nodes: dict[str, FakeNode], certificates: Certificates, tmp_path: Path
) -> None:
    # given a session controller with 100 accounts behind one address
    limits = Protection(100, 3, 16, 20, 0.5, 5, 50, 10, 4, 60, 120)
    plan = with_controller(replace(CONTROLLER, protection=limits))
    text = configuration(plan, nodes, certificates, tmp_path)
    # then one address gets its connections, who says nothing is sent away, and who guesses is banned
    assert "\ntcp_accept_iplimit=316\n" in text
    assert "\ntcp_msg_data_timeout=7\n" in text
    assert "guesses=>size=10;autoexpire=60;" in text
    assert "banned=>size=10;autoexpire=120;" in text
    assert "$shtinc(guesses=>$si::$var(guessed)) >= 4" in text
    assert "$shtinc(guesses=>$si) >= 104" in text


@pytest.mark.req("C1.1")
def test_memory_is_enough_for_all_connections_that_are_promised() -> None:
    # given 2,000 accounts behind one address
    limits = Protection(2000, 3, 16, 20, 0.5, 5, 50, 10, 4, 60, 120)
    accounts = tuple(replace(ACCOUNTS[0], user=str(number)) for number in range(2000))
    controller = replace(CONTROLLER, accounts=accounts, protection=limits)
    most = session_controller.most_connections(controller)
    # then there is room for their connections before and after a failover, and for two addresses that open
    # all they may, as far as the machine has descriptors
    assert most == 3 * 2000 + 2 * limits.connections
    assert session_controller.most_connections(controller, 10_000) == 9_744
    assert session_controller.memory_mib(controller) * 1024 >= most * session_controller.CONNECTION_KIB
    # and without accounts for those that are promised to all
    few = replace(CONTROLLER, protection=replace(limits, behind=2))
    assert session_controller.most_connections(few) == session_controller.LEAST_CONNECTIONS
    assert session_controller.memory_mib(few) * 1024 >= 2048 * session_controller.CONNECTION_KIB


@pytest.mark.req("C2.3", "C7")
@pytest.mark.parametrize("strict", [False, True])
def test_media_of_sites_with_one_line_comes_from_one_place_where_the_policy_says_so(
    nodes: dict[str, FakeNode], certificates: Certificates, tmp_path: Path, *, strict: bool
) -> None:
    # given a site with one line, under either policy
    held = replace(CONTROLLER, strict_sites=("203.0.113.2/32",), strict_servers=("198.18.10.13/32",))
    plan = replace(make_plan(), session_controllers=(held if strict else CONTROLLER,))
    # when its session controller is configured
    text = configuration(plan, nodes, certificates, tmp_path)
    # then media may move at any time, but for those who are held to one place
    assert '$var(source) = "media-handover";' in text
    asked = '"strict-source SIP-source-address endpoint-learning-off"'
    assert (asked in text) == ('is_in_subnet("$si", "203.0.113.2/32")' in text) == strict


@pytest.mark.req("C6.3")
def test_only_session_controllers_of_the_cloud_are_passed_calls(
    nodes: dict[str, FakeNode], certificates: Certificates, tmp_path: Path
) -> None:
    # given one data centre, then nobody is a peer; given another, then by its certificate's name alone
    assert "IS_PEER" not in configuration(make_plan(), nodes, certificates, tmp_path)
    peer = ControllerPeer("sip-fra2.ucaas.test", "198.18.11.10", 5061)
    plan = replace(make_plan(), session_controllers=(replace(CONTROLLER, peers=(peer,)),))
    text = configuration(plan, nodes, certificates, tmp_path)
    assert '$tls_peer_verified == 1 && $tls_peer_san_hostname == "sip-fra2.ucaas.test"' in text
    assert '"sip:198.18.11.10:5061;transport=tls"' in text


def test_names_in_the_zone_are_absolute() -> None:
    assert zone_records(NAME_SERVER)[2] == {
        "name": "_sips._tcp.ucaas.test",
        "type": "SRV",
        "value": "10 10 5096 sip.ucaas.test.",
    }


def test_key_log_is_there_before_the_first_session(tmp_path: Path) -> None:
    path = session_controller.prepare_key_log(tmp_path)
    assert path == tmp_path / "keys" / "tls.keylog"
    assert path.read_bytes() == b""


async def test_a_question_that_is_broken_off_while_its_answer_comes_stays_broken_off() -> None:
    # given a probe that waits for an answer
    answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def question() -> str:
        return await answer

    asked = asyncio.ensure_future(probes._within(question()))
    for _ in range(3):
        await asyncio.sleep(0)
    # when it is broken off in the moment in which the answer comes
    answer.set_exception(ConnectionRefusedError())
    asked.cancel()
    # then it does not go on as if nothing had been said
    with pytest.raises(asyncio.CancelledError):
        await asked
