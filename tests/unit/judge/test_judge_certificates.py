"""Certificates that anybody may show."""

from __future__ import annotations

import random

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from testbed.tls import issue, pem
from uclab.judge.checks.certificates import BadCertificate, read_der, read_pem


@pytest.mark.req("C9.1")
def test_a_certificate_is_read_with_its_issuer() -> None:
    authority = issue("uclab lab CA")
    server = issue("sip.ucaas.test", authority)
    read = read_der(server[0].public_bytes(Encoding.DER))
    assert (read.names, read.issuer) == (("sip.ucaas.test",), "CN=uclab lab CA")
    assert read.signed_by(read_pem(pem(authority)))
    assert not read.signed_by(read_pem(pem(issue("Foreign CA"))))


@pytest.mark.parametrize("raw", [b"", b"x", b"\x30\x82\xff\xff", bytes(1000)])
def test_what_is_no_certificate_is_said(raw: bytes) -> None:
    with pytest.raises(BadCertificate):
        read_der(raw)
    with pytest.raises(BadCertificate):
        read_pem(raw)


def test_a_certificate_with_changed_bytes_is_read_or_refused() -> None:
    authority = issue("uclab lab CA")
    der = issue("sip.ucaas.test", authority)[0].public_bytes(Encoding.DER)
    chance, refused = random.Random(1), 0
    for _ in range(300):
        raw = bytearray(der)
        for _ in range(chance.randint(1, 3)):
            raw[chance.randrange(len(raw))] = chance.randrange(256)
        try:
            read_der(bytes(raw)).signed_by(read_pem(pem(authority)))
        except BadCertificate:
            refused += 1
    assert refused
