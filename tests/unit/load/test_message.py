"""The parser takes what is a message, gives it back unchanged, and refuses everything else in one way."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from endpoints_emu.load.fields import (
    branch_of,
    parse_challenge,
    parse_name_addr,
    parse_uri,
    parse_via,
    split,
    tag_of,
)
from endpoints_emu.load.framing import Frames
from endpoints_emu.load.message import MalformedMessage, Request, Response, parse
from endpoints_emu.load.request_validation import refusal
from tests.unit.load.torture import MESSAGES

pytestmark = pytest.mark.req("D11")

SMALL = (
    b"OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\nFrom: <sip:c@d>;tag=1\r\n"
    b"To: <sip:a@b>\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
)
WORD = st.text(alphabet="abcXYZ019-.!%*_+`'~", min_size=1, max_size=12)
VALUE = st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=0x3FF), max_size=40).map(
    lambda text: text.strip(" \t")
)
MANDATORY = {"via": ["SIP/2.0/UDP h;branch=z9hG4bK1"], "from": ["<sip:a@b>;tag=1"], "to": ["<sip:c@d>"]}


@st.composite
def messages(draw: st.DrawFn) -> Request | Response:
    """Any message that is in order."""
    method = draw(WORD)
    cseq = draw(st.integers(0, 2**31 - 1))
    fields = {name: list(values) for name, values in MANDATORY.items()}
    fields |= {"call-id": [draw(WORD)], "cseq": [f"{cseq} {method}"]}
    for name, values in draw(
        st.dictionaries(WORD, st.lists(VALUE, min_size=1, max_size=3), max_size=5)
    ).items():
        fields.setdefault(f"x-{name.lower()}", values)
    body = draw(st.binary(max_size=60))
    if draw(st.booleans()):
        return Request(fields, body, cseq, method, method, f"sip:{draw(WORD)}@example.test")
    return Response(fields, body, cseq, method, draw(st.integers(100, 699)), draw(VALUE))


@settings(max_examples=200, deadline=None)
@given(message=messages())
def test_what_is_written_is_read_again(message: Request | Response) -> None:
    read = parse(message.to_bytes())
    assert read == message
    assert parse(read.to_bytes()) == read


@settings(max_examples=400, deadline=None)
@given(data=st.binary(max_size=400))
def test_noise_is_refused_and_breaks_nothing(data: bytes) -> None:
    with pytest.raises(MalformedMessage):
        parse(data)


@settings(max_examples=600, deadline=None)
@given(st.data())
def test_damaged_messages_are_read_or_refused_and_break_nothing(data: st.DataObject) -> None:
    raw = bytearray(data.draw(st.sampled_from(MESSAGES)).data)
    for _ in range(data.draw(st.integers(1, 8))):
        position = data.draw(st.integers(0, len(raw) - 1))
        match data.draw(st.integers(0, 2)):
            case 0:
                raw[position] = data.draw(st.integers(0, 255))
            case 1:
                del raw[position : position + data.draw(st.integers(1, 30))]
            case _:
                raw[position:position] = data.draw(
                    st.sampled_from([b'"', b"<", b"\r\n", b";", b",", b" ", b"%"])
                )
        if not raw:
            return
    try:
        message = parse(bytes(raw))
    except MalformedMessage:
        return
    if isinstance(message, Request):
        refusal(message)
    for value in (message.first("from"), message.first("via")):
        for read in (tag_of, branch_of, parse_name_addr, parse_via, parse_challenge):
            try:
                read(value)
            except MalformedMessage:
                continue


@settings(max_examples=200, deadline=None)
@given(data=st.data(), count=st.integers(1, 4))
def test_a_stream_is_cut_at_its_messages_however_it_arrives(data: st.DataObject, count: int) -> None:
    stream = b"\r\n\r\n".join([SMALL] * count)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    frames, found = Frames(), []
    for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += list(frames.feed(stream[begin:end]))
    assert found == [SMALL] * count


def test_a_stream_without_lengths_is_given_up() -> None:
    with pytest.raises(MalformedMessage, match="no Content-Length"):
        list(Frames().feed(SMALL.replace(b"Content-Length: 0\r\n", b"")))


def test_commas_and_semicolons_in_quotes_separate_nothing() -> None:
    assert split('"a, b" <sip:x;y@z>;p="q,r", <sip:u@v>', ",") == ['"a, b" <sip:x;y@z>;p="q,r"', "<sip:u@v>"]
    assert parse_challenge('Digest realm="a, b", qop="auth,auth-int", nonce="n;1"')[1] == {
        "realm": "a, b",
        "qop": "auth,auth-int",
        "nonce": "n;1",
    }


def test_parameters_of_a_bare_address_are_the_fields_own() -> None:
    read = parse_name_addr("sip:a@b;tag=1")
    assert (str(read.uri), read.parameters) == ("sip:a@b", {"tag": "1"})
    assert parse_name_addr("<sip:a@b;tag=1>").parameters == {}
    assert tag_of('"x;tag=no" <sip:a@b;tag=neither>;TAG=yes') == "yes"


def test_a_uri_is_read_in_all_its_parts() -> None:
    uri = parse_uri("sips:user;x=1:pass@[2001:db8::1]:5061;transport=tls;lr?Subject=hi")
    assert (uri.scheme, uri.user, uri.host, uri.port) == ("sips", "user;x=1:pass", "[2001:db8::1]", 5061)
    assert (uri.parameters, uri.headers) == ({"transport": "tls", "lr": ""}, "Subject=hi")
    assert str(uri) == "sips:user;x=1:pass@[2001:db8::1]:5061;transport=tls;lr?Subject=hi"


@pytest.mark.parametrize(
    "value", ["Digest a=b,", "Digest a=b, a=c", "Digest a", 'Digest a="b', "Digest =b", "Digest a=b c"]
)
def test_challenge_out_of_order_is_refused(value: str) -> None:
    with pytest.raises(MalformedMessage):
        parse_challenge(value)


def test_challenge_is_read_as_it_is_usually_written_and_otherwise() -> None:
    usual = parse_challenge('Digest realm="a", Nonce="b=,", qop="auth", stale=FALSE')
    assert usual == ("digest", {"realm": "a", "nonce": "b=,", "qop": "auth", "stale": "FALSE"})
    assert parse_challenge('DIGEST realm = "a\\"b" ,nonce=""') == ("digest", {"realm": 'a"b', "nonce": ""})
