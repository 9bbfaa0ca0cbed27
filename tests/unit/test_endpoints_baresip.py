"""baresip's files, its control protocol and its texts."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from endpoints_emu.baresip import control, messages
from endpoints_emu.baresip.configuration import (
    Settings,
    account_line,
    standing_accounts,
    write_configuration,
)
from endpoints_emu.events import Refusal
from endpoints_emu.phone import CommandRefused, PhoneDied
from uclab.plan.schema.plan import Account, Endpoint, RegistrationTiming

TIMING = RegistrationTiming(keepalive_s=4, lost_s=6, attempt_s=2, retry_s=1, retry_max_s=8, failback_s=10)
DESK1 = Endpoint(
    name="desk1",
    kind="desk-phone",
    driver="baresip",
    node="desk1",
    account=Account("1001", "ucaas.test", "secret", "Desk 1", "+493011101001"),
    registrar="sip.ucaas.test",
    registrar_port=5096,
    transport="tls",
    tone_hz=440,
    registration=TIMING,
)
TRUNK = replace(DESK1, name="pstn", kind="pstn-phone", registers=False, registrar_port=5061)


def configured(folder: Path, endpoint: Endpoint = DESK1, **more: object) -> str:
    """The text of `config` for an endpoint."""
    (folder / "authority.pem").write_text("the lab's authority")
    settings = replace(Settings(folder / "authority.pem", ("198.18.0.53",)), **more)  # type: ignore[arg-type]
    assert write_configuration(endpoint, folder, settings) == ["/usr/bin/baresip", "-f", "/lab"]
    return (folder / "config").read_text()


def value(config: str, name: str) -> str | None:
    """The value of an entry, without its comment."""
    found = re.search(rf"^{name}\s+([^#\n]*)", config, re.MULTILINE)
    return found[1].strip() if found else None


def parameter(account: str, name: str) -> str | None:
    found = re.search(rf';{name}=("[^"]*"|[^;]*)', account)
    return found[1].strip('"') if found else None


@pytest.mark.req("C9.1", "C9.4", "E1.1")
def test_a_desk_phone_verifies_its_server_and_speaks_srtp_only(tmp_path: Path) -> None:
    config = configured(tmp_path)
    assert value(config, "sip_verify_server") == "yes"
    assert value(config, "sip_cafile") == "/lab/ca.pem"
    assert (tmp_path / "ca.pem").read_text() == "the lab's authority"
    assert parameter(account_line(DESK1), "mediaenc") == "srtp-mand"
    assert "transport=tls" in account_line(DESK1).partition(">")[0]


@pytest.mark.req("C8")
def test_media_is_marked_as_the_endpoint_says(tmp_path: Path) -> None:
    assert value(configured(tmp_path), "rtp_tos") == "184"
    assert value(configured(tmp_path, replace(DESK1, dscp_media=0)), "rtp_tos") == "0"


def test_a_phone_for_a_drill_sends_plain_rtp_or_trusts_anybody(tmp_path: Path) -> None:
    assert "mediaenc" not in account_line(replace(DESK1, media_encryption="none"))
    assert "srtp.so" not in configured(tmp_path, replace(DESK1, media_encryption="none"))
    assert value(configured(tmp_path, replace(DESK1, verify_server=False)), "sip_verify_server") == "no"


@pytest.mark.req("V6")
def test_names_are_resolved_at_the_devices_name_servers(tmp_path: Path) -> None:
    assert value(configured(tmp_path), "dns_server") == "198.18.0.53:53"
    assert parameter(account_line(DESK1), "outbound") == "sip:sip.ucaas.test:5096;transport=tls"


def test_a_registration_is_refreshed_every_four_to_five_minutes() -> None:
    assert 240 <= int(parameter(account_line(DESK1), "regint") or 0) <= 300
    assert parameter(account_line(DESK1), "sipnat") == "outbound"


@pytest.mark.req("V2")
def test_connections_are_watched_as_the_endpoint_says(tmp_path: Path) -> None:
    timing = replace(TIMING, keepalive_s=10, lost_s=30)
    config = configured(tmp_path, replace(DESK1, registration=timing))
    assert [value(config, f"flow_{name}") for name in ("keepalive", "probe", "lost")] == ["10", "10", "30"]
    assert (tmp_path / "flow.so").exists()


def test_there_is_an_account_for_each_registrar_and_none_registers_by_itself() -> None:
    phone = replace(DESK1, backup_registrars=("sip-fra2.ucaas.test",))
    lines = [account_line(phone, registrar=name) for name in phone.registrars]
    assert [parameter(line, "outbound") for line in lines] == [
        "sip:sip.ucaas.test:5096;transport=tls",
        "sip:sip-fra2.ucaas.test:5096;transport=tls",
    ]
    assert {parameter(line, "prio") for line in lines} == {"1"}


def test_the_module_tells_what_came_of_a_registration_at_which_registrar() -> None:
    assert messages.registration_outcome("flow,accepted,1 200 OK") == messages.RegistrationOutcome(
        1, True, "200 OK"
    )
    lost = messages.registration_outcome("flow,failed,0 Connection reset by peer [104]")
    assert lost == messages.RegistrationOutcome(0, False, "Connection reset by peer [104]")
    assert messages.registration_refusal(lost.text, "") is Refusal.UNREACHABLE
    assert messages.registration_outcome("menu,something,else") is None


def test_no_account_is_in_the_files(tmp_path: Path) -> None:
    """baresip 1.1.0 reads 511 characters of a line there."""
    configured(tmp_path)
    assert (tmp_path / "accounts").read_text() == ""
    assert standing_accounts(DESK1, Settings(tmp_path, ())) == ()


@pytest.mark.req("C4")
def test_a_trunk_peer_has_an_account_for_each_number_and_never_registers(tmp_path: Path) -> None:
    (tmp_path / "own.pem").write_text("key and certificate")
    config = configured(
        tmp_path,
        TRUNK,
        numbers=("+493055501001", "+493055501002"),
        listen_port=5061,
        certificate=tmp_path / "own.pem",
    )
    assert (tmp_path / "accounts").read_text() == ""
    settings = Settings(tmp_path, (), numbers=("+493055501001", "+493055501002"))
    accounts = [account_line(TRUNK, number) for number in standing_accounts(TRUNK, settings)]
    assert [re.search(r"sip:(\+\d+)@", line)[1] for line in accounts] == ["+493055501001", "+493055501002"]  # type: ignore[index]
    assert all(parameter(line, "prio") == "1" for line in accounts)
    assert "secret" not in "".join(accounts)
    assert value(config, "sip_listen") == "0.0.0.0:5060"  # baresip opens TLS one port higher
    assert value(config, "sip_certificate") == "/lab/certificate.pem"


def test_an_endpoint_is_the_same_device_after_every_start(tmp_path: Path) -> None:
    configured(tmp_path)
    first = (tmp_path / "uuid").read_text()
    configured(tmp_path)
    assert (tmp_path / "uuid").read_text() == first


@pytest.mark.parametrize(
    ("parameter", "log", "refusal"),
    [
        ("401 Unauthorized", "", Refusal.CREDENTIALS),
        ("403 Forbidden", "", Refusal.CREDENTIALS),
        ("404 Not Found", "", Refusal.REJECTED),
        ("Protocol error", "tls: verify_handler: error_string = hostname mismatch\n", Refusal.CERTIFICATE),
        ("Protocol error", "tls: connect: error", Refusal.TLS),
        ("Connection timed out", "", Refusal.TIMEOUT),
        ("Connection refused", "", Refusal.UNREACHABLE),
        ("Destination address required", "", Refusal.NAME),
    ],
)
def test_a_failed_registration_has_a_ground(parameter: str, log: str, refusal: Refusal) -> None:
    assert messages.registration_refusal(parameter, log) is refusal


def test_the_last_certificate_error_counts() -> None:
    log = "tls: error_string = certificate has expired\x1b[;m\n tls: error_string = hostname mismatch\n"
    assert messages.certificate_error(log) == "hostname mismatch"
    assert messages.certificate_error("all well") is None


AUDIO_DEBUG = """
--- Audio stream ---
 tx:   encode: PCMU 8000Hz/1ch ptime=20ms S16LE
  member 0xf506eebe: lost=0 Jitter=0.0ms RTT=0.0ms
                 IP=10.99.0.2:32268 psent=0 rcvd=327
  TX: packets=363, octets=52464
"""


def test_counters_are_read_from_the_debug_text_and_the_last_report() -> None:
    rtcp = {
        "tx": {"sent": 363, "lost": 2, "jit": 4000},
        "rx": {"sent": 330, "lost": 3, "jit": 5600},
        "rtt": 41000,
    }
    statistics = messages.statistics(AUDIO_DEBUG, "AES_CM_128_HMAC_SHA1_80", rtcp)
    assert (statistics.codec, statistics.sent_packets, statistics.received_packets) == ("PCMU", 363, 327)
    assert (statistics.received_lost, statistics.sent_lost) == (3, 2)
    assert (statistics.received_jitter_ms, statistics.sent_jitter_ms) == (5.6, 4.0)
    assert statistics.round_trip_ms == 41.0


def test_before_the_first_report_loss_is_unknown_and_not_zero() -> None:
    nothing = {"tx": {"sent": 0, "lost": 0, "jit": 0}, "rx": {"sent": 0, "lost": 0, "jit": 0}, "rtt": 0}
    for rtcp in (None, nothing):
        statistics = messages.statistics(AUDIO_DEBUG, None, rtcp)
        assert (statistics.received_lost, statistics.sent_lost, statistics.round_trip_ms) == (
            None,
            None,
            None,
        )


class Baresip:
    """The other end of a control connection."""

    def __init__(self) -> None:
        self.events: list[control.Message] = []
        self.ended: list[str] = []

    async def __aenter__(self) -> Baresip:
        connected = asyncio.get_running_loop().create_future()
        self.server = await asyncio.start_server(lambda *pair: connected.set_result(pair), "127.0.0.1", 0)
        port = self.server.sockets[0].getsockname()[1]
        streams = await asyncio.open_connection("127.0.0.1", port)
        self.control = control.Control("desk1", streams, self.events.append, self.ended.append)
        self.reader, self.writer = await connected
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.control.close()
        self.writer.close()
        self.server.close()

    def say(self, **message: object) -> None:
        self.writer.write(control.encode(message))


async def test_answers_find_their_commands_in_any_order_between_events() -> None:
    async with Baresip() as baresip:
        first = asyncio.create_task(baresip.control.command("reginfo"))
        second = asyncio.create_task(baresip.control.command("dial", "sip:1002@ucaas.test"))
        asked = [await control.read(baresip.reader) for _ in range(2)]
        assert asked[1]["params"] == "sip:1002@ucaas.test"
        baresip.say(response=True, ok=True, data="call id: 1\n", token=asked[1]["token"])
        baresip.say(event=True, type="CALL_RINGING")
        baresip.say(response=True, ok=True, data="registered", token=asked[0]["token"])
        assert (await first, await second) == ("registered", "call id: 1\n")
        assert [event["type"] for event in baresip.events] == ["CALL_RINGING"]


async def test_a_refused_command_says_what_was_asked_and_answered() -> None:
    async with Baresip() as baresip:
        asking = asyncio.create_task(baresip.control.command("hangup", "7"))
        token = (await control.read(baresip.reader))["token"]
        baresip.say(response=True, ok=False, data="call 7 not found\n", token=token)
        with pytest.raises(CommandRefused, match="desk1: hangup 7: call 7 not found"):
            await asking


async def test_a_phone_that_ends_fails_what_is_asked_of_it() -> None:
    async with Baresip() as baresip:
        asking = asyncio.create_task(baresip.control.command("reginfo"))
        await control.read(baresip.reader)
        baresip.writer.close()
        with pytest.raises(PhoneDied, match="desk1: control connection closed by the phone"):
            await asking
        with pytest.raises(PhoneDied):
            await baresip.control.command("reginfo")
        assert baresip.ended == ["control connection closed by the phone"]


async def test_silence_is_a_dead_phone() -> None:
    async with Baresip() as baresip:
        with pytest.raises(PhoneDied, match=r"no answer to `reginfo` in 0\.05 s"):
            await baresip.control.command("reginfo", deadline_s=0.05)


async def test_a_command_that_baresip_would_cut_is_not_sent() -> None:
    async with Baresip() as baresip:
        with pytest.raises(CommandRefused, match="longer than 1023 bytes"):
            await baresip.control.command("uanew", "x" * 1024)


def test_a_message_is_a_netstring() -> None:
    assert control.encode({"command": "dial", "params": "é"}) == b"%d:%s," % (
        len(json.dumps({"command": "dial", "params": "é"})),
        json.dumps({"command": "dial", "params": "é"}).encode(),
    )


async def test_what_is_no_netstring_is_refused() -> None:
    reader = asyncio.StreamReader()
    reader.feed_data(b"2:{};")
    with pytest.raises(ValueError, match="does not end with a comma"):
        await control.read(reader)
