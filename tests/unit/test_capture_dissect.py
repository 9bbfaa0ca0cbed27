"""tshark on a recording of real TLS: TLS 1.3, TLS 1.2, and a client that does not trust the server's
issuer."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509

from uclab.capture.dissect import Signalling, dissect, extract_signalling
from uclab.capture.tshark import DissectionError

FIXTURES = Path(__file__).parent / "judge" / "fixtures"
PORTS = (5096, 5097)


def dissected(tmp_path: Path, keylog: Path | None) -> Signalling:
    extract = tmp_path / "extract.pcapng"
    numbers = extract_signalling(FIXTURES / "sip-tls.pcapng", extract, PORTS)
    return dissect(extract, PORTS, keylog, numbers)


@pytest.mark.req("C9", "D5")
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


@pytest.mark.req("C9", "D5")
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


@pytest.mark.req("C9")
def test_without_the_key_log_only_tls_1_2_shows_its_certificate(tmp_path: Path) -> None:
    found = dissected(tmp_path, None)
    assert found.messages == ()
    shown = [(shake.version, len(shake.certificates)) for shake in found.handshakes]
    assert shown == [("1.3", 0), ("1.2", 1), ("1.3", 0)]


def test_packet_numbers_are_those_of_the_whole_capture(tmp_path: Path) -> None:
    extract = tmp_path / "extract.pcapng"
    numbers = extract_signalling(FIXTURES / "sip-tls.pcapng", extract, (5097,))
    found = dissect(extract, (5097,), None, numbers)
    assert numbers[0] > 1
    assert found.handshakes[0].at.packet == 35


def test_an_empty_extract_needs_no_tshark(tmp_path: Path) -> None:
    extract = tmp_path / "extract.pcapng"
    assert extract_signalling(FIXTURES / "sip-tls.pcapng", extract, (9,)) == []
    assert dissect(extract, (9,), None, []) == Signalling((), ())


def test_a_file_that_tshark_cannot_read_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.pcapng"
    broken.write_bytes(b"no capture" * 50)
    with pytest.raises(DissectionError, match=r"broken\.pcapng"):
        dissect(broken, PORTS, None)
