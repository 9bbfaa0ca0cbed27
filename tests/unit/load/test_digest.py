"""Digest: the examples of the RFCs, and what is not answered."""

from __future__ import annotations

import pytest

from endpoints_emu.load import digest
from endpoints_emu.load.digest import Challenge, NoAnswer

pytestmark = pytest.mark.req("D11", "C9.1")


def test_response_is_that_of_rfc_7616_for_both_algorithms() -> None:
    """RFC 7616 section 3.9.1."""
    nonce, cnonce = (
        "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
    )
    for algorithm, expected in (
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ):
        challenge = Challenge("http-auth@example.org", nonce, algorithm, "auth")
        answer = digest.response(challenge, "Mufasa", "Circle of Life", "GET", "/dir/index.html", cnonce)
        assert answer == expected


def test_first_challenge_that_can_be_answered_is_chosen() -> None:
    values = [
        'Basic realm="x"',
        'Digest realm="x", nonce="1", algorithm=SHA-512-256, qop="auth"',
        'Digest realm="x", nonce="2", algorithm=SHA-256, qop="auth-int, auth"',
        'Digest realm="x", nonce="3"',
    ]
    assert digest.choose(values) == Challenge("x", "2", "SHA-256", "auth")
    assert digest.choose(values[3:]).qop == ""


@pytest.mark.parametrize(
    "value", ['Digest realm="x", nonce="1", qop="auth-int"', "Digest", 'Digest realm="', ""]
)
def test_what_cannot_be_answered_is_not(value: str) -> None:
    with pytest.raises(NoAnswer):
        digest.choose([value])


def test_a_wrong_password_or_nonce_is_not_accepted() -> None:
    challenge = Challenge("realm", "nonce", "SHA-256", "auth")
    value = digest.credentials(challenge, "me", "right", "REGISTER", "sip:x", "c")
    assert digest.accepts(challenge, "right", "REGISTER", value)
    assert not digest.accepts(challenge, "wrong", "REGISTER", value)
    assert not digest.accepts(challenge, "right", "INVITE", value)
    assert not digest.accepts(Challenge("realm", "other", "SHA-256", "auth"), "right", "REGISTER", value)
    assert not digest.accepts(challenge, "right", "REGISTER", "Digest nc=zz, x")
