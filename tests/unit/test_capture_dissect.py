"""tshark on a recording of real TLS: TLS 1.3, TLS 1.2, and a client that does not trust the server's
issuer."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from cryptography import x509

from testbed.frames import Packet, rtp
from uclab.capture import tshark
from uclab.capture.dissect import Signalling, dissect, extract_signalling
from uclab.capture.pcapng import PcapngReader
from uclab.capture.tags import dissect_tags
from uclab.capture.tshark import DissectionError
from uclab.capture.writer import PcapngWriter

FIXTURES = Path(__file__).parent / "judge" / "fixtures"
PORTS = (5096, 5097)
SYSTEM_PORTS = 1024
EPHEMERAL = range(32768, 61000)
"""Where Linux takes clients' ports from."""
BELOW_THE_SERVERS = (2000, 2404, 3306, 5060)
"""Registered for other protocols, and lower than a server's port: tshark takes the lower one first."""
VXLAN_PORT = 4789


def dissected(tmp_path: Path, keylog: Path | None) -> Signalling:
    extract = tmp_path / "extract.pcapng"
    numbers = extract_signalling(FIXTURES / "sip-tls.pcapng", extract, PORTS)
    return dissect(extract, keylog, numbers)


@pytest.mark.req("C9.1", "D5")
def test_handshakes_show_version_and_certificate_also_inside_tls_1_3(tmp_path: Path) -> None:
    found = dissected(tmp_path, FIXTURES / "tls.keylog").handshakes
    assert [(shake.version, shake.at.sport) for shake in found] == [
        ("1.3", 5096),
        ("1.2", 5097),
        ("1.3", 5096),
    ]
    for shake in found:
        certificate = x509.load_der_x509_certificate(shake.certificates[0])
        assert certificate.issuer.rfc4514_string() == "CN=uclab lab CA"


@pytest.mark.req("C9.1", "C9.4", "D5")
def test_sip_and_its_keys_are_read_through_the_key_log(tmp_path: Path) -> None:
    messages = [
        m for m in dissected(tmp_path, FIXTURES / "tls.keylog").messages if 5096 in (m.at.sport, m.at.dport)
    ]
    assert [(m.method, m.status) for m in messages] == [
        ("REGISTER", None),
        ("REGISTER", 401),
        ("REGISTER", None),
        ("REGISTER", 200),
        ("INVITE", None),
        ("INVITE", 100),
        ("INVITE", 180),
        ("INVITE", 200),
        ("ACK", None),
        ("BYE", None),
        ("BYE", 200),
    ]
    offer, answer = (m.media for m in messages if m.media)
    assert offer is not None
    assert answer is not None
    assert (offer.port, offer.profile, answer.address) == (20100, "RTP/SAVP", "198.18.10.10")
    assert offer.cryptos[0].suite == "AES_CM_128_HMAC_SHA1_80"
    assert offer.cryptos[0].inline == "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd"


@pytest.mark.req("C9.4")
def test_without_the_key_log_only_tls_1_2_shows_its_certificate(tmp_path: Path) -> None:
    found = dissected(tmp_path, None)
    assert found.messages == ()
    shown = [(shake.version, len(shake.certificates)) for shake in found.handshakes]
    assert shown == [("1.3", 0), ("1.2", 1), ("1.3", 0)]


def test_packet_numbers_are_those_of_the_whole_capture(tmp_path: Path) -> None:
    extract = tmp_path / "extract.pcapng"
    numbers = extract_signalling(FIXTURES / "sip-tls.pcapng", extract, (5097,))
    found = dissect(extract, None, numbers)
    assert numbers[0] > 1
    assert found.handshakes[0].at.packet == 35


def test_an_empty_extract_needs_no_tshark(tmp_path: Path) -> None:
    extract = tmp_path / "extract.pcapng"
    assert extract_signalling(FIXTURES / "sip-tls.pcapng", extract, (9,)) == []
    assert dissect(extract, None, []) == Signalling((), ())


def test_a_file_that_tshark_cannot_read_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.pcapng"
    broken.write_bytes(b"no capture" * 50)
    with pytest.raises(DissectionError, match=r"broken\.pcapng"):
        dissect(broken, None)


def registered(table: str) -> list[int]:
    """The ports of a table (`tcp.port`, `udp.port`) that tshark takes for a protocol of theirs."""
    known = subprocess.run(["tshark", "-G", "decodes"], capture_output=True, text=True, check=True).stdout
    rows = [line.split("\t") for line in known.splitlines()]
    return sorted({int(row[1]) for row in rows if row[0] == table and int(row[1]) >= SYSTEM_PORTS})


def as_clients(tmp_path: Path, ports: list[int]) -> Path:
    """The recording's first connection once for each of these ports, as that client's."""
    packets = [
        (int(batch.time_ns[row]), bytearray(batch.packet(row)))
        for batch in PcapngReader(FIXTURES / "sip-tls.pcapng")
        for row in range(len(batch))
    ]
    first = packets[0][1][34:36]
    path = tmp_path / "clients.pcapng"
    with PcapngWriter(path, ["a"]) as writer:
        for port in ports:
            for at_ns, frame in packets:
                if first in (frame[34:36], frame[36:38]):
                    at = 34 if frame[34:36] == first else 36
                    writer.write(0, at_ns, bytes(frame[:at] + port.to_bytes(2, "big") + frame[at + 2 :]))
    return path


@pytest.mark.req("C9.1", "D5")
def test_tls_is_read_whatever_tshark_takes_the_clients_port_for(tmp_path: Path) -> None:
    # given clients with ports that tshark knows as other protocols', 34980 (EtherCAT) among them
    clashing = [port for port in registered("tcp.port") if port in EPHEMERAL]
    assert 34980 in clashing
    unknown = next(port for port in EPHEMERAL if port not in clashing)
    ports = [*clashing, *BELOW_THE_SERVERS, unknown]
    # when their connections with the session controller are dissected
    extract = tmp_path / "extract.pcapng"
    numbers = extract_signalling(as_clients(tmp_path, ports), extract, PORTS)
    found = dissect(extract, FIXTURES / "tls.keylog", numbers)
    # then each shows its handshake and its messages
    assert sorted(shake.at.dport for shake in found.handshakes) == sorted(ports)
    said = {p: [m.start_line for m in found.messages if p in (m.at.sport, m.at.dport)] for p in ports}
    assert said[unknown]
    assert {port for port, lines in said.items() if lines != said[unknown]} == set()


@pytest.mark.req("D5", "Q1.2")
def test_tags_are_read_whatever_tshark_takes_the_ports_for(tmp_path: Path) -> None:
    # given media on ports that tshark knows, whose payload looks like a tagged frame to it
    ends = ("02:00:00:00:00:0a", "02:00:00:00:00:0b")
    inside = bytes(Packet(*ends, "10.0.0.1", "10.0.0.2", 1, 2, rtp(1, 1, 1, bytes(160)), 0, vlan=7, pcp=1))
    ports = sorted({VXLAN_PORT, *(port for port in registered("udp.port") if port in EPHEMERAL)})
    extract = tmp_path / "media.pcapng"
    with PcapngWriter(extract, ["a"]) as writer:
        for port in ports:
            body = rtp(1, 1, 1, b"")[:8] + inside
            frame = bytes(Packet(*ends, "10.0.0.3", "10.0.0.4", port, port, body, 46))
            writer.write(0, 0, frame)
    # when tshark reads their tags, then they are the frames' own
    tags = dissect_tags(extract)
    assert len(tags) == len(ports)
    assert {(tag.dscp, tag.pcp, tag.vlan) for tag in tags} == {(46, None, None)}


@pytest.mark.req("D5")
def test_a_dissector_that_is_killed_half_way_has_not_shown_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a tshark that somebody ends while it speaks
    real = shutil.which("tshark")
    (tmp_path / "bin").mkdir()
    killed = tmp_path / "bin" / "tshark"
    killed.write_text(
        "#!/bin/sh\n"
        f'case "$*" in *-r*) {real} "$@" | head -c 60000; kill -TERM $$;; *) exec {real} "$@";; esac\n'
    )
    killed.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    # then what it said before is not taken for everything
    with pytest.raises(DissectionError, match="signal 15"):
        dissected(tmp_path, FIXTURES / "tls.keylog")


async def test_an_unfinished_tshark_is_ended_without_asking_for_its_status(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # given a program under asyncio's watch, from whose watcher nobody may take the exit status
    process = await asyncio.create_subprocess_exec("sleep", "600")
    monkeypatch.setattr(subprocess.Popen, "poll", lambda _: pytest.fail("asked for the exit status"))
    # when it is ended, then asyncio knows how
    await tshark.end(process)
    assert process.returncode == -signal.SIGKILL
